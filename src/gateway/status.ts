/**
 * What a running gateway shows of itself, and what may be asked of it: the seam between the gateway
 * and its admin service (`gateway/admin/`).
 *
 * Reading costs the reader, not the traffic: counters are plain numbers that the hot path adds to,
 * and everything else is computed when somebody asks. Every list is bounded by the configuration or
 * by a ring. Counters only rise; they start at 0 with the process and survive a reload as long as
 * the listener or cluster of that name does.
 */
import type { TraceContext } from '../core/context.ts'
import type { BreakerState } from '../core/policy.ts'
import type { HttpCacheStats } from '../protocols/http/caching/cache-parts.ts'
import type { AuditStats } from '../security/audit/audit-log.ts'

export interface GatewayStatus {
  /** Monotonic milliseconds at which the gateway started, and the wall time of it. */
  readonly startedAt: number
  readonly startedAtWall: number
  readonly phase: GatewayPhase
  /** Version of heddle, for the page and `heddle_build_info`. */
  readonly version: string
  readonly totals: TrafficTotals
  listeners(): readonly ListenerStatus[]
  clusters(): readonly ClusterStatus[]
  /** Rate limits, concurrency limits and bulkheads of listeners, routes and clusters. */
  limits(): readonly LimitStatus[]
  /** Of routes. */
  caches(): readonly CacheStatus[]
  /** Newest first. A ring: at most `maxRecentErrors` (default 100). */
  recentErrors(): readonly RecentError[]
  /** Undefined: there is no audit log. */
  auditStats(): AuditStats | undefined
  readonly config: ConfigStatus
  /** The client stack of every cluster in its order, with parameters and live state, as text. */
  explain(): string

  /**
   * Begins the drain, as SIGTERM does: not ready, no new connections, calls in flight finish.
   * Resolves when everything has ended or the drain timeout cut it short. Idempotent.
   */
  drain(): Promise<void>
  /** Reads the configuration file again. A broken one keeps the old configuration and is told. */
  reload(): Promise<ReloadOutcome>
  /**
   * Called after each finished HTTP request with its duration in seconds: metrics hang here, so
   * that the gateway knows no registry. One observer; undefined removes it.
   */
  onRequest: ((record: RequestRecord) => void) | undefined
}

/**
 * `starting`: not every listener is bound yet. `ready`. `draining`: not ready any more, finishing.
 * `stopped`. Probes: /startupz is 200 from `ready` on, /readyz only in `ready`, /livez always.
 */
export type GatewayPhase = 'starting' | 'ready' | 'draining' | 'stopped'

/** Sums over all listeners. A page computes rates from two readings. */
export interface TrafficTotals {
  /** HTTP requests that were answered or given up. */
  readonly requests: number
  /** Answers by class: index 1 to 5 for 1xx to 5xx; index 0 counts requests with no answer. */
  readonly statusClasses: readonly number[]
  readonly activeRequests: number
  readonly openConnections: number
  readonly totalConnections: number
  /** Layer-4 connections, detected or configured, included in the connections above. */
  readonly rawConnections: number
  /** Retried attempts (not calls) sent upstream. */
  readonly retries: number
  /** Requests the client gave up before the answer was complete. */
  readonly clientAborts: number
}

export interface ListenerStatus {
  readonly name: string
  /** As bound, port 0 replaced: `127.0.0.1:8080`. */
  readonly address: string
  readonly transport: 'tcp' | 'tls' | 'unix'
  /** `http`, `raw`, or `detect`. */
  readonly protocol: ListenerProtocol
  readonly state: 'listening' | 'draining' | 'closed'
  readonly openConnections: number
  readonly totalConnections: number
  /** By `allow`, `deny` and the limits of connections. */
  readonly refusedConnections: number
  readonly requests: number
  readonly activeRequests: number
  /** Accept and handshake errors, refused PROXY headers, bytes that are no known protocol. */
  readonly errors: number
}

export type ListenerProtocol = 'http' | 'raw' | 'detect'

