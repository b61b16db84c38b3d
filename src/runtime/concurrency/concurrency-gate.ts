/**
 * A limit on calls at a time, with a bounded queue before it. A place is entered and left exactly
 * once for each call; whoever is cancelled while it waits leaves the queue, and nothing is held.
 *
 *     enter ─▸ a place is free ─────────────────────────▸ under way ─▸ leave
 *          └▸ queue: full? too late anyway? ─▸ refused     ▴
 *                  └── by priority ─── a place is left ────┘
 */
import type { CallContext } from '../../core/context.ts'
import { checkInteger, checkRange, OverloadError } from '../../core/errors.ts'
import type { LoadReport, LoadSignal } from '../../core/load-signal.ts'
import type { LoadHost, Refusal } from '../load-host.ts'
import { type QueuePlace, Waiter } from '../waiter.ts'
import type { AdaptiveLimit } from './adaptive-limit.ts'
import { CallQueue, PRIORITIES } from './call-queue.ts'

export interface QueueOptions {
  /**
   * Calls that may wait for a place. None unless you say how many: a queue adds to the time that
   * callers wait, and helps only where bursts are short.
   *
   * @default 0
   */
  maxQueued?: number
  /** Longest wait for a place, in milliseconds; the call's deadline counts as well. @default 1_000 */
  maxQueueMs?: number
  /**
   * A queue that has not been empty for so long, in milliseconds, means overload: the newest are
   * served first from then on.
   *
   * @default 100: the interval of CoDel (RFC 8289)
   */
  overloadAfterMs?: number
}

export const queueDefaults: Readonly<Required<QueueOptions>> = Object.freeze({
  maxQueued: 0,
  maxQueueMs: 1_000,
  overloadAfterMs: 100,
})

export interface GateOptions extends QueueOptions {
  policy: Refusal['policy']
  name: string
  key: string
  limit: number | AdaptiveLimit
  /** Whoever is refused is told how full it is. @default false */
  report?: boolean
}

export class ConcurrencyGate {
  readonly key: string
  readonly adaptive: AdaptiveLimit | undefined
  readonly maxQueued: number
  readonly #options: GateOptions
  readonly #host: LoadHost
  readonly #fixed: number
  readonly #maxQueueMs: number
  readonly #queue: CallQueue<QueuePlace<void>>
  #inFlight = 0
  #refused = 0
  #overloaded = false
  /** How often a place becomes free while calls wait, and when one did last. */
  #departureMs = 0
  #departedAt = Number.NaN

  constructor(options: GateOptions, host: LoadHost) {
    const { maxQueued = queueDefaults.maxQueued, maxQueueMs = queueDefaults.maxQueueMs } = options
    const { overloadAfterMs = queueDefaults.overloadAfterMs, limit } = options
    this.key = options.key
    this.#options = options
    this.#host = host
    this.adaptive = typeof limit === 'number' ? undefined : limit
    this.#fixed = typeof limit === 'number' ? checkInteger('maxConcurrent', limit, 1, MAX) : 0
    this.maxQueued = checkInteger('maxQueued', maxQueued, 0, MAX)
    this.#maxQueueMs = checkRange('maxQueueMs', maxQueueMs, 0, MAX)
    this.#queue = new CallQueue(checkRange('overloadAfterMs', overloadAfterMs, 0, MAX))
  }

