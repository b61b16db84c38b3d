/**
 * Adaptive limits against a simulated server: so many workers, a queue before them, time that only
 * the test moves. What is measured is what a caller would see.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../testing/seeded-random.ts'
import type { AdaptiveLimit } from './adaptive-limit.ts'
import { AimdLimit } from './aimd-limit.ts'
import { GradientLimit } from './gradient-limit.ts'

interface ServerPhase {
  untilMs: number
  workers: number
  serviceMs: number
  /** Requests a second that arrive, whatever is answered. */
  arrivals: number
  /** Calls beyond this many are refused by the server. */
  maxQueue?: number
}

interface CallEnd {
  at: number
  startedAt: number
  refused: boolean
}

interface Outcome {
  /** Limit at the end of each phase, averaged over its last quarter. */
  limits: number[]
  /** Calls answered a second, and the median of their latency, in the last quarter of each phase. */
  throughput: number[]
  medianMs: number[]
  lowest: number
  highest: number
}

/** Service times are drawn around the mean (an Erlang distribution of four steps). */
function simulate(limit: AdaptiveLimit, phases: ServerPhase[], seed: number): Outcome {
  const random = new SeededRandom(seed)
  const exponential = (mean: number): number => -mean * Math.log(1 - random.next())
  const outcome: Outcome = { limits: [], throughput: [], medianMs: [], lowest: 1e9, highest: 0 }
  let now = 0
  let inFlight = 0
  let nextArrival = 0
  /** When each worker is free. */
  let free: number[] = []
  const ends: CallEnd[] = []
  for (const { untilMs, workers, serviceMs, arrivals, maxQueue = 1e9 } of phases) {
    const from = now
    const measured = untilMs - (untilMs - from) / 4
    const latencies: number[] = []
    const limits: number[] = []
    free = Array.from({ length: workers }, (_, at) => Math.max(now, free[at] ?? now))
    while (now < untilMs) {
      const end = ends.at(-1)
      if (end !== undefined && end.at <= nextArrival) {
        ends.pop()
        now = end.at
        const { startedAt, refused } = end
        limit.record({ now, startedAt, inFlight, overloaded: refused })
        inFlight--
        if (now >= measured && !refused) latencies.push(now - startedAt)
        continue
      }
      now = nextArrival
      nextArrival += exponential(1_000 / arrivals)
      outcome.lowest = Math.min(outcome.lowest, limit.limit)
      outcome.highest = Math.max(outcome.highest, limit.limit)
      if (now >= measured) limits.push(limit.limit)
      if (inFlight >= limit.limit) continue
      inFlight++
      if (inFlight > workers + maxQueue) {
        insert(ends, { at: now + 1, startedAt: now, refused: true })
        continue
      }
      let worker = 0
      for (let at = 1; at < workers; at++) {
        if ((free[at] as number) < (free[worker] as number)) worker = at
      }
      let service = 0
      for (let step = 0; step < 4; step++) service += exponential(serviceMs / 4)
      const done = Math.max(now, free[worker] as number) + service
      free[worker] = done
      insert(ends, { at: done, startedAt: now, refused: false })
    }
    latencies.sort((a, b) => a - b)
    outcome.limits.push(limits.reduce((sum, one) => sum + one, 0) / limits.length)
    outcome.throughput.push((latencies.length * 4_000) / (untilMs - from))
    outcome.medianMs.push(latencies[latencies.length >> 1] ?? Number.NaN)
  }
  return outcome
}

/** The earliest end is the last. */
function insert(ends: CallEnd[], end: CallEnd): void {
  let low = 0
  let high = ends.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ends[middle] as CallEnd).at > end.at) low = middle + 1
    else high = middle
  }
  ends.splice(low, 0, end)
}

const gradient = (seed: number): GradientLimit =>
  new GradientLimit({ probeIntervalMs: 2_000 }, new SeededRandom(seed).next)

test('GradientLimit converges to what the server can do, from below and from above', () => {
  for (const seed of [1, 2]) {
    for (const initial of [4, 400]) {
      const limit = new GradientLimit(
        { initial, probeIntervalMs: 2_000 },
        new SeededRandom(seed).next,
      )
      // 20 workers of 10 ms do 2,000 calls a second; twice that arrives.
      const phase = { untilMs: 8_000, workers: 20, serviceMs: 10, arrivals: 4_000 }
      const { limits, throughput, medianMs } = simulate(limit, [phase], seed)
      const where = `seed ${seed}, initial ${initial}: ${limits} ${throughput} ${medianMs}`
      assert.ok((limits[0] as number) >= 18 && (limits[0] as number) <= 60, where)
      assert.ok((throughput[0] as number) >= 1_800, where)
      assert.ok((medianMs[0] as number) <= 30, where)
    }
  }
})

