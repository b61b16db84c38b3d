/**
 * How often a peer may do something that costs us and is of no use to it: tokens in a bucket. Each
 * time takes one; useful work and time give some back.
 */
export class Budget {
  readonly #max: number
  readonly #perMs: number
  #tokens: number
  #since: number

  constructor(max: number, perSecond: number, now: number) {
    this.#max = max
    this.#perMs = perSecond / 1_000
    this.#tokens = max
    this.#since = now
  }

  /** @returns false: it is used up */
  take(now: number): boolean {
    if (this.#tokens < 1) {
      // Time is looked at only when it matters.
      const earned = (now - this.#since) * this.#perMs
      this.#since = now
      this.#tokens = Math.min(this.#max, this.#tokens + earned)
      if (this.#tokens < 1) return false
    }
    this.#tokens -= 1
    return true
  }

  give(tokens: number): void {
    const sum = this.#tokens + tokens
    this.#tokens = Math.min(sum, this.#max)
  }
}
