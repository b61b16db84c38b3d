/**
 * A time limit of one attempt, below the deadline of the call: the retry finds time to ask another
 * endpoint. It stands above the pool, so that waiting for a connection counts.
 */

import type { CallContext } from '../../core/context.ts'
import { checkRange, TimeoutError } from '../../core/errors.ts'
import type { Middleware } from '../../core/service.ts'
import { settle } from '../settle.ts'
import type { TimerWheel } from '../timer-wheel.ts'
import { TimedCall } from './timed-call.ts'

export interface AttemptTimeoutOptions {
  wheel: TimerWheel
  timeoutMs: number
}

export function attemptTimeout<Req, Res>(options: AttemptTimeoutOptions): Middleware<Req, Res> {
  const { wheel, timeoutMs } = options
  checkRange('timeoutMs', timeoutMs, 1, Number.POSITIVE_INFINITY)
  const { clock } = wheel
  return (next) => (request, context) => {
    const at = clock.now() + timeoutMs
    // The call's own deadline comes first: no second limit is needed.
    if (context.deadline !== undefined && context.deadline <= at) return next(request, context)
    const attempt = new Attempt<Res>(context, wheel, at, timeoutMs)
    return settle(next, request, attempt, attempt)
  }
}

class Attempt<Res> extends TimedCall<Res> {
  override readonly coversStream = false
  readonly #timeoutMs: number

  constructor(parent: CallContext, wheel: TimerWheel, at: number, timeoutMs: number) {
    super({ attemptDeadline: at }, parent, wheel, at)
    this.#timeoutMs = timeoutMs
  }

  override timeoutError(): Error {
    const message = `attempt ${this.attempt} took longer than ${this.#timeoutMs} ms`
    return new TimeoutError('ERR_ATTEMPT_TIMEOUT', message)
  }
}
