/**
 * How many were busy at a time, at most, within the last window of time: what a pool may shrink to.
 *
 *     demand   ▂▂▇▇▂▂▂▂▂▂▂▂▂▂▂▂▂
 *     window   ├───── 7 ─────┤├───── 2 ─────┤     after the second one, five are too many
 */
export class DemandWindow {
  #peak = 0
  #endsAt: number | undefined

  /** So many are busy now. */
  saw(busy: number): void {
    if (busy > this.#peak) this.#peak = busy
  }

  /** Begins the first window, unless one is under way. */
  begin(now: number, lengthMs: number): void {
    this.#endsAt ??= now + lengthMs
  }

  /** The peak of the window that has just ended; undefined while it lasts. The next one begins. */
  end(now: number, lengthMs: number, busy: number): number | undefined {
    if (this.#endsAt === undefined || now < this.#endsAt) return undefined
    const peak = this.#peak
    this.#peak = busy
    this.#endsAt = now + lengthMs
    return peak
  }
}
