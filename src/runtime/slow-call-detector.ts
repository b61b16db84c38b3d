/**
 * What a slow call is: longer than a fixed time, or than so many times the 99th percentile of the
 * last half minute. And how many are worth telling: a bucket of reports bounds what an outage writes.
 * Pure over `now`.
 */
import { checkInteger, checkRange } from '../core/errors.ts'
import { LatencyQuantiles } from './latency-quantiles.ts'

export interface SlowCallThresholds {
  /**
   * What takes longer is slow, in milliseconds.
   *
   * @default 1_000; none where `p99Factor` is given
   */
  thresholdMs?: number
  /**
   * What takes longer than so many times the 99th percentile of the last 30 s is slow as well.
   * Nothing is, before there were 100 calls.
   *
   * @default none
   */
  p99Factor?: number
  /** With `p99Factor`: what is faster is never slow, in milliseconds. @default 10 */
  minMs?: number
  /** Reports a minute; more are counted, and the next report says how many. @default 60 */
  maxPerMinute?: number
}

export const slowCallDefaults: Readonly<{
  thresholdMs: number
  minMs: number
  maxPerMinute: number
}> = Object.freeze({
  thresholdMs: 1_000,
  minMs: 10, // less is noise of the machine
  maxPerMinute: 60, // one a second, whatever happens
})

export interface SlowVerdict {
  /** What it was compared with. */
  readonly thresholdMs: number
  /** Slow calls since the last report that were not reported. */
  readonly suppressed: number
}

export class SlowCallDetector {
  readonly thresholds: Readonly<Required<Omit<SlowCallThresholds, 'p99Factor'>>> &
    Pick<SlowCallThresholds, 'p99Factor'>
  readonly #latency: LatencyQuantiles | undefined
  #tokens: number
  #refilledAt = Number.NaN
  #suppressed = 0

  constructor(options: SlowCallThresholds = {}) {
    const { p99Factor, minMs = slowCallDefaults.minMs } = options
    const { maxPerMinute = slowCallDefaults.maxPerMinute } = options
    const fallback = p99Factor === undefined ? slowCallDefaults.thresholdMs : FOREVER
    const { thresholdMs = fallback } = options
    checkRange('thresholdMs', thresholdMs, 0, FOREVER)
    checkRange('minMs', minMs, 0, FOREVER)
    checkInteger('maxPerMinute', maxPerMinute, 1, 1_000_000)
    if (p99Factor !== undefined) checkRange('p99Factor', p99Factor, 1, 1_000)
    this.thresholds = Object.freeze({
      thresholdMs,
      minMs,
      maxPerMinute,
      ...(p99Factor !== undefined && { p99Factor }),
    })
    this.#latency = p99Factor === undefined ? undefined : new LatencyQuantiles({ minSamples: 100 })
    this.#tokens = maxPerMinute
  }

  /** Tells it a call; undefined: it was not slow, or enough was said. */
  judge(now: number, tookMs: number): SlowVerdict | undefined {
    const thresholdMs = this.#threshold(now)
    this.#latency?.observe(now, tookMs)
    if (!(tookMs > thresholdMs)) return undefined
    if (!this.#takeToken(now)) {
      this.#suppressed++
      return undefined
    }
    const suppressed = this.#suppressed
    this.#suppressed = 0
    return { thresholdMs, suppressed }
  }

  /** Of the calls before this one: a slow call must not raise the bar it is measured by. */
  #threshold(now: number): number {
    const { thresholdMs, p99Factor, minMs } = this.thresholds
    if (p99Factor === undefined) return thresholdMs
    const p99 = this.#latency?.quantile(0.99, now)
    if (p99 === undefined) return thresholdMs
    return Math.min(thresholdMs, Math.max(minMs, p99 * p99Factor))
  }

  #takeToken(now: number): boolean {
    const { maxPerMinute } = this.thresholds
    if (!Number.isNaN(this.#refilledAt)) {
      const earned = ((now - this.#refilledAt) / 60_000) * maxPerMinute
      this.#tokens = Math.min(maxPerMinute, this.#tokens + earned)
    }
    this.#refilledAt = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}

const FOREVER = Number.POSITIVE_INFINITY
