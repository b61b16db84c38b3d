import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call, type CallInit, type TraceContext } from '../../core/context.ts'
import { HttpFields } from './fields.ts'
import {
  ContextReader,
  type ContextReaderOptions,
  ContextWriter,
  isRequestId,
  requestIds,
} from './propagation.ts'

const TRACE: TraceContext = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  flags: 3,
  state: 'a=1',
  baggage: 'user=7',
}
const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03'

function read(fields: Record<string, string | string[]>, options?: ContextReaderOptions): CallInit {
  const init: CallInit = {}
  new ContextReader(options).read(new HttpFields(fields), init, 0)
  return init
}

/** The id of the call that is made of them. */
function idOf(fields: Record<string, string>, options: ContextReaderOptions): string | undefined {
  return new Call(read(fields, options)).correlationId
}

test('ContextReader reads trace, baggage and request id', () => {
  const fields = {
    traceparent: PARENT,
    tracestate: ['a=1', 'b=2'],
    baggage: ['user=7', 'broken', 'tier=gold'],
    'X-Request-Id': 'abc',
  }
  const { trace, correlationId } = read(fields)
  assert.deepEqual(
    [correlationId, { ...trace }],
    ['abc', { ...TRACE, state: 'a=1,b=2', baggage: 'user=7,tier=gold' }],
  )
})

test('ContextReader takes no trace from two traceparents', () => {
  assert.equal(read({ traceparent: [PARENT, PARENT] }).trace, undefined)
})

test('ContextReader keeps baggage that came without a trace', () => {
  const { trace, metadata } = read({ baggage: 'user=7' })
  assert.equal(trace, undefined)
  assert.deepEqual([...(metadata ?? [])], [['baggage', 'user=7']])
})

test('ContextReader believes nothing that it is told not to', () => {
  const fields = { traceparent: PARENT, baggage: 'user=7', 'x-request-id': 'abc' }
  const untrusted = { trustTrace: false, trustRequestId: false, newRequestId: () => 'own' }
  const { correlationId, newCorrelationId, ...rest } = read(fields, untrusted)
  assert.deepEqual([correlationId, newCorrelationId?.(), rest], [undefined, 'own', {}])
  assert.deepEqual(read(fields, { trustTrace: false, requestIdHeader: false }), {})
})

test('ContextReader makes an id in place of one that is too long or could break a line', () => {
  const newRequestId = () => 'own'
  const idFor = (id: string) => idOf({ 'x-request-id': id }, { newRequestId })
  assert.equal(idFor('x'.repeat(128)), 'x'.repeat(128))
  assert.equal(idFor('x'.repeat(129)), 'own')
  assert.equal(idFor('a b'), 'own')
  assert.equal(idFor('caf\u00e9'), 'own')
  assert.equal(isRequestId(''), false)
})

test('ContextReader makes an id when the call is asked for it, and once', () => {
  let made = 0
  const call = new Call(read({}, { newRequestId: () => `id-${++made}` }))
  assert.equal(made, 0)
  assert.deepEqual([call.correlationId, call.correlationId, made], ['id-1', 'id-1', 1])
  assert.equal(new Call({}, call).correlationId, 'id-1')
})

test('ContextWriter gives back the fields themselves where there is nothing to say', () => {
  const fields = new HttpFields({ a: '1' })
  assert.equal(new ContextWriter().write(fields, new Call(), CLOCK), fields)
  const off = new ContextWriter({ trace: false, baggage: false, requestIdHeader: false })
  assert.equal(off.write(fields, new Call({ trace: TRACE, correlationId: 'abc' }), CLOCK), fields)
})

test('ContextWriter writes the context and leaves the caller’s fields alone', () => {
  const fields = new HttpFields({ traceparent: 'old', tracestate: 'old=1', 'x-request-id': 'mine' })
  const context = new Call({ trace: TRACE, correlationId: 'abc' })
  assert.deepEqual(Object.fromEntries(new ContextWriter().write(fields, context, CLOCK)), {
    traceparent: PARENT,
    tracestate: 'a=1',
    'x-request-id': 'mine',
    baggage: 'user=7',
  })
  assert.equal(fields.get('traceparent'), 'old')
  const stateless = new Call({ trace: { ...TRACE, state: undefined, baggage: undefined } })
  assert.deepEqual(Object.fromEntries(new ContextWriter().write(fields, stateless, CLOCK)), {
    traceparent: PARENT,
    'x-request-id': 'mine',
  })
})

