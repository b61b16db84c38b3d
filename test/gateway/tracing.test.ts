/** Traces through a gateway: ids of its own without an SDK, spans with one. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { metrics, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { GatewayMetrics } from '../../src/gateway/admin/gateway-metrics.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { renderPrometheus } from '../../src/telemetry/prometheus.ts'
import { idOf, parentOf, startSdk, TestReader } from '../telemetry/sdk.ts'
import { HTTP, start, upstream } from './running-gateway.ts'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const SPAN_ID = 'b7ad6b7169203331'
const CLIENT = {
  traceparent: `00-${TRACE_ID}-${SPAN_ID}-01`,
  tracestate: 'vendor=1',
  baggage: 'tenant=7',
}

/** A gateway with `tracing`, before an upstream that answers with the fields it got. */
async function gateway(t: TestContext, tracing?: object, failures = 0) {
  let left = failures
  const address = await upstream(t, ({ fields }) =>
    left-- > 0
      ? HttpResponse.text('', { status: 503 })
      : HttpResponse.json(Object.fromEntries(fields)),
  )
  return start(t, {
    listeners: [{ ...HTTP, ...(tracing && { tracing }) }],
    routes: [{ name: 'all', cluster: 'api' }],
    clusters: [
      {
        name: 'api',
        endpoints: [address],
        retry_policy: { retry_back_off: { base_interval: '1ms' } },
      },
    ],
  })
}

async function ask(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers })
  assert.equal(response.status, 200)
  return (await response.json()) as Record<string, string>
}

test('without tracing a gateway passes the client’s trace on as it came', async (t) => {
  const { url } = await gateway(t)
  const strange = { ...CLIENT, traceparent: `cc-${TRACE_ID}-${SPAN_ID}-09-later` }
  const { traceparent, tracestate, baggage } = await ask(url('/'), strange)
  assert.deepEqual({ traceparent, tracestate, baggage }, strange)
  assert.equal((await ask(url('/')))['traceparent'], undefined)
})

test('with tracing upstreams get a parent of the gateway’s, and the client’s decision', async (t) => {
  const { url } = await gateway(t, { sampling: 0 })
  const seen = await ask(url('/'), CLIENT)
  assert.match(
    seen['traceparent'] ?? '',
    new RegExp(`^00-${TRACE_ID}-(?!${SPAN_ID})[0-9a-f]{16}-01$`),
  )
  assert.deepEqual([seen['tracestate'], seen['baggage']], ['vendor=1', 'tenant=7'])
  const begun = (await ask(url('/')))['traceparent']
  assert.match(begun ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-02$/)
})

test('sampling marks the share of the traces that begin here', async (t) => {
  const { url } = await gateway(t, { sampling: 100 })
  assert.match((await ask(url('/')))['traceparent'] ?? '', /-03$/)
})

test('an edge that trusts nobody begins a trace of its own and drops baggage', async (t) => {
  const { url } = await gateway(t, { sampling: 0, trust_incoming: false })
  const seen = await ask(url('/'), CLIENT)
  assert.match(
    seen['traceparent'] ?? '',
    new RegExp(`^00-(?!${TRACE_ID})[0-9a-f]{32}-[0-9a-f]{16}-02$`),
  )
  assert.deepEqual([seen['tracestate'], seen['baggage']], [undefined, undefined])
})

test('with an SDK a request is a server span and each attempt a client span below it', async (t) => {
  const sdk = startSdk(t)
  const { url } = await gateway(t, undefined, 1)
  const seen = await ask(url('/orders?x=1'), CLIENT)
  const [failed, attempt, server] = sdk.spans
  assert.deepEqual(
    sdk.spans.map(({ kind }) => kind),
    [SpanKind.CLIENT, SpanKind.CLIENT, SpanKind.SERVER],
  )
  assert.equal(parentOf(server), SPAN_ID)
  assert.deepEqual([parentOf(failed), parentOf(attempt)], [idOf(server), idOf(server)])
  assert.equal(failed?.status.code, SpanStatusCode.ERROR)
  assert.equal(attempt?.attributes['http.request.resend_count'], 1)
  assert.equal(seen['traceparent'], `00-${TRACE_ID}-${idOf(attempt)}-01`)
  const { attributes } = server ?? assert.fail('no span')
  assert.deepEqual(
    [attributes['heddle.listener'], attributes['heddle.route'], attributes['heddle.cluster']],
    ['http', 'all', 'api'],
  )
  assert.equal(attributes['url.path'], '/orders')
})

