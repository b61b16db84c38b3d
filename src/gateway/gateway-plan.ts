/**
 * From a checked configuration to the parts of a gateway: clusters, and what each listener does.
 *
 * Nothing here listens or is seen by traffic: a reload prepares everything first, and only then
 * replaces what is there. A cluster whose configuration (and whose files) did not change is kept,
 * with its pools, breakers and history.
 */
import { alpnOf } from '../clients/http/connect-http.ts'
import type { Clock, Random } from '../core/clock.ts'
import { callDefaults } from '../core/context.ts'
import type { Host } from '../core/host.ts'
import type { Meter } from '../core/metrics.ts'
import type { Resolver } from '../core/policy.ts'
import type { Tracer } from '../core/tracing.ts'
import type { Transport } from '../core/transport.ts'
import type { HttpRequest } from '../protocols/http/messages.ts'
import type { OverloadChange } from '../runtime/load-host.ts'
import type { TimerWheel } from '../runtime/timer-wheel.ts'
import { addressList } from '../security/address-list.ts'
import type { Logger } from '../telemetry/log.ts'
import { AccessPlans } from './access/access-plans.ts'
import { type AccessSources, principalHeaders } from './access/authentication-plan.ts'
import { RouteCaches } from './caching/route-caches.ts'
import { durationMs, sizeBytes } from './config/quantity.ts'
import { type ClusterConfig, cluster as clusterSchema } from './config/schema/cluster.ts'
import type { GatewayConfig } from './config/schema/gateway.ts'
import type { ListenerConfig } from './config/schema/listener.ts'
import type { DemoUpstreams } from './demo/demo-upstreams.ts'
import {
  filesOfAccess,
  filesOfListenerTls,
  filesOfUpstreamTls,
  type GatewayFiles,
} from './gateway-files.ts'
import { Forwarder } from './http/forwarding.ts'
import { admitted, ProxiedRequest } from './http/http-proxy.ts'
import { compileRoutes } from './http/http-route.ts'
import { attemptTracer, RequestTracing } from './http/request-tracing.ts'
import type { ListenerPlan } from './listening/gateway-listener.ts'
import { compileRawRoutes } from './listening/raw-connection.ts'
import { GatewayLimits } from './load/gateway-limits.ts'
import { slowRequests } from './logging/slow-requests.ts'
import type { LimitStatus } from './status.ts'
import type { GatewayTransports } from './transports.ts'
import { Cluster, type ClusterEvent } from './upstream/cluster.ts'
import { clusterCredentials, filesOfCredentials } from './upstream/cluster-credentials.ts'
import { fixedPartOf } from './upstream/cluster-pools.ts'

export interface PlanEnvironment {
  readonly clock: Clock
  readonly random: Random
  readonly host: Host
  readonly wheel: TimerWheel
  readonly names: (maxTtlMs: number) => Resolver
  readonly transports: GatewayTransports
  readonly demo: DemoUpstreams | undefined
  /** Our name in Via where the configuration gives none. */
  readonly via: string
  readonly newRequestId: () => string
  readonly onClusterEvent: (event: ClusterEvent) => void
  /** Requests have waited for a place for too long, or no longer do. */
  readonly onOverload: (change: OverloadChange) => void
  readonly onRetry: () => void
  /** Gives no spans while no SDK is registered. */
  readonly tracer: Tracer
  readonly meter: Meter
  readonly log: Logger
  /** The audit log; undefined: none. */
  readonly accessObserver?: AccessSources['observer']
}

/** A cluster with what it was made from, and what it is to be told when the plan is used. */
export interface PlannedCluster {
  readonly key: string
  readonly config: ClusterConfig
  readonly cluster: Cluster
}

export interface GatewayPlan {
  readonly config: GatewayConfig
  readonly files: GatewayFiles
  readonly clusters: ReadonlyMap<string, PlannedCluster>
  readonly listeners: readonly ListenerPlan[]
  readonly access: AccessPlans
  readonly limits: GatewayLimits
  readonly caches: RouteCaches
}

