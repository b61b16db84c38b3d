/**
 * A limit on calls at a time that finds itself, from how long calls take and whether they fail of
 * overload. Pure over `now` and chance: who counts calls asks it and tells it.
 *
 * - **gradient** (gradient-limit.ts) compares latency with what it is when nothing queues. For a
 *   server, or a client of one that slows down before it refuses.
 * - **aimd** (aimd-limit.ts) grows until calls are refused or time out, as TCP does. For a client of
 *   a server that says when it is full.
 */
export interface AdaptiveLimit {
  /** Calls that may be under way now: a whole number from 1. */
  readonly limit: number
  readonly options: Readonly<Record<string, number>>
  /** Milliseconds that a call takes when nothing queues, as far as it is known. */
  readonly baselineMs: number | undefined
  /** A call ended that tells something: it succeeded, or the other side had too much to do. */
  record(sample: ConcurrencySample): void
}

export interface ConcurrencySample {
  readonly now: number
  readonly startedAt: number
  /** Calls under way when it ended, itself included. */
  readonly inFlight: number
  /** It was refused for load, or timed out. Its latency says nothing then. */
  readonly overloaded: boolean
}
