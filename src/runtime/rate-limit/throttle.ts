/**
 * Calls that wait for their share of a rate limit, in the order they came, each key in a line of its
 * own. Nobody overtakes: while somebody waits for a key, newcomers line up behind.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import { OverloadError, toError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/service.ts'
import { LinkedList } from '../linked-list.ts'
import { isPromise } from '../settle.ts'
import type { TimerWheel } from '../timer-wheel.ts'
import { type QueuePlace, Waiter } from '../waiter.ts'
import type { RateLimitDecision } from './rate-limit-store.ts'

export interface ThrottleOptions {
  wheel: TimerWheel
  maxWaitMs: number
  take(key: string, cost: number, now: number): MaybePromise<RateLimitDecision>
}

export class Throttle {
  readonly #options: ThrottleOptions
  readonly #lines = new Map<string, Line>()
  #waiting = 0

  constructor(options: ThrottleOptions) {
    this.#options = options
  }

  /** Calls that wait, all keys together. */
  get waiting(): number {
    return this.#waiting
  }

  waitingFor(key: string): number {
    return this.#lines.get(key)?.length ?? 0
  }

  /** Resolves when the call has what it costs. */
  wait(
    key: string,
    cost: number,
    retryAfterMs: number,
    context: CallContext,
  ): Promise<RateLimitDecision> {
    const line = this.#lines.get(key) ?? this.#open(key)
    this.#waiting++
    return line.join(cost, retryAfterMs, context, this.#options.maxWaitMs, () => {
      this.#waiting--
      if (line.length === 0) this.#lines.delete(key)
    })
  }

  #open(key: string): Line {
    const { wheel, take } = this.#options
    const line = new Line(wheel, (cost, now) => take(key, cost, now))
    this.#lines.set(key, line)
    return line
  }
}

class Line {
  readonly #wheel: TimerWheel
  readonly #clock: Clock
  readonly #take: (cost: number, now: number) => MaybePromise<RateLimitDecision>
  readonly #places = new LinkedList<QueuePlace<RateLimitDecision>>()
  readonly #costs = new WeakMap<Waiter<RateLimitDecision>, number>()
  #timer: Timer | undefined
  #asking = false
  length = 0

  constructor(
    wheel: TimerWheel,
    take: (cost: number, now: number) => MaybePromise<RateLimitDecision>,
  ) {
    this.#wheel = wheel
    this.#clock = wheel.clock
    this.#take = take
  }

  join(
    cost: number,
    retryAfterMs: number,
    context: CallContext,
    maxWaitMs: number,
    onLeft: () => void,
  ): Promise<RateLimitDecision> {
    return new Promise((resolve, reject) => {
      const left = (): void => {
        this.length--
        if (this.length === 0) this.#disarm()
        onLeft()
      }
      const waiter = new Waiter<RateLimitDecision>(
        context,
        this.#wheel,
        maxWaitMs,
        'the rate limit',
        resolve,
        reject,
        left,
        (message) => new OverloadError('ERR_RATE_LIMITED', message),
      )
      this.length++
      this.#costs.set(waiter, cost)
      this.#places.addLast(waiter.place)
      waiter.start()
      if (this.#timer === undefined && !this.#asking && this.length > 0) this.#arm(retryAfterMs)
    })
  }

  #arm(afterMs: number): void {
    this.#timer = this.#clock.setTimer(this.#clock.now() + afterMs, () => {
      this.#timer = undefined
      this.#serve()
    })
  }

  #disarm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #serve(): void {
    for (let place = this.#places.first; place !== undefined; place = this.#places.first) {
      const { waiter } = place
      const taken = this.#take(this.#costs.get(waiter) ?? 1, this.#clock.now())
      if (isPromise(taken)) {
        this.#asking = true
        taken.then(
          (decision) => {
            this.#asking = false
            if (this.#settle(waiter, decision)) this.#serve()
          },
          (error: unknown) => {
            this.#asking = false
            waiter.refuse(toError(error))
            this.#serve()
          },
        )
        return
      }
      if (!this.#settle(waiter, taken)) return
    }
  }

  /** False: it is not its turn yet, and a timer says when. */
  #settle(waiter: Waiter<RateLimitDecision>, decision: RateLimitDecision): boolean {
    if (decision.allowed) {
      waiter.serve(decision)
      return true
    }
    if (this.length > 0) this.#arm(Math.max(MIN_WAIT_MS, decision.retryAfterMs))
    return false
  }
}

/** Rounding must not make a timer that fires at once, for ever. */
const MIN_WAIT_MS = 0.05
