import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SlowCallDetector } from './slow-call-detector.ts'

const isSlow = (detector: SlowCallDetector, now: number, tookMs: number) =>
  detector.judge(now, tookMs) !== undefined

test('SlowCallDetector takes what is over the threshold, not what is at it', () => {
  const detector = new SlowCallDetector({ thresholdMs: 500 })
  assert.equal(isSlow(detector, 0, 500), false)
  assert.deepEqual(detector.judge(0, 500.1), { thresholdMs: 500, suppressed: 0 })
  assert.equal(new SlowCallDetector().judge(0, 1_000.1)?.thresholdMs, 1_000)
})

test('SlowCallDetector compares with recent calls once there are 100', () => {
  const detector = new SlowCallDetector({ p99Factor: 3 })
  for (let call = 0; call < 99; call++) detector.judge(call, 20)
  assert.equal(isSlow(detector, 99, 10_000), false, 'nothing is known yet')
  const slow = detector.judge(100, 90)
  assert.ok(slow !== undefined && slow.thresholdMs > 55 && slow.thresholdMs < 66)
  assert.equal(isSlow(detector, 101, 50), false)
})

test('SlowCallDetector never takes what is faster than minMs', () => {
  const detector = new SlowCallDetector({ p99Factor: 2, minMs: 10 })
  for (let call = 0; call < 200; call++) detector.judge(call, 1)
  assert.equal(isSlow(detector, 200, 10), false)
  assert.equal(detector.judge(200, 10.1)?.thresholdMs, 10)
})

test('SlowCallDetector takes the lower of both thresholds', () => {
  const detector = new SlowCallDetector({ thresholdMs: 40, p99Factor: 3 })
  assert.equal(detector.judge(0, 41)?.thresholdMs, 40)
  for (let call = 0; call < 1_000; call++) detector.judge(call, 20)
  assert.equal(detector.judge(1_000, 41)?.thresholdMs, 40)
})

test('SlowCallDetector reports so many a minute, and says how many it left out', () => {
  const detector = new SlowCallDetector({ thresholdMs: 1, maxPerMinute: 2 })
  assert.deepEqual(
    [0, 0, 0, 0].map((now) => isSlow(detector, now, 5)),
    [true, true, false, false],
  )
  assert.equal(isSlow(detector, 29_999, 5), false)
  assert.equal(detector.judge(30_000, 5)?.suppressed, 3)
  assert.equal(isSlow(detector, 30_000, 5), false)
})

test('SlowCallDetector refuses what makes no sense', () => {
  for (const options of [
    { thresholdMs: -1 },
    { p99Factor: 0.9 },
    { maxPerMinute: 0 },
    { minMs: -1 },
  ])
    assert.throws(() => new SlowCallDetector(options), { code: 'ERR_OPTION_RANGE' })
})

test('property: reports never come faster than they may', () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 300 })
  fc.assert(
    fc.property(gaps, fc.integer({ min: 1, max: 50 }), (steps, maxPerMinute) => {
      const detector = new SlowCallDetector({ thresholdMs: 1, maxPerMinute })
      let now = 0
      let reports = 0
      let counted = 0
      for (const step of steps) {
        now += step
        const verdict = detector.judge(now, 2)
        if (verdict === undefined) continue
        reports++
        counted += verdict.suppressed + 1
      }
      assert.ok(reports <= maxPerMinute * (1 + now / 60_000) + 1e-6)
      assert.ok(counted <= steps.length)
    }),
    { numRuns: 100 },
  )
})
