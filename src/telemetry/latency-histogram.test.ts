import assert from 'node:assert/strict'
import test from 'node:test'
import { LatencyHistogram, latencyHistogramDefaults } from './latency-histogram.ts'

test('LatencyHistogram quantiles stay within the stated error over eight decades', () => {
  for (let ms = 0.001; ms < 600_000; ms *= 1.37) {
    const histogram = new LatencyHistogram()
    histogram.record(ms)
    // A second, larger value, so that the quantile is not cut to the exact maximum.
    histogram.record(600_000)
    const found = histogram.quantile(0.5) as number
    const exact = Math.round(ms * 1_000) / 1_000
    assert.ok(Math.abs(found - exact) <= exact / 64 + 1e-9, `${exact} reported as ${found}`)
  }
})

test('LatencyHistogram quantiles of a known distribution', () => {
  const histogram = new LatencyHistogram()
  for (let ms = 1; ms <= 1_000; ms++) histogram.record(ms)
  const { count, meanMs, p50Ms, p90Ms, p99Ms, p999Ms, maxMs } = histogram.summary()
  assert.equal(count, 1_000)
  assert.equal(meanMs, 500.5)
  assert.equal(maxMs, 1_000)
  close(p50Ms, 500)
  close(p90Ms, 900)
  close(p99Ms, 990)
  close(p999Ms, 999)
  assert.equal(histogram.quantile(1), 1_000)
  close(histogram.quantile(0), 1)
})

test('LatencyHistogram is empty at first and after reset', () => {
  const histogram = new LatencyHistogram()
  const empty = histogram.summary()
  assert.deepEqual(empty, {
    count: 0,
    meanMs: undefined,
    p50Ms: undefined,
    p90Ms: undefined,
    p99Ms: undefined,
    p999Ms: undefined,
    maxMs: undefined,
  })
  histogram.record(5)
  histogram.reset()
  assert.deepEqual(histogram.summary(), empty)
})

test('LatencyHistogram counts what is over maxMs as maxMs and drops what is no latency', () => {
  const histogram = new LatencyHistogram({ maxMs: 10 })
  histogram.record(10)
  histogram.record(11)
  histogram.record(Number.POSITIVE_INFINITY)
  histogram.record(-1)
  histogram.record(Number.NaN)
  assert.equal(histogram.count, 3)
  assert.equal(histogram.maxMs, 10)
  assert.equal(histogram.sumMs, 30)
})

test('LatencyHistogram never grows', () => {
  const { bucketCount } = new LatencyHistogram()
  assert.equal(bucketCount, 804)
  assert.equal(latencyHistogramDefaults.maxMs, 600_000)
})

test('LatencyHistogram merges only its like', () => {
  const one = new LatencyHistogram()
  const two = new LatencyHistogram()
  one.record(1)
  two.record(3)
  two.record(5)
  one.merge(two)
  assert.equal(one.count, 3)
  assert.equal(one.sumMs, 9)
  assert.equal(one.maxMs, 5)
  const other = new LatencyHistogram({ maxMs: 100 })
  other.record(1)
  assert.throws(() => one.merge(other), /buckets of the merged histogram/)
})

test('LatencyHistogram refuses options out of range', () => {
  assert.throws(() => new LatencyHistogram({ precisionBits: 0 }), /precisionBits is 0/)
  assert.throws(() => new LatencyHistogram({ precisionBits: 11 }), /precisionBits is 11/)
  assert.throws(() => new LatencyHistogram({ maxMs: 2_000_001 }), /maxMs is 2000001/)
  assert.throws(() => new LatencyHistogram().quantile(1.1), /quantile is 1.1/)
})

function close(actual: number | undefined, expected: number): void {
  assert.ok(
    actual !== undefined && Math.abs(actual - expected) <= expected / 64,
    `${actual} ≈ ${expected}`,
  )
}
