/**
 * A concurrency limit by additive increase and multiplicative decrease, as TCP's window: one more
 * for each limit's worth of good answers, a tenth less when the other side says that it is full.
 *
 * One overload makes many refusals at once. Only the first of them counts: those whose call began
 * before the last decrease tell of the limit that it ended.
 */
import { checkInteger, checkRange } from '../../core/errors.ts'
import type { AdaptiveLimit, ConcurrencySample } from './adaptive-limit.ts'

export interface AimdLimitOptions {
  /** @default 20 */
  initial?: number
  /** @default 1 */
  min?: number
  /** @default 1_000 */
  max?: number
  /** What is left of the limit after an overload. @default 0.9 */
  backoff?: number
  /** A good answer that took longer counts as overload. @default Infinity */
  maxLatencyMs?: number
}

export const aimdLimitDefaults: Readonly<Required<AimdLimitOptions>> = Object.freeze({
  initial: 20,
  min: 1,
  max: 1_000,
  backoff: 0.9,
  maxLatencyMs: Number.POSITIVE_INFINITY,
})

export class AimdLimit implements AdaptiveLimit {
  readonly options: Readonly<Record<string, number>>
  readonly baselineMs: number | undefined = undefined
  readonly #min: number
  readonly #max: number
  readonly #backoff: number
  readonly #maxLatencyMs: number
  #exact: number
  #decreasedAt = Number.NEGATIVE_INFINITY

  constructor(options: AimdLimitOptions = {}) {
    const {
      initial = aimdLimitDefaults.initial,
      min = aimdLimitDefaults.min,
      max = aimdLimitDefaults.max,
      backoff = aimdLimitDefaults.backoff,
      maxLatencyMs = aimdLimitDefaults.maxLatencyMs,
    } = options
    this.#min = checkInteger('min', min, 1, MAX_LIMIT)
    this.#max = checkInteger('max', max, min, MAX_LIMIT)
    this.#exact = checkInteger('initial', initial, min, max)
    this.#backoff = checkRange('backoff', backoff, 0.1, 0.99)
    this.#maxLatencyMs = checkRange('maxLatencyMs', maxLatencyMs, 0, Number.POSITIVE_INFINITY)
    this.options = Object.freeze({ initial, min, max, backoff, maxLatencyMs })
  }

  get limit(): number {
    return Math.floor(this.#exact)
  }

  record(sample: ConcurrencySample): void {
    const { now, startedAt, inFlight, overloaded } = sample
    if (overloaded || now - startedAt > this.#maxLatencyMs) {
      if (startedAt < this.#decreasedAt) return
      this.#decreasedAt = now
      this.#exact = Math.max(this.#min, this.#exact * this.#backoff)
    } else if (inFlight * 2 >= this.#exact) {
      // A limit that is not used says nothing about a larger one.
      this.#exact = Math.min(this.#max, this.#exact + 1 / this.#exact)
    }
  }
}

const MAX_LIMIT = 1_000_000
