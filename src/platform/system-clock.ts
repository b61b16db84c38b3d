/**
 * The real clock. Nothing else in heddle asks the operating system for the time.
 */
import type { Clock, Timer } from '../core/clock.ts'

export const systemClock: Clock = Object.freeze({
  // Bound once: looking it up and checking its receiver is a tenth of each reading.
  now: performance.now.bind(performance),
  wallNow: () => Date.now(),

  setTimer(at: number, callback: () => void): Timer {
    return new SystemTimer(at, callback)
  },

  // nextTick runs after the promise jobs of this tick, so replies that several promises give in one
  // tick leave in one write.
  defer(callback: () => void): void {
    process.nextTick(callback)
  },
})

class SystemTimer implements Timer {
  readonly #at: number
  readonly #callback: () => void
  #timeout: NodeJS.Timeout | undefined

  constructor(at: number, callback: () => void) {
    this.#at = at
    this.#callback = callback
    this.#arm()
  }

  cancel(): void {
    if (this.#timeout === undefined) return
    clearTimeout(this.#timeout)
    this.#timeout = undefined
  }

  ref(): void {
    this.#timeout?.ref()
  }

  unref(): void {
    this.#timeout?.unref()
  }

  #arm(): void {
    const wait = Math.min(MAX_WAIT_MS, Math.max(0, Math.ceil(this.#at - performance.now())))
    const had = this.#timeout
    this.#timeout = setTimeout(() => {
      // Node's timers may fire up to a millisecond early, and waits longer than 24.8 days are cut.
      if (performance.now() < this.#at) return this.#arm()
      this.#timeout = undefined
      this.#callback()
    }, wait)
    if (had !== undefined && !had.hasRef()) this.#timeout.unref()
  }
}

const MAX_WAIT_MS = 0x7fff_ffff
