/** Spans over HTTP with the real SDK: names, kinds, parents, attributes, errors, sampling. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AlwaysOffSampler, ParentBasedSampler } from '@opentelemetry/sdk-trace'
import type { TraceContext } from '../../src/core/context.ts'
import { TransportError } from '../../src/core/errors.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { openTelemetryTracer } from '../../src/telemetry/open-telemetry-tracer.ts'
import { httpWorld } from './http-pair.ts'
import { idOf, parentOf, startSdk } from './sdk.ts'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const SPAN_ID = 'b7ad6b7169203331'
const tracer = openTelemetryTracer()

test('a call is a span, its attempts are children, the server’s span is the attempt’s child', async (t) => {
  const sdk = startSdk(t)
  const world = httpWorld(t)
  await world.serve(
    'orders',
    (request) => {
      request.route = '/orders/{id}'
      return HttpResponse.text('ok')
    },
    { tracer },
  )
  const client = world.client('orders', { tracer })
  await (await client.get('/orders/7?token=secret')).body.text()

  const [server, attempt, call] = sdk.spans
  assert.deepEqual(
    sdk.spans.map(({ name, kind }) => [name, kind]),
    [
      ['GET /orders/{id}', SpanKind.SERVER],
      ['GET', SpanKind.CLIENT],
      ['GET', SpanKind.INTERNAL],
    ],
  )
  assert.equal(parentOf(server), idOf(attempt))
  assert.equal(server?.parentSpanContext?.isRemote, true)
  assert.equal(parentOf(attempt), idOf(call))
  assert.equal(parentOf(call), undefined)
  assert.deepEqual(attempt?.attributes, {
    'http.request.method': 'GET',
    'server.address': 'svc.test',
    'server.port': 80,
    'url.full': 'http://svc.test/orders/7',
    'network.peer.address': 'mem:orders',
    'http.response.status_code': 200,
    'network.protocol.version': '1.1',
  })
  assert.deepEqual(server?.attributes, {
    'http.request.method': 'GET',
    'server.address': 'svc.test',
    'server.port': 80,
    'url.scheme': 'http',
    'url.path': '/orders/7',
    'network.protocol.version': '1.1',
    'http.response.status_code': 200,
    'http.route': '/orders/{id}',
  })
  assert.equal(server?.instrumentationScope.name, 'heddle')
  assert.doesNotMatch(JSON.stringify(sdk.spans.map((span) => span.attributes)), /secret/)
})

test('a retry is a span of its own with its number, and another parent for the server', async (t) => {
  const sdk = startSdk(t)
  const world = httpWorld(t)
  let calls = 0
  const parents: (string | undefined)[] = []
  await world.serve('flaky', (request) => {
    parents.push(request.fields.get('traceparent')?.split('-')[2])
    return HttpResponse.text('', { status: ++calls < 3 ? 503 : 200 })
  })
  const client = world.client('flaky', { tracer, retry: { baseMs: 1, maxMs: 1 }, breaker: false })
  assert.equal((await client.get('/')).status, 200)
  const attempts = sdk.spans.filter(({ kind }) => kind === SpanKind.CLIENT)
  assert.deepEqual(
    attempts.map(({ attributes }) => attributes['http.request.resend_count']),
    [undefined, 1, 2],
  )
  assert.deepEqual(attempts.map(idOf), parents)
  assert.deepEqual(
    attempts.map(({ status }) => status.code),
    [SpanStatusCode.ERROR, SpanStatusCode.ERROR, SpanStatusCode.UNSET],
  )
  assert.deepEqual(
    attempts.map(({ attributes }) => attributes['error.type']),
    ['503', '503', undefined],
  )
  const [call] = sdk.spans.filter(({ kind }) => kind === SpanKind.INTERNAL)
  assert.equal(call?.status.code, SpanStatusCode.UNSET)
  assert.ok(attempts.every((attempt) => parentOf(attempt) === idOf(call)))
})

test('a 404 is an error of the client’s span, not of the server’s', async (t) => {
  const sdk = startSdk(t)
  const world = httpWorld(t)
  await world.serve('none', () => HttpResponse.text('', { status: 404 }), { tracer })
  await (await world.client('none', { tracer }).get('/')).body.text()
  const [server, attempt, call] = sdk.spans
  assert.equal(server?.status.code, SpanStatusCode.UNSET)
  assert.equal(server?.attributes['error.type'], undefined)
  for (const span of [attempt, call]) {
    assert.equal(span?.status.code, SpanStatusCode.ERROR)
    assert.equal(span?.attributes['error.type'], '404')
  }
})

test('an error of a service is recorded with its span, a foreign one without its message', async (t) => {
  const sdk = startSdk(t)
  const world = httpWorld(t)
  await world.serve(
    'broken',
    ({ path }) => {
      if (path === '/own') throw new TransportError('ERR_RESET', 'the connection was reset')
      throw new RangeError('password is hunter2')
    },
    { tracer },
  )
  const client = world.client('broken', { retry: false })
  await (await client.get('/own')).body.text()
  await (await client.get('/foreign')).body.text()
  const [own, foreign] = sdk.spans
  assert.equal(own?.status.code, SpanStatusCode.ERROR)
  assert.equal(own?.attributes['error.type'], '502')
  assert.deepEqual(
    [own, foreign].map((span) => [span?.events[0]?.name, span?.events[0]?.attributes]),
    [
      [
        'exception',
        { 'exception.type': 'ERR_RESET', 'exception.message': 'the connection was reset' },
      ],
      ['exception', { 'exception.type': 'RangeError' }],
    ],
  )
})

test('a call that fails has the code of its error as type', async (t) => {
  const sdk = startSdk(t)
  const client = httpWorld(t).client('nobody', { tracer, retry: false })
  await assert.rejects(client.get('/'), { code: 'ERR_CONNECT' })
  assert.equal(sdk.spans.length, 2)
  for (const span of sdk.spans) {
    assert.equal(span.attributes['error.type'], 'ERR_CONNECT')
    assert.equal(span.status.code, SpanStatusCode.ERROR)
  }
})

test('what a service asks for through OpenTelemetry’s API is its span and the caller’s baggage', async (t) => {
  const sdk = startSdk(t)
  const world = httpWorld(t)
  await world.serve('back', () => HttpResponse.text(''), { tracer })
  const back = world.client('back', { tracer })
  await world.serve(
    'front',
    async (_request, context) => {
      await Promise.resolve()
      trace.getActiveSpan()?.setAttribute('mine', true)
      const tenant = propagation.getActiveBaggage()?.getEntry('tenant')?.value
      return trace.getTracer('test').startActiveSpan('inner', async (inner) => {
        const response = await back.get('/', { context })
        await response.body.text()
        inner.end()
        return HttpResponse.text(tenant ?? '')
      })
    },
    { tracer },
  )
  const fields = { traceparent: `00-${TRACE_ID}-${SPAN_ID}-01`, baggage: 'tenant=a%2Cb' }
  const response = await world.client('front').get('/', { fields })
  assert.equal(await response.body.text(), 'a,b')
  const [backServer, attempt, call, inner, front] = sdk.spans
  assert.equal(front?.attributes['mine'], true)
  assert.equal(parentOf(front), SPAN_ID)
  assert.equal(parentOf(inner), idOf(front))
  assert.equal(parentOf(call), idOf(inner))
  assert.equal(parentOf(backServer), idOf(attempt))
  assert.ok(sdk.spans.every((span) => span.spanContext().traceId === TRACE_ID))
})

test('a call within an active span needs no context to be its child', async (t) => {
  const sdk = startSdk(t)
  const world = httpWorld(t)
  await world.serve('back', () => HttpResponse.text(''))
  const client = world.client('back', { tracer })
  await trace.getTracer('test').startActiveSpan('work', async (work) => {
    await (await client.get('/')).body.text()
    work.end()
  })
  const [, call, work] = sdk.spans
  assert.equal(parentOf(call), idOf(work))
})

test('what is not sampled is not recorded, and its flag goes on with ids of its own', async (t) => {
  const sdk = startSdk(t, new ParentBasedSampler({ root: new AlwaysOffSampler() }))
  const world = httpWorld(t)
  const seen: (TraceContext | undefined)[] = []
  await world.serve('back', (_request, { trace: one }) => {
    seen.push(one)
    return HttpResponse.text('')
  })
  const back = world.client('back', { tracer })
  await world.serve('front', (_request, context) => back.get('/', { context }), { tracer })
  const front = world.client('front')
  const ask = async (flags: string) => {
    const fields = { traceparent: `00-${TRACE_ID}-${SPAN_ID}-${flags}`, tracestate: 'v=1' }
    await (await front.get('/', { fields })).body.text()
    return seen.pop()
  }
  const off = await ask('02')
  assert.deepEqual([off?.traceId, off?.flags, off?.state], [TRACE_ID, 2, 'v=1'])
  assert.notEqual(off?.spanId, SPAN_ID)
  assert.equal(sdk.spans.length, 0)
  const on = await ask('03')
  assert.deepEqual([on?.traceId, on?.flags], [TRACE_ID, 3])
  assert.equal(sdk.spans.length, 3)
})

test('without an SDK there is no span, and what came with the call goes on untouched', async (t) => {
  const world = httpWorld(t)
  const traces: (TraceContext | undefined)[] = []
  await world.serve('back', (_request, { trace: one }) => {
    traces.push(one)
    return HttpResponse.text('')
  })
  const back = world.client('back', { tracer })
  await world.serve('front', (_request, context) => back.get('/', { context }), { tracer })
  const fields = { traceparent: `00-${TRACE_ID}-${SPAN_ID}-01` }
  await (await world.client('front', { tracer }).get('/', { fields })).body.text()
  await (await world.client('front', { tracer }).get('/')).body.text()
  assert.deepEqual([traces[0]?.traceId, traces[0]?.spanId], [TRACE_ID, SPAN_ID])
  assert.equal(traces[1], undefined)
})

test('an SDK that is registered late is found, one that is taken away forgotten', async (t) => {
  const world = httpWorld(t)
  await world.serve('back', () => HttpResponse.text(''))
  const client = world.client('back', { tracer })
  const ask = async () => (await client.get('/')).body.text()
  await ask()
  const sdk = startSdk(t)
  await ask()
  assert.equal(sdk.spans.length, 2)
  trace.disable()
  await ask()
  assert.equal(sdk.spans.length, 2)
})
