/**
 * The gateway's status as metrics. Requests are counted as they end; everything else is read from
 * the status when somebody collects, so that it costs the traffic nothing. Names: docs/telemetry.md.
 */
import type { Attributes, Histogram } from '../../core/metrics.ts'
import type { ProcessFacts } from '../../core/process-facts.ts'
import { grpcStatusName } from '../../protocols/grpc/status.ts'
import { HttpDurations } from '../../telemetry/call-metrics.ts'
import { ObserverGroup } from '../../telemetry/observer-group.ts'
import { observeProcess } from '../../telemetry/process-metrics.ts'
import type { Registry } from '../../telemetry/registry.ts'
import { GrpcMethods } from '../grpc/grpc-methods.ts'
import type {
  CacheStatus,
  ClusterStatus,
  EndpointStatus,
  GatewayStatus,
  GrpcRecord,
  LimitStatus,
  RequestRecord,
} from '../status.ts'

export class GatewayMetrics implements Disposable {
  readonly #registry: Registry
  readonly #status: GatewayStatus
  /** By listener, route and cluster. Emptied when the configuration changes. */
  readonly #durations = new Map<string, Map<string, Map<string, HttpDurations>>>()
  readonly #grpcMethods = new GrpcMethods()
  /** By route, method and status: methods are bounded, statuses are seventeen. */
  readonly #grpcDurations = new Map<string, Histogram>()
  readonly #observers: ObserverGroup
  #configVersion: number

