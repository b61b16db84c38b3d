/**
 * RPC, database and messaging metrics by the conventions' names: stub protocols through the client's
 * and the server's stack, into the real SDK, and the table in docs/telemetry.md.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { fromRoot } from '../../scripts/repository.ts'
import { ip } from '../../src/core/address.ts'
import { Call } from '../../src/core/context.ts'
import { RemoteError, TransportError } from '../../src/core/errors.ts'
import {
  databaseMetricNames,
  type MetricNames,
  messagingMetricNames,
  rpcMetricNames,
  type ServerMetricNames,
} from '../../src/core/metric-names.ts'
import type { Meter } from '../../src/core/metrics.ts'
import type { MessagingOperation } from '../../src/core/semantics.ts'
import { createClient } from '../../src/runtime/client.ts'
import { serverStack } from '../../src/runtime/stack/server-stack.ts'
import { TimerWheel } from '../../src/runtime/timer-wheel.ts'
import { openTelemetryMeter } from '../../src/telemetry/open-telemetry-meter.ts'
import { Registry } from '../../src/telemetry/registry.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { seededRandom } from '../../src/testing/seeded-random.ts'
import { ScriptedExchanger, scriptedClassifier } from '../runtime/scripted-exchanger.ts'
import { TestReader } from './sdk.ts'

/** `shop.Orders/Get OK`: the method, and the status that it will be answered with. */
const rpc = rpcMetricNames<string, string>({
  system: 'grpc',
  method: (request) => (request.includes('/') ? wordOf(request, 0) : undefined),
  status: (reply) => reply,
})
/** `GET users 0`: operation, collection, outcome. */
const database = databaseMetricNames<string, string>({
  system: 'redis',
  operation: (request) => wordOf(request, 0),
  collection: (request) => wordOf(request, 1),
  namespace: () => '3',
  failure: (reply) => (reply === 'OK' ? undefined : reply),
})
/** `send orders 3`: operation, destination, size of the batch. */
const messaging = messagingMetricNames<string, string>({
  system: 'nats',
  type: (request) => wordOf(request, 0) as MessagingOperation,
  destination: (request) => wordOf(request, 1),
  metricDestination: (request) => wordOf(request, 1),
  batchSize: (request) => Number(wordOf(request, 2)),
  received: (reply) => Number(reply.split(' ')[1] ?? 0),
  failure: (reply) => (reply === 'refused' ? 'refused' : undefined),
})

test('RPC: each attempt is a rpc.client.call.duration with method and status', async () => {
  const replies = new Map([
    ['shop.Orders/Get', 'OK'],
    ['shop.Orders/Put', 'NOT_FOUND'],
    ['reflect', 'OK'],
  ])
  const values = await counted(rpc.client, [...replies.keys()], (request) => replies.get(request))
  const names = 'rpc.client.call.duration {'
  const peer = 'network.peer.address=10.0.0.1:80'
  assert.deepEqual(values(names), {
    [`${peer} rpc.method=_OTHER rpc.response.status_code=OK rpc.system.name=grpc} s`]: 1,
    [`${peer} rpc.method=shop.Orders/Get rpc.response.status_code=OK rpc.system.name=grpc} s`]: 1,
    [`error.type=NOT_FOUND ${peer} rpc.method=shop.Orders/Put rpc.response.status_code=NOT_FOUND rpc.system.name=grpc} s`]: 1,
  })
  const calls = values('heddle.client.call.duration {')
  assert.equal(
    calls['rpc.method=shop.Orders/Get rpc.response.status_code=OK rpc.system.name=grpc} s'],
    1,
  )
})

