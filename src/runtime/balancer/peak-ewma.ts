/**
 * Latency remembered as Finagle's peak EWMA does: a rise counts at once, a fall slowly, and without
 * calls it fades, so that an endpoint that was slow is tried again.
 */
export class PeakEwma {
  readonly #windowMs: number
  #value = 0
  #stamp = 0
  #known = false

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  /** Whether anything was ever observed. */
  get known(): boolean {
    return this.#known
  }

  observe(now: number, latencyMs: number): void {
    const faded = this.at(now)
    const weight = this.#known ? this.#weight(now) : 0
    this.#value = latencyMs > faded ? latencyMs : faded + latencyMs * (1 - weight)
    this.#stamp = now
    this.#known = true
  }

  /** As of `now`. */
  at(now: number): number {
    return this.#value * this.#weight(now)
  }

  #weight(now: number): number {
    return Math.exp(-Math.max(0, now - this.#stamp) / this.#windowMs)
  }
}
