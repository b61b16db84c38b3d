/**
 * A clock whose timers are entries of a timer wheel: whatever takes a `Clock` (drivers, connections,
 * retries) then shares one timer of the real clock with thousands of others. Its timers are at most
 * a tick of the wheel late, never early.
 */
import type { Clock, Timer } from '../core/clock.ts'
import type { TimerWheel, WheelEntry } from './timer-wheel.ts'

export function wheelClock(wheel: TimerWheel): Clock {
  const { clock } = wheel
  return {
    now: () => clock.now(),
    wallNow: () => clock.wallNow(),
    defer: (callback) => clock.defer(callback),
    setTimer: (at, callback) => new WheelTimer(wheel, at, callback),
  }
}

class WheelTimer implements Timer, WheelEntry {
  wheelPlace = 0
  holdsProcess = true
  readonly #wheel: TimerWheel
  readonly #callback: () => void

  constructor(wheel: TimerWheel, at: number, callback: () => void) {
    this.#wheel = wheel
    this.#callback = callback
    wheel.arm(this, at)
  }

  expire(): void {
    this.#callback()
  }

  cancel(): void {
    this.#wheel.cancel(this)
  }

  ref(): void {
    this.#wheel.hold(this, true)
  }

  unref(): void {
    this.#wheel.hold(this, false)
  }
}
