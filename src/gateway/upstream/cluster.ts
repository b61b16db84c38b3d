/**
 * A cluster: the endpoints of one upstream with everything that stands in front of them.
 *
 *     call → client stack (runtime/stack) → endpoint → HTTP/1.1 connection over the transport
 *                 │                             ▴
 *             balancer ◂── health ◂── active checks
 *
 * A reload that changes nothing about a cluster keeps it, its pools and its history.
 */

import { channelObserver } from '../../clients/telemetry/channel-observer.ts'
import type { Clock, Random } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import type { CallContext } from '../../core/context.ts'
import { OverloadError, toError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { Meter } from '../../core/metrics.ts'
import type { Endpoint, Pick as Picked, Resolver } from '../../core/policy.ts'
import type { MaybePromise } from '../../core/service.ts'
import type { Tracer } from '../../core/tracing.ts'
import type { Transport } from '../../core/transport.ts'
import { type HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import type { ContextWriter } from '../../protocols/http/propagation.ts'
import { type ClientCore, createClient } from '../../runtime/client.ts'
import { combineObservers } from '../../runtime/client-observers.ts'
import { endpointKey } from '../../runtime/endpoint-set.ts'
import type { EndpointStack } from '../../runtime/endpoint-stack.ts'
import type { ConnectContext } from '../../runtime/exchanger.ts'
import { type Settlement, settle } from '../../runtime/settle.ts'
import { explainText } from '../../runtime/stack/explain.ts'
import type { TimerWheel } from '../../runtime/timer-wheel.ts'
import { wheelClock } from '../../runtime/wheel-clock.ts'
import { durationMs, sizeBytes } from '../config/quantity.ts'
import type { ClusterConfig } from '../config/schema/cluster.ts'
import { keepGrpcMessages } from '../grpc/grpc-retries.ts'
import { HealthChecker } from '../health/health-checker.ts'
import { connectProbe, httpProbe } from '../health/probes.ts'
import { ProxiedRequest } from '../http/http-proxy.ts'
import type { Upstream } from '../http/http-route.ts'
import { attemptContextWriter } from '../http/request-tracing.ts'
import type { ClusterStatus, EndpointStatus, LimitStatus } from '../status.ts'
import { balancerOf, balancingOf } from './cluster-balancing.ts'
import { clusterClassifier } from './cluster-classifier.ts'
import type { ClusterCredentials } from './cluster-credentials.ts'
import { discoverySource, sourceOf } from './cluster-discovery.ts'
import { limitsOf, loadOf } from './cluster-load.ts'
import { policiesOf } from './cluster-policies.ts'
import { pingOf, poolLimitsOf } from './cluster-pools.ts'
import { clusterResolver } from './cluster-resolver.ts'
import { telemetryOf } from './cluster-telemetry.ts'
import { ClusterHealth, type HealthEvent } from './endpoint-health.ts'
import { type HttpExchanger, OneCallExchanger, sendProxyHeader } from './proxy-header-connect.ts'
import { keepSmallBodies } from './replayable-body.ts'
import { capacityOf, speakHttp } from './speak-http.ts'

export interface ClusterOptions {
  readonly config: ClusterConfig
  readonly clock: Clock
  readonly random: Random
  readonly host: Host
  readonly wheel: TimerWheel
  /** Resolves host names. */
  readonly names: Resolver
  /** Plain connections, before TLS: a PROXY header goes first. */
  readonly plain: Transport
  /** What HTTP is spoken over: `plain`, or TLS. */
  readonly transport: Transport
  /** TLS over a connection on which the header was sent already. */
  readonly secure?: ((inner: Transport) => Promise<Transport>) | undefined
  /** What is shown to the endpoints. */
  readonly credentials?: ClusterCredentials | undefined
  readonly onEvent: (event: ClusterEvent) => void
  readonly onRetry: () => void
  /** Makes a span for each attempt of a request that has one. */
  readonly tracer: Tracer
  /** Attempts, pools and what happens to the client are counted in it. */
  readonly meter: Meter
}

export type ClusterEvent =
  | (HealthEvent & { readonly cluster: string })
  | {
      readonly cluster: string
      readonly type: 'breaker' | 'unresolved' | 'connect-failed' | 'clock-jump'
      readonly endpoint: string | undefined
      readonly reason: string
      readonly error: Error | undefined
    }

/** A layer-4 connection; whoever has it calls `release` once, when it is over. */
export interface RawUpstream {
  readonly connection: Connection
  release(): void
}

export class Cluster implements Upstream {
  readonly name: string
  config: ClusterConfig
  readonly client: ClientCore<HttpRequest, HttpResponse>
  #options: ClusterOptions
  readonly #health: ClusterHealth
  readonly #checkers = new Map<string, HealthChecker>()
  readonly #counter: Settlement<HttpResponse>
  readonly #service: HttpService
  readonly #contextWriter: Pick<ContextWriter, 'write'>
  #requests = 0
  #failures = 0
  retries = 0
  /** Layer-4 connections to endpoints now, and ever. */
  rawInFlight = 0

  constructor(options: ClusterOptions) {
    const { config, onEvent } = options
    this.#options = options
    this.config = config
    this.name = config.name
    this.#contextWriter = attemptContextWriter(config.deadline_header)
    this.#health = new ClusterHealth((event) => {
      const { endpoint, type } = event
      if (type === 'healthy' || type === 'unhealthy') this.#applyHealth(endpoint)
      onEvent({ ...event, cluster: this.name })
    })
    this.client = this.#makeClient()
    // Health checks and dashboards need the endpoints before the first request.
    this.client.endpoints.start()
    this.#counter = this.#makeCounter()
    const { num_retries: retries, max_replay_body } = config.retry_policy
    const maxReplayBytes = retries === 0 ? 0 : sizeBytes(max_replay_body)
    const kept = keepSmallBodies(maxReplayBytes, this.client.call)
    this.#service = keepGrpcMessages(config.retry_policy.retry_on, maxReplayBytes, kept)
  }

  readonly call: HttpService = (request, context): MaybePromise<HttpResponse> => {
    this.#requests++
    return settle(this.#service, request, context, this.#counter)
  }

  /** For layer 4: a connection to an endpoint. */
  async connectRaw(client: Connection, context: CallContext): Promise<RawUpstream> {
    const { clock, random, transport, plain, config } = this.#options
    await (this.client.endpoints.known ? undefined : this.client.endpoints.whenKnown(context))
    this.#requests++
    const tried = new Set<EndpointStack<HttpRequest, HttpResponse>>()
    const attempts = config.retry_policy.num_retries + 1
    for (let attempt = 1; ; attempt++) {
      const picked = this.client.balancer.pick(context, clock.now(), random, tried)
      if (picked === undefined) {
        this.#failures++
        throw this.#noEndpoint()
      }
      try {
        return await this.#connectRawTo(picked, client, context, config.tls ? transport : plain)
      } catch (error) {
        if (attempt >= attempts || context.cancelled) {
          this.#failures++
          throw error
        }
        this.retries++
        this.#options.onRetry()
        tried.add(picked.node)
      }
    }
  }

  status(): ClusterStatus {
    const { clock } = this.#options
    const { client, config } = this
    return {
      name: this.name,
      balancer: config.lb_policy,
      source: sourceOf(config),
      sourceError: client.endpoints.lastError?.message,
      requests: this.#requests,
      failures: this.#failures,
      retries: this.retries,
      retryBudget: this.#budget(),
      inFlight: client.counts.inFlight + this.rawInFlight,
      endpoints: [...client.endpoints.nodes].map((stack) =>
        this.#endpointStatus(stack, clock.now()),
      ),
    }
  }

  limits(): LimitStatus[] {
    return limitsOf(this.config, this.client, this.#options.clock.now())
  }

  explain(): string {
    return explainText(this.client)
  }

  /** A configuration that differs in nothing but the limits of pools: no call is touched. */
  adopt(config: ClusterConfig): void {
    this.config = config
    this.#options = { ...this.#options, config }
    this.client.reconfigure({ pool: poolLimitsOf(config) })
  }

  close(options?: { signal?: AbortSignal }): Promise<void> {
    for (const checker of this.#checkers.values()) checker.close()
    this.#checkers.clear()
    this.#options.credentials?.close()
    return this.client.close(options)
  }

  async #connectRawTo(
    picked: Picked<EndpointStack<HttpRequest, HttpResponse>>,
    client: Connection,
    context: CallContext,
    transport: Transport,
  ): Promise<RawUpstream> {
    const { clock, config } = this.#options
    const startedAt = clock.now()
    const { endpoint } = picked.node
    const deadline = startedAt + durationMs(config.connect_timeout)
    try {
      const connection =
        config.proxy_protocol === 'none'
          ? await transport.connect(endpoint.address, { signal: context.signal, deadline })
          : await this.#connectWithHeader(endpoint, client, { signal: context.signal, deadline })
      const connectMs = clock.now() - startedAt
      // Until it is closed it counts as load: balancers see long connections.
      return { connection, release: () => picked.done(clock.now(), connectMs, false) }
    } catch (error) {
      picked.done(clock.now(), undefined, !context.cancelled)
      throw error
    }
  }

  // size: one object, all that the cluster's client is told.
  #makeClient(): ClientCore<HttpRequest, HttpResponse> {
    const { config, clock, random, wheel, names, onEvent } = this.#options
    const { retry_policy: retry } = config
    const tell = (
      type: 'breaker' | 'unresolved' | 'connect-failed' | 'clock-jump',
      endpoint: Endpoint | undefined,
      reason: string,
      error?: Error,
    ): void => {
      const key = endpoint && endpointKey(endpoint)
      onEvent({ cluster: this.name, type, endpoint: key, reason, error })
    }
    const source =
      config.discovery === undefined
        ? { resolver: clusterResolver(config.endpoints, names), target: this.name }
        : discoverySource(config.discovery, { clock, random, names })
    return createClient<HttpRequest, HttpResponse>({
      name: this.name,
      ...telemetryOf(this.#options),
      ...source,
      classifier: clusterClassifier(retry.retry_on, () => clock.wallNow()),
      clock,
      random,
      wheel,
      connectEndpoint: (endpoint, context) => this.#connect(endpoint, context),
      // Routes set deadlines; without one a call may take as long as its client waits.
      timeoutMs: Number.POSITIVE_INFINITY,
      ...(retry.per_try_timeout !== undefined && {
        attemptTimeoutMs: durationMs(retry.per_try_timeout),
      }),
      ...policiesOf(config),
      ...(this.#options.credentials && { credentials: this.#options.credentials.middleware }),
      ...loadOf(config),
      balancer: balancerOf(config),
      balancing: balancingOf(config),
      pool: poolLimitsOf(config),
      expectedCapacity: capacityOf(config),
      ping: () => pingOf(this.config),
      observer: combineObservers(channelObserver(this.name), {
        onBreaker: (endpoint, next, previous, failure) => {
          const reason = failure === undefined ? `${previous} → ${next}` : causeOf(failure)
          const error = failure instanceof Error ? failure : undefined
          tell('breaker', endpoint, `${next}: ${reason}`, error)
        },
        onRetry: () => {
          this.retries++
          this.#options.onRetry()
        },
        onEndpoints: (endpoints) => {
          this.#health.keepOnly(endpoints)
          this.#updateCheckers(endpoints)
        },
        onAttempt: (endpoint, now, latencyMs, failed) =>
          this.#health.onAttempt(endpoint, now, latencyMs, failed),
        onEjected: (endpoint, reason) => this.#health.onEjected(endpoint, reason),
        onReturned: (endpoint) => this.#health.onReturned(endpoint),
        onClockJump: (endpoint, suspects) =>
          tell(
            'clock-jump',
            endpoint,
            `the process stood still: ${suspects} idle connections are suspect`,
          ),
        onResolveError: (error) => tell('unresolved', undefined, error.message, error),
        onConnectError: (endpoint, error) => tell('connect-failed', endpoint, error.message, error),
      }),
    })
  }

  async #connect(endpoint: Endpoint, context: ConnectContext): Promise<HttpExchanger> {
    const { config, transport } = this.#options
    const key = endpointKey(endpoint)
    if (config.proxy_protocol === 'none') {
      const connection = await transport.connect(endpoint.address, {
        ...context,
        ...this.#serverName(endpoint),
      })
      return this.#speak(connection, key)
    }
    return new OneCallExchanger(async (request, call) => {
      const client =
        request.note instanceof ProxiedRequest ? request.note.request.connection : undefined
      const deadline = this.#options.clock.now() + durationMs(config.connect_timeout)
      const connection = await this.#connectWithHeader(endpoint, client, {
        signal: call.signal,
        deadline,
      })
      return this.#speak(connection, key)
    })
  }

  async #connectWithHeader(
    endpoint: Endpoint,
    client: Connection | undefined,
    context: ConnectContext,
  ): Promise<Connection> {
    const { config, plain, secure } = this.#options
    const version = config.proxy_protocol === 'v1' ? 1 : 2
    const announced: Transport = {
      name: plain.name,
      traits: plain.traits,
      listen: (address, options) => plain.listen(address, options),
      connect: async (address, options) => {
        const connection = await plain.connect(address, options)
        sendProxyHeader(connection, client, version)
        return connection
      },
    }
    const transport = secure === undefined ? announced : await secure(announced)
    return transport.connect(endpoint.address, { ...context, ...this.#serverName(endpoint) })
  }

  #serverName(endpoint: Endpoint): { serverName?: string } {
    const name = this.config.tls?.server_name ?? endpoint.hostname
    return name === undefined ? {} : { serverName: name }
  }

  #speak(connection: Connection, key: string): HttpExchanger {
    const { wheel, host, config } = this.#options
    const settings = { clock: wheelClock(wheel), host, contextWriter: this.#contextWriter }
    return speakHttp(connection, key, config, settings)
  }

  /** Starts checks for new endpoints and stops those of endpoints that are gone. */
  #updateCheckers(endpoints: readonly Endpoint[]): void {
    const { config, clock, random } = this.#options
    if (config.health_checks.length === 0) return
    const wanted = new Map(endpoints.map((endpoint) => [endpointKey(endpoint), endpoint]))
    for (const [key, checker] of this.#checkers) {
      if (wanted.has(key.slice(key.indexOf(' ') + 1))) continue
      checker.close()
      this.#checkers.delete(key)
    }
    for (const [key, endpoint] of wanted) {
      for (const [index, check] of config.health_checks.entries()) {
        const id = `${index} ${key}`
        if (this.#checkers.has(id)) continue
        const checker = new HealthChecker({
          clock,
          random,
          probe: this.#probe(endpoint, check),
          intervalMs: durationMs(check.interval),
          timeoutMs: durationMs(check.timeout),
          healthyThreshold: check.healthy_threshold,
          unhealthyThreshold: check.unhealthy_threshold,
          onChange: () => this.#combineChecks(key),
        })
        this.#checkers.set(id, checker)
      }
    }
  }

  /** An endpoint is healthy when all its checks are. */
  #combineChecks(key: string): void {
    const { health_checks } = this.config
    const checkers = health_checks.map((_, index) => this.#checkers.get(`${index} ${key}`))
    const ill = checkers.find((checker) => checker?.health === 'unhealthy')
    if (ill !== undefined) this.#health.setActive(key, false, ill.reason?.message)
    else if (checkers.every((checker) => checker?.health === 'healthy')) {
      this.#health.setActive(key, true, undefined)
    }
  }

  #probe(endpoint: Endpoint, check: ClusterConfig['health_checks'][number]) {
    const { transport, plain, config } = this.#options
    const { address } = endpoint
    const checked =
      check.port !== undefined && address.kind === 'ip' ? { ...address, port: check.port } : address
    if (check.type === 'tcp') return connectProbe(plain, checked)
    const host =
      check.host ?? endpoint.hostname ?? (checked.kind === 'ip' ? checked.host : 'localhost')
    const probeTransport = config.proxy_protocol === 'none' ? transport : undefined
    return httpProbe({
      path: check.path,
      host,
      expectedStatuses: check.expected_statuses,
      grpcService: check.type === 'grpc' ? check.service : undefined,
      call: async (request, context) => {
        const at = {
          signal: context.signal,
          deadline: context.deadline ?? this.#options.clock.now() + durationMs(check.timeout),
        }
        const connection =
          probeTransport === undefined
            ? await this.#connectWithHeader({ ...endpoint, address: checked }, undefined, at)
            : await probeTransport.connect(checked, { ...at, ...this.#serverName(endpoint) })
        const exchanger = this.#speak(connection, '')
        try {
          return await exchanger.call(request, context)
        } finally {
          exchanger.close()
        }
      },
    })
  }

  /** What active checks found counts for the balancer. */
  #applyHealth(key: string): void {
    const now = this.#options.clock.now()
    const healthy = this.#health.of(key).health !== 'unhealthy'
    for (const stack of this.client.endpoints.nodes) {
      if (endpointKey(stack.endpoint) !== key) continue
      this.client.balancer.setHealthy(stack, healthy, now)
    }
  }

  #makeCounter(): Settlement<HttpResponse> {
    return {
      onReply: (response) => {
        if (response.status >= 500) this.#failures++
        return response
      },
      onError: (error) => {
        this.#failures++
        throw error
      },
    }
  }

  #budget(): number | undefined {
    const layer = this.client.layers.find(({ name }) => name === 'retry')
    if (layer?.middleware === undefined) return undefined
    const balance = Number(layer.state?.(this.#options.clock.now())['budget'] ?? 0)
    // Of what an idle cluster has: the reserve. More than that is full.
    const { min_retries_per_second } = this.config.retry_policy.retry_budget
    return Math.max(0, Math.min(1, balance / Math.max(1, min_retries_per_second * 10)))
  }

  #endpointStatus(stack: EndpointStack<HttpRequest, HttpResponse>, now: number): EndpointStatus {
    const key = endpointKey(stack.endpoint)
    const record = this.#health.of(key)
    const { p50Ms, p99Ms } = record.latency.summary(now)
    const { idle, leased } = stack.pool.stats
    const ejectedUntil = this.client.balancer.ejectedUntil(stack, now)
    return {
      address: stack.address,
      hostname: stack.endpoint.hostname,
      weight: stack.endpoint.weight ?? 1,
      health: record.health,
      healthReason: record.healthReason,
      breaker: stack.breaker?.state ?? 'closed',
      ejected: ejectedUntil !== undefined,
      ejectedUntil,
      inFlight: this.client.balancer.loadOf(stack),
      requests: record.requests,
      failures: record.failures,
      connections: { idle, leased },
      latencyMs:
        p50Ms === undefined || p99Ms === undefined ? undefined : { p50: p50Ms, p99: p99Ms },
    }
  }

  #noEndpoint(): Error {
    const message = `none of ${this.client.endpoints.size} endpoints of ${this.name} is available`
    return new OverloadError('ERR_NO_ENDPOINT', message)
  }
}

/** What opened a breaker: an error, or an answer that counts as a failure. */
function causeOf(failure: unknown): string {
  return failure instanceof HttpResponse ? `answered ${failure.status}` : toError(failure).message
}
