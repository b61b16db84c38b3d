/** The real clock where there is no Node: pages and their workers. */
import type { Clock, Timer } from '../core/clock.ts'

export const browserClock: Clock = Object.freeze({
  now: () => performance.now(),
  wallNow: () => Date.now(),

  setTimer(at: number, callback: () => void): Timer {
    let timeout = setTimeout(fire, waitUntil(at))
    // Browsers round waits, some of them down, and cut those over 24.8 days.
    function fire(): void {
      if (performance.now() < at) timeout = setTimeout(fire, waitUntil(at))
      else callback()
    }
    return { cancel: () => clearTimeout(timeout), ref() {}, unref() {} }
  },

  defer(callback: () => void): void {
    queueMicrotask(callback)
  },
})

function waitUntil(at: number): number {
  return Math.min(0x7fff_ffff, Math.max(0, Math.ceil(at - performance.now())))
}
