/** A call of a client that said how long it waits: cancelled when that is over. */
import { Call, type CallContext } from '../../core/context.ts'
import { TimeoutError } from '../../core/errors.ts'
import type { TimerWheel, WheelEntry } from '../../runtime/timer-wheel.ts'

export class TimedServerCall extends Call implements WheelEntry {
  wheelPlace = 0
  readonly holdsProcess = false
  readonly #wheel: TimerWheel
  readonly #at: number

  constructor(parent: CallContext, deadline: number, wheel: TimerWheel) {
    super({ deadline }, parent)
    this.#wheel = wheel
    this.#at = deadline
  }

  /** There is something to wait for: a handler that answers at once needs no timer. */
  start(): void {
    if (!this.cancelled) this.#wheel.arm(this, this.#at)
  }

  expire(): void {
    this.cancel(new TimeoutError('ERR_DEADLINE', 'the deadline of the client passed'))
  }

  /** The reply is through. */
  over(): void {
    this.#wheel.cancel(this)
    this.finish()
  }

  override released(): void {
    // A parent that is cancelled already says so before this object is complete.
    if (#wheel in this) this.#wheel.cancel(this)
  }
}
