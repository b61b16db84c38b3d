/**
 * Calls, failures and slow calls of the last `windowMs`, in tenths of it. Pure over `now`; memory is
 * fixed.
 */
export class CallWindow {
  calls = 0
  failures = 0
  slow = 0
  readonly #slotMs: number
  readonly #calls = new Uint32Array(SLOTS)
  readonly #failures = new Uint32Array(SLOTS)
  readonly #slow = new Uint32Array(SLOTS)
  #slot = 0
  #slotEnd = Number.NEGATIVE_INFINITY

  constructor(windowMs: number) {
    this.#slotMs = windowMs / SLOTS
  }

  add(failed: boolean, slow: boolean, now: number): void {
    if (now >= this.#slotEnd) this.#advance(now)
    this.#calls[this.#slot]!++
    this.calls++
    if (failed) {
      this.#failures[this.#slot]!++
      this.failures++
    }
    if (slow) {
      this.#slow[this.#slot]!++
      this.slow++
    }
  }

  clear(): void {
    this.calls = 0
    this.failures = 0
    this.slow = 0
    this.#calls.fill(0)
    this.#failures.fill(0)
    this.#slow.fill(0)
  }

  #advance(now: number): void {
    const passed = Math.floor((now - this.#slotEnd) / this.#slotMs) + 1
    if (passed >= SLOTS) {
      this.clear()
      this.#slotEnd = now + this.#slotMs
      return
    }
    for (let count = 0; count < passed; count++) {
      this.#slot = (this.#slot + 1) % SLOTS
      this.calls -= this.#calls[this.#slot] as number
      this.failures -= this.#failures[this.#slot] as number
      this.slow -= this.#slow[this.#slot] as number
      this.#calls[this.#slot] = 0
      this.#failures[this.#slot] = 0
      this.#slow[this.#slot] = 0
    }
    this.#slotEnd += passed * this.#slotMs
  }
}

/** A window is at least so many milliseconds long. */
export const SLOTS = 10