  constructor(registry: Registry, status: GatewayStatus, process?: ProcessFacts) {
    this.#registry = registry
    this.#status = status
    this.#configVersion = status.config.version
    this.#observers = new ObserverGroup(registry)
    observeGateway(this.#observers, status)
    observeListeners(this.#observers, status)
    const clusters = oncePerTurn(() => status.clusters())
    observeClusters(this.#observers, clusters)
    observeEndpoints(this.#observers, clusters)
    observeLimits(this.#observers, status)
    observeCaches(this.#observers, status)
    observeAudit(this.#observers, status)
    if (process !== undefined) observeProcess(this.#observers, process)
  }

  /** A successor on the same registry goes on where this one stopped. */
  [Symbol.dispose](): void {
    this.#observers[Symbol.dispose]()
  }

  record(request: RequestRecord): void {
    const { listener, route = NO_NAME, cluster = NO_NAME, method, status } = request
    const durations =
      this.#durations.get(listener)?.get(route)?.get(cluster) ??
      this.#bind(listener, route, cluster)
    durations.record(method, status, request.durationSeconds, request.trace)
    if (request.grpc !== undefined) this.#recordGrpc(request, request.grpc)
  }

  #recordGrpc({ route = NO_NAME, durationSeconds, trace }: RequestRecord, grpc: GrpcRecord): void {
    const { path, status, answered } = grpc
    const method = this.#grpcMethods.nameOf(path, status, answered)
    const key = `${route} ${method} ${status}`
    let histogram = this.#grpcDurations.get(key)
    if (histogram === undefined) {
      histogram = this.#registry.histogram(
        GRPC_DURATION,
        { unit: 's', description: 'Duration of gRPC calls, to their last trailer.' },
        {
          'rpc.system.name': 'grpc',
          'rpc.method': method,
          'rpc.response.status_code': grpcStatusName(status),
          'heddle.route': route,
        },
      )
      this.#grpcDurations.set(key, histogram)
    }
    histogram.record(durationSeconds, trace)
  }

  /** Once in a while: forgets what the configuration no longer has. */
  tidy(): void {
    const { version } = this.#status.config
    if (version === this.#configVersion) return
    this.#configVersion = version
    this.#durations.clear()
    this.#grpcDurations.clear()
    const listeners = new Set(this.#status.listeners().map((one) => one.name))
    const clusters = new Set(this.#status.clusters().map((one) => one.name)).add(NO_NAME)
    this.#registry.removeSeries((name, attributes) => {
      const cluster = attributes['heddle.cluster'] ?? attributes['db.client.connection.pool.name']
      if (cluster !== undefined && !clusters.has(String(cluster))) return true
      return name === REQUEST_DURATION && !listeners.has(String(attributes['heddle.listener']))
    })
  }

  #bind(listener: string, route: string, cluster: string): HttpDurations {
    const found = this.#status.listeners().find((one) => one.name === listener)
    const durations = new HttpDurations(
      this.#registry,
      REQUEST_DURATION,
      'Duration of HTTP server requests.',
      {
        'heddle.listener': listener,
        'heddle.route': route,
        'heddle.cluster': cluster,
        'url.scheme': found?.transport === 'tls' ? 'https' : 'http',
      },
      500,
    )
    const routes = getOrMake(this.#durations, listener, () => new Map())
    getOrMake(routes, route, () => new Map<string, HttpDurations>()).set(cluster, durations)
    return durations
  }
}

function observeGateway(group: ObserverGroup, status: GatewayStatus): void {
  const { gauge, counter } = observersOf(group)
  gauge('heddle.build.info', '', 'Version of heddle, as a label of a constant 1.', (report) =>
    report(1, { version: status.version }),
  )
  gauge('heddle.gateway.started', 's', 'When the gateway started, since the epoch.', (report) =>
    report(status.startedAtWall / 1_000),
  )
  gauge('heddle.gateway.phase', '', '1 for the phase the gateway is in.', (report) => {
    for (const phase of PHASES) report(status.phase === phase ? 1 : 0, { phase })
  })
  gauge('heddle.config.version', '', 'Raised by each successful reload.', (report) =>
    report(status.config.version),
  )
  gauge('heddle.config.reload.failing', '', '1 while the file on disk is broken.', (report) =>
    report(status.config.lastError === undefined ? 0 : 1),
  )
  counter('heddle.gateway.retries', '{attempt}', 'Attempts after the first.', (report) =>
    report(status.totals.retries),
  )
  counter('heddle.gateway.client.aborts', '{request}', 'Requests the client gave up.', (report) =>
    report(status.totals.clientAborts),
  )
  counter('heddle.gateway.responses', '{response}', 'Answers by class; none: 0.', (report) => {
    for (const [index, count] of status.totals.statusClasses.entries()) {
      report(count, { class: index === 0 ? 'none' : `${index}xx` })
    }
  })
}

function observeAudit(group: ObserverGroup, status: GatewayStatus): void {
  const { gauge, counter } = observersOf(group)
  const each =
    (read: (stats: NonNullable<ReturnType<GatewayStatus['auditStats']>>) => number): Collect =>
    (report) => {
      const stats = status.auditStats()
      if (stats !== undefined) report(read(stats))
    }
  counter(
    'heddle.audit.records',
    '{record}',
    'Records of the audit log.',
    each((stats) => stats.records),
  )
  counter(
    'heddle.audit.dropped',
    '{record}',
    'Records there was no room for.',
    each((stats) => stats.dropped),
  )
  gauge(
    'heddle.audit.failing',
    '',
    '1 while the audit log cannot be written.',
    each((stats) => (stats.failing ? 1 : 0)),
  )
}

function observeListeners(group: ObserverGroup, status: GatewayStatus): void {
  const { gauge, counter } = observersOf(group)
  const each =
    (read: (listener: ReturnType<GatewayStatus['listeners']>[number]) => number): Collect =>
    (report) => {
      for (const listener of status.listeners()) {
        const { name, transport } = listener
        report(read(listener), { 'heddle.listener': name, 'network.transport': transport })
      }
    }
  gauge(
    'http.server.active_requests',
    '{request}',
    'HTTP server requests in progress.',
    each((listener) => listener.activeRequests),
  )
  gauge(
    'heddle.listener.connections',
    '{connection}',
    'Connections that are open.',
    each((listener) => listener.openConnections),
  )
  counter(
    'heddle.listener.accepted',
    '{connection}',
    'Connections ever accepted.',
    each((listener) => listener.totalConnections),
  )
  counter(
    'heddle.listener.refused',
    '{connection}',
    'Connections refused by address or number, before anything was read.',
    each((listener) => listener.refusedConnections),
  )
  counter(
    'heddle.listener.errors',
    '{error}',
    'Accept and handshake errors, unknown protocols, refused PROXY headers.',
    each((listener) => listener.errors),
  )
}

function observeClusters(group: ObserverGroup, clusters: Clusters): void {
  const { gauge, counter } = observersOf(group)
  const each =
    (read: (cluster: ClusterStatus) => number | undefined): Collect =>
    (report) => {
      for (const cluster of clusters()) {
        const value = read(cluster)
        if (value !== undefined) report(value, { 'heddle.cluster': cluster.name })
      }
    }
  counter(
    'heddle.cluster.requests',
    '{request}',
    'Calls, each counted once however often it was tried.',
    each((cluster) => cluster.requests),
  )
  counter(
    'heddle.cluster.failures',
    '{request}',
    'Calls that failed after all attempts.',
    each((cluster) => cluster.failures),
  )
  counter(
    'heddle.cluster.retries',
    '{attempt}',
    'Attempts after the first.',
    each((cluster) => cluster.retries),
  )
  gauge(
    'heddle.cluster.in_flight',
    '{request}',
    'Calls in progress.',
    each((cluster) => cluster.inFlight),
  )
  gauge(
    'heddle.cluster.retry_budget',
    '1',
    'What is left of the retry budget.',
    each((cluster) => cluster.retryBudget),
  )
  gauge(
    'heddle.cluster.source_up',
    '',
    'Whether the source of its endpoints answers: 1, or 0 while the last known ones are used.',
    each((cluster) => (cluster.sourceError === undefined ? 1 : 0)),
  )
}

function observeLimits(group: ObserverGroup, status: GatewayStatus): void {
  const { gauge, counter } = observersOf(group)
  const limits = oncePerTurn(() => status.limits())
  const each =
    (read: (limit: LimitStatus) => number | undefined): Collect =>
    (report) => {
      for (const limit of limits()) {
        const value = read(limit)
        if (value === undefined) continue
        report(value, { 'heddle.load.policy': limit.policy, 'heddle.load.limit': limit.name })
      }
    }
  counter(
    'heddle.load.refused',
    '{request}',
    'What a limit refused.',
    each((limit) => limit.refused),
  )
  gauge(
    'heddle.load.concurrency.limit',
    '{request}',
    'Requests that may be in progress.',
    each((limit) => limit.limit),
  )
  gauge(
    'heddle.load.concurrency.in_flight',
    '{request}',
    'Requests that have a place.',
    each((limit) => limit.inFlight),
  )
  gauge(
    'heddle.load.queued',
    '{request}',
    'Requests that wait.',
    each((limit) => limit.queued),
  )
}

function observeCaches(group: ObserverGroup, status: GatewayStatus): void {
  const { gauge, counter } = observersOf(group)
  const each =
    (tell: (cache: CacheStatus, report: Report) => void): Collect =>
    (report) => {
      for (const cache of status.caches()) {
        const own = { 'heddle.cache': cache.name }
        tell(cache, (value, further) => report(value, { ...own, ...further }))
      }
    }
  counter(
    'heddle.cache.requests',
    '{request}',
    'By what the cache had.',
    each((cache, report) => {
      report(cache.hits, { result: 'hit' })
      report(cache.stale, { result: 'stale' })
      report(cache.misses, { result: 'miss' })
      report(cache.bypassed, { result: 'bypass' })
    }),
  )
  counter(
    'heddle.cache.responses',
    '{response}',
    'What became of responses of the cluster, and of stored ones.',
    each((cache, report) => {
      for (const event of CACHE_EVENTS) report(cache[event], { event })
    }),
  )
  gauge(
    'heddle.cache.entries',
    '{response}',
    'Responses that are stored.',
    each((cache, report) => report(cache.entries)),
  )
  gauge(
    'heddle.cache.bytes',
    'By',
    'What they take, and those that are arriving.',
    each((cache, report) => {
      report(cache.bytes, { state: 'stored' })
      report(cache.arrivingBytes, { state: 'arriving' })
    }),
  )
}

function observeEndpoints(group: ObserverGroup, clusters: Clusters): void {
  const { gauge, counter } = observersOf(group)
  const each =
    (tell: (endpoint: EndpointStatus, report: Report) => void): Collect =>
    (report) => {
      for (const { name, endpoints } of clusters()) {
        for (const endpoint of endpoints) {
          const own = { 'heddle.cluster': name, 'heddle.endpoint': endpoint.address }
          tell(endpoint, (value, further) => report(value, { ...own, ...further }))
        }
      }
    }
  counter(
    'heddle.endpoint.requests',
    '{attempt}',
    'Attempts sent to the endpoint.',
    each((endpoint, report) => report(endpoint.requests)),
  )
  counter(
    'heddle.endpoint.failures',
    '{attempt}',
    'Attempts that failed.',
    each((endpoint, report) => report(endpoint.failures)),
  )
  gauge(
    'heddle.endpoint.in_flight',
    '{attempt}',
    'Attempts in progress.',
    each((endpoint, report) => report(endpoint.inFlight)),
  )
  gauge(
    'heddle.endpoint.connections',
    '{connection}',
    'Connections by state.',
    each(({ connections }, report) => {
      report(connections.idle, { state: 'idle' })
      report(connections.leased, { state: 'leased' })
    }),
  )
  gauge(
    'heddle.endpoint.healthy',
    '',
    'Result of active health checks: 1 or 0; absent while unknown.',
    each(({ health }, report) => {
      if (health !== 'unknown') report(health === 'healthy' ? 1 : 0)
    }),
  )
  gauge(
    'heddle.endpoint.ejected',
    '',
    '1 while passive checks keep it out.',
    each((endpoint, report) => report(endpoint.ejected ? 1 : 0)),
  )
  gauge(
    'heddle.endpoint.breaker',
    '',
    '1 for the state the breaker is in.',
    each(({ breaker }, report) => {
      for (const state of BREAKER_STATES) report(breaker === state ? 1 : 0, { state })
    }),
  )
}

type Clusters = () => readonly ClusterStatus[]
type Report = (value: number, attributes?: Attributes) => void
type Collect = (report: Report) => void
type Observe = (name: string, unit: string, description: string, collect: Collect) => void

function observersOf(group: ObserverGroup): { gauge: Observe; counter: Observe } {
  return {
    gauge: (name, unit, description, collect) => group.gauge(name, { unit, description }, collect),
    counter: (name, unit, description, collect) =>
      group.counter(name, { unit, description }, collect),
  }
}

/** A scrape asks a dozen times within one turn; latencies are not worth computing each time. */
function oncePerTurn<Value>(read: () => Value): () => Value {
  let kept: { value: Value } | undefined
  return () => {
    if (kept === undefined) {
      kept = { value: read() }
      queueMicrotask(() => {
        kept = undefined
      })
    }
    return kept.value
  }
}

function getOrMake<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}

const GRPC_DURATION = 'rpc.server.call.duration'
const REQUEST_DURATION = 'http.server.request.duration'
/** Of a request that no route matched, or that no cluster answered. */
const NO_NAME = ''
const PHASES = ['starting', 'ready', 'draining', 'stopped'] as const
const CACHE_EVENTS = ['stored', 'revalidated', 'collapsed', 'invalidated', 'evicted'] as const
const BREAKER_STATES = ['closed', 'open', 'half-open'] as const