  get limit(): number {
    return this.adaptive?.limit ?? this.#fixed
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get queued(): number {
    return this.#queue.length
  }

  get refused(): number {
    return this.#refused
  }

  /** How full it is, queue included. */
  get report(): LoadReport {
    return { depth: this.#inFlight + this.#queue.length, limit: this.limit + this.maxQueued }
  }

  get idle(): boolean {
    return this.#inFlight === 0 && this.#queue.length === 0
  }

  /** True: the call has a place, and must `leave` it. */
  tryEnter(): boolean {
    if (this.#inFlight >= this.limit || this.#queue.length > 0) return false
    this.#inFlight++
    return true
  }

  /**
   * As {@link tryEnter} where no place is free: waits for one.
   *
   * @throws OverloadError ERR_LIMITED without a queue, ERR_SHED when the queue is full or too long
   */
  enter(context: CallContext, priority: number): Promise<void> {
    const now = this.#host.wheel.clock.now()
    this.#noteOverload()
    if (this.maxQueued === 0) throw this.#refuse('ERR_LIMITED', now)
    const rank = Math.min(PRIORITIES - 1, Math.max(0, Math.trunc(priority)))
    const expectedMs = this.#expectedMs(this.#queue.ahead(rank, now), now)
    const leftMs = Math.min(this.#maxQueueMs, (context.deadline ?? Number.POSITIVE_INFINITY) - now)
    if (expectedMs > leftMs) {
      const times = `a place is expected in ${ms(expectedMs)} ms, the call can wait ${ms(leftMs)} ms`
      throw this.#refuse('ERR_SHED', now, times)
    }
    if (this.#queue.length >= this.maxQueued) {
      const victim = this.#queue.victim(rank, now)
      if (victim === undefined) throw this.#refuse('ERR_SHED', now)
      victim.waiter.refuse(this.#refuse('ERR_SHED', now, 'another call needed its place more'))
    }
    return this.#wait(context, rank, now)
  }

  /** A call that had a place is over. */
  leave(): void {
    this.#inFlight--
    if (this.#queue.length > 0) this.#departed()
    this.serve()
  }

  /** Gives free places to those that wait: after a call left, or when the limit grew. */
  serve(): void {
    while (this.#queue.length > 0 && this.#inFlight < this.limit) {
      const place = this.#queue.next(this.#host.wheel.clock.now())
      if (place === undefined) return
      this.#inFlight++
      place.waiter.serve()
    }
  }

  #wait(context: CallContext, rank: number, now: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter<void> = new Waiter<void>(
        context,
        this.#host.wheel,
        this.#maxQueueMs,
        'a place',
        resolve,
        reject,
        () => {
          this.#queue.remove(waiter.place, rank)
          this.#noteOverload()
        },
        (message) => this.#refuse('ERR_SHED', this.#host.wheel.clock.now(), message),
      )
      this.#queue.add(waiter.place, rank, now)
      if (this.#queue.length === 1) this.#departedAt = now
      this.#noteOverload()
      waiter.start()
    })
  }

  #departed(): void {
    const now = this.#host.wheel.clock.now()
    const sinceMs = now - this.#departedAt
    this.#departedAt = now
    this.#departureMs =
      this.#departureMs === 0 ? sinceMs : this.#departureMs + (sinceMs - this.#departureMs) / 8
  }

  /** When so many have been served and one more place is free. */
  #expectedMs(ahead: number, now: number): number {
    // Nothing has left for longer than usual: it will not be as fast as it was.
    const standingMs = this.#queue.length === 0 ? 0 : now - this.#departedAt
    return (ahead + 1) * Math.max(this.#departureMs, standingMs / (ahead + 1))
  }

  #refuse(code: 'ERR_LIMITED' | 'ERR_SHED', now: number, why = ''): OverloadError {
    this.#refused++
    const queued = this.#queue.length
    const { limit } = this
    const { policy, name } = this.#options
    const expectedMs = this.#expectedMs(queued, now)
    const retryAfterMs = expectedMs > 0 ? expectedMs : DEFAULT_RETRY_AFTER_MS
    const told = this.#options.report === true
    const signal: LoadSignal = { retryAfterMs, ...this.report, ...(told && { told }) }
    this.#host.onRefused?.({ policy, limit: name, key: this.key, retryAfterMs })
    const waiting = this.maxQueued === 0 ? '' : `, ${queued} of ${this.maxQueued} wait`
    const message = `${name}: ${this.#inFlight} of ${limit} calls are under way${waiting}${why === '' ? '' : `: ${why}`}`
    return new OverloadError(code, message, { detail: { ...signal } })
  }

  #noteOverload(): void {
    if (this.#host.onOverload === undefined) return
    const overloaded = this.#queue.overloaded(this.#host.wheel.clock.now())
    if (overloaded === this.#overloaded) return
    this.#overloaded = overloaded
    const { name } = this.#options
    this.#host.onOverload({ limit: name, overloaded, queued: this.#queue.length })
  }
}

function ms(value: number): string {
  return String(Math.max(0, Math.round(value)))
}

const MAX = 0x7fff_ffff
/** Nothing is known of how fast places become free. */
const DEFAULT_RETRY_AFTER_MS = 100
