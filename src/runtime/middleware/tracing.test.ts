import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scriptedClassifier } from '../../../test/runtime/scripted-exchanger.ts'
import { type RecordedSpan, RecordingTracer } from '../../../test/telemetry/recording-tracer.ts'
import { Call, type CallContext } from '../../core/context.ts'
import { databaseSemantics, messagingSemantics, plainSemantics } from '../../core/semantics.ts'
import type { Service } from '../../core/service.ts'
import type { CallSemantics, Side } from '../../core/tracing.ts'
import { recordError, tracing } from './tracing.ts'

const plain = plainSemantics<string, string>(scriptedClassifier)

function traced(
  service: Service<string, string>,
  options: { side?: Side; semantics?: CallSemantics<string, string>; recording?: boolean } = {},
): { call: Service<string, string>; spans: RecordedSpan[] } {
  const tracer = new RecordingTracer(options.recording)
  const { side = 'attempt', semantics = plain } = options
  return { call: tracing({ tracer, semantics, side })(service), spans: tracer.spans }
}

test('tracing gives the service a context in the span, and its reply without a promise', () => {
  let seen: CallContext | undefined
  const { call, spans } = traced((_request, context) => {
    seen = context
    return 'ok'
  })
  assert.equal(call('get', new Call()), 'ok')
  assert.equal(seen?.trace, spans[0]?.context)
  assert.equal(spans[0]?.ended, 1)
  assert.equal(spans[0]?.start.kind, 'client')
  assert.equal(spans[0]?.start.parentSource, 'span')
})

test('tracing keeps the caller’s deadline, cancellation and correlation', () => {
  const parent = new Call({ deadline: 5, correlationId: 'r1', priority: 1 })
  const waiting: Service<string, string> = (_request, context) =>
    new Promise((_resolve, reject) => {
      assert.deepEqual([context.deadline, context.correlationId, context.priority], [5, 'r1', 1])
      context.onCancel(reject)
    })
  const { call, spans } = traced(waiting)
  const reply = Promise.resolve(call('get', parent))
  parent.cancel(new Error('gone'))
  return assert
    .rejects(reply, /gone/)
    .then(() => assert.deepEqual([spans[0]?.ended, spans[0]?.failed], [1, true]))
})

test('tracing lets go of its parent when the reply is there', () => {
  const parent = new Call()
  const { call } = traced(() => 'ok')
  call('get', parent)
  assert.equal(parent.listened, false)
})

test('tracing ends the span of a service that throws, and tells what', () => {
  const { call, spans } = traced(() => {
    throw new RangeError('out of range')
  })
  assert.throws(() => call('get', new Call()), RangeError)
  const [span] = spans
  assert.deepEqual([span?.ended, span?.failed, span?.errors.length], [1, true, 1])
  assert.equal(span?.attributes['error.type'], 'RangeError')
})

test('tracing describes nothing of a span that is not recorded', () => {
  const semantics: CallSemantics<string, string> = {
    ...plain,
    replyAttributes: () => assert.fail('asked for attributes'),
  }
  const { call, spans } = traced(() => 'ok', { semantics, recording: false })
  call('get', new Call())
  assert.equal(spans[0]?.ended, 1)
})

test('tracing takes a database’s failure as the span’s', () => {
  const semantics = databaseSemantics<string, string>({
    system: 'redis',
    operation: (request) => request,
    failure: (reply) => (reply.startsWith('ERR') ? 'ERR' : undefined),
  })
  const { call, spans } = traced((request) => (request === 'GET' ? 'value' : 'ERR no'), {
    semantics,
  })
  call('GET', new Call())
  call('HGET', new Call())
  assert.deepEqual(
    spans.map(({ failed, attributes }) => [failed, attributes['error.type']]),
    [
      [false, undefined],
      [true, 'ERR'],
    ],
  )
})

test('tracing hands links on', () => {
  const link = new RecordingTracer().startSpan({
    name: 'one',
    kind: 'producer',
    parent: undefined,
    parentSource: 'caller',
    attributes: {},
  }).context
  const semantics = messagingSemantics<string, string>({
    system: 'kafka',
    type: () => 'process',
    destination: () => 'orders',
    traces: () => [link],
  })
  const { call, spans } = traced(() => 'ok', { semantics, side: 'server' })
  call('batch', new Call())
  assert.deepEqual(spans[0]?.start.links, [link])
  assert.equal(spans[0]?.start.kind, 'consumer')
})

test('tracing gives baggage that came without a trace to the first span', () => {
  const { call, spans } = traced(() => 'ok', { side: 'server' })
  call('get', new Call({ metadata: new Map([['baggage', 'a=1']]) }))
  assert.equal(spans[0]?.context.baggage, 'a=1')
})

test('recordError finds the span of a context, and does nothing without one', () => {
  const { call, spans } = traced((_request, context) => {
    recordError(context, new Error('inside'))
    recordError(new Call(), new Error('elsewhere'))
    return 'ok'
  })
  call('get', new Call())
  assert.equal(spans[0]?.errors.length, 1)
})

test('a tracer that wants no span costs no context', () => {
  const context = new Call()
  const middleware = tracing<string, string>({
    tracer: { wants: () => false, startSpan: () => assert.fail('asked for a span') },
    semantics: { ...plain, startAttributes: () => assert.fail('described') },
    side: 'call',
  })
  let seen: CallContext | undefined
  middleware((_request, given) => {
    seen = given
    return 'ok'
  })('get', context)
  assert.equal(seen, context)
})