test('ContextWriter sends baggage without a trace, and none where it must not', () => {
  const context = new Call({ metadata: new Map([['baggage', 'user=7']]), correlationId: 'abc' })
  const written = new ContextWriter().write(new HttpFields(), context, CLOCK)
  assert.deepEqual(Object.fromEntries(written), { baggage: 'user=7', 'x-request-id': 'abc' })
  const foreign = new ContextWriter({ baggage: false, requestIdHeader: 'x-correlation-id' })
  const traced = new Call({ trace: TRACE, correlationId: 'abc' })
  assert.deepEqual(Object.fromEntries(foreign.write(new HttpFields(), traced, CLOCK)), {
    traceparent: PARENT,
    tracestate: 'a=1',
    'x-correlation-id': 'abc',
  })
})

test('ContextWriter refuses a header name that is none', () => {
  assert.throws(() => new ContextWriter({ requestIdHeader: 'a b' }), { code: 'ERR_ARGUMENT' })
})

test('requestIds are unique and short', () => {
  const next = requestIds('a1b2')
  assert.deepEqual([next(), next()], ['a1b2-000001', 'a1b2-000002'])
})

test('ContextReader takes a deadline only when told to, and only an earlier one', () => {
  const table: [
    field: string | undefined,
    own: number | undefined,
    deadline: number | undefined,
  ][] = [
    [undefined, undefined, undefined],
    ['250', undefined, 1_250],
    ['250', 1_100, 1_100],
    ['250', 2_000, 1_250],
    ['0', 2_000, 1_000],
    ['soon', 2_000, 2_000],
  ]
  for (const [field, own, deadline] of table) {
    const fields = new HttpFields(
      field === undefined ? [] : [['x-envoy-expected-rq-timeout-ms', field]],
    )
    const init: CallInit = { deadline: own }
    new ContextReader({ trustDeadline: true }).read(fields, init, 1_000)
    assert.equal(init.deadline, deadline, `${field} ${own}`)
    const distrusted: CallInit = { deadline: own }
    new ContextReader().read(fields, distrusted, 1_000)
    assert.equal(distrusted.deadline, own)
  }
})

test('ContextWriter sends what remains, of the attempt or the call, in place of what was there', () => {
  const clock = { now: () => 1_000 }
  const table: [init: CallInit, sent: string | undefined][] = [
    [{}, undefined],
    [{ deadline: 1_700 }, '700'],
    [{ attemptDeadline: 1_200 }, '200'],
    [{ deadline: 1_700, attemptDeadline: 1_200 }, '200'],
    [{ deadline: 1_100, attemptDeadline: 1_200 }, '100'],
  ]
  for (const [init, sent] of table) {
    const writer = new ContextWriter({ deadline: true })
    const written = writer.write(new HttpFields(), new Call(init), clock)
    assert.equal(written.get('x-envoy-expected-rq-timeout-ms'), sent)
  }
  const stale = new HttpFields([
    ['x-envoy-expected-rq-timeout-ms', '9000'],
    ['grpc-timeout', '9S'],
  ])
  const writer = new ContextWriter({ deadline: 'grpc-timeout' })
  const written = writer.write(stale, new Call({ deadline: 1_700 }), clock)
  assert.deepEqual([...written], [['grpc-timeout', '700000u']])
  assert.equal(stale.get('grpc-timeout'), '9S') // the caller's own are untouched
  const silent = new ContextWriter().write(new HttpFields(), new Call({ deadline: 1_700 }), clock)
  assert.equal(silent.get('x-envoy-expected-rq-timeout-ms'), undefined)
  assert.throws(() => new ContextWriter({ deadline: 'x-timeout' as 'grpc-timeout' }), {
    code: 'ERR_ARGUMENT',
  })
})

const CLOCK = { now: (): number => 0 }
