/**
 * Where the counts of a rate limit live. One process: `MemoryRateLimitStore`. The threads of one
 * process: `SharedRateLimitStore`. A store that is reached over a network implements the same
 * interface with promises.
 *
 * Two ways to count:
 *
 * - **token-bucket**, as the generic cell rate algorithm (ITU-T I.371): a key's whole state is one
 *   time, when its bucket will be full again. It decides exactly as a bucket with a counter and a
 *   refill would, but one number is half the memory, and can be swapped atomically (threads, Redis).
 *   Up to `burst` at once, `limit` per window in the long run; at most `burst + limit` in any window.
 * - **sliding-window**: counts in tenths of the window. Never more than `limit` in any window of
 *   `windowMs`, wherever it begins; a call is forgotten up to a tenth of the window late.
 */
import { checkInteger, checkRange } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/service.ts'

export interface Quota {
  /** Calls per window, for each key. */
  limit: number
  /** Milliseconds. */
  windowMs: number
  /**
   * Calls that a key which has rested may make at once; `token-bucket` only. A smaller one spreads
   * calls evenly.
   *
   * @default limit
   */
  burst?: number
  /** @default 'token-bucket': half the memory, and what it lets through is spread more evenly */
  algorithm?: RateLimitAlgorithm
}

export type RateLimitAlgorithm = 'token-bucket' | 'sliding-window'

export interface RateLimitStore {
  /** Uses up `cost` of what `key` has left, all or nothing. */
  take(key: string, cost: number, now: number): MaybePromise<RateLimitDecision>
  /** What was taken was not used after all. A store that cannot tell leaves it out. */
  giveBack?(key: string, cost: number, now: number): void
}

export interface RateLimitDecision {
  readonly allowed: boolean
  /** Whole calls left. */
  readonly remaining: number
  /** Milliseconds until the same call would be allowed; 0 when it was. Infinity: never. */
  readonly retryAfterMs: number
  /** Milliseconds until nothing is used up any more. */
  readonly resetMs: number
}

/** @throws UsageError ERR_OPTION_RANGE */
export function checkQuota(quota: Quota): Required<Quota> {
  const { limit, windowMs, burst = limit, algorithm = 'token-bucket' } = quota
  checkRange('windowMs', windowMs, 1, MAX_WINDOW_MS)
  if (algorithm === 'sliding-window') {
    checkInteger('limit', limit, 1, MAX_CALLS)
    return { limit, windowMs, burst: limit, algorithm }
  }
  checkRange('limit', limit, Number.MIN_VALUE, MAX_CALLS)
  // A limit of less than one call a window is one call in a longer time.
  checkInteger(
    'burst',
    quota.burst === undefined ? Math.max(1, Math.floor(limit)) : burst,
    1,
    MAX_CALLS,
  )
  return { limit, windowMs, burst: Math.max(1, Math.floor(burst)), algorithm }
}

const MAX_CALLS = 1e9
const MAX_WINDOW_MS = 31 * 86_400_000
