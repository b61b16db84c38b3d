/**
 * Time, injected. Sessions and policies take `now` as an argument; what must wait takes a `Clock`.
 *
 * `now()` is monotonic, in milliseconds with a fraction, from an arbitrary start: every deadline in
 * heddle is a value of it. `wallNow()` is for people, logs, certificates and cookies only.
 */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
  /** Milliseconds since the Unix epoch; may jump. */
  wallNow(): number
  /** Calls back once at `at` (a value of `now()`) or as soon after as possible; never sooner. */
  setTimer(at: number, callback: () => void): Timer
  /**
   * Calls back after the work of this tick, before new input is read. This is where everything that
   * one tick produced is written at once.
   */
  defer(callback: () => void): void
}

export interface Timer {
  /** Idempotent; a cancelled timer never calls back. */
  cancel(): void
  /** Whether the timer keeps the process alive. Timers start with `ref`. */
  ref(): void
  unref(): void
}

/** Uniform in [0, 1). Injected so that every choice can be replayed from a seed. */
export type Random = () => number