export interface ClusterStatus {
  readonly name: string
  /** `p2c`, `round_robin`, `random` … */
  readonly balancer: string
  /** Where its endpoints come from: `2 configured`, `consul users`. */
  readonly source: string
  /** Why that source does not answer now; the endpoints are those it told last. */
  readonly sourceError: string | undefined
  readonly requests: number
  /** Calls (after retries) that failed: no answer, or one that the classifier calls a failure. */
  readonly failures: number
  readonly retries: number
  /** 0 to 1: what is left of the retry budget; undefined without one. */
  readonly retryBudget: number | undefined
  readonly inFlight: number
  readonly endpoints: readonly EndpointStatus[]
}

export interface LimitStatus {
  /** Where it is: `listener http address`, `route api`, `cluster orders`. */
  readonly name: string
  readonly policy: 'rate limit' | 'connection rate' | 'concurrency' | 'bulkhead'
  /** Since it was made. */
  readonly refused: number
  readonly allowed: number | undefined
  /** Of concurrency: how many at a time, which an adaptive one changes. */
  readonly limit: number | undefined
  readonly inFlight: number | undefined
  readonly queued: number | undefined
}

export interface CacheStatus extends HttpCacheStats {
  /** Where it is: `route api`. */
  readonly name: string
}

export interface EndpointStatus {
  readonly address: string
  /** Host name as configured, when the address came from a resolver. */
  readonly hostname: string | undefined
  readonly weight: number
  /** Result of active health checks; `unknown` when there are none or none has run yet. */
  readonly health: EndpointHealth
  /** Why it is unhealthy: the last check's error. */
  readonly healthReason: string | undefined
  readonly breaker: BreakerState
  /** Taken out by passive checks (outlier detection) until `ejectedUntil` (monotonic). */
  readonly ejected: boolean
  readonly ejectedUntil: number | undefined
  readonly inFlight: number
  readonly requests: number
  readonly failures: number
  /** Connections now: idle and leased. */
  readonly connections: { readonly idle: number; readonly leased: number }
  /** Of the last minute or so, in milliseconds; undefined without a sample. */
  readonly latencyMs: { readonly p50: number; readonly p99: number } | undefined
}

export type EndpointHealth = 'healthy' | 'unhealthy' | 'unknown'

export interface RecentError {
  /** Milliseconds since the epoch. */
  readonly wallTime: number
  /** Where it happened, as a name of the configuration: `listener http`, `cluster flaky`. */
  readonly where: string
  /** `ERR_…` */
  readonly code: string
  /** For people. Holds no header values and no credentials. */
  readonly message: string
  /** Name of the route, when one had matched. */
  readonly route: string | undefined
  /** Address of the endpoint, when one had been picked. */
  readonly upstream: string | undefined
  /** Of the request it belongs to. */
  readonly requestId: string | undefined
}

export interface ConfigStatus {
  /** File name as given, or undefined for the built-in configuration. */
  readonly file: string | undefined
  /** The effective configuration as YAML, defaults filled in, secrets replaced by `[redacted]`. */
  readonly text: string
  /** Raised by each successful reload, from 1. */
  readonly version: number
  readonly loadedAtWall: number
  /** The newest reload when it failed: what is wrong with the file on disk. */
  readonly lastError: string | undefined
}

export type ReloadOutcome =
  | { readonly status: 'applied'; readonly version: number; readonly changes: readonly string[] }
  | { readonly status: 'unchanged'; readonly version: number }
  | { readonly status: 'rejected'; readonly version: number; readonly problems: readonly string[] }

export interface GrpcRecord {
  readonly path: string
  readonly status: number
  readonly answered: boolean
}

/** One finished HTTP request, as metrics see it. Reused: read it inside the call only. */
export interface RequestRecord {
  readonly listener: string
  /** Name of the route, low in cardinality; undefined when none matched. */
  readonly route: string | undefined
  readonly cluster: string | undefined
  readonly method: string
  /** A call of gRPC: its path, its status, and whether an upstream gave that. */
  readonly grpc?: GrpcRecord | undefined
  /** 0: no answer was sent. */
  readonly status: number
  readonly durationSeconds: number
  /** Monotonic milliseconds at which it ended: asking the clock again would cost. */
  readonly endedAt: number
  /** When sampled, it may become an exemplar of the latency histogram. */
  readonly trace: TraceContext | undefined
}
