/**
 * A `GatewayStatus` whose every value a test sets by hand.
 */
import type {
  CacheStatus,
  ClusterStatus,
  EndpointStatus,
  GatewayStatus,
  LimitStatus,
  ListenerStatus,
  RecentError,
  ReloadOutcome,
  RequestRecord,
} from '../../src/gateway/status.ts'

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

export class StubGatewayStatus implements GatewayStatus {
  startedAt = 0
  startedAtWall = 1_767_225_600_000
  phase: GatewayStatus['phase'] = 'ready'
  version = '0.1.0'
  totals: Mutable<GatewayStatus['totals']> = {
    requests: 0,
    statusClasses: [0, 0, 0, 0, 0, 0],
    activeRequests: 0,
    openConnections: 0,
    totalConnections: 0,
    rawConnections: 0,
    retries: 0,
    clientAborts: 0,
  }
  listenerList: ListenerStatus[] = [stubListener({})]
  clusterList: ClusterStatus[] = []
  limitList: LimitStatus[] = []
  cacheList: CacheStatus[] = []
  errorList: RecentError[] = []
  config: Mutable<GatewayStatus['config']> = {
    file: 'gateway.yaml',
    text: 'listeners: []\n',
    version: 1,
    loadedAtWall: 1_767_225_600_000,
    lastError: undefined,
  }
  onRequest: ((record: RequestRecord) => void) | undefined
  drains = 0
  /** What `finish` takes as the time; tests with a clock of their own set it. */
  now: () => number = () => 0
  reloadOutcome: ReloadOutcome = { status: 'unchanged', version: 1 }

  listeners(): readonly ListenerStatus[] {
    return this.listenerList
  }

  clusters(): readonly ClusterStatus[] {
    return this.clusterList
  }

  limits(): readonly LimitStatus[] {
    return this.limitList
  }

  caches(): readonly CacheStatus[] {
    return this.cacheList
  }

  auditStats(): ReturnType<GatewayStatus['auditStats']> {
    return { records: 3, dropped: 0, queuedBytes: 0, failing: false }
  }

  recentErrors(): readonly RecentError[] {
    return this.errorList
  }

  explain(): string {
    return 'cluster api\n  1 metrics\n'
  }

  async drain(): Promise<void> {
    this.drains++
    this.phase = 'draining'
  }

  async reload(): Promise<ReloadOutcome> {
    return this.reloadOutcome
  }

  /** A request ends. */
  finish(record: Partial<RequestRecord>): void {
    this.onRequest?.({
      listener: 'http',
      route: 'api',
      cluster: 'api',
      method: 'GET',
      status: 200,
      durationSeconds: 0.002,
      endedAt: this.now(),
      trace: undefined,
      ...record,
    })
  }
}

export function stubListener(values: Partial<ListenerStatus>): ListenerStatus {
  return {
    name: 'http',
    address: '127.0.0.1:8080',
    transport: 'tcp',
    protocol: 'http',
    state: 'listening',
    openConnections: 0,
    totalConnections: 0,
    refusedConnections: 0,
    requests: 0,
    activeRequests: 0,
    errors: 0,
    ...values,
  }
}

export function stubCluster(values: Partial<ClusterStatus>): ClusterStatus {
  return {
    name: 'api',
    balancer: 'p2c',
    source: '1 configured',
    sourceError: undefined,
    requests: 0,
    failures: 0,
    retries: 0,
    retryBudget: 1,
    inFlight: 0,
    endpoints: [],
    ...values,
  }
}

export function stubEndpoint(values: Partial<EndpointStatus>): EndpointStatus {
  return {
    address: '127.0.0.1:9001',
    hostname: undefined,
    weight: 1,
    health: 'healthy',
    healthReason: undefined,
    breaker: 'closed',
    ejected: false,
    ejectedUntil: undefined,
    inFlight: 0,
    requests: 0,
    failures: 0,
    connections: { idle: 0, leased: 0 },
    latencyMs: undefined,
    ...values,
  }
}
