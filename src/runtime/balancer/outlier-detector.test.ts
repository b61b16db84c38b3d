import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OutlierDetector, type OutlierOptions, OutlierRecord } from './outlier-detector.ts'

function detectorOf(count: number, options: OutlierOptions = {}) {
  const detector = new OutlierDetector(options)
  const records = Array.from({ length: count }, () => new OutlierRecord())
  detector.sweep(records, 0)
  /** Ends so many calls of one endpoint; says when it was ejected. */
  const calls = (at: number, count: number, failures: number, now = 1): number | undefined => {
    let until: number | undefined
    for (let call = 0; call < count; call++) {
      const record = records[at] as OutlierRecord
      // Successes first, so that failures come in a row.
      const ejection = detector.record(record, records, call >= count - failures, now)
      until ??= ejection?.until
    }
    return until
  }
  return { detector, records, calls }
}

test('OutlierDetector ejects after failures in a row, one more starts over after a success', () => {
  const { calls } = detectorOf(3, { consecutiveFailures: 3, baseEjectionMs: 1_000 })
  assert.equal(calls(0, 3, 2), undefined)
  assert.equal(calls(0, 1, 0), undefined) // a success between
  assert.equal(calls(0, 2, 2), undefined)
  assert.equal(calls(0, 1, 1), 1_001)
})

test('OutlierDetector takes back after a time that grows to its limit, and shrinks in service', () => {
  const options = { consecutiveFailures: 1, baseEjectionMs: 10_000, maxEjectionMs: 25_000 }
  const { detector, records, calls } = detectorOf(3, { ...options, intervalMs: 5_000 })
  const [record] = records as [OutlierRecord]
  let now = 0
  for (const time of [10_000, 20_000, 25_000, 25_000]) {
    assert.equal(calls(0, 1, 1, now), now + time)
    assert.equal(detector.returns(record, now + time - 0.001), false)
    now += time
    assert.equal(detector.returns(record, now), true)
    assert.equal(detector.returns(record, now), false) // once
  }
  // Each interval in service forgets one; three counted.
  assert.equal(record.ejections, 3)
  detector.sweep(records, now)
  assert.equal(calls(0, 1, 1, now), now + 25_000) // 2 + 1, at most 25 s
  detector.returns(record, now + 25_000)
  for (let interval = 0; interval < 9; interval++) detector.sweep(records, now)
  assert.equal(calls(0, 1, 1, now), now + 10_000)
})

test('OutlierDetector ignores calls that end while the endpoint is out', () => {
  const { records, detector, calls } = detectorOf(3, { consecutiveFailures: 2 })
  assert.equal(calls(0, 2, 2, 0), 30_000)
  assert.equal(calls(0, 10, 10, 5), undefined)
  assert.equal(records[0]?.ejectedUntil, 30_000)
  detector.returns(records[0] as OutlierRecord, 30_000)
  assert.equal(calls(0, 1, 1, 30_001), undefined) // the row begins anew
})

test('OutlierDetector ejects at most its share, one always, the last never', () => {
  const ejected = (count: number, maxEjectedShare: number): number => {
    const { records, calls } = detectorOf(count, { consecutiveFailures: 1, maxEjectedShare })
    for (let at = 0; at < count; at++) calls(at, 1, 1)
    return records.filter(({ ejectedUntil }) => ejectedUntil !== undefined).length
  }
  assert.equal(ejected(1, 1), 0)
  assert.equal(ejected(2, 1), 1)
  assert.equal(ejected(3, 1), 2)
  assert.equal(ejected(4, 0.5), 2)
  assert.equal(ejected(5, 0.5), 2)
  assert.equal(ejected(4, 0), 1)
  assert.equal(ejected(100, 0.1), 10)
})

test('OutlierDetector ejects whose success rate is far below the mean, at the end of an interval', () => {
  const successRate = { minCalls: 10, minEndpoints: 5, deviations: 1.9 }
  const { detector, records, calls } = detectorOf(6, { consecutiveFailures: 1e9, successRate })
  for (let at = 0; at < 6; at++) calls(at, 10, at === 2 ? 6 : 0)
  assert.equal(records[2]?.ejectedUntil, undefined) // not before
  const ejections = detector.sweep(records, 10_000)
  assert.deepEqual(
    ejections.map(({ record }) => records.indexOf(record)),
    [2],
  )
  assert.match(ejections[0]?.reason ?? '', /^success rate 40\.0 % is below 47\.5 %, mean 90\.0 %$/)
  // Counts are those of one interval.
  assert.deepEqual(detector.sweep(records, 20_000), [])
})

test('OutlierDetector compares only with enough calls at enough endpoints, and only outliers', () => {
  const outcome = (rates: readonly number[], calls = 100, options: OutlierOptions = {}): number => {
    const {
      detector,
      records,
      calls: end,
    } = detectorOf(rates.length, {
      consecutiveFailures: 1e9,
      ...options,
    })
    rates.forEach((rate, at) => void end(at, calls, Math.round(calls * (1 - rate))))
    return detector.sweep(records, 10_000).length
  }
  assert.equal(outcome([1, 1, 1, 1, 0.5]), 1)
  assert.equal(outcome([1, 1, 1, 1, 0.5], 99), 0) // one call short
  assert.equal(outcome([1, 1, 1, 0.5]), 0) // one endpoint short
  assert.equal(outcome([0.5, 0.5, 0.5, 0.5, 0.5]), 0) // as bad as each other
  assert.equal(outcome([0, 0, 0, 0, 0]), 0)
  assert.equal(outcome([1, 1, 1, 1, 0.5], 100, { successRate: false }), 0)
})

test('OutlierDetector never has more out than allowed, and all come back, whatever happens', () => {
  const step = fc.record({
    at: fc.nat(9),
    failed: fc.boolean(),
    passMs: fc.nat(20_000),
    sweep: fc.boolean(),
  })
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.array(step, { maxLength: 200 }),
      (count, maxEjectedShare, steps) => {
        const { detector, records } = detectorOf(count, {
          consecutiveFailures: 2,
          maxEjectedShare,
          successRate: { minCalls: 1, minEndpoints: 3 },
        })
        const most = count === 1 ? 0 : Math.max(1, Math.min(count - 1, count * maxEjectedShare))
        let now = 0
        for (const { at, failed, passMs, sweep } of steps) {
          now += passMs
          for (const record of records) detector.returns(record, now)
          if (at < count) detector.record(records[at] as OutlierRecord, records, failed, now)
          if (sweep) detector.sweep(records, now)
          const out = records.filter(({ ejectedUntil }) => ejectedUntil !== undefined)
          assert.ok(out.length <= most, `${out.length} of ${count} are out, at most ${most}`)
          for (const { ejectedUntil } of out) assert.ok((ejectedUntil as number) <= now + 300_000)
        }
        for (const record of records) detector.returns(record, now + 300_000)
        assert.ok(records.every(({ ejectedUntil }) => ejectedUntil === undefined))
      },
    ),
  )
})

test('OutlierDetector refuses options out of range', () => {
  const wrong: OutlierOptions[] = [
    { consecutiveFailures: 0 },
    { intervalMs: 0 },
    { baseEjectionMs: 0 },
    { baseEjectionMs: 20, maxEjectionMs: 19 },
    { maxEjectedShare: 1.01 },
    { successRate: { minEndpoints: 2 } },
    { successRate: { deviations: -1 } },
    { successRate: { minCalls: 0 } },
  ]
  for (const options of wrong) {
    assert.throws(() => new OutlierDetector(options), { code: 'ERR_OPTION_RANGE' })
  }
})
