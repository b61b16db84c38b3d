/** Metrics of clients and servers over HTTP: by the conventions' names, into the SDK, with exemplars. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { noopMeter } from '../../src/core/metrics.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { parseExposition } from '../../src/telemetry/exposition-parser.ts'
import { openTelemetryMeter } from '../../src/telemetry/open-telemetry-meter.ts'
import { renderPrometheus } from '../../src/telemetry/prometheus.ts'
import { propagatingTracer } from '../../src/telemetry/propagating-tracer.ts'
import { Registry } from '../../src/telemetry/registry.ts'
import { bridgeRegistry } from '../../src/telemetry/registry-bridge.ts'
import { seededRandom } from '../../src/testing/seeded-random.ts'
import { httpWorld } from './http-pair.ts'
import { TestReader } from './sdk.ts'

test('what a client and a server count flows into the SDK, by the conventions’ names', async (t) => {
  const reader = new TestReader()
  const meter = openTelemetryMeter({ provider: new MeterProvider({ readers: [reader] }) })
  const world = httpWorld(t)
  let calls = 0
  await world.serve(
    'api',
    (request) => {
      request.route = '/orders/{id}'
      return HttpResponse.text('', { status: ++calls === 1 ? 503 : 200 })
    },
    { meter },
  )
  const client = world.client('api', { meter, name: 'orders', retry: { baseMs: 1, maxMs: 1 } })
  await (await client.get('/orders/7')).body.text()
  const values = await reader.values()
  const server = 'http.server.request.duration {'
  const onServer =
    'http.request.method=GET http.response.status_code=200 http.route=/orders/{id} network.protocol.version=1.1 url.scheme=http} s'
  assert.equal(values.get(`${server}${onServer}`), 1)
  assert.equal(values.get(`${server}error.type=503 ${onServer.replace('=200', '=503')}`), 1)
  const client200 =
    'http.request.method=GET http.response.status_code=200 network.peer.address=mem:api server.address=svc.test server.port=80 url.scheme=http} s'
  assert.equal(values.get(`http.client.request.duration {${client200}`), 1)
  assert.equal(
    values.get(`http.client.request.duration {error.type=503 ${client200.replace('=200', '=503')}`),
    1,
  )
  const call = client200.replace('network.peer.address=mem:api ', '')
  assert.equal(values.get(`heddle.client.call.duration {${call}`), 1)
  const retries = 'heddle.client.retries {error.type=response heddle.client=orders} {attempt}'
  assert.equal(values.get(retries), 1)
  assert.equal(values.get('heddle.client.endpoints {heddle.client=orders} {endpoint}'), 1)
  assert.equal(values.get('http.server.active_requests {} {request}'), 0)
  const idle =
    'db.client.connection.count {db.client.connection.pool.name=orders mem:api db.client.connection.state=idle} {connection}'
  assert.equal(values.get(idle), 1)
})

test('a breaker that opens is seen as a gauge and counted', async (t) => {
  const registry = new Registry()
  const client = httpWorld(t).client('nobody', {
    meter: registry,
    name: 'orders',
    retry: false,
    breaker: { consecutiveFailures: 1 },
  })
  await assert.rejects(client.get('/'), { code: 'ERR_CONNECT' })
  const samples = parseExposition(renderPrometheus(registry, 'prometheus'), 'prometheus')
  const state = (name: string) =>
    samples.get(
      `heddle_client_breaker{heddle_client="orders",network_peer_address="mem:nobody",state="${name}"}`,
    )
  assert.deepEqual([state('closed'), state('open'), state('half-open')], [0, 1, 0])
  const opened = 'heddle_client_breaker_transitions_total{heddle_client="orders",state="open"}'
  assert.equal(samples.get(opened), 1)
})

test('a sampled call leaves its trace beside the durations of client and server', async (t) => {
  const registry = new Registry()
  const tracer = propagatingTracer({ random: seededRandom(3), sampling: 1 })
  const world = httpWorld(t)
  let trace = ''
  await world.serve(
    'api',
    (_request, context) => {
      trace = context.trace?.traceId ?? ''
      return HttpResponse.text('')
    },
    { meter: registry, tracer },
  )
  await (await world.client('api', { meter: registry, tracer }).get('/')).body.text()
  const text = renderPrometheus(registry, 'openmetrics')
  parseExposition(text, 'openmetrics')
  for (const name of ['http_server_request', 'http_client_request', 'heddle_client_call']) {
    const exemplar = new RegExp(
      `^${name}_duration_seconds_bucket\\{.*\\} 1 # \\{trace_id="${trace}",span_id="[0-9a-f]{16}"\\}`,
      'm',
    )
    assert.match(text, exemplar)
  }
  const unsampled = new Registry()
  const plain = world.client('api', { meter: unsampled })
  await (await plain.get('/')).body.text()
  assert.doesNotMatch(renderPrometheus(unsampled, 'openmetrics'), /trace_id/)
})

test('bridgeRegistry hands counters, gauges, observers and histograms to the SDK', async () => {
  const reader = new TestReader()
  const provider = new MeterProvider({ readers: [reader] })
  const registry = new Registry({ histogramMirror: openTelemetryMeter({ provider }) })
  registry.counter('orders', { unit: '{order}' }, { kind: 'express' }).add(3)
  registry.observe('gauge', 'queue', { unit: '{order}' }, (report) => report(7))
  registry.gauge('share', { unit: '1' }).set(0.5)
  registry.histogram('took', { unit: 's' }, { a: 1 }).record(0.2)
  const bridge = bridgeRegistry(registry, { provider })
  const first = await reader.values()
  assert.deepEqual(
    ['orders {kind=express} {order}', 'queue {} {order}', 'share {} 1', 'took {a=1} s'].map((key) =>
      first.get(key),
    ),
    [3, 7, 0.5, 1],
  )
  registry.counter('late').add()
  await reader.values()
  assert.equal((await reader.values()).get('late {} '), 1)
  bridge[Symbol.dispose]()
  registry.counter('orders', { unit: '{order}' }, { kind: 'express' }).add(10)
  assert.equal((await reader.values()).get('orders {kind=express} {order}'), 3)
})

test('openTelemetryMeter tells an UpDownCounter by how much a gauge moved', async () => {
  const reader = new TestReader()
  const meter = openTelemetryMeter({ provider: new MeterProvider({ readers: [reader] }) })
  const open = meter.gauge('open', { unit: '{connection}' }, { a: 1 })
  open.set(5)
  open.add(-2)
  open.set(3)
  meter.gauge('open', { unit: '{connection}' }, { a: 1 }).add(1)
  const share = meter.gauge('share', { unit: '1' })
  share.set(0.5)
  share.add(0.25)
  const counter = meter.counter('count')
  counter.add(2)
  counter.add(-1)
  counter.add(Number.NaN)
  const seconds = meter.histogram('took', { unit: 's', buckets: [1, 2] })
  for (const value of [0.5, 1.5, -1, Number.POSITIVE_INFINITY]) seconds.record(value)
  assert.deepEqual(
    [...(await reader.values())],
    [
      ['open {a=1} {connection}', 4],
      ['share {} 1', 0.75],
      ['count {} ', 2],
      ['took {} s', 2],
    ],
  )
})

test('openTelemetryMeter counts nothing without an SDK, so that the metrics layers vanish', () => {
  assert.equal(openTelemetryMeter(), noopMeter)
})
