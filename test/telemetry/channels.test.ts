/** Diagnostics channels: what subscribers are told, and that nothing is made without them. */
import assert from 'node:assert/strict'
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { type TestContext, test } from 'node:test'
import { memory } from '../../src/core/address.ts'
import { Call } from '../../src/core/context.ts'
import { TransportError } from '../../src/core/errors.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { roundRobin } from '../../src/runtime/balancer/round-robin.ts'
import {
  type BreakerMessage,
  type CallMessage,
  CHANNELS,
  type ConnectionMessage,
  type EndpointMessage,
  type EndpointsMessage,
  publishCalls,
  type RetryMessage,
} from '../../src/telemetry/channels.ts'
import { httpWorld } from './http-pair.ts'

/** Collects what is published on a channel during a test. */
function listen<Message>(t: TestContext, channel: string): Message[] {
  const messages: Message[] = []
  const onMessage = (message: unknown): void => void messages.push(message as Message)
  subscribe(channel, onMessage)
  t.after(() => unsubscribe(channel, onMessage))
  return messages
}

/** Until a connection of that name is closed. */
function closing(t: TestContext, name: string): Promise<void> {
  return new Promise((resolve) => {
    const onMessage = (message: unknown): void => {
      const { state, side, name: whose } = message as ConnectionMessage
      if (state === 'closed' && side === 'client' && whose === name) resolve()
    }
    subscribe('heddle:connection:state', onMessage)
    t.after(() => unsubscribe('heddle:connection:state', onMessage))
  })
}

function follow(t: TestContext, name: string): string[] {
  const log: string[] = []
  const channel = tracingChannel<object, object>(name)
  const said = (event: string) => (message: object) => {
    const { name: who, result, error } = message as CallMessage<unknown, HttpResponse>
    const outcome = result?.status ?? (error as { code?: string } | undefined)?.code ?? ''
    log.push(`${event} ${who} ${outcome}`.trim())
  }
  const handlers = {
    start: said('start'),
    end: said('end'),
    asyncStart: said('asyncStart'),
    asyncEnd: said('asyncEnd'),
    error: said('error'),
  }
  channel.subscribe(handlers)
  t.after(() => channel.unsubscribe(handlers))
  return log
}

test('calls of clients and servers are on tracing channels', async (t) => {
  const clients = follow(t, 'heddle:client:call')
  const servers = follow(t, 'heddle:server:call')
  const world = httpWorld(t)
  await world.serve('api', () => HttpResponse.text(''), { name: 'api' })
  await (await world.client('api', { name: 'to-api' }).get('/')).body.text()
  await assert.rejects(world.client('nobody', { name: 'lost', retry: false }).get('/'))
  assert.deepEqual(clients, [
    'start to-api',
    'end to-api',
    'asyncStart to-api 200',
    'asyncEnd to-api 200',
    'start lost',
    'end lost',
    'error lost ERR_CONNECT',
    'asyncStart lost ERR_CONNECT',
    'asyncEnd lost ERR_CONNECT',
  ])
  assert.deepEqual(servers, ['start api', 'end api 200'])
})

test('connections, breakers, retries and discovery tell what changed', async (t) => {
  const connections = listen<ConnectionMessage>(t, 'heddle:connection:state')
  const breakers = listen<BreakerMessage>(t, 'heddle:breaker:state')
  const retries = listen<RetryMessage>(t, 'heddle:client:retry')
  const endpoints = listen<EndpointsMessage>(t, 'heddle:client:endpoints')
  const failed = listen<{ client: string }>(t, 'heddle:client:connect-error')
  const world = httpWorld(t)
  await world.serve('api', () => HttpResponse.text(''), { name: 'api' })
  const client = world.client(['nobody', 'api'], {
    name: 'orders',
    retry: { baseMs: 1, maxMs: 1 },
    breaker: { consecutiveFailures: 1 },
    balancer: roundRobin(),
  })
  for (let call = 0; call < 6; call++) await (await client.get('/')).body.text()
  assert.deepEqual(
    breakers.map(({ client: name, state, previous }) => [name, state, previous]),
    [['orders', 'open', 'closed']],
  )
  assert.equal(retries[0]?.attempt, 1)
  assert.ok(retries[0]?.error instanceof TransportError)
  assert.equal(failed[0]?.client, 'orders')
  assert.equal(endpoints[0]?.endpoints.length, 2)
  const gone = closing(t, 'orders')
  await client.close()
  await gone
  const sides = (side: string) =>
    connections.filter((one) => one.side === side).map(({ name, state }) => `${name} ${state}`)
  assert.deepEqual(sides('client'), ['orders ready', 'orders closing', 'orders closed'])
  assert.ok(sides('server').includes('api ready'))
})

test('an endpoint that is ejected is told, with the reason and for how long', async (t) => {
  const states = listen<EndpointMessage>(t, 'heddle:endpoint:state')
  const world = httpWorld(t)
  await world.serve('good', () => HttpResponse.text(''))
  await world.serve('bad', () => HttpResponse.text('', { status: 503 }))
  const client = world.client(['good', 'bad'], {
    name: 'orders',
    breaker: false,
    retry: false,
    balancer: roundRobin(),
    balancing: { outlierEjection: { consecutiveFailures: 1 } },
  })
  for (let call = 0; call < 6; call++) await (await client.get('/')).body.text()
  const [{ client: name, state, endpoint, reason, forMs } = assert.fail('nothing told')] = states
  assert.deepEqual([name, state, endpoint.address], ['orders', 'ejected', memory('bad')])
  assert.ok(reason !== undefined && forMs !== undefined && forMs > 0)
})

test('publishCalls makes nothing while nobody listens, and keeps a synchronous reply', (t) => {
  const call = publishCalls<string, string>(CHANNELS.clientCall, 'x')((request) => request)
  assert.equal(call('a', new Call()), 'a')
  const log = follow(t, 'heddle:client:call')
  assert.equal(call('b', new Call()), 'b')
  assert.deepEqual(log, ['start x', 'end x'])
  const throwing = publishCalls<string, string>(
    CHANNELS.clientCall,
    'x',
  )(() => {
    throw new RangeError('no')
  })
  assert.throws(() => throwing('a', new Call()), RangeError)
  assert.deepEqual(log.slice(2), ['start x', 'error x', 'end x'])
})

test('a subscriber’s store is what the code below sees', async (t) => {
  const { AsyncLocalStorage } = await import('node:async_hooks')
  const store = new AsyncLocalStorage<object>()
  const { start } = tracingChannel<object, object>('heddle:server:call')
  start.bindStore(store, (message) => ({ name: (message as CallMessage).name }))
  t.after(() => start.unbindStore(store))
  const world = httpWorld(t)
  await world.serve(
    'api',
    async () => {
      await Promise.resolve()
      return HttpResponse.json(store.getStore())
    },
    { name: 'orders' },
  )
  const response = await world.client('api').get('/')
  assert.equal(await response.body.text(), '{"name":"orders"}')
})
