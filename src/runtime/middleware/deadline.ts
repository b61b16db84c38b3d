/**
 * One absolute deadline for everything a call does: queueing, connecting, attempts, waiting between
 * them. When it passes, the call is cancelled with TimeoutError ERR_DEADLINE.
 *
 * A reply may be a stream. The caller's own deadline holds to its end (as gRPC's does); the default
 * here is for the reply only, because nobody said how long a stream may take.
 *
 * Services of heddle settle promptly when they are cancelled, so that nothing need be raced against
 * them. A handler that a user wrote may not listen: `race` answers in its place.
 */
import type { CallContext, CallInit } from '../../core/context.ts'
import { checkRange, TimeoutError } from '../../core/errors.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { isPromise, settle } from '../settle.ts'
import type { TimerWheel } from '../timer-wheel.ts'
import { TimedCall } from './timed-call.ts'

export interface DeadlineOptions<Res> {
  wheel: TimerWheel
  /**
   * For calls that bring no earlier deadline, in milliseconds.
   *
   * @default Infinity: only the call's own
   */
  timeoutMs?: number
  /** Gives the error at the deadline even when the service goes on. @default false */
  race?: boolean
  /** With `race`: a reply that came too late. */
  discard?(reply: Res): void
}

export const deadlineDefaults: Readonly<{ timeoutMs: number; race: boolean }> = Object.freeze({
  timeoutMs: Number.POSITIVE_INFINITY,
  race: false,
})

export function deadline<Req, Res>(options: DeadlineOptions<Res>): Middleware<Req, Res> {
  const { wheel, timeoutMs = deadlineDefaults.timeoutMs, race = deadlineDefaults.race } = options
  checkRange('timeoutMs', timeoutMs, 1, Number.POSITIVE_INFINITY)
  const { clock } = wheel
  return (next) => (request, context) => {
    if (context.deadline === undefined && timeoutMs === Number.POSITIVE_INFINITY) {
      return next(request, context)
    }
    const now = clock.now()
    const latest = now + timeoutMs
    const own = context.deadline !== undefined && context.deadline <= latest
    const at = own ? (context.deadline as number) : latest
    if (at <= now) {
      throw new TimeoutError('ERR_DEADLINE', 'the deadline had passed already', { sent: 'nothing' })
    }
    const call = new DeadlineCall<Res>({ deadline: at }, context, wheel, at, now, own)
    const reply = settle(next, request, call, call)
    return race && isPromise(reply) ? raceCancel(reply, call, options) : reply
  }
}

class DeadlineCall<Res> extends TimedCall<Res> {
  override readonly coversStream: boolean
  readonly #startedAt: number

  constructor(
    init: CallInit,
    parent: CallContext,
    wheel: TimerWheel,
    at: number,
    startedAt: number,
    own: boolean,
  ) {
    super(init, parent, wheel, at)
    this.#startedAt = startedAt
    this.coversStream = own
  }

  override timeoutError(now: number): Error {
    const message = `the deadline passed after ${Math.round(now - this.#startedAt)} ms`
    return new TimeoutError('ERR_DEADLINE', message)
  }
}

/** The reply or the cancellation, whichever is first. */
function raceCancel<Res>(
  reply: Promise<Res>,
  call: CallContext,
  options: DeadlineOptions<Res>,
): MaybePromise<Res> {
  return new Promise((resolve, reject) => {
    let over = false
    const remove = call.onCancel((reason) => {
      over = true
      reject(reason)
    })
    reply.then(
      (value) => {
        if (over) return options.discard?.(value)
        remove()
        resolve(value)
      },
      (error: unknown) => {
        remove()
        reject(error)
      },
    )
  })
}
