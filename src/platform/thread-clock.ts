/**
 * Threads compare times. `performance.now()` may start anew in each worker thread, `process.hrtime()`
 * is the machine's and the same in all of them.
 */

/** Milliseconds to add to `systemClock.now()` of this thread for a time that all threads share. */
export function threadClockOffsetMs(): number {
  return Number(process.hrtime.bigint()) / 1e6 - performance.now()
}
