/**
 * A limit on calls at a time. What is over it is refused at once, before work begins: a queue here
 * would only add to the time that callers wait for an answer they may not want any more.
 */
import { checkInteger, OverloadError } from '../../core/errors.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { type Settlement, settle } from '../settle.ts'

export interface LimiterOptions {
  /** Calls at a time. */
  maxConcurrent: number
}

/** Counts calls. Shared by whatever shares the limit. */
export class ConcurrencyLimit {
  readonly max: number
  #inFlight = 0
  #refused = 0

  constructor(options: LimiterOptions) {
    this.max = checkInteger('maxConcurrent', options.maxConcurrent, 1, 0x7fff_ffff)
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get refused(): number {
    return this.#refused
  }

  tryEnter(): boolean {
    if (this.#inFlight >= this.max) {
      this.#refused++
      return false
    }
    this.#inFlight++
    return true
  }

  leave(): void {
    this.#inFlight--
  }
}

export function limiter<Req, Res>(limit: ConcurrencyLimit): Middleware<Req, Res> {
  const leave: Settlement<Res> = {
    onReply(reply): MaybePromise<Res> {
      limit.leave()
      return reply
    },
    onError(error): MaybePromise<Res> {
      limit.leave()
      throw error
    },
  }
  return (next) => (request, context) => {
    if (!limit.tryEnter()) {
      const message = `${limit.inFlight} calls are under way, maxConcurrent ${limit.max}`
      throw new OverloadError('ERR_LIMITED', message)
    }
    return settle(next, request, context, leave)
  }
}
