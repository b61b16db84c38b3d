/**
 * A timeout armed and cancelled while 100,000 others are pending: what every call with a deadline
 * does. At most half of what setTimeout costs is the goal.
 */
import { systemClock } from '../../src/platform/system-clock.ts'
import { TimerWheel, type WheelEntry } from '../../src/runtime/timer-wheel.ts'
import type { Benchmark, Variant } from '../benchmark.ts'

export const benchmark: Benchmark = {
  about: 'one timeout of 30 s armed and cancelled, 100,000 others pending',
  variants: {
    'setTimeout and clearTimeout': nodeTimers,
    'timer wheel': () => wheelTimers(() => 0),
    'timer wheel, the clock read for it': () => wheelTimers(() => systemClock.now()),
  },
}

const PENDING = 100_000
const TIMEOUT_MS = 30_000

class Entry implements WheelEntry {
  wheelPlace = 0
  readonly holdsProcess = true
  expire(): void {}
}

function nodeTimers(): Variant {
  const nothing = (): void => {}
  const pending = Array.from({ length: PENDING }, (_, index) =>
    setTimeout(nothing, TIMEOUT_MS + (index % 1_000)),
  )
  return {
    run(count) {
      for (let index = 0; index < count; index++) clearTimeout(setTimeout(nothing, TIMEOUT_MS))
    },
    close: () => {
      for (const timer of pending) clearTimeout(timer)
    },
  }
}

/**
 * A call has read the clock for its deadline already, so arming needs no reading of its own; the
 * second variant reads it all the same, which setTimeout does not (it takes the time of the loop).
 */
function wheelTimers(now: () => number): Variant {
  const wheel = new TimerWheel({ clock: systemClock })
  const pending = Array.from({ length: PENDING }, (_, index) => {
    const entry = new Entry()
    wheel.arm(entry, systemClock.now() + TIMEOUT_MS + (index % 1_000))
    return entry
  })
  return {
    run(count) {
      const start = systemClock.now() + TIMEOUT_MS
      for (let index = 0; index < count; index++) {
        const entry = new Entry()
        wheel.arm(entry, Math.max(start, now() + TIMEOUT_MS))
        wheel.cancel(entry)
      }
    },
    close: () => {
      for (const entry of pending) wheel.cancel(entry)
    },
  }
}
