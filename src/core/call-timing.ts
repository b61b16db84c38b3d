/**
 * Where the time of one call went. Whoever makes a call wait adds to it; there is one only where
 * somebody will read it, as the slow-call log does.
 */

/** One attempt, as the balancer saw it: from the choice of the endpoint to reply or error. */
export interface AttemptTiming {
  readonly endpoint: string
  readonly tookMs: number
  /** The reply counts as a failure, or there was none. */
  readonly failed: boolean
}

export class CallTiming {
  /** Until discovery knew any endpoint. */
  resolveMs = 0
  /** Until a connection was free, without what making it took. */
  queueMs = 0
  /** Until a connection was made, of those that the call waited for. */
  connectMs = 0
  /** Between attempts. */
  backoffMs = 0
  /** The first 32, in the order of their ends. */
  readonly attempts: AttemptTiming[] = []
  /** All of them. */
  attemptCount = 0

  /** @param connectMs of the wait, what a connection took that was made meanwhile */
  waitedForConnection(waitedMs: number, connectMs: number): void {
    const making = Math.min(waitedMs, connectMs)
    this.connectMs += making
    this.queueMs += waitedMs - making
  }

  attempted(endpoint: string, tookMs: number, failed: boolean): void {
    this.attemptCount++
    if (this.attempts.length < MAX_ATTEMPTS) this.attempts.push({ endpoint, tookMs, failed })
  }

  /** A call within this one is over: its time is part of this one's. */
  add(inner: CallTiming): void {
    this.resolveMs += inner.resolveMs
    this.queueMs += inner.queueMs
    this.connectMs += inner.connectMs
    this.backoffMs += inner.backoffMs
    for (const { endpoint, tookMs, failed } of inner.attempts) {
      this.attempted(endpoint, tookMs, failed)
    }
  }
}

const MAX_ATTEMPTS = 32