/** @param before what may be kept of it: clusters, access plans, counts of limits, caches */
export async function makePlan(
  config: GatewayConfig,
  files: GatewayFiles,
  environment: PlanEnvironment,
  before: Pick<GatewayPlan, 'clusters' | 'access' | 'limits' | 'caches'> | undefined,
): Promise<GatewayPlan> {
  const { clock, accessObserver: observer } = environment
  const access = new AccessPlans(files, { clock, observer }, before?.access)
  const clusters = new Map<string, PlannedCluster>()
  const made: Cluster[] = []
  const { wheel, random, onOverload } = environment
  const limits = new GatewayLimits({ wheel, random, onOverload }, before?.limits)
  const caches = new RouteCaches(clock, before?.caches)
  try {
    for (const one of [...config.clusters, ...demoClusters(environment.demo)]) {
      const named = [...filesOfUpstreamTls(one.tls), ...filesOfCredentials(one.credentials)]
      const key = JSON.stringify(fixedPartOf(one)) + files.fingerprint(named)
      const kept = before?.clusters.get(one.name)
      if (kept?.key === key) {
        clusters.set(one.name, { ...kept, config: one })
        continue
      }
      const cluster = await makeCluster(one, files, environment)
      made.push(cluster)
      clusters.set(one.name, { key, config: one, cluster })
    }
    const find = (name: string): Cluster => {
      const found = clusters.get(name)
      // checkReferences has seen every name.
      if (found === undefined) throw new Error(`no cluster ${name}`)
      return found.cluster
    }
    const listeners = config.listeners.map((listener) => {
      return planListener(listener, config, files, environment, find, access, limits, caches)
    })
    return { config, files, clusters, listeners, access, limits, caches }
  } catch (error) {
    access.closeUnless(before?.access)
    await Promise.all(made.map((cluster) => cluster.close()))
    throw error
  }
}

/** Every limit of listeners, routes and clusters, with what it did. */
export function limitsOf({ limits, clusters }: GatewayPlan): LimitStatus[] {
  const ofClusters = [...clusters.values()].flatMap(({ cluster }) => cluster.limits())
  return [...limits.status(), ...ofClusters]
}

/** What a listener is bound to: when it changes, the listener must be made anew. */
export function bindKey({ config }: ListenerPlan): string {
  const { address, tls, socket_mode, max_connections, max_connections_per_address } = config
  const staged = config.protocol === 'detect' || config.proxy_protocol.mode !== 'off'
  const limits = [max_connections, max_connections_per_address ?? null]
  return JSON.stringify([address, tls !== undefined, socket_mode ?? null, staged, limits])
}

/** What its files hold: changed certificates are changes, without another word in the file. */
export function contentKey({ config }: ListenerPlan, files: GatewayFiles): string {
  const access = [config, ...(config.routes ?? [])].flatMap(filesOfAccess)
  return files.fingerprint([...filesOfListenerTls(config.tls), ...access])
}

