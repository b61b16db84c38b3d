import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ClockJump } from './clock-jump.ts'

test('ClockJump sees either clock move without the other, at the tolerance and one past', () => {
  const table: [what: string, monotonic: number, wall: number, jumped: boolean][] = [
    ['both alike', 10_000, 10_000, false],
    ['suspended: only the wall clock moved', 0, 2_000, false],
    ['suspended for longer', 0, 2_001, true],
    ['set back by an operator', 100, -2_000, true],
    ['the monotonic clock alone', 2_001, 0, true],
  ]
  for (const [what, monotonic, wall, jumped] of table) {
    const jump = new ClockJump(2_000, 500, 1_000_000)
    assert.equal(jump.diverged(500 + monotonic, 1_000_000 + wall), jumped, what)
    assert.equal(jump.diverged(500 + monotonic, 1_000_000 + wall), false, `${what}, told once`)
  }
  assert.equal(new ClockJump(2_000, 0, 0).isGap(1_000, 3_000), false)
  assert.equal(new ClockJump(2_000, 0, 0).isGap(1_000, 3_001), true)
  assert.throws(() => new ClockJump(0, 0, 0), { code: 'ERR_OPTION_RANGE' })
})

test('ClockJump follows a drift for ever, however long, and never forgets a jump', () => {
  const steps = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 60_000 }), fc.integer({ min: -50, max: 50 })),
    {
      minLength: 1,
      maxLength: 200,
    },
  )
  fc.assert(
    fc.property(steps, fc.integer({ min: 2_051, max: 1e9 }), (drifts, lostMs) => {
      const jump = new ClockJump(2_000, 0, 0)
      let [now, wall] = [0, 0]
      for (const [ms, drift] of drifts) {
        now += ms
        wall += ms + drift
        if (jump.diverged(now, wall)) return false
      }
      return jump.diverged(now, wall + lostMs)
    }),
  )
})
