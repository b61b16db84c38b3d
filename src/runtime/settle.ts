/**
 * `then` for middleware: however many middlewares look at a reply, they share one promise.
 *
 *     next() gave a value     → every settlement runs at once, no promise is made
 *     next() gave a promise   → the innermost settlement makes one promise by `then`; those further
 *                               out see that very promise and add themselves to it
 *
 * Settlements run from the inside out, each with what the one before it gave. A middleware that
 * puts another promise between (it awaits, it races) is seen as such: the settlements outside of it
 * share one of their own. Nothing depends on the sharing but speed.
 */
import type { CallContext } from '../core/context.ts'
import type { MaybePromise, Service } from '../core/service.ts'

/** What one middleware does when a call is over. Exactly one of the two is called, once. */
export interface Settlement<Res> {
  /** @returns the reply to give: `reply` itself where it is only looked at */
  onReply(reply: Res): MaybePromise<Res>
  /** Throws `error` (or another), or returns a reply instead. */
  onError(error: unknown): MaybePromise<Res>
}

/** Calls `next` and has `settlement` see the end of the call, on whichever way it ends. */
export function settle<Req, Res>(
  next: Service<Req, Res>,
  request: Req,
  context: CallContext,
  settlement: Settlement<Res>,
): MaybePromise<Res> {
  let reply: MaybePromise<Res>
  try {
    reply = next(request, context)
  } catch (error) {
    return settlement.onError(error)
  }
  return settleReply(reply, settlement)
}

/** As {@link settle}, where the call has been made already. */
export function settleReply<Res>(
  reply: MaybePromise<Res>,
  settlement: Settlement<Res>,
): MaybePromise<Res> {
  if (!isPromise(reply)) return settlement.onReply(reply)
  const shared = (reply as Shared<Res>)[CHAIN]
  if (shared?.add(settlement) === true) return reply
  const chain = new Chain<Res>()
  chain.add(settlement)
  const promise: Shared<Res> = reply.then(
    (value) => chain.onReply(value),
    (error: unknown) => chain.onError(error),
  )
  promise[CHAIN] = chain
  return promise
}

/**
 * A promise for whoever answers a call: the settlements of the middleware around it run first, then
 * it is settled with what they made of the outcome. A call over it makes no other promise, and its
 * caller hears one turn earlier.
 */
export class PendingReply<Res> {
  readonly promise: Promise<Res>
  readonly #chain = new Chain<Res>()
  #resolve!: (reply: MaybePromise<Res>) => void
  #reject!: (reason: unknown) => void

  constructor() {
    const promise: Shared<Res> = new Promise<Res>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    promise[CHAIN] = this.#chain
    this.promise = promise
  }

  /** The first of `resolve` and `reject` counts. */
  resolve(reply: Res): void {
    if (this.#chain.running) return
    try {
      this.#resolve(this.#chain.onReply(reply))
    } catch (error) {
      this.#reject(error)
    }
  }

  reject(error: unknown): void {
    if (this.#chain.running) return
    try {
      this.#resolve(this.#chain.onError(error))
    } catch (thrown) {
      this.#reject(thrown)
    }
  }
}

export function isPromise<Value>(value: MaybePromise<Value>): value is Promise<Value> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}

class Chain<Res> {
  // As many places as a client's stack needs: an array that grows takes more than it needs.
  readonly #settlements: (Settlement<Res> | undefined)[] = [
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]
  #count = 0
  /** The outcome is known. */
  running = false

  onReply(reply: Res): MaybePromise<Res> {
    return this.#run(0, false, reply)
  }

  onError(error: unknown): MaybePromise<Res> {
    return this.#run(0, true, error)
  }

  /** False: too late, the promise is being settled. */
  add(settlement: Settlement<Res>): boolean {
    if (this.running) return false
    this.#settlements[this.#count++] = settlement
    return true
  }

  #run(from: number, failed: boolean, outcome: unknown): MaybePromise<Res> {
    this.running = true
    const settlements = this.#settlements
    for (let index = from; index < this.#count; index++) {
      const settlement = settlements[index] as Settlement<Res>
      try {
        const given = failed ? settlement.onError(outcome) : settlement.onReply(outcome as Res)
        if (isPromise(given)) {
          if (index + 1 === this.#count) return given
          return given.then(
            (reply) => this.#run(index + 1, false, reply),
            (error: unknown) => this.#run(index + 1, true, error),
          )
        }
        failed = false
        outcome = given
      } catch (error) {
        failed = true
        outcome = error
      }
    }
    if (failed) throw outcome
    return outcome as Res
  }
}

const CHAIN = Symbol('heddle.chain')

interface Shared<Res> extends Promise<Res> {
  [CHAIN]?: Chain<Res>
}
