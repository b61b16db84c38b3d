/**
 * When a call that has no answer yet is sent a second time, pure over `now`: after a fixed delay, or
 * once it has taken longer than nearly all calls of its kind do ("The Tail at Scale", Dean and
 * Barroso, 2013: after the 95th percentile, for about 5 % more load).
 */
import { checkInteger, checkRange } from '../core/errors.ts'
import {
  LatencyQuantiles,
  type LatencyQuantilesOptions,
  latencyQuantilesDefaults,
} from './latency-quantiles.ts'

export interface HedgeOptions extends LatencyQuantilesOptions {
  /**
   * Always after so many milliseconds, instead of what was observed.
   *
   * @default none: the quantile
   */
  delayMs?: number
  /** The share of calls, of the same operation, that end before a hedge is sent. @default 0.95 */
  quantile?: number
  /**
   * Never sooner, in milliseconds, however fast calls usually are: to send a second request costs
   * more than a few milliseconds are worth.
   *
   * @default 5
   */
  minDelayMs?: number
  /** Hedges of one attempt, one delay after the other. @default 1: a third rarely adds anything */
  maxHedges?: number
}

export const hedgeDefaults: Readonly<Required<Omit<HedgeOptions, 'delayMs'>>> = Object.freeze({
  ...latencyQuantilesDefaults,
  quantile: 0.95,
  minDelayMs: 5,
  maxHedges: 1,
})

export class HedgePolicy {
  readonly options: Readonly<Required<Omit<HedgeOptions, 'delayMs'>>> &
    Pick<HedgeOptions, 'delayMs'>
  readonly #byOperation = new Map<string, LatencyQuantiles>()

  constructor(options: HedgeOptions = {}) {
    const {
      delayMs,
      quantile = hedgeDefaults.quantile,
      minDelayMs = hedgeDefaults.minDelayMs,
      maxHedges = hedgeDefaults.maxHedges,
      windowMs = hedgeDefaults.windowMs,
      minSamples = hedgeDefaults.minSamples,
    } = options
    if (delayMs !== undefined) checkRange('delayMs', delayMs, 0, MAX_MS)
    this.options = Object.freeze({
      ...(delayMs !== undefined && { delayMs }),
      quantile: checkRange('quantile', quantile, 0.01, 0.999),
      minDelayMs: checkRange('minDelayMs', minDelayMs, 0, MAX_MS),
      maxHedges: checkInteger('maxHedges', maxHedges, 1, 10),
      windowMs,
      minSamples,
    })
    // Made once to check its options.
    if (delayMs === undefined) this.#byOperation.set(OTHER, new LatencyQuantiles(options))
  }

  /** Milliseconds after which a hedge is sent; undefined: too little is known yet. */
  delay(operation: string, now: number): number | undefined {
    const { delayMs, quantile, minDelayMs } = this.options
    if (delayMs !== undefined) return delayMs
    const observed = this.#of(operation).quantile(quantile, now)
    return observed === undefined ? undefined : Math.max(minDelayMs, observed)
  }

  /**
   * How long an attempt took. One that a hedge overtook counts with the time until then: left out,
   * slow calls would make the delay shorter and shorter.
   */
  observe(operation: string, now: number, latencyMs: number): void {
    if (this.options.delayMs === undefined) this.#of(operation).observe(now, latencyMs)
  }

  /** Operations are told apart up to a bound; what is over it is one more. */
  #of(operation: string): LatencyQuantiles {
    const known = this.#byOperation.get(operation)
    if (known !== undefined) return known
    if (this.#byOperation.size > MAX_OPERATIONS) {
      return this.#byOperation.get(OTHER) as LatencyQuantiles
    }
    const { windowMs, minSamples } = this.options
    const made = new LatencyQuantiles({ windowMs, minSamples })
    this.#byOperation.set(operation, made)
    return made
  }
}

const MAX_MS = 0x7fff_ffff
/** About 5 KiB each. */
const MAX_OPERATIONS = 64
const OTHER = '_OTHER'
