import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Echo } from '../../../../test/fixtures/echo/echo_pb.ts'
import { grpcChannel } from '../../../clients/grpc/grpc-channel.ts'
import { grpcClient } from '../../../clients/grpc/grpc-client.ts'
import { memory } from '../../../core/address.ts'
import { systemClock } from '../../../platform/system-clock.ts'
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../../protocols/grpc/proto/grpc/health/v1/health_pb.ts'
import { HttpResponse } from '../../../protocols/http/messages.ts'
import { ManualClock } from '../../../testing/manual-clock.ts'
import { memory as memoryTransport } from '../../../transports/memory/memory-transport.ts'
import { httpServer } from '../../http/http-server.ts'
import { grpcHealth } from './grpc-health.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('grpcHealth answers Check and List', async () => {
  const health = grpcHealth({ services: ['a.B', Echo.typeName] })
  const client = grpcClient(Health, health.service)
  assert.equal((await client.check({})).status, Status.SERVING)
  health.set('a.B', 'NOT_SERVING')
  assert.equal((await client.check({ service: 'a.B' })).status, Status.NOT_SERVING)
  await assert.rejects(client.check({ service: 'a.C' }), {
    status: 'NOT_FOUND',
    grpcMessage: 'the health of "a.C" is not known',
  })
  const { statuses } = await client.list({})
  const listed = Object.entries(statuses).map(([name, { status }]) => `${name}:${status}`)
  assert.deepEqual(listed, [':1', 'a.B:2', `${Echo.typeName}:1`])
  health.delete('a.B')
  await assert.rejects(client.check({ service: 'a.B' }), { status: 'NOT_FOUND' })
})

test('grpcHealth tells watchers each change, the latest to those who are slow', async () => {
  const health = grpcHealth()
  const client = grpcClient(Health, health.service)
  const heard: number[] = []
  const watching = (async () => {
    for await (const { status } of client.watch({ service: 'a.B' })) heard.push(status)
  })()
  await turn()
  assert.deepEqual(heard, [Status.SERVICE_UNKNOWN])
  assert.equal(health.watching, 1)
  health.set('a.B', 'SERVING')
  await turn()
  health.set('a.B', 'SERVING') // no change, nothing to tell
  health.set('other', 'SERVING')
  await turn()
  health.set('a.B', 'UNKNOWN')
  health.delete('a.B')
  await turn()
  assert.deepEqual([heard[0], heard[1], heard.at(-1)], [3, 1, 3])
  health.set('a.B', 'SERVING')
  health.drain()
  await watching
  assert.equal(heard.at(-1), Status.NOT_SERVING)
  assert.equal(health.watching, 0)
})

test('grpcHealth forgets a watcher that goes away, and lets as many watch as it says', async () => {
  const health = grpcHealth({ maxWatchers: 2 })
  const client = grpcClient(Health, health.service)
  const first = client.watch({})[Symbol.asyncIterator]()
  const second = client.watch({})[Symbol.asyncIterator]()
  assert.equal((await first.next()).value?.status, Status.SERVING)
  await second.next()
  await assert.rejects(client.watch({})[Symbol.asyncIterator]().next(), {
    status: 'RESOURCE_EXHAUSTED',
  })
  await first.return?.()
  await turn()
  assert.equal(health.watching, 1)
  const third = client.watch({})[Symbol.asyncIterator]()
  await third.next()
  await Promise.all([second.return?.(), third.return?.()])
  await turn()
  assert.equal(health.watching, 0)
})

test('grpcHealth lists as many services as it says and not one more', async () => {
  const health = grpcHealth({ maxListed: 3, services: ['a', 'b'] })
  const client = grpcClient(Health, health.service)
  assert.equal(Object.keys((await client.list({})).statuses).length, 3)
  health.set('c', 'SERVING')
  await assert.rejects(client.list({}), { status: 'RESOURCE_EXHAUSTED' })
})

test('grpcHealth serves nothing any more from the moment its server drains', async () => {
  const clock = new ManualClock()
  const health = grpcHealth({ services: ['a.B'] })
  const server = httpServer(() => HttpResponse.text(''), { clock })
  await server.listen(memoryTransport({ clock }), memory('health'))
  health.follow(server)
  const ended = health.follow(server)
  ended()
  assert.equal(health.get('a.B'), 'SERVING')
  const closed = server.close()
  assert.deepEqual([health.get(), health.get('a.B')], ['NOT_SERVING', 'NOT_SERVING'])
  health.set('a.B', 'SERVING')
  assert.equal(health.get('a.B'), 'NOT_SERVING')
  await closed
  const late = grpcHealth()
  late.follow(server)
  assert.equal(late.get(), 'NOT_SERVING')
  const client = grpcClient(Health, late.service)
  const heard: number[] = []
  for await (const { status } of client.watch({})) heard.push(status)
  assert.deepEqual(heard, [Status.NOT_SERVING])
})

test('grpcHealth lets watchers go, so that they do not hold the drain of a server up', async () => {
  const transport = memoryTransport({ clock: systemClock })
  const health = grpcHealth()
  const server = httpServer(health.service, { drainTimeoutMs: 60_000 })
  health.follow(server)
  const { address } = await server.listen(transport, memory('watched'))
  const endpoints = [{ address }]
  await using channel = grpcChannel('http://health.test', { transport, endpoints, version: '2' })
  const heard: number[] = []
  const watching = (async () => {
    for await (const { status } of grpcClient(Health, channel).watch({})) {
      heard.push(status)
      if (heard.length === 1) void server.close()
    }
  })()
  await watching
  await server.close()
  assert.deepEqual(heard, [Status.SERVING, Status.NOT_SERVING])
  assert.equal(health.watching, 0)
})

test('grpcHealth refuses limits out of range', () => {
  for (const limit of [-1, 0.5, Number.NaN]) {
    assert.throws(() => grpcHealth({ maxWatchers: limit }), { code: 'ERR_OPTION_RANGE' })
    assert.throws(() => grpcHealth({ maxListed: limit }), { code: 'ERR_OPTION_RANGE' })
  }
})
