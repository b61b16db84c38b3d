import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../testing/seeded-random.ts'
import { LatencyQuantiles } from './latency-quantiles.ts'

function near(actual: number | undefined, expected: number, what = ''): void {
  assert.ok(
    actual !== undefined && Math.abs(actual - expected) <= expected * 0.051,
    `${what} ${actual} is about ${expected}`,
  )
}

test('LatencyQuantiles says nothing before minSamples', () => {
  const window = new LatencyQuantiles({ minSamples: 3 })
  window.observe(0, 10)
  window.observe(0, 10)
  assert.equal(window.quantile(0.95, 0), undefined)
  window.observe(0, 10)
  near(window.quantile(0.95, 0), 10)
})

test('LatencyQuantiles is right within 5 %, from microseconds to minutes', () => {
  for (const scale of [0.1, 1, 30, 1_000, 20_000]) {
    const window = new LatencyQuantiles()
    for (let count = 1; count <= 1_000; count++) window.observe(0, (scale * count) / 100)
    near(window.quantile(0.5, 0), scale * 5, 'median')
    near(window.quantile(0.95, 0), scale * 9.5, 'p95')
    near(window.quantile(0.99, 0), scale * 9.9, 'p99')
  }
})

test('LatencyQuantiles takes what is out of its range as its ends', () => {
  const window = new LatencyQuantiles({ minSamples: 1 })
  for (const odd of [0, -1, Number.NaN]) window.observe(0, odd)
  near(window.quantile(1, 0), 0.052)
  window.observe(0, Number.POSITIVE_INFINITY)
  const longest = window.quantile(1, 0) as number
  assert.ok(longest > 200_000 && longest < 300_000, `${longest}`)
})

test('LatencyQuantiles forgets what left its window', () => {
  const window = new LatencyQuantiles({ windowMs: 6_000, minSamples: 10 })
  for (let count = 0; count < 100; count++) window.observe(0, 1_000)
  for (let count = 0; count < 100; count++) window.observe(3_000, 10)
  near(window.quantile(0.95, 3_000), 1_000)
  near(window.quantile(0.95, 6_000), 10)
  assert.equal(window.samples, 100)
  assert.equal(window.quantile(0.95, 9_000), undefined)
  window.observe(1_000_000, 5)
  assert.equal(window.samples, 1)
})

test('LatencyQuantiles follows a change although it remembers its last answer', () => {
  const window = new LatencyQuantiles({ windowMs: 6_000 })
  for (let count = 0; count < 1_000; count++) window.observe(0, 10)
  near(window.quantile(0.95, 0), 10)
  for (let count = 0; count < 200; count++) window.observe(1, 100)
  near(window.quantile(0.95, 1), 100)
  near(window.quantile(0.5, 1), 10, 'another quantile is another answer')
})

test('LatencyQuantiles counts exactly what its window holds, whatever the times', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new SeededRandom(seed)
    const window = new LatencyQuantiles({ windowMs: 600, minSamples: 1 })
    const seen: { at: number; ms: number }[] = []
    let now = random.integer(0, 1_000)
    for (let step = 0; step < 300; step++) {
      now += random.integer(0, 60)
      const ms = random.integer(1, 500)
      window.observe(now, ms)
      seen.push({ at: now, ms })
      const surely = seen.filter(({ at }) => now - at < 500).length
      const perhaps = seen.filter(({ at }) => now - at < 601).length
      assert.ok(window.samples >= surely && window.samples <= perhaps, `seed ${seed} step ${step}`)
      const most = window.quantile(1, now) as number
      assert.ok(most <= 500 * 1.051 && most >= 0.9, `seed ${seed}`)
    }
  }
})
