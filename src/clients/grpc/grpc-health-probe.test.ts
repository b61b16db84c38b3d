import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call } from '../../core/context.ts'
import { grpcServer } from '../../servers/grpc/grpc-service.ts'
import { grpcHealth } from '../../servers/grpc/health/grpc-health.ts'
import { grpcHealthProbe } from './grpc-health-probe.ts'

test('grpcHealthProbe resolves while a server serves, and says what it is instead', async () => {
  const health = grpcHealth({ services: ['a.B'] })
  const probe = grpcHealthProbe(health.service)
  const probeB = grpcHealthProbe(health.service, { service: 'a.B' })
  await probe(new Call())
  await probeB(new Call())
  health.set('a.B', 'NOT_SERVING')
  await probe(new Call())
  await assert.rejects(probeB(new Call()), { status: 'NOT_SERVING', message: 'a.B is NOT_SERVING' })
  health.drain()
  await assert.rejects(probe(new Call()), { message: 'the server is NOT_SERVING' })
  const unknown = grpcHealthProbe(health.service, { service: 'a.C' })
  await assert.rejects(unknown(new Call()), { status: 'NOT_FOUND' })
  const other = grpcHealthProbe(grpcServer([]))
  await assert.rejects(other(new Call()), { status: 'UNIMPLEMENTED' })
  const given = new AbortController()
  given.abort(new Error('given up'))
  await assert.rejects(probe(new Call({ signal: given.signal })), { message: 'given up' })
})