test('RPC: an error with a status has it, one without has its code', async () => {
  const values = await counted(rpc.client, ['a/b', 'a/c'], (request) => {
    if (request === 'a/b') throw new RemoteError('ERR_REMOTE', 'gone', { status: 'UNAVAILABLE' })
    throw new TransportError('ERR_RESET', 'reset')
  })
  assert.deepEqual(Object.keys(values('rpc.client.call.duration {')), [
    'error.type=UNAVAILABLE network.peer.address=10.0.0.1:80 rpc.method=a/b rpc.response.status_code=UNAVAILABLE rpc.system.name=grpc} s',
    'error.type=ERR_RESET network.peer.address=10.0.0.1:80 rpc.method=a/c rpc.system.name=grpc} s',
  ])
})

test('RPC: a server counts what the caller did wrong as no error of its own', async () => {
  const values = await served(rpc.server, ['a/b NOT_FOUND', 'a/c INTERNAL'], (request) =>
    wordOf(request, 1),
  )
  assert.deepEqual(values('rpc.server.call.duration {'), {
    'rpc.method=a/b rpc.response.status_code=NOT_FOUND rpc.system.name=grpc} s': 1,
    'error.type=INTERNAL rpc.method=a/c rpc.response.status_code=INTERNAL rpc.system.name=grpc} s': 1,
  })
})

test('databases: db.client.operation.duration by operation, collection, namespace and status', async () => {
  const requests = ['GET users', 'GET users', 'SET users', 'PING']
  const values = await counted(database.client, requests, (request) =>
    request === 'SET users' ? 'READONLY' : 'OK',
  )
  const peer = 'network.peer.address=10.0.0.1:80'
  assert.deepEqual(values('db.client.operation.duration {'), {
    [`db.collection.name=users db.namespace=3 db.operation.name=GET db.system.name=redis ${peer}} s`]: 2,
    [`db.collection.name=users db.namespace=3 db.operation.name=SET db.response.status_code=READONLY db.system.name=redis error.type=READONLY ${peer}} s`]: 1,
    [`db.namespace=3 db.operation.name=PING db.system.name=redis ${peer}} s`]: 1,
  })
})

test('databases have the buckets of their conventions, calls those of all protocols', async () => {
  const registry = new Registry()
  await callAll(registry, database.client, ['GET users'], () => 'OK')
  assert.deepEqual(
    boundsOf(registry, 'db.client.operation.duration'),
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
  )
  assert.equal(boundsOf(registry, 'heddle.client.call.duration')[0], 0.005)
})

test('messaging: operations by name and destination, messages sent and consumed', async () => {
  const requests = ['send orders 3', 'send orders 1', 'send full 1', 'receive orders']
  const values = await counted(messaging.client, requests, (request) => {
    if (request === 'send full 1') return 'refused'
    return request === 'receive orders' ? 'messages 7' : 'ok'
  })
  const peer = 'network.peer.address=10.0.0.1:80'
  const of = (type: string, to: string): string =>
    `messaging.destination.name=${to} messaging.operation.name=${type} messaging.operation.type=${type} messaging.system=nats ${peer}}`
  assert.deepEqual(values('messaging.client.operation.duration {'), {
    [`${of('send', 'orders')} s`]: 2,
    [`error.type=refused ${of('send', 'full')} s`]: 1,
    [`${of('receive', 'orders')} s`]: 1,
  })
  assert.deepEqual(values('messaging.client.sent.messages {'), {
    [`${of('send', 'orders')} {message}`]: 4,
    [`error.type=refused ${of('send', 'full')} {message}`]: 1,
  })
  assert.deepEqual(values('messaging.client.consumed.messages {'), {
    [`${of('receive', 'orders')} {message}`]: 7,
  })
})

test('messaging: processing has a duration of its own, at both ends of the runtime', async () => {
  const expected =
    'messaging.destination.name=orders messaging.operation.name=process messaging.operation.type=process messaging.system=nats'
  const client = await counted(messaging.client, ['process orders'], () => 'ok')
  assert.deepEqual(Object.keys(client('messaging.process.duration {')), [
    `${expected} network.peer.address=10.0.0.1:80} s`,
  ])
  assert.deepEqual(client('messaging.client.operation.duration {'), {})
  const server = await served(messaging.server, ['process orders'], () => 'ok')
  assert.deepEqual(Object.keys(server('messaging.process.duration {')), [`${expected}} s`])
})

