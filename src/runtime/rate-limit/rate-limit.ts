/**
 * One rate limit of a client or server: whose share, how much, and where it is counted.
 */
import type { CallContext } from '../../core/context.ts'
import { checkInteger, checkRange, OverloadError, toError } from '../../core/errors.ts'
import type { LoadSignal, RateLimitReport } from '../../core/load-signal.ts'
import type { MaybePromise } from '../../core/service.ts'
import type { CallKey, CallKeyName } from '../call-key.ts'
import type { LoadHost } from '../load-host.ts'
import { isPromise } from '../settle.ts'
import type { Facts } from '../stack/layer.ts'
import { type MemoryRateLimitOptions, MemoryRateLimitStore } from './memory-rate-limit-store.ts'
import { checkQuota, type RateLimitDecision, type RateLimitStore } from './rate-limit-store.ts'
import { Throttle } from './throttle.ts'

export interface RateLimitOptions<Req> extends MemoryRateLimitOptions {
  /** For messages, metrics and response headers. @default what `key` is, or 'default' */
  name?: string
  /**
   * Whose share it is: `all` calls together, each `connection`, `address` (an IPv6 one by its /64),
   * `principal` (by address where nobody said who calls), `operation` as the classifier names it, or
   * what a function makes of the call; undefined: not limited.
   *
   * @default 'all'
   */
  key?: CallKeyName | CallKey<Req>
  /** @default one of this process, with `maxKeys` */
  store?: RateLimitStore
  /** How many calls this one counts for. @default 1 */
  cost?(request: Req, context: CallContext): number
  /**
   * How long a call may wait for its share, in milliseconds; its deadline counts as well. Who would
   * have to wait longer is refused at once. 0: nobody waits.
   *
   * @default 0: a server's caller knows better what to do meanwhile
   */
  maxWaitMs?: number
  /** Calls that wait at a time, all keys together; more are refused. @default 1_024 */
  maxWaiting?: number
  /**
   * What holds while a store fails that is reached over a network: `allow` calls, because a limit
   * that is down must not take everything with it; or `refuse` them.
   *
   * @default 'allow'
   */
  onStoreError?: 'allow' | 'refuse'
}

export const rateLimitDefaults: Readonly<{
  maxWaitMs: number
  maxWaiting: number
  onStoreError: 'allow' | 'refuse'
}> = Object.freeze({ maxWaitMs: 0, maxWaiting: 1_024, onStoreError: 'allow' })

/** One limit with its counts; give it to several servers and they share them. */
export class RateLimit<Req> {
  readonly name: string
  readonly options: RateLimitOptions<Req>
  readonly quota: number
  readonly windowMs: number
  readonly maxWaitMs: number
  readonly #store: RateLimitStore
  readonly #perCallMs: number
  readonly #maxWaiting: number
  #throttle: Throttle | undefined
  allowed = 0
  refused = 0

  constructor(options: RateLimitOptions<Req>) {
    const { key = 'all', name = typeof key === 'string' && key !== 'all' ? key : 'default' } =
      options
    const { maxWaitMs = rateLimitDefaults.maxWaitMs } = options
    const { maxWaiting = rateLimitDefaults.maxWaiting } = options
    const { limit, windowMs, burst, algorithm } = checkQuota(options)
    this.name = name
    this.options = options
    this.maxWaitMs = checkRange('maxWaitMs', maxWaitMs, 0, 0x7fff_ffff)
    this.#maxWaiting = checkInteger('maxWaiting', maxWaiting, 0, 0x7fff_ffff)
    this.#perCallMs = windowMs / limit
    this.quota = burst
    // A bucket is full again when all of its burst is.
    this.windowMs = algorithm === 'token-bucket' ? burst * this.#perCallMs : windowMs
    this.#store = options.store ?? new MemoryRateLimitStore(options)
  }

  get waiting(): number {
    return this.#throttle?.waiting ?? 0
  }

  /** What `key` may do now. Throws, or rejects, when it may not. */
  take(
    key: string,
    cost: number,
    context: CallContext,
    host: LoadHost,
  ): MaybePromise<RateLimitDecision> {
    const { wheel } = host
    // Whoever waits already comes first.
    const ahead = this.#throttle?.waitingFor(key) ?? 0
    if (ahead > 0) return this.#waitOrRefuse(key, cost, this.#perCallMs, context, host)
    let taken: MaybePromise<RateLimitDecision>
    try {
      taken = this.#store.take(key, cost, wheel.clock.now())
    } catch (error) {
      return this.#storeFailed(error, host)
    }
    if (!isPromise(taken)) return this.#judge(taken, key, cost, context, host)
    return taken.then(
      (decision) => this.#judge(decision, key, cost, context, host),
      (error: unknown) => this.#storeFailed(error, host),
    )
  }

