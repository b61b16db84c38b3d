/**
 * The places of a client's stack for what a user or another layer adds. stack/client-stack.ts says
 * where each stands, and why.
 */
import type { Endpoint } from '../core/policy.ts'
import type { Middleware } from '../core/service.ts'
import type { CallSemantics, Tracer } from '../core/tracing.ts'
import type { SlowCallOptions } from './middleware/slow-calls.ts'
import type { BulkheadOptions, Concurrency, ConcurrencyOptions } from './stack/concurrency-layer.ts'
import type { RateLimits } from './stack/rate-limit-layer.ts'

/** What may stand around calls and attempts; each has its place in the stack, whatever the order. */
export interface ClientPolicies<Req, Res> {
  /**
   * Makes a span for each call and, below it, one for each attempt. `openTelemetryTracer()` gives
   * them to the SDK of the process.
   *
   * @default none
   */
  tracer?: Tracer
  /**
   * False: attempts have spans and the call has none. For whoever has a span around the call
   * already, as a gateway does.
   *
   * @default true
   */
  callSpans?: boolean
  /** How the protocol's calls look in spans. @default the operation's name, nothing else */
  semantics?: CallSemantics<Req, Res>
  /**
   * Reports calls that took too long, with where their time went.
   *
   * @default none
   */
  slowCalls?: SlowCallOptions<Req, Res>
  /** Around every call, in place of the tracer's span. */
  tracing?: Middleware<Req, Res>
  /** The user’s own, around every call, outermost first. */
  middleware?: readonly Middleware<Req, Res>[]
  /** Limits calls of this client: bulkheads, rate limits, adaptive concurrency. */
  limiter?: Concurrency<Req, Res>
  /** Separate places for separate kinds of calls: one that is slow fills only its own. */
  bulkhead?: BulkheadOptions<Req>
  /**
   * Attempts of this client, as its peer would count them. Give `maxWaitMs` for calls that wait for
   * their turn instead of being refused.
   */
  rateLimit?: RateLimits<Req, Res>
  /** Says who calls, around every attempt: a refused token is renewed for the next one. */
  credentials?: Middleware<Req, Res>
  /** Around every attempt, in place of the tracer's span. */
  attemptTracing?: Middleware<Req, Res>
  /** Limits attempts at one endpoint; made once for each. */
  endpointLimiter?: ((endpoint: Endpoint) => Middleware<Req, Res>) | ConcurrencyOptions<Req>
}
