/**
 * Events per second over the last seconds, in constant memory: one counter per second, reused.
 */
import { checkInteger } from '../core/errors.ts'

export interface SlidingRateOptions {
  /**
   * Longest time looked back, in seconds.
   *
   * @default 60
   */
  seconds?: number
}

export const slidingRateDefaults: Readonly<Required<SlidingRateOptions>> = Object.freeze({
  seconds: 60,
})

export class SlidingRate {
  readonly #counts: Float64Array
  /** The number of the second that each counter holds. */
  readonly #held: Float64Array
  #second = -1
  #index = 0
  #started: number | undefined

  constructor(options: SlidingRateOptions = {}) {
    const { seconds = slidingRateDefaults.seconds } = options
    // One more for the running second, which no rate counts: it is not over yet.
    const size = checkInteger('seconds', seconds, 1, 86_400) + 1
    this.#counts = new Float64Array(size)
    this.#held = new Float64Array(size).fill(-1)
  }

  /** @param now monotonic milliseconds, which never go back */
  add(now: number, amount = 1): void {
    const second = Math.floor(now / 1_000)
    if (second !== this.#second) this.#moveTo(second)
    this.#counts[this.#index] = (this.#counts[this.#index] as number) + amount
  }

  /**
   * Mean over the last `seconds` whole seconds, or over those since the first event when it is not
   * that long ago.
   */
  perSecond(now: number, seconds = 1): number {
    if (this.#started === undefined) return 0
    checkInteger('seconds', seconds, 1, this.#counts.length - 1)
    const running = Math.floor(now / 1_000)
    const span = Math.min(seconds, running - this.#started)
    if (span <= 0) return 0
    let sum = 0
    for (let back = 1; back <= span; back++) sum += this.#countOf(running - back)
    return sum / span
  }

  /** Events in the second that holds `at`, as long as it is not older than what is kept. */
  countIn(at: number): number {
    return this.#countOf(Math.floor(at / 1_000))
  }

  #countOf(second: number): number {
    const index = second % this.#counts.length
    return this.#held[index] === second ? (this.#counts[index] as number) : 0
  }

  #moveTo(second: number): void {
    this.#started ??= second
    this.#second = second
    this.#index = second % this.#counts.length
    if (this.#held[this.#index] === second) return
    this.#held[this.#index] = second
    this.#counts[this.#index] = 0
  }
}
