/**
 * Latencies with a known relative error in constant memory: log-linear buckets, as in HdrHistogram.
 *
 * A value is kept in whole microseconds. Below 2^(b+1) every value has its own bucket; above, every
 * octave is cut into 2^b equal buckets, so a bucket is never wider than 1/2^b of its values. With
 * b = 5 a quantile is at most 1.6 % off (it reports the middle), and ten minutes fit into 804
 * buckets. Recording is a few shifts and an addition.
 *
 *     index = shift · 2^b + (v >> shift),   shift = max(0, floor(log2 v) − b)
 */
import { checkInteger, checkRange } from '../core/errors.ts'

export interface LatencyHistogramOptions {
  /**
   * Precision b: an octave has 2^b buckets.
   *
   * @default 5: error below 1.6 %, 3.2 KB
   */
  precisionBits?: number
  /**
   * What is longer is counted as this long.
   *
   * @default 600_000, ten minutes
   */
  maxMs?: number
}

export const latencyHistogramDefaults: Readonly<Required<LatencyHistogramOptions>> = Object.freeze({
  precisionBits: 5,
  maxMs: 600_000,
})

export class LatencyHistogram {
  readonly #bits: number
  readonly #maxUs: number
  readonly #counts: Uint32Array
  #count = 0
  #sumMs = 0
  #largestUs = 0

  constructor(options: LatencyHistogramOptions = {}) {
    const {
      precisionBits = latencyHistogramDefaults.precisionBits,
      maxMs = latencyHistogramDefaults.maxMs,
    } = options
    this.#bits = checkInteger('precisionBits', precisionBits, 1, 10)
    // 31 bits of microseconds, so that shifts stay within small integers.
    this.#maxUs = Math.floor(checkRange('maxMs', maxMs, 1, 2_000_000) * 1_000)
    this.#counts = new Uint32Array(this.#indexOf(this.#maxUs) + 1)
  }

  get count(): number {
    return this.#count
  }

  get sumMs(): number {
    return this.#sumMs
  }

  /** Exact to the microsecond, 0 when empty. */
  get maxMs(): number {
    return this.#largestUs / 1_000
  }

  get bucketCount(): number {
    return this.#counts.length
  }

  /** A negative or NaN latency is a bug of who measured; it is not recorded. */
  record(latencyMs: number): void {
    if (!(latencyMs >= 0)) return
    const us = Math.min(Math.round(latencyMs * 1_000), this.#maxUs)
    const index = this.#indexOf(us)
    this.#counts[index] = (this.#counts[index] as number) + 1
    this.#count++
    this.#sumMs += us / 1_000
    if (us > this.#largestUs) this.#largestUs = us
  }

  /**
   * The latency that the fraction `quantile` of all recorded ones does not exceed; undefined when
   * nothing was recorded.
   */
  quantile(quantile: number): number | undefined {
    checkRange('quantile', quantile, 0, 1)
    if (this.#count === 0) return undefined
    const rank = Math.max(1, Math.ceil(quantile * this.#count))
    let seen = 0
    for (let index = 0; index < this.#counts.length; index++) {
      seen += this.#counts[index] as number
      if (seen >= rank) return Math.min(this.#middleOf(index), this.#largestUs) / 1_000
    }
    return this.maxMs
  }

  summary(): LatencySummary {
    return {
      count: this.#count,
      meanMs: this.#count === 0 ? undefined : this.#sumMs / this.#count,
      p50Ms: this.quantile(0.5),
      p90Ms: this.quantile(0.9),
      p99Ms: this.quantile(0.99),
      p999Ms: this.quantile(0.999),
      maxMs: this.#count === 0 ? undefined : this.maxMs,
    }
  }

  /** Adds everything of `other`, which must have the same options. */
  merge(other: LatencyHistogram): void {
    if (other.#count === 0) return
    checkInteger(
      'buckets of the merged histogram',
      other.bucketCount,
      this.bucketCount,
      this.bucketCount,
    )
    for (let index = 0; index < this.#counts.length; index++) {
      this.#counts[index] = (this.#counts[index] as number) + (other.#counts[index] as number)
    }
    this.#count += other.#count
    this.#sumMs += other.#sumMs
    this.#largestUs = Math.max(this.#largestUs, other.#largestUs)
  }

  reset(): void {
    if (this.#count === 0) return
    this.#counts.fill(0)
    this.#count = 0
    this.#sumMs = 0
    this.#largestUs = 0
  }

  #indexOf(us: number): number {
    const shift = Math.max(0, 31 - Math.clz32(us) - this.#bits)
    return (shift << this.#bits) + (us >>> shift)
  }

  #middleOf(index: number): number {
    const octave = index >>> this.#bits
    if (octave < 2) return index
    const shift = octave - 1
    const low = (index - (shift << this.#bits)) * 2 ** shift
    return low + (2 ** shift - 1) / 2
  }
}

/** Milliseconds; undefined where nothing was recorded. */
export interface LatencySummary {
  readonly count: number
  readonly meanMs: number | undefined
  readonly p50Ms: number | undefined
  readonly p90Ms: number | undefined
  readonly p99Ms: number | undefined
  readonly p999Ms: number | undefined
  readonly maxMs: number | undefined
}
