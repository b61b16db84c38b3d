/**
 * A call that waits in a queue, for a connection or for addresses. It ends in exactly one way, and
 * whatever it listens to is let go then: its place, its timeout, its call's cancellation.
 */
import type { CallContext } from '../core/context.ts'
import { HeddleError, OverloadError, TimeoutError, TransportError } from '../core/errors.ts'
import { unsent } from './exchanger.ts'
import { type Link, unlink } from './linked-list.ts'
import type { TimerWheel, WheelEntry } from './timer-wheel.ts'

/** A waiter's link in its queue. */
export interface QueuePlace<Result> extends Link {
  readonly waiter: Waiter<Result>
}

export class Waiter<Result> implements WheelEntry {
  wheelPlace = 0
  readonly holdsProcess = true
  readonly place: QueuePlace<Result> = { previous: undefined, next: undefined, waiter: this }
  readonly #context: CallContext
  readonly #wheel: TimerWheel
  readonly #startedAt: number
  readonly #maxWaitMs: number
  readonly #forWhat: string
  readonly #resolve: (result: Result) => void
  readonly #reject: (reason: Error) => void
  readonly #gaveUp: (message: string) => Error
  readonly #onLeft: (timedOut: boolean, waiter: Waiter<Result>) => void
  #removeCancel: (() => void) | undefined
  #done = false

  constructor(
    context: CallContext,
    wheel: TimerWheel,
    maxWaitMs: number,
    forWhat: string,
    resolve: (result: Result) => void,
    reject: (reason: Error) => void,
    onLeft: (timedOut: boolean, waiter: Waiter<Result>) => void,
    gaveUp: (message: string) => Error = poolFull,
  ) {
    this.#context = context
    this.#wheel = wheel
    this.#startedAt = wheel.clock.now()
    this.#maxWaitMs = maxWaitMs
    this.#forWhat = forWhat
    this.#resolve = resolve
    this.#reject = reject
    this.#onLeft = onLeft
    this.#gaveUp = gaveUp
  }

  /** When it began to wait. */
  get since(): number {
    return this.#startedAt
  }

  get waitedMs(): number {
    return this.#wheel.clock.now() - this.#startedAt
  }

  /** Starts the time limit. The waiter has its place in the queue already. */
  start(): void {
    const latest = this.#startedAt + this.#maxWaitMs
    this.#wheel.arm(this, Math.min(latest, this.#context.deadline ?? latest))
    this.#removeCancel = this.#context.onCancel((reason) => {
      this.refuse(unsent(reason, this.#waited()))
    })
  }

  serve(result: Result): void {
    if (this.#leave(false)) this.#resolve(result)
  }

  refuse(reason: Error): void {
    if (this.#leave(false)) this.#reject(reason)
  }

  expire(now: number): void {
    if (!this.#leave(true)) return
    const { deadline } = this.#context
    if (deadline !== undefined && now >= deadline) {
      const message = `the deadline passed ${this.#waited()}`
      this.#reject(new TimeoutError('ERR_DEADLINE', message, { sent: 'nothing' }))
    } else {
      const message = `gave up ${this.#waited()}, maxWaitMs ${this.#maxWaitMs}`
      this.#reject(this.#gaveUp(message))
    }
  }

  #waited(): string {
    return `after ${Math.round(this.waitedMs)} ms of waiting for ${this.#forWhat}`
  }

  #leave(timedOut: boolean): boolean {
    if (this.#done) return false
    this.#done = true
    unlink(this.place)
    this.#wheel.cancel(this)
    this.#removeCancel?.()
    this.#removeCancel = undefined
    this.#onLeft(timedOut, this)
    return true
  }
}

function poolFull(message: string): Error {
  return new OverloadError('ERR_POOL_FULL', message)
}

/** The error of a failed connect, one for each waiter: retries write their history on it. */
export function connectFailure(cause: Error): Error {
  const known = cause instanceof HeddleError
  return new TransportError('ERR_CONNECT', `no connection: ${cause.message}`, {
    cause,
    sent: 'nothing',
    ...(known && { retryable: cause.retryable }),
  })
}
