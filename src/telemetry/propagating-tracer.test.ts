import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TraceContext } from '../core/context.ts'
import { formatTraceparent, parseTraceparent } from '../core/trace-context.ts'
import { seededRandom } from '../testing/seeded-random.ts'
import { propagatingTracer } from './propagating-tracer.ts'

function start(sampling: number, parent?: TraceContext, random = seededRandom(1)): TraceContext {
  const span = propagatingTracer({ random, sampling }).startSpan({
    name: 'GET',
    kind: 'server',
    parent,
    parentSource: 'peer',
    attributes: {},
    baggage: 'a=1',
  })
  assert.ok(span !== undefined && !span.recording)
  return span.context
}

test('propagatingTracer begins a trace with valid ids, marked random', () => {
  const trace = start(0)
  assert.deepEqual(parseTraceparent(formatTraceparent(trace)), {
    traceId: trace.traceId,
    spanId: trace.spanId,
    flags: 2,
  })
  assert.equal(trace.baggage, 'a=1')
})

test('propagatingTracer never makes an id of zeros', () => {
  const { traceId, spanId } = start(0, undefined, () => 0)
  assert.equal(traceId, `${'0'.repeat(31)}1`)
  assert.equal(spanId, `${'0'.repeat(15)}1`)
})

test('propagatingTracer keeps the decision of a trace that came with one', () => {
  const parent = { ...start(1), flags: 0, state: 'v=1', baggage: undefined }
  const trace = start(1, parent, seededRandom(2))
  assert.deepEqual([trace.traceId, trace.flags, trace.state], [parent.traceId, 0, 'v=1'])
  assert.notEqual(trace.spanId, parent.spanId)
  assert.equal(start(0, { ...parent, flags: 3 }).flags, 3)
})

test('propagatingTracer samples the share it is told', () => {
  const random = seededRandom(7)
  const tracer = propagatingTracer({ random, sampling: 0.1 })
  let sampled = 0
  for (let count = 0; count < 10_000; count++) {
    const span = tracer.startSpan({
      name: 'GET',
      kind: 'server',
      parent: undefined,
      parentSource: 'peer',
      attributes: {},
    })
    if (((span?.context.flags ?? 0) & 1) === 1) sampled++
  }
  assert.ok(sampled > 900 && sampled < 1_100, String(sampled))
  assert.throws(() => propagatingTracer({ random, sampling: 1.1 }), { code: 'ERR_OPTION_RANGE' })
})
