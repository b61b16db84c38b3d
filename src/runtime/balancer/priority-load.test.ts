import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { priorityLoads } from './priority-load.ts'
import { checkSlowStart, slowStartShare } from './slow-start.ts'

/** Healthy percent by priority, and what each gets; the table of envoy's documentation. */
const TABLE: [healthy: number[], shares: number[], short: boolean][] = [
  [[100], [100], false],
  [[50], [100], true],
  [[0], [100], true],
  [[100, 100], [100, 0], false],
  [[72, 72], [100, 0], false],
  [[71, 71], [99.4, 0.6], false],
  [[50, 50], [70, 30], false],
  [[25, 100], [35, 65], false],
  [[25, 25], [50, 50], true],
  [[0, 100], [0, 100], false],
  [[25, 25, 100], [35, 35, 30], false],
  [[20, 20, 10], [40, 40, 20], true],
  [[0, 0], [100, 0], true],
]

test('priorityLoads divides as envoy’s table', () => {
  for (const [healthy, shares, short] of TABLE) {
    const levels = healthy.map((one) => ({ healthy: one, total: 100 }))
    const loads = priorityLoads(levels, 1.4)
    assert.equal(loads.short, short, healthy.join())
    loads.shares.forEach((share, at) => {
      assert.ok(
        Math.abs(share * 100 - (shares[at] as number)) < 1e-6,
        `${healthy}: ${loads.shares}`,
      )
    })
  }
  assert.deepEqual(priorityLoads([], 1.4), { shares: [], short: true })
  // A priority without weight gets nothing.
  const empty = [
    { healthy: 0, total: 0 },
    { healthy: 1, total: 1 },
  ]
  assert.deepEqual(priorityLoads(empty, 1.4).shares, [0, 1])
})

test('priorityLoads gives out everything, and nothing below a priority that can carry it', () => {
  const level = fc.record({ healthy: fc.nat(100), sick: fc.nat(100) })
  fc.assert(
    fc.property(
      fc.array(level, { minLength: 1, maxLength: 6 }),
      fc.double({ min: 1, max: 3, noNaN: true }),
      (levels, factor) => {
        const healths = levels.map(({ healthy, sick }) => ({ healthy, total: healthy + sick }))
        const { shares } = priorityLoads(healths, factor)
        const sum = shares.reduce((total, share) => total + share, 0)
        assert.ok(Math.abs(sum - 1) < 1e-9, `${sum}`)
        let capacity = 0
        healths.forEach(({ healthy, total }, at) => {
          if (capacity >= 1) assert.ok((shares[at] as number) < 1e-9)
          capacity += total === 0 ? 0 : Math.min(1, (healthy / total) * factor)
        })
      },
    ),
  )
})

test('slowStartShare grows from its least to all of it, by its formula', () => {
  const linear = checkSlowStart({ windowMs: 1_000, minShare: 0.1 })
  assert.deepEqual(
    [-5, 0, 50, 100, 500, 999, 1_000, 1e9, Number.POSITIVE_INFINITY].map((age) =>
      slowStartShare(age, linear),
    ),
    [0.1, 0.1, 0.1, 0.1, 0.5, 0.999, 1, 1, 1],
  )
  const quick = checkSlowStart({ windowMs: 1_000, aggression: 2 })
  assert.equal(slowStartShare(250, quick), 0.5)
  fc.assert(
    fc.property(fc.nat(40_000), fc.nat(40_000), (a, b) => {
      const options = checkSlowStart({ aggression: 1.5 })
      const [young, old] = [Math.min(a, b), Math.max(a, b)]
      assert.ok(slowStartShare(young, options) <= slowStartShare(old, options))
    }),
  )
  for (const options of [{ windowMs: 0 }, { minShare: 0 }, { minShare: 1.1 }, { aggression: 0 }]) {
    assert.throws(() => checkSlowStart(options), { code: 'ERR_OPTION_RANGE' })
  }
})
