/**
 * A call with a time limit: child context, entry in the timer wheel and settlement in one object,
 * because every call has one. Used by the deadline and by the attempt timeout.
 */
import { Call, type CallContext, type CallInit } from '../../core/context.ts'
import type { MaybePromise } from '../../core/service.ts'
import type { Link } from '../linked-list.ts'
import type { Settlement } from '../settle.ts'
import type { TimerWheel, WheelEntry } from '../timer-wheel.ts'

export abstract class TimedCall<Res> extends Call implements WheelEntry, Settlement<Res> {
  previous: Link | undefined = undefined
  next: Link | undefined = undefined
  dueTick = 0
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

  onReply(reply: Res): MaybePromise<Res> {
    this.#finish()
    return reply
  }

  onError(error: unknown): MaybePromise<Res> {
    this.#finish()
    throw error
  }

  #finish(): void {
    this.#wheel.cancel(this)
    this.finish()
  }
}