test('docs/telemetry.md lists what these protocols count', async () => {
  const registry = new Registry()
  await callAll(registry, rpc.client, ['a/b'], () => 'INTERNAL')
  await callAll(registry, database.client, ['GET users'], () => 'ERR')
  const requests = ['send orders 1', 'receive orders', 'process orders']
  await callAll(registry, messaging.client, requests, () => 'messages 1')
  await callAll(registry, messaging.client, requests, () => 'refused')
  await serveAll(registry, rpc.server, ['a/b'], () => 'INTERNAL')
  const counted = registry
    .collect()
    .filter(({ name }) => /^(rpc|messaging|db\.client\.operation)/.test(name))
    .map(({ name, kind, unit, series }) => {
      const labels = new Set(series.flatMap(({ attributes }) => Object.keys(attributes)))
      return `| \`${name}\` | ${kind} | \`${unit}\` | ${[...labels].sort().map(quoted).join(' ')} |`
    })
  assert.equal(counted.length, 7)
  const text = await readFile(fromRoot('docs/telemetry.md'), 'utf8')
  for (const row of counted) assert.ok(text.includes(row), row)
})

/** Calls, and what the SDK has then: of the metrics whose text begins so, the rest and the count. */
async function counted(
  names: MetricNames<string, string>,
  requests: readonly string[],
  answer: (request: string) => string | undefined,
): Promise<(prefix: string) => Record<string, number>> {
  return inSdk((meter) => callAll(meter, names, requests, answer))
}

async function served(
  names: ServerMetricNames<string, string>,
  requests: readonly string[],
  answer: (request: string) => string | undefined,
): Promise<(prefix: string) => Record<string, number>> {
  return inSdk((meter) => serveAll(meter, names, requests, answer))
}

async function inSdk(
  work: (meter: Meter) => Promise<void>,
): Promise<(prefix: string) => Record<string, number>> {
  const reader = new TestReader()
  await work(openTelemetryMeter({ provider: new MeterProvider({ readers: [reader] }) }))
  const values = await reader.values()
  return (prefix) =>
    Object.fromEntries(
      [...values]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, value]) => [key.slice(prefix.length), value]),
    )
}

async function callAll(
  meter: Meter,
  names: MetricNames<string, string>,
  requests: readonly string[],
  answer: (request: string) => string | undefined,
): Promise<void> {
  const clock = new ManualClock()
  const client = createClient<string, string>({
    endpoints: [{ address: ip('10.0.0.1', 80) }],
    connectEndpoint: async () =>
      new ScriptedExchanger({ answer: (request) => answer(request) ?? '' }),
    classifier: scriptedClassifier,
    clock,
    random: seededRandom(1),
    retry: false,
    breaker: false,
    meter,
    metricNames: names,
  })
  for (const request of requests) await (async () => client.call(request))().catch(() => {})
  await client.close()
}

async function serveAll(
  meter: Meter,
  metricNames: ServerMetricNames<string, string>,
  requests: readonly string[],
  answer: (request: string) => string | undefined,
): Promise<void> {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const options = { clock, wheel, classifier: scriptedClassifier, meter, metricNames }
  const service = serverStack<string, string>((request) => answer(request) ?? '', options)
  for (const request of requests) await service(request, new Call())
}

function boundsOf(registry: Registry, name: string): readonly number[] {
  const family = registry.collect().find((one) => one.name === name)
  const [series] = family?.series ?? []
  assert.ok(series !== undefined && 'bounds' in series, name)
  return [...series.bounds]
}

const wordOf = (text: string, index: number): string | undefined => text.split(' ')[index]
const quoted = (name: string): string => `\`${name}\``
