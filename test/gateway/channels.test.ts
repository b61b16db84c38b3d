/** A gateway on diagnostics channels: requests, connections of both sides, breakers. */
import assert from 'node:assert/strict'
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import type {
  BreakerMessage,
  CallMessage,
  ConnectionMessage,
} from '../../src/telemetry/channels.ts'
import { HTTP, start, upstream } from './running-gateway.ts'

test('a gateway tells requests, connections and breakers', async (t) => {
  const seen = new Set<string>()
  const onBreaker = (message: unknown): void => {
    const { client, state } = message as BreakerMessage
    seen.add(`breaker ${client} ${state}`)
  }
  const onConnection = (message: unknown): void => {
    const { side, name, state } = message as ConnectionMessage
    seen.add(`${side} ${name} ${state}`)
  }
  const onEnd = (message: unknown): void => {
    const { name, result } = message as CallMessage<unknown, HttpResponse>
    if (name === 'http') seen.add(`answered ${result?.status}`)
  }
  const { asyncEnd } = tracingChannel<object, object>('heddle:server:call')
  subscribe('heddle:breaker:state', onBreaker)
  subscribe('heddle:connection:state', onConnection)
  asyncEnd.subscribe(onEnd)
  t.after(() => {
    unsubscribe('heddle:breaker:state', onBreaker)
    unsubscribe('heddle:connection:state', onConnection)
    asyncEnd.unsubscribe(onEnd)
  })
  const address = await upstream(t, () => HttpResponse.text('', { status: 503 }))
  const { url } = await start(t, {
    listeners: [HTTP],
    routes: [{ name: 'all', cluster: 'api' }],
    clusters: [
      {
        name: 'api',
        endpoints: [address],
        circuit_breakers: { consecutive_failures: 1 },
        retry_policy: { num_retries: 0 },
      },
    ],
  })
  assert.equal((await fetch(url('/'))).status, 503)
  for (const expected of [
    'breaker api open',
    'client api ready',
    'server http ready',
    'answered 503',
  ])
    assert.ok(seen.has(expected), `${expected} is not among ${[...seen].join(', ')}`)
})
