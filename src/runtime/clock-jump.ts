/**
 * Finds out that this process did not run for a while: a laptop that slept, a function that was
 * frozen between two calls, a machine that was moved, an event loop that was blocked. Peers and
 * firewalls went on meanwhile, so whatever was idle may be dead without a word.
 *
 * Two signs, and one is enough:
 *
 * - **A gap.** Something was due at a time, and is done much later. The monotonic clock went on.
 * - **A divergence.** The wall clock moved more, or less, than the monotonic clock did. A suspended
 *   Linux machine stops the monotonic clock, and the wall clock is set right at its return.
 *
 * Nothing is computed from the wall clock but that difference. An operator who sets the clock looks
 * the same; what it costs is a look at idle connections.
 */
import { checkRange } from '../core/errors.ts'

export class ClockJump {
  readonly #toleranceMs: number
  #offset: number

  /** @param toleranceMs what is still no jump; Infinity: nothing is */
  constructor(toleranceMs: number, now: number, wallNow: number) {
    this.#toleranceMs = checkRange('clockJumpMs', toleranceMs, 1, Number.POSITIVE_INFINITY)
    this.#offset = wallNow - now
  }

  /** Whether the clocks have diverged since the last look. A slow drift is followed. */
  diverged(now: number, wallNow: number): boolean {
    const before = this.#offset
    this.#offset = wallNow - now
    return Math.abs(this.#offset - before) > this.#toleranceMs
  }

  /** Whether what was due at `dueAt` is so late that nothing can have run in between. */
  isGap(dueAt: number, now: number): boolean {
    return now - dueAt > this.#toleranceMs
  }
}
