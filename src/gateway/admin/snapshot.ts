/**
 * The JSON that `/api/status` and the event stream give: one shape for both.
 *
 * `null` stands where nothing is known. Times are milliseconds since the epoch, latencies
 * milliseconds, rates per second, shares 0 to 1. Fields may be added; none changes its meaning.
 */
import type { Clock } from '../../core/clock.ts'
import type { BreakerState } from '../../core/policy.ts'
import type { ProcessFacts } from '../../core/process-facts.ts'
import type { LatencySummary } from '../../telemetry/latency-histogram.ts'
import type {
  CacheStatus,
  ClusterStatus,
  EndpointHealth,
  EndpointStatus,
  GatewayPhase,
  GatewayStatus,
  LimitStatus,
  ListenerStatus,
  TrafficTotals,
} from '../status.ts'
import { type EndpointState, type EndpointTrends, stateOf } from './endpoint-trends.ts'
import type { TrafficHistory, TrafficPoint } from './traffic-history.ts'

export interface AdminSnapshot {
  readonly now: number
  readonly startedAt: number
  readonly uptimeMs: number
  readonly phase: GatewayPhase
  readonly version: string
  readonly totals: TrafficTotals
  /** Of the last ten seconds. */
  readonly requestsPerSecond: number
  /** Of the last minute. */
  readonly latency: JsonLatency
  readonly listeners: readonly ListenerStatus[]
  readonly clusters: readonly JsonCluster[]
  readonly limits: readonly JsonLimit[]
  readonly caches: readonly CacheStatus[]
  readonly errors: readonly JsonError[]
  readonly config: JsonConfig
  readonly process: JsonProcess | null
  readonly history: JsonHistory
}

/** Columns, oldest first, one entry a second. */
export interface JsonHistory {
  readonly stepMs: 1_000
  /** End of the newest second. */
  readonly end: number
  readonly requests: readonly number[]
  readonly clientErrors: readonly number[]
  readonly serverErrors: readonly number[]
  readonly p50: readonly (number | null)[]
  readonly p90: readonly (number | null)[]
  readonly p99: readonly (number | null)[]
  readonly connections: readonly number[]
  readonly active: readonly number[]
  readonly retries: readonly number[]
}

export interface JsonLatency {
  readonly count: number
  readonly mean: number | null
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
  readonly p999: number | null
  readonly max: number | null
}

export interface JsonCluster {
  readonly name: string
  readonly balancer: string
  readonly source: string
  readonly sourceError: string | null
  readonly requests: number
  readonly failures: number
  readonly retries: number
  readonly retryBudget: number | null
  readonly inFlight: number
  readonly requestsPerSecond: number
  readonly successRate: number | null
  readonly endpoints: readonly JsonEndpoint[]
}

export interface JsonLimit {
  /** `listener http address`, `route api`, `cluster orders`. */
  readonly name: string
  readonly policy: LimitStatus['policy']
  readonly refused: number
  readonly limit: number | null
  readonly inFlight: number | null
  readonly queued: number | null
}

export interface JsonEndpoint {
  readonly address: string
  readonly hostname: string | null
  readonly weight: number
  readonly state: EndpointState
  readonly stateSince: number | null
  readonly health: EndpointHealth
  readonly healthReason: string | null
  readonly breaker: BreakerState
  readonly ejected: boolean
  readonly ejectedForMs: number | null
  readonly inFlight: number
  readonly requests: number
  readonly failures: number
  readonly requestsPerSecond: number
  readonly successRate: number | null
  readonly connections: { readonly idle: number; readonly leased: number }
  readonly latency: { readonly p50: number; readonly p99: number } | null
}

export interface JsonError {
  readonly time: number
  readonly where: string
  readonly code: string
  readonly message: string
  readonly route: string | null
  readonly upstream: string | null
  readonly requestId: string | null
}

export interface JsonConfig {
  readonly file: string | null
  readonly version: number
  readonly loadedAt: number
  readonly lastError: string | null
}

export interface JsonProcess {
  readonly residentBytes: number
  readonly heapUsedBytes: number
  /** Share of one core, of the last second. */
  readonly cpu: number
  /** Share of time in which the event loop worked, of the last second. */
  readonly loop: number
}

export interface SnapshotSources {
  readonly status: GatewayStatus
  readonly history: TrafficHistory
  readonly trends: EndpointTrends
  readonly process: ProcessMeter | undefined
  readonly clock: Clock
}

/** @param points how many seconds of history; all when left out */
export function takeSnapshot(sources: SnapshotSources, points?: number): AdminSnapshot {
  const { status, history, trends, clock } = sources
  const now = clock.now()
  const wallNow = clock.wallNow()
  const { file, version, loadedAtWall, lastError } = status.config
  return {
    now: wallNow,
    startedAt: status.startedAtWall,
    uptimeMs: Math.round(now - status.startedAt),
    phase: status.phase,
    version: status.version,
    totals: status.totals,
    requestsPerSecond: meanRate(history.points(RATE_SECONDS)),
    latency: jsonLatency(history.latency(now, LATENCY_WINDOW_MS)),
    listeners: status.listeners(),
    clusters: status.clusters().map((cluster) => jsonCluster(cluster, trends, now)),
    limits: status.limits().map(jsonLimit),
    caches: status.caches(),
    errors: status.recentErrors().slice(0, MAX_ERRORS).map(jsonError),
    config: { file: file ?? null, version, loadedAt: loadedAtWall, lastError: lastError ?? null },
    process: sources.process?.last ?? null,
    history: jsonHistory(history.points(points), wallNow - (now - history.endedAt)),
  }
}

