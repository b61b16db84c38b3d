/**
 * Policies: pure over `now` and `random`, so that each is tested by a table. Middleware does the
 * waiting.
 */
import type { Address } from './address.ts'
import type { Random } from './clock.ts'
import type { CallContext } from './context.ts'
import type { LoadReport, RateLimitReport } from './load-signal.ts'

export type BreakerState = 'closed' | 'open' | 'half-open'

export interface Breaker {
  readonly state: BreakerState
  /** Undefined: refused. A permit is settled exactly once. */
  tryAcquire(now: number): Permit | undefined
  /** When a refused caller may ask again; undefined while not open. */
  readonly retryAt: number | undefined
}

export interface Permit {
  success(now: number): void
  failure(now: number, error: unknown): void
  /**
   * The answer has begun, and how it ends is told later: it takes up no place any more, and was as
   * slow as it was until now. A probe has succeeded with it, for a stream may go on for ever.
   */
  answered?(now: number): void
  /** The call ended without telling anything (caller's abort, shed below): no verdict. */
  cancel(now: number): void
}

/** How a call went, as the classifier of its protocol sees it. */
export interface Outcome {
  readonly attempt: number
  /** Milliseconds since the first attempt began. */
  readonly elapsedMs: number
  readonly verdict: Verdict
  /** The wait before this attempt; undefined before the first. */
  readonly previousDelayMs?: number | undefined
}

export interface RetryPolicy {
  readonly maxAttempts: number
  /** Milliseconds to wait before the next attempt; undefined: give up. */
  delay(outcome: Outcome, random: Random): number | undefined
  /** Told how long a successful attempt took. Only there when the policy wants to know. */
  readonly observe?: ((now: number, latencyMs: number) => void) | undefined
}

/** Shared by all calls to one destination, so that retries never multiply an outage. */
export interface RetryBudget {
  /** A first attempt was made. */
  deposit(now: number): void
  /** False: no retry now. */
  tryWithdraw(now: number): boolean
  /** A withdrawn retry was not sent after all. */
  giveBack(now: number): void
  readonly balance: number
}

/**
 * What a protocol knows about one outcome; the only thing of a protocol that policies see.
 */
export interface Verdict {
  /** Counts against the endpoint's breaker and health. A refused query is not a broken server. */
  readonly endpointFailure: boolean
  /** The call did not succeed. */
  readonly failed: boolean
  /** Another attempt may help. */
  readonly retry: boolean
  /**
   * The peer asked to wait this long before another attempt (`Retry-After`,
   * `grpc-retry-pushback-ms`), which makes any request safe to send again. {@link NEVER_AGAIN}: it
   * asked for no further attempt at all.
   */
  readonly pushbackMs: number | undefined
}

/** A peer's pushback that forbids further attempts (gRPC: a negative or broken value, A6). */
export const NEVER_AGAIN: number = Number.POSITIVE_INFINITY

/** The protocol's part in policy. */
export interface Classifier<Req, Res> {
  readonly protocol: string
  /** Whether sending it twice is the same as once, as far as the protocol itself defines it. */
  isIdempotent(request: Req): boolean
  /** Whether the same request object can be sent again (a consumed body stream cannot). */
  isReplayable(request: Req): boolean
  /**
   * Whether it can be under way twice at the same time: a stream that nobody has opened yet can be
   * sent again, but only by one.
   *
   * @default as `isReplayable`
   */
  isRepeatable?(request: Req): boolean
  classifyResponse(request: Req, response: Res, context: CallContext): Verdict
  classifyError(request: Req, error: unknown, context: CallContext): Verdict
  /**
   * Where a response says at its end how the call went: the response to pass on instead, whose end is
   * watched. `onOutcome` is called once; undefined: it was given up and tells nothing.
   *
   * @returns undefined: nothing is to come
   */
  watchOutcome?(
    request: Req,
    response: Res,
    context: CallContext,
    onOutcome: (verdict: Verdict | undefined) => void,
  ): Res | undefined
  /** How a server answers an error that its service threw. */
  errorResponse(error: unknown): Res
  /** How a server tells with a response what its caller has left, where the protocol has words. */
  reportRateLimits?(response: Res, reports: readonly RateLimitReport[]): void
  /** How a server tells with a response how full it is, where the protocol has words. */
  reportLoad?(response: Res, report: LoadReport): void
  /** Nobody will get this response: lets go of what it holds (an unread body). */
  discardResponse?(response: Res): void
  /**
   * Whether the response is all there and holds nothing (no connection, no unread body): it may be
   * kept while another attempt is made, for that one may get no answer at all.
   */
  isComplete?(response: Res): boolean
  /** Name of the operation for metrics and spans, low in cardinality. */
  operation(request: Req): string
}

export interface Endpoint {
  readonly address: Address
  /** @default 1 */
  readonly weight?: number
  /** 0 is preferred. @default 0 */
  readonly priority?: number
  readonly locality?: string
  /** Stable name where discovery gives one. */
  readonly hostname?: string
}

/**
 * What a call is hashed by: calls with the same key go to the same endpoint, as long as it is there.
 * Undefined: it has no key and goes anywhere.
 */
export type HashKey<Req> = (request: Req, context: CallContext) => string | undefined

export interface Balancer<Node, Req = unknown> {
  update(nodes: readonly Node[], now: number): void
  /**
   * Undefined: none is available. `excluded`: nodes this call has tried already, if avoidable.
   * `request`: for balancers that hash it.
   */
  pick(
    context: CallContext,
    now: number,
    random: Random,
    excluded?: ReadonlySet<Node>,
    request?: Req,
  ): Pick<Node> | undefined
}

/** A choice that reports back: least-request and latency-aware balancers live on it. */
export interface Pick<Node> {
  readonly node: Node
  /** Exactly once. `latencyMs` undefined: the call told nothing about latency. */
  done(now: number, latencyMs: number | undefined, endpointFailure: boolean): void
}

export interface Resolver {
  /** Reports whole sets. An error never empties a known set. */
  watch(target: string, listener: ResolverListener): Disposable
}

export interface ResolverListener {
  onEndpoints(endpoints: readonly Endpoint[]): void
  onError(error: Error): void
}
