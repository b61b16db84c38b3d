import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deepEqual, describeValue } from './deep-equal.ts'
import { CollectingHarness } from './harness.ts'
import { LeakCheck } from './leak-check.ts'

test('CollectingHarness runs to the end and says what failed, with the message', async () => {
  const harness = new CollectingHarness()
  harness.test('good', () => harness.ok(true))
  harness.test('bad', async () => harness.ok(false, 'because'))
  harness.test('thrown', () => {
    throw 'a string'
  })
  harness.skip('left out')
  const results = await harness.run()
  assert.deepEqual(
    results.map(({ name, outcome }) => `${name} ${outcome}`),
    ['left out skipped', 'good passed', 'bad failed', 'thrown failed'],
  )
  assert.deepEqual(await harness.failures(), ['bad: because', 'thrown: a string'])
  assert.deepEqual(await harness.failures(/good/), [])
})

test('LeakCheck tells what there is more of than at the start', async () => {
  const counts = { timers: 2, leases: 0 }
  const leaks = new LeakCheck({ timers: () => counts.timers, leases: () => counts.leases })
  assert.deepEqual(leaks.leaks(), [])
  counts.timers = 1
  counts.leases = 3
  assert.deepEqual(leaks.leaks(), ['3 leases left (0 before, 3 now)'])
  const left = await leaks.leaksAfter(async () => {
    counts.leases -= 1
  }, 2)
  assert.deepEqual(left, ['1 leases left (0 before, 1 now)'])
  const none = await leaks.leaksAfter(async () => {
    counts.leases -= 1
  }, 2)
  assert.deepEqual(none, [])
})

test('deepEqual compares plain data by structure, bytes by value', () => {
  const equal: readonly (readonly [unknown, unknown])[] = [
    [Number.NaN, Number.NaN],
    [{ a: [1, { b: 2n }] }, { a: [1, { b: 2n }] }],
    [Uint8Array.of(1, 2), Buffer.from([1, 2])],
    [new Map([['k', [1]]]), new Map([['k', [1]]])],
    [new Set([1]), new Set([1])],
    [new Date(5), new Date(5)],
    [new Error('x'), new Error('x')],
  ]
  for (const [a, b] of equal) assert.ok(deepEqual(a, b), describeValue([a, b]))
  const different: readonly (readonly [unknown, unknown])[] = [
    [0, -0],
    [{ a: 1 }, { a: 1, b: undefined }],
    [{ a: undefined }, { b: undefined }],
    [[1, 2], [1]],
    [Uint8Array.of(1), Uint8Array.of(2)],
    [Uint8Array.of(1), [1]],
    [new Map([['k', 1]]), new Map([['k', 2]])],
    [null, {}],
    [new Date(5), new Date(6)],
    [new Error('x'), new Error('y')],
  ]
  for (const [a, b] of different) assert.ok(!deepEqual(a, b), describeValue([a, b]))
})

test('describeValue is short and shows bytes as hex', () => {
  assert.equal(describeValue(Uint8Array.of(1, 0xff)), '<2 bytes 01ff>')
  assert.equal(describeValue({ a: ['x', 1n], b: null }), "{ a: ['x', 1n], b: null }")
  assert.ok(describeValue('x'.repeat(10_000)).length < 500)
})