/** CPU and event loop use between two samples. */
export class ProcessMeter {
  readonly #facts: ProcessFacts
  #at: number
  #cpuSeconds: number
  #loop: { readonly activeMs: number; readonly idleMs: number }
  last: JsonProcess

  constructor(facts: ProcessFacts, now: number) {
    this.#facts = facts
    this.#at = now
    this.#cpuSeconds = cpuOf(facts)
    this.#loop = facts.eventLoop()
    const { residentBytes, heapUsedBytes } = facts.memory()
    this.last = { residentBytes, heapUsedBytes, cpu: 0, loop: 0 }
  }

  sample(now: number): void {
    const elapsedMs = now - this.#at
    if (elapsedMs <= 0) return
    const cpuSeconds = cpuOf(this.#facts)
    const loop = this.#facts.eventLoop()
    const activeMs = loop.activeMs - this.#loop.activeMs
    const wholeMs = activeMs + loop.idleMs - this.#loop.idleMs
    const { residentBytes, heapUsedBytes } = this.#facts.memory()
    this.last = {
      residentBytes,
      heapUsedBytes,
      cpu: round(((cpuSeconds - this.#cpuSeconds) * 1_000) / elapsedMs),
      loop: wholeMs > 0 ? round(activeMs / wholeMs) : 0,
    }
    this.#at = now
    this.#cpuSeconds = cpuSeconds
    this.#loop = loop
  }
}

function jsonCluster(cluster: ClusterStatus, trends: EndpointTrends, now: number): JsonCluster {
  const { name, balancer, source, sourceError, requests, failures } = cluster
  const { retries, retryBudget, inFlight } = cluster
  const trend = trends.ofCluster(name)
  return {
    name,
    balancer,
    source,
    sourceError: sourceError ?? null,
    requests,
    failures,
    retries,
    retryBudget: orNull(retryBudget),
    inFlight,
    requestsPerSecond: round(trend.requestsPerSecond),
    successRate: orNull(trend.successRate),
    endpoints: cluster.endpoints.map((one) => jsonEndpoint(name, one, trends, now)),
  }
}

function jsonEndpoint(
  cluster: string,
  endpoint: EndpointStatus,
  trends: EndpointTrends,
  now: number,
): JsonEndpoint {
  const { address, hostname, weight, health, healthReason, breaker, ejected } = endpoint
  const { ejectedUntil, inFlight, requests, failures, connections, latencyMs } = endpoint
  const trend = trends.ofEndpoint(cluster, address)
  return {
    address,
    hostname: hostname ?? null,
    weight,
    state: stateOf(endpoint),
    stateSince: trend.stateSince ?? null,
    health,
    healthReason: healthReason ?? null,
    breaker,
    ejected,
    ejectedForMs: ejectedUntil === undefined ? null : Math.max(0, Math.round(ejectedUntil - now)),
    inFlight,
    requests,
    failures,
    requestsPerSecond: round(trend.requestsPerSecond),
    successRate: orNull(trend.successRate),
    connections,
    latency:
      latencyMs === undefined ? null : { p50: round(latencyMs.p50), p99: round(latencyMs.p99) },
  }
}

function jsonLimit(status: LimitStatus): JsonLimit {
  const { name, policy, refused } = status
  const [limit, inFlight, queued] = [status.limit, status.inFlight, status.queued].map(orNull)
  return {
    name,
    policy,
    refused,
    limit: limit ?? null,
    inFlight: inFlight ?? null,
    queued: queued ?? null,
  }
}

function jsonError(error: ReturnType<GatewayStatus['recentErrors']>[number]): JsonError {
  const { wallTime, where, code, message, route, upstream, requestId } = error
  return {
    time: wallTime,
    where,
    code,
    message,
    route: route ?? null,
    upstream: upstream ?? null,
    requestId: requestId ?? null,
  }
}

function jsonLatency(summary: LatencySummary): JsonLatency {
  const { count, meanMs, p50Ms, p90Ms, p99Ms, p999Ms, maxMs } = summary
  return {
    count,
    mean: orNull(meanMs),
    p50: orNull(p50Ms),
    p90: orNull(p90Ms),
    p99: orNull(p99Ms),
    p999: orNull(p999Ms),
    max: orNull(maxMs),
  }
}

function jsonHistory(points: readonly TrafficPoint[], end: number): JsonHistory {
  return {
    stepMs: 1_000,
    end: Math.round(end),
    requests: points.map((point) => point.requests),
    clientErrors: points.map((point) => point.clientErrors),
    serverErrors: points.map((point) => point.serverErrors),
    p50: points.map((point) => orNull(point.p50Ms)),
    p90: points.map((point) => orNull(point.p90Ms)),
    p99: points.map((point) => orNull(point.p99Ms)),
    connections: points.map((point) => point.connections),
    active: points.map((point) => point.active),
    retries: points.map((point) => point.retries),
  }
}

function meanRate(points: readonly TrafficPoint[]): number {
  if (points.length === 0) return 0
  return round(points.reduce((sum, point) => sum + point.requests, 0) / points.length)
}

function cpuOf(facts: ProcessFacts): number {
  const { user, system } = facts.cpuSeconds()
  return user + system
}

/** Microseconds are enough, and make a third of the text. */
function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}

function orNull(value: number | undefined): number | null {
  return value === undefined ? null : round(value)
}

const RATE_SECONDS = 10
const LATENCY_WINDOW_MS = 60_000
/** What a page shows; `/clusters` and logs have the rest. */
const MAX_ERRORS = 50