// size: one object, what a listener is told; each line of it has its own place in the file.
function planListener(
  config: ListenerConfig,
  whole: GatewayConfig,
  files: GatewayFiles,
  environment: PlanEnvironment,
  find: (name: string) => Cluster,
  access: AccessPlans,
  limits: GatewayLimits,
  caches: RouteCaches,
): ListenerPlan {
  const { forwarding, paths } = config
  const where = `listener ${config.name}`
  const authentication = access.authentication(where, config.authentication)
  const authorization = access.authorization(where, config.authorization)
  // Routes that all listeners share are one route, with one limit.
  const routes = config.routes === undefined ? 'route' : `${where} route`
  const listenerLimiter = limits.concurrency(where, config.concurrency, priorityOf)
  const router = compileRoutes(config.routes ?? whole.routes, {
    upstream: find,
    fileText: (name) => files.text(name),
    access: (route, name) => access.ofRoute(`${where}, route ${name}`, route, config),
    limits: (route, name) => ({
      rateLimit: limits.rateLimits(`${routes} ${name}`, route.rate_limits),
      bulkhead: limits.bulkhead(`${routes} ${name}`, route.bulkhead),
      limiter: limits.concurrency(`${routes} ${name}`, route.concurrency, priorityOf),
      listenerLimiter,
    }),
    cache: (route, name) => caches.ofRoute(`${routes} ${name}`, route.cache),
    transcoding: ({ transcode }) => transcode && files.transcoding(transcode).wrap,
  })
  return {
    config,
    admits: addressList(config),
    mayConnect: authorization?.admission(config.name, authentication?.principalOf),
    connectionRate: limits.connectionRate(where, config.connection_rate_limit),
    http: {
      router,
      forwarder: new Forwarder(
        {
          trustedHops: forwarding.trusted_hops,
          xForwarded: forwarding.x_forwarded,
          forwarded: forwarding.forwarded,
          via: forwarding.via ?? environment.via,
          requestIdHeader: forwarding.request_id.toLowerCase(),
          trustRequestId: forwarding.trust_request_id,
        },
        environment.newRequestId,
      ),
      paths: {
        dotSegments: paths.dot_segments,
        doubleSlashes: paths.double_slashes,
        encodedSlashes: paths.encoded_slashes,
        backslashes: paths.backslashes,
      },
      maxRequestBytes:
        config.max_request_body === undefined
          ? Number.POSITIVE_INFINITY
          : sizeBytes(config.max_request_body),
      maxInFlight: config.max_requests_in_flight,
      tracing: new RequestTracing({
        config: config.tracing,
        listener: config.name,
        sdk: environment.tracer,
        random: environment.random,
        slow: slowRequests(whole.slow_log, config.name, environment),
        trustDeadline: config.forwarding.trust_deadline,
      }),
      principalHeaders: allPrincipalHeaders(whole),
      admission: admitted(limits.rateLimits(where, config.rate_limits)),
      clientPriority: config.client_priority,
    },
    raw: compileRawRoutes(config.raw_routes, find),
  }
}

/** Of the whole gateway: an upstream behind two routes must not be told by a client what one says. */
function allPrincipalHeaders({ listeners, routes }: GatewayConfig): string[] {
  const all = [...listeners, ...routes, ...listeners.flatMap((listener) => listener.routes ?? [])]
  return [...new Set(all.flatMap(({ authentication }) => principalHeaders(authentication)))]
}

/** As its route and its client say. */
function priorityOf({ note }: HttpRequest): number {
  return note instanceof ProxiedRequest ? note.priority : callDefaults.priority
}

async function makeCluster(
  config: ClusterConfig,
  files: GatewayFiles,
  environment: PlanEnvironment,
): Promise<Cluster> {
  const { clock, random, host, wheel, names, transports, demo, onClusterEvent } = environment
  const isDemo = demo?.clusters.some(({ name }) => name === config.name) === true
  const plain: Transport =
    isDemo && demo !== undefined ? demo.transport : transports.plain(undefined)
  const { tls } = config
  const alpn = alpnOf(config.http_version)
  return new Cluster({
    config,
    clock,
    random,
    host,
    wheel,
    names: names(durationMs(config.dns_refresh)),
    plain,
    transport: tls === undefined ? plain : await transports.clientTls(tls, files, undefined, alpn),
    secure:
      tls === undefined ? undefined : (inner) => transports.clientTls(tls, files, inner, alpn),
    credentials:
      config.credentials &&
      clusterCredentials(config.credentials, clock, (name) => files.text(name)),
    onEvent: onClusterEvent,
    onRetry: environment.onRetry,
    tracer: attemptTracer(environment.tracer, random),
    meter: environment.meter,
  })
}

/** The demo's upstreams, with what makes them worth watching. */
function demoClusters(demo: DemoUpstreams | undefined): ClusterConfig[] {
  return (demo?.clusters ?? []).map(({ name, endpoints }) => {
    const checked = clusterSchema.parse({
      name,
      endpoints: ['127.0.0.1:1'],
      health_checks: name === 'demo-api' ? [{ path: '/hello', interval: '2s' }] : [],
      outlier_detection: { consecutive_failures: 8, base_ejection_time: '3s' },
      circuit_breakers: { consecutive_failures: 4 },
      // The default looks at latency and goes around an endpoint before its breaker opens.
      ...(name === 'demo-flaky' && { lb_policy: 'round_robin' }),
    })
    return { ...checked, endpoints: endpoints.map((endpoint) => `mem:${endpoint.name}`) }
  })
}
