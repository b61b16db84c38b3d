import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatTraceparent,
  formatTraceState,
  isFromPeer,
  isSampled,
  parseTraceparent,
  parseTraceState,
  putTraceState,
  traceFrom,
} from './trace-context.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'

const traceparents: readonly (readonly [what: string, text: string, flags: number | undefined])[] =
  [
    ['not sampled', `00-${TRACE}-${SPAN}-00`, 0],
    ['sampled', `00-${TRACE}-${SPAN}-01`, 1],
    ['random', `00-${TRACE}-${SPAN}-02`, 2],
    ['sampled and random', `00-${TRACE}-${SPAN}-03`, 3],
    ['flags that level 2 does not know', `00-${TRACE}-${SPAN}-ff`, 3],
    ['a later version of the same length', `01-${TRACE}-${SPAN}-01`, 1],
    ['a later version that goes on', `cc-${TRACE}-${SPAN}-01-what-comes-later`, 1],
    ['a later version that goes on without a dash', `cc-${TRACE}-${SPAN}-01.later`, undefined],
    ['version 00 that goes on', `00-${TRACE}-${SPAN}-01-x`, undefined],
    ['version 00 with a dash at the end', `00-${TRACE}-${SPAN}-01-`, undefined],
    ['version ff', `ff-${TRACE}-${SPAN}-01`, undefined],
    ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`, undefined],
    ['an upper-case version', `0A-${TRACE}-${SPAN}-01`, undefined],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`, undefined],
    ['a span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`, undefined],
    ['a short trace id', `00-${TRACE.slice(1)}-${SPAN}-01`, undefined],
    ['two values joined', `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`, undefined],
    ['a later version, joined', `01-${TRACE}-${SPAN}-01,01-${TRACE}-${SPAN}-01`, undefined],
    ['not hex', `00-${TRACE.replace('a', 'g')}-${SPAN}-01`, undefined],
    ['a blank in front', ` 00-${TRACE}-${SPAN}-01`, undefined],
    ['nothing', '', undefined],
  ]

for (const [what, text, flags] of traceparents) {
  test(`parseTraceparent: ${what}`, () => {
    const expected = flags === undefined ? undefined : { traceId: TRACE, spanId: SPAN, flags }
    assert.deepEqual(parseTraceparent(text), expected)
  })
}

test('formatTraceparent writes version 00 and no flag it does not know', () => {
  assert.equal(
    formatTraceparent({ traceId: TRACE, spanId: SPAN, flags: 0xff }),
    `00-${TRACE}-${SPAN}-03`,
  )
})

const states: readonly (readonly [what: string, text: string, joined: string | undefined])[] = [
  ['one member', 'rojo=00f067aa0ba902b7', 'rojo=00f067aa0ba902b7'],
  ['the order is kept', 'b=2,a=1', 'b=2,a=1'],
  ['blanks and empty members', ' a=1 ,\t,b=2, ', 'a=1,b=2'],
  ['a tenant', 'fw529a3039@dt=FfAAAA', 'fw529a3039@dt=FfAAAA'],
  ['a key that begins with a digit', '0a=1', '0a=1'],
  ['a blank inside a value', 'a=1 2', 'a=1 2'],
  ['a key twice', 'a=1,a=2', undefined],
  ['an upper-case key', 'A=1', undefined],
  ['no value', 'a=', undefined],
  ['no key', '=1', undefined],
  ['no equals sign', 'a', undefined],
  ['two equals signs', 'a=1=2', undefined],
  ['a control character', 'a=\u0001', undefined],
  ['a key of 256', `${'k'.repeat(256)}=1`, `${'k'.repeat(256)}=1`],
  ['a key of 257', `${'k'.repeat(257)}=1`, undefined],
  ['a value of 256', `a=${'v'.repeat(256)}`, `a=${'v'.repeat(256)}`],
  ['a value of 257', `a=${'v'.repeat(257)}`, undefined],
  ['32 members', members(32), members(32)],
  ['33 members', members(33), undefined],
]

for (const [what, text, joined] of states) {
  test(`parseTraceState: ${what}`, () => {
    const parsed = parseTraceState(text)
    assert.equal(parsed && formatTraceState(parsed), joined)
  })
}

test('putTraceState puts the newest in front, once, and drops from the right', () => {
  assert.equal(putTraceState('a=1,b=2', 'b', '3'), 'b=3,a=1')
  assert.equal(putTraceState(undefined, 'b', '3'), 'b=3')
  assert.equal(putTraceState('broken', 'b', '3'), 'b=3')
  assert.equal(putTraceState(members(32), 'new', '1'), `new=1,${members(31)}`)
})

test('traceFrom keeps the parent when only the state is broken', () => {
  const trace = traceFrom(`00-${TRACE}-${SPAN}-01`, 'A=1', 'user=7')
  assert.ok(trace !== undefined && isFromPeer(trace))
  assert.deepEqual(
    { ...trace },
    {
      traceId: TRACE,
      spanId: SPAN,
      flags: 1,
      state: undefined,
      baggage: 'user=7',
    },
  )
  assert.equal(isSampled(trace), true)
  assert.equal(traceFrom('broken', 'a=1', undefined), undefined)
  assert.equal(isSampled(undefined), false)
})

test('property: what is formatted is parsed again', () => {
  const hex = (length: number) =>
    fc
      .string({
        unit: fc.constantFrom(...'0123456789abcdef'),
        minLength: length,
        maxLength: length,
      })
      .filter((text) => /[1-9a-f]/.test(text))
  fc.assert(
    fc.property(hex(32), hex(16), fc.integer({ min: 0, max: 3 }), (traceId, spanId, flags) => {
      const parent = { traceId, spanId, flags }
      assert.deepEqual(parseTraceparent(formatTraceparent(parent)), parent)
    }),
  )
})

function members(count: number): string {
  return Array.from({ length: count }, (_, index) => `k${index}=${index}`).join(',')
}
