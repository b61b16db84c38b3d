/**
 * How full something is, told to whoever was refused: when to come again, how many wait, what is
 * left of a quota. It travels as the `detail` of an `OverloadError`; a server's classifier turns it
 * into the words of its protocol (`Retry-After`), a client's turns those into pushback, and our
 * retries wait for it.
 */
import { HeddleError } from './errors.ts'

export interface LoadSignal {
  /** Milliseconds after which another attempt may be taken. */
  readonly retryAfterMs: number
  /** Calls under way and waiting when this one was refused. */
  readonly depth?: number
  /** How many there may be. */
  readonly limit?: number
  /** Depth and limit may be told to the caller: it was chosen to. */
  readonly told?: boolean
  /** Where a rate limit refused: which, and what is left of it. */
  readonly rateLimit?: RateLimitReport | undefined
}

/** How full a limit on calls at a time is, for callers who would rather not be refused. */
export interface LoadReport {
  /** Calls under way and waiting. */
  readonly depth: number
  /** How many there may be, those that wait included. */
  readonly limit: number
}

/** One quota, and what its caller has left of it. */
export interface RateLimitReport {
  readonly name: string
  /** Calls that may be made at once when nothing is used up. */
  readonly quota: number
  /** Milliseconds in which a quota that is used up is there again. */
  readonly windowMs: number
  /** Whole calls left. */
  readonly remaining: number
  /** Milliseconds until the whole quota is there; with nothing left, until one more call is. */
  readonly resetMs: number
}

/** What an error says about load; undefined where it says nothing. */
export function loadSignalOf(error: unknown): LoadSignal | undefined {
  if (!(error instanceof HeddleError) || error.blame !== 'load') return undefined
  const { detail } = error
  return detail !== undefined && typeof detail['retryAfterMs'] === 'number'
    ? (detail as unknown as LoadSignal)
    : undefined
}
