/**
 * Whether and when to try again, as far as time and count decide it. Whether a request *may* be
 * sent again is decided by the retry middleware, whether it may be *afforded* by the budget.
 */
import type { Random } from '../core/clock.ts'
import { checkInteger, checkRange } from '../core/errors.ts'
import { NEVER_AGAIN, type Outcome, type RetryPolicy } from '../core/policy.ts'
import { type Backoff, type BackoffOptions, backoff } from './backoff.ts'
import { LatencyQuantiles } from './latency-quantiles.ts'

export interface RetryPolicyOptions extends BackoffOptions {
  /**
   * Attempts in all, the first included. What fails three times in a row, at different endpoints,
   * rarely succeeds the fourth time.
   *
   * @default 3
   */
  maxAttempts?: number
  /**
   * No attempt begins later than this after the first began, in milliseconds.
   *
   * @default Infinity: the call's deadline decides
   */
  maxElapsedMs?: number
  /**
   * The longest wait that a peer may ask for (`Retry-After`). Asked for more, the call gives up at
   * once and the caller gets the answer that says so.
   *
   * @default 10_000
   */
  maxPushbackMs?: number
}

export const retryPolicyDefaults: Readonly<{
  maxAttempts: number
  maxElapsedMs: number
  maxPushbackMs: number
}> = Object.freeze({
  maxAttempts: 3,
  maxElapsedMs: Number.POSITIVE_INFINITY,
  maxPushbackMs: 10_000,
})

export class BackoffRetryPolicy implements RetryPolicy {
  readonly maxAttempts: number
  readonly #maxElapsedMs: number
  readonly #maxPushbackMs: number
  readonly #backoff: Backoff
  /** Only of the adaptive backoff. */
  readonly #latencies: LatencyQuantiles | undefined
  #now = 0
  readonly observe: ((now: number, latencyMs: number) => void) | undefined

  constructor(options: RetryPolicyOptions = {}) {
    const {
      maxAttempts = retryPolicyDefaults.maxAttempts,
      maxElapsedMs = retryPolicyDefaults.maxElapsedMs,
      maxPushbackMs = retryPolicyDefaults.maxPushbackMs,
    } = options
    this.maxAttempts = checkInteger('maxAttempts', maxAttempts, 1, 100)
    this.#maxElapsedMs = checkRange('maxElapsedMs', maxElapsedMs, 0, Number.POSITIVE_INFINITY)
    this.#maxPushbackMs = checkRange('maxPushbackMs', maxPushbackMs, 0, Number.POSITIVE_INFINITY)
    this.#backoff = backoff(options)
    if (options.backoff !== 'adaptive') return
    const latencies = new LatencyQuantiles()
    this.#latencies = latencies
    this.observe = (now, latencyMs) => {
      this.#now = now
      latencies.observe(now, latencyMs)
    }
  }

  /** The median latency that the adaptive backoff begins with, once enough calls were seen. */
  get latencyMs(): number | undefined {
    return this.#latencies?.quantile(0.5, this.#now)
  }

  delay(outcome: Outcome, random: Random): number | undefined {
    const { attempt, elapsedMs, verdict } = outcome
    if (!verdict.retry || attempt >= this.maxAttempts) return undefined
    const pushbackMs = verdict.pushbackMs ?? 0
    if (pushbackMs > this.#maxPushbackMs || pushbackMs === NEVER_AGAIN) return undefined
    const { previousDelayMs: previousMs } = outcome
    const waitMs = this.#backoff(attempt, random, { previousMs, latencyMs: this.latencyMs })
    // The peer's wish is the least; our jitter on top keeps its callers from returning together.
    const delayMs = pushbackMs + waitMs
    return elapsedMs + delayMs > this.#maxElapsedMs ? undefined : delayMs
  }
}