  giveBack(key: string, cost: number, now: number): void {
    this.#store.giveBack?.(key, cost, now)
  }

  facts(): Facts {
    const { limit, windowMs, burst, algorithm } = checkQuota(this.options)
    const { key = 'all' } = this.options
    return {
      name: this.name,
      limit,
      windowMs,
      burst: algorithm === 'token-bucket' ? burst : undefined,
      algorithm,
      key: typeof key === 'string' ? key : 'custom',
      maxWaitMs: this.maxWaitMs,
    }
  }

  report(decision: RateLimitDecision): RateLimitReport {
    const { remaining, retryAfterMs, resetMs } = decision
    const after = remaining === 0 && retryAfterMs > 0 && retryAfterMs < resetMs
    return {
      name: this.name,
      quota: this.quota,
      windowMs: this.windowMs,
      remaining,
      resetMs: after ? retryAfterMs : resetMs,
    }
  }

  #judge(
    decision: RateLimitDecision,
    key: string,
    cost: number,
    context: CallContext,
    host: LoadHost,
  ): MaybePromise<RateLimitDecision> {
    if (decision.allowed) {
      this.allowed++
      return decision
    }
    if (this.maxWaitMs === 0) throw this.#refusal(decision, key, host)
    return this.#waitOrRefuse(key, cost, decision.retryAfterMs, context, host)
  }

  #waitOrRefuse(
    key: string,
    cost: number,
    retryAfterMs: number,
    context: CallContext,
    host: LoadHost,
  ): Promise<RateLimitDecision> {
    const { wheel } = host
    const throttle = (this.#throttle ??= new Throttle({
      wheel,
      maxWaitMs: this.maxWaitMs,
      take: (line, amount, now) => this.#store.take(line, amount, now),
    }))
    const expectedMs = retryAfterMs + throttle.waitingFor(key) * this.#perCallMs
    const now = wheel.clock.now()
    const leftMs = context.deadline === undefined ? this.maxWaitMs : context.deadline - now
    if (
      expectedMs > this.maxWaitMs ||
      expectedMs > leftMs ||
      throttle.waiting >= this.#maxWaiting
    ) {
      const refused = {
        allowed: false,
        remaining: 0,
        retryAfterMs: expectedMs,
        resetMs: expectedMs,
      }
      throw this.#refusal(refused, key, host)
    }
    return throttle.wait(key, cost, retryAfterMs, context).then((decision) => {
      this.allowed++
      return decision
    })
  }

  #refusal(decision: RateLimitDecision, key: string, host: LoadHost): OverloadError {
    this.refused++
    const { retryAfterMs } = decision
    host.onRefused?.({ policy: 'rate limit', limit: this.name, key, retryAfterMs })
    const { limit, windowMs } = checkQuota(this.options)
    const when =
      retryAfterMs === Number.POSITIVE_INFINITY ? 'ever' : `for ${Math.ceil(retryAfterMs)} ms`
    const message = `rate limit ${this.name} (${limit} per ${windowMs} ms) has nothing left ${when}`
    const rateLimit = this.report({ ...decision, remaining: 0 })
    const detail: LoadSignal = { retryAfterMs, rateLimit }
    return new OverloadError('ERR_RATE_LIMITED', message, { detail: { ...detail } })
  }

  #storeFailed(error: unknown, host: LoadHost): RateLimitDecision {
    const { onStoreError = rateLimitDefaults.onStoreError } = this.options
    host.onStoreError?.(toError(error), this.name)
    if (onStoreError === 'allow') return UNKNOWN_DECISION
    this.refused++
    const message = `rate limit ${this.name} cannot be asked: ${toError(error).message}`
    throw new OverloadError('ERR_RATE_LIMITED', message, { cause: error })
  }
}

/** Allowed because the store cannot be asked: there is nothing to report. */
export const UNKNOWN_DECISION: RateLimitDecision = Object.freeze({
  allowed: true,
  remaining: 0,
  retryAfterMs: 0,
  resetMs: 0,
})