test('GradientLimit follows a server that loses and regains most of its workers', () => {
  for (const seed of [1, 2]) {
    const { limits, throughput, lowest } = simulate(
      gradient(seed),
      [
        { untilMs: 6_000, workers: 40, serviceMs: 10, arrivals: 5_000 },
        { untilMs: 12_000, workers: 8, serviceMs: 10, arrivals: 5_000 },
        { untilMs: 18_000, workers: 40, serviceMs: 10, arrivals: 5_000 },
      ],
      seed,
    )
    const where = `seed ${seed}: ${limits} ${throughput}`
    assert.ok((limits[1] as number) < (limits[0] as number) / 2, where)
    assert.ok((throughput[1] as number) >= 700, where)
    assert.ok((throughput[2] as number) >= (throughput[0] as number) * 0.9, where)
    assert.ok(lowest >= 4, where)
  }
})

test('GradientLimit takes a service that became slower for what it is, and does not collapse', () => {
  for (const seed of [1, 2]) {
    // Not more load but slower work: the latency is five times the old one whatever the limit.
    const { throughput } = simulate(
      gradient(seed),
      [
        { untilMs: 5_000, workers: 50, serviceMs: 10, arrivals: 3_000 },
        { untilMs: 20_000, workers: 50, serviceMs: 50, arrivals: 800 },
      ],
      seed,
    )
    // 50 workers of 50 ms do 1,000 a second; 800 arrive.
    assert.ok((throughput[1] as number) >= 700, `seed ${seed}: ${throughput}`)
  }
})

test('GradientLimit does not grow while it is not used', () => {
  const phase = { untilMs: 20_000, workers: 100, serviceMs: 10, arrivals: 300 }
  const { highest } = simulate(gradient(1), [phase], 1)
  assert.ok(highest <= 40, String(highest))
})

test('GradientLimit stays between min and max, whatever it is told', () => {
  const random = new SeededRandom(9)
  const limit = new GradientLimit({ initial: 10, min: 5, max: 50 }, random.next)
  let now = 0
  for (let call = 0; call < 20_000; call++) {
    now += random.next() * 10
    const startedAt = now - random.next() * (random.chance(0.1) ? 5_000 : 50)
    const inFlight = random.integer(1, 100)
    limit.record({ now, startedAt, inFlight, overloaded: random.chance(0.2) })
    assert.ok(limit.limit >= 5 && limit.limit <= 50)
  }
})

test('AimdLimit finds the queue of a server that refuses, and recovers', () => {
  for (const seed of [1, 2]) {
    const { limits, throughput } = simulate(
      new AimdLimit(),
      [
        { untilMs: 5_000, workers: 20, serviceMs: 10, arrivals: 4_000, maxQueue: 20 },
        { untilMs: 10_000, workers: 4, serviceMs: 10, arrivals: 4_000, maxQueue: 4 },
        { untilMs: 20_000, workers: 20, serviceMs: 10, arrivals: 4_000, maxQueue: 20 },
      ],
      seed,
    )
    const where = `seed ${seed}: ${limits} ${throughput}`
    assert.ok((limits[0] as number) >= 30 && (limits[0] as number) <= 41, where)
    assert.ok((limits[1] as number) <= 9, where)
    assert.ok((throughput[2] as number) >= 1_800, where)
  }
})

test('AimdLimit counts one overload once, however many calls it fails', () => {
  const limit = new AimdLimit({ initial: 100 })
  for (let call = 0; call < 100; call++) {
    limit.record({ now: 50, startedAt: 10, inFlight: 100, overloaded: true })
  }
  assert.equal(limit.limit, 90)
  limit.record({ now: 70, startedAt: 60, inFlight: 90, overloaded: true })
  assert.equal(limit.limit, 81)
})

test('AimdLimit takes a slow answer for overload where it is told to', () => {
  const limit = new AimdLimit({ initial: 10, maxLatencyMs: 100 })
  limit.record({ now: 100, startedAt: 0, inFlight: 10, overloaded: false })
  assert.equal(limit.limit, 10)
  limit.record({ now: 201, startedAt: 100, inFlight: 10, overloaded: false })
  assert.equal(limit.limit, 9)
})

test('adaptive limits refuse options out of range', () => {
  const random = () => 0.5
  for (const options of [{ min: 0 }, { min: 9, max: 8 }, { initial: 3 }, { tolerance: 0.5 }]) {
    assert.throws(() => new GradientLimit(options, random), { code: 'ERR_OPTION_RANGE' })
  }
  for (const options of [{ min: 0 }, { max: 10, initial: 11 }, { backoff: 1 }]) {
    assert.throws(() => new AimdLimit(options), { code: 'ERR_OPTION_RANGE' })
  }
})