test('the exemplar of a request’s duration is the gateway’s own span', async (t) => {
  const { url, gateway: running } = await gateway(t, { sampling: 100 })
  const registry = running.registry
  using _metrics = new GatewayMetrics(registry, running)
  running.onRequest = (record) => _metrics.record(record)
  const [, traceId, attemptId] = (await ask(url('/')))['traceparent']?.split('-') ?? []
  const text = renderPrometheus(registry, 'openmetrics')
  const exemplarOf = (name: string) =>
    new RegExp(`^${name}_bucket\\{.*# \\{trace_id="(\\w+)",span_id="(\\w+)"\\}`, 'm').exec(text)
  const exemplar = exemplarOf('http_server_request_duration_seconds')
  assert.equal(exemplar?.[1], traceId)
  // That of the attempt is the attempt's.
  assert.equal(exemplarOf('http_client_request_duration_seconds')?.[2], attemptId)
  assert.notEqual(exemplar?.[2], attemptId)
  assert.match(exemplar?.[2] ?? '', /^[0-9a-f]{16}$/)
})

test('a registered SDK gets the gateway’s metrics, what is observed and what is recorded', async (t) => {
  const reader = new TestReader()
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }))
  t.after(() => metrics.disable())
  const { url, gateway: running } = await gateway(t)
  using watched = new GatewayMetrics(running.registry, running)
  running.onRequest = (record) => watched.record(record)
  await ask(url('/'))
  // What the registry did not have before is there from the second collection on.
  await reader.values()
  const values = await reader.values()
  assert.equal(values.get('heddle.cluster.requests {heddle.cluster=api} {request}'), 1)
  const duration =
    'heddle.cluster=api heddle.listener=http heddle.route=all http.request.method=GET http.response.status_code=200 url.scheme=http'
  assert.equal(values.get(`http.server.request.duration {${duration}} s`), 1)
})

test('an upstream that cannot be reached fails the server span, with the reason', async (t) => {
  const sdk = startSdk(t)
  const { url } = await start(t, {
    listeners: [HTTP],
    routes: [{ name: 'all', cluster: 'gone' }],
    clusters: [{ name: 'gone', endpoints: ['127.0.0.1:1'], retry_policy: { num_retries: 0 } }],
  })
  assert.equal((await fetch(url('/'))).status, 502)
  const [attempt, server] = sdk.spans
  assert.equal(attempt?.attributes['error.type'], 'ERR_CONNECT')
  assert.equal(server?.status.code, SpanStatusCode.ERROR)
  assert.equal(server?.events[0]?.attributes?.['exception.type'], 'ERR_CONNECT')
})

test('heddle up --import loads an SDK first and shuts it down last', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(folder, { recursive: true }))
  const address = await upstream(t, ({ fields }) =>
    HttpResponse.text(fields.get('traceparent') ?? ''),
  )
  const file = join(folder, 'gateway.yaml')
  const config = {
    admin: { enabled: false },
    listeners: [{ name: 'http', address: '127.0.0.1:0' }],
    routes: [{ name: 'all', cluster: 'api' }],
    clusters: [{ name: 'api', endpoints: [address] }],
  }
  await writeFile(file, JSON.stringify(config))
  const main = new URL('../../src/cli/main.ts', import.meta.url).pathname
  const sdk = new URL('../telemetry/otel.mjs', import.meta.url).pathname
  const child = spawn(process.execPath, [main, 'up', '--import', sdk, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  const exited = once(child, 'close')
  let out = ''
  let err = ''
  child.stderr.on('data', (chunk) => (err += String(chunk)))
  child.stdout.on('data', (chunk) => (out += String(chunk)))
  while (!/http:\/\/\S+/.test(out)) await once(child.stdout, 'data')
  const url = /http:\/\/\S+/.exec(out)?.[0] ?? ''
  const traceparent = await (await fetch(url)).text()
  child.kill('SIGTERM')
  assert.deepEqual(await exited, [0, null])
  const spans = [...err.matchAll(/^span (.*)$/gm)].map(([, json = '']) => JSON.parse(json))
  assert.equal(spans.length, 2, err)
  assert.equal(traceparent, `00-${spans[0].traceId}-${spans[0].spanId}-01`)
  assert.equal(spans[0].parent, spans[1].spanId)
  assert.match(err, /"msg":"drained"[\s\S]*sdk shut down/)
})
