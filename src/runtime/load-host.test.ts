import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call } from '../core/context.ts'
import type { Attributes, Meter } from '../core/metrics.ts'
import { noopMeter } from '../core/metrics.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import type { Refusal } from './load-host.ts'
import { bulkheadLayer, concurrencyLayer } from './stack/concurrency-layer.ts'
import { rateLimitLayer } from './stack/rate-limit-layer.ts'
import { TimerWheel } from './timer-wheel.ts'

test('load policies count what they refuse, by policy and limit, and tell observers', () => {
  const counts = new Map<string, number>()
  const meter: Meter = {
    ...noopMeter,
    counter: (name, _options, attributes: Attributes = {}) => ({
      add: (amount = 1) => {
        const series = [name, ...Object.values(attributes)].join(' ')
        counts.set(series, (counts.get(series) ?? 0) + amount)
      },
    }),
  }
  const refusals: Refusal[] = []
  const wheel = new TimerWheel({ clock: new ManualClock() })
  const host = { wheel, meter, onRefused: (refusal: Refusal) => void refusals.push(refusal) }
  const classifier = { operation: () => 'get' } as never
  const layers = [
    rateLimitLayer<string, string>({ name: 'hourly', limit: 1, windowMs: 1_000 }, host, classifier),
    concurrencyLayer<string, string>({ maxConcurrent: 1 }, host, classifier),
    bulkheadLayer<string, string>({ maxConcurrent: 1 }, host, classifier),
  ]
  for (const { middleware } of layers) {
    const service = middleware?.(() => new Promise(() => {}))
    void service?.('a', new Call())
    assert.throws(() => service?.('b', new Call()))
    assert.throws(() => service?.('c', new Call()))
  }
  assert.deepEqual(Object.fromEntries(counts), {
    'heddle.load.refused rate limit hourly': 2,
    'heddle.load.refused limiter limiter': 2,
    'heddle.load.refused bulkhead bulkhead': 2,
  })
  assert.deepEqual(
    refusals.map(({ policy, key }) => `${policy} ${key}`),
    ['rate limit ', 'rate limit ', 'limiter ', 'limiter ', 'bulkhead get', 'bulkhead get'],
  )
})
