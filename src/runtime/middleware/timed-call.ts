/**
 * A call with a time limit: child context, entry in the timer wheel and settlement in one object,
 * because every call has one. Used by the deadline and by the attempt timeout.
 */
import { Call, type CallContext, type CallInit } from '../../core/context.ts'
import type { MaybePromise } from '../../core/service.ts'
import type { Settlement } from '../settle.ts'
import type { TimerWheel, WheelEntry } from '../timer-wheel.ts'

export abstract class TimedCall<Res> extends Call implements WheelEntry, Settlement<Res> {
  wheelPlace = 0
  readonly holdsProcess = true
  readonly #wheel: TimerWheel

  constructor(init: CallInit, parent: CallContext, wheel: TimerWheel, at: number) {
    super(init, parent)
    this.#wheel = wheel
    wheel.arm(this, at)
  }

  /** Why the call is cancelled when time is up. */
  abstract timeoutError(now: number): Error

  expire(now: number): void {
    this.cancel(this.timeoutError(now))
  }

  /** Whether a reply that is a stream is under the same limit to its end. */
  abstract readonly coversStream: boolean

  onReply(reply: Res): MaybePromise<Res> {
    if (!this.coversStream) this.#wheel.cancel(this)
    this.finish()
    return reply
  }

  onError(error: unknown): MaybePromise<Res> {
    this.#wheel.cancel(this)
    this.finish()
    throw error
  }

  override released(): void {
    // A parent that is cancelled already says so before this object is complete.
    if (#wheel in this) this.#wheel.cancel(this)
  }
}
