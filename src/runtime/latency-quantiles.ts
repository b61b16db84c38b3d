/**
 * Quantiles of the latency of recent calls: a histogram of logarithmic buckets over a sliding
 * window, pure over `now`. A value is off by at most 5 %; memory is fixed (about 5 KiB), whatever
 * comes.
 *
 *     bucket i holds   MIN_MS × 1.1^i  up to  MIN_MS × 1.1^(i+1)
 *
 * Hedging takes its delay from here, adaptive backoff its first interval.
 */
import { checkInteger, checkRange } from '../core/errors.ts'

export interface LatencyQuantilesOptions {
  /**
   * How far back is remembered, in milliseconds.
   *
   * @default 30_000: long enough for a 95th percentile of a few calls a second, short enough to
   * follow an hour of the day
   */
  windowMs?: number
  /** Nothing is said before so many calls in the window. @default 20: fewer have no 95th percentile */
  minSamples?: number
}

export const latencyQuantilesDefaults: Readonly<Required<LatencyQuantilesOptions>> = Object.freeze({
  windowMs: 30_000,
  minSamples: 20,
})

export class LatencyQuantiles {
  readonly #slotMs: number
  readonly #minSamples: number
  readonly #slots: readonly Uint32Array[]
  readonly #sum = new Uint32Array(BUCKETS)
  readonly #counts = new Uint32Array(SLOTS)
  #total = 0
  #slot = 0
  #slotEnd = Number.NEGATIVE_INFINITY
  /** Of the last `quantile`: asked for every call, it changes slowly. */
  #cachedFor = Number.NaN
  #cachedUntil = 0
  #cached: number | undefined

  constructor(options: LatencyQuantilesOptions = {}) {
    const {
      windowMs = latencyQuantilesDefaults.windowMs,
      minSamples = latencyQuantilesDefaults.minSamples,
    } = options
    this.#slotMs = checkRange('windowMs', windowMs, SLOTS, 3_600_000) / SLOTS
    this.#minSamples = checkInteger('minSamples', minSamples, 1, 1_000_000)
    this.#slots = Array.from({ length: SLOTS }, () => new Uint32Array(BUCKETS))
  }

  /** Calls in the window, as of the last operation. */
  get samples(): number {
    return this.#total
  }

  observe(now: number, latencyMs: number): void {
    if (now >= this.#slotEnd) this.#advance(now)
    const bucket = bucketOf(latencyMs)
    this.#slots[this.#slot]![bucket]!++
    this.#sum[bucket]!++
    this.#counts[this.#slot]!++
    this.#total++
  }

  /** Milliseconds that this share of calls did not exceed; undefined: too few calls yet. */
  quantile(q: number, now: number): number | undefined {
    if (now >= this.#slotEnd) this.#advance(now)
    if (this.#total < this.#minSamples) return undefined
    if (q !== this.#cachedFor || this.#total >= this.#cachedUntil) {
      this.#cached = this.#compute(q)
      this.#cachedFor = q
      // A sixteenth more calls cannot move it far.
      this.#cachedUntil = this.#total + Math.max(1, this.#total >> 4)
    }
    return this.#cached
  }

  #compute(q: number): number {
    const rank = q * this.#total
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#sum[bucket] as number
      if (seen >= rank && seen > 0) return middleOf(bucket)
    }
    return middleOf(BUCKETS - 1)
  }

  #advance(now: number): void {
    const passed = Math.floor((now - this.#slotEnd) / this.#slotMs) + 1
    this.#cachedFor = Number.NaN
    if (passed >= SLOTS) {
      for (const slot of this.#slots) slot.fill(0)
      this.#sum.fill(0)
      this.#counts.fill(0)
      this.#total = 0
      this.#slotEnd = now + this.#slotMs
      return
    }
    for (let count = 0; count < passed; count++) {
      this.#slot = (this.#slot + 1) % SLOTS
      const slot = this.#slots[this.#slot] as Uint32Array
      for (let bucket = 0; bucket < BUCKETS; bucket++) {
        this.#sum[bucket]! -= slot[bucket] as number
      }
      slot.fill(0)
      this.#total -= this.#counts[this.#slot] as number
      this.#counts[this.#slot] = 0
    }
    this.#slotEnd += passed * this.#slotMs
  }
}

function bucketOf(latencyMs: number): number {
  if (!(latencyMs > MIN_MS)) return 0
  const bucket = Math.floor(Math.log(latencyMs / MIN_MS) / LOG_FACTOR)
  return bucket < BUCKETS ? bucket : BUCKETS - 1
}

/** The middle of a bucket, by ratio. */
function middleOf(bucket: number): number {
  return MIN_MS * Math.exp((bucket + 0.5) * LOG_FACTOR)
}

const SLOTS = 6
const MIN_MS = 0.05
const LOG_FACTOR = Math.log(1.1)
/** Up to about 260 s; what is slower counts as that. */
const BUCKETS = 162
