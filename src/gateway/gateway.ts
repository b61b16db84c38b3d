/**
 * A running gateway: listeners, clusters, admin, access log; started, reloaded and drained as one.
 *
 *     const gateway = await startGateway(loaded, environment)
 *     await gateway.reload()      // what changed is replaced, what did not is kept
 *     await gateway.drain()       // not ready → not accepting → finished
 *
 * A reload prepares everything before anything is replaced. When a part of it fails (a file, an
 * address in use), the old configuration goes on and says why.
 */
// size: start, reload and drain belong together: each puts in place what the others take away.
import { toError, UsageError } from '../core/errors.ts'
import type { Host } from '../core/host.ts'
import { requestIds } from '../protocols/http/propagation.ts'
import { TimerWheel } from '../runtime/timer-wheel.ts'
import { wheelClock } from '../runtime/wheel-clock.ts'
import type { AuditStats } from '../security/audit/audit-log.ts'
import type { AuditEvent } from '../security/audit/audit-record.ts'
import { cachedDate } from '../servers/http/http-server.ts'
import { openTelemetryTracer } from '../telemetry/open-telemetry-tracer.ts'
import type { Registry } from '../telemetry/registry.ts'
import { AuditTrail } from './access/audit-trail.ts'
import { type RunningAdmin, startAdmin } from './admin/start-admin.ts'
import { CertificateWatch } from './certificate-watch.ts'
import { effectiveConfig } from './config/effective.ts'
import type { LoadedConfig } from './config/load.ts'
import { formatProblem } from './config/problem.ts'
import { durationMs } from './config/quantity.ts'
import type { GatewayConfig } from './config/schema/gateway.ts'
import { type DemoUpstreams, startDemoUpstreams } from './demo/demo-upstreams.ts'
import type { GatewayEnvironment } from './gateway-environment.ts'
import { FileProblems, GatewayFiles } from './gateway-files.ts'
import {
  bindKey,
  type GatewayPlan,
  limitsOf,
  makePlan,
  type PlanEnvironment,
} from './gateway-plan.ts'
import { type GatewayRegistry, gatewayRegistry } from './gateway-registry.ts'
import { GatewayListener } from './listening/gateway-listener.ts'
import { parseListenAddress } from './listening/listen-address.ts'
import { ListenerTraffic } from './listening/listener-traffic.ts'
import { sumTraffic } from './listening/traffic-totals.ts'
import { type OpenAccessLog, openAccessLog } from './logging/open-access-log.ts'
import { planChanges } from './plan-changes.ts'
import { RecentErrors } from './recent-errors.ts'
import type {
  CacheStatus,
  ClusterStatus,
  ConfigStatus,
  GatewayPhase,
  GatewayStatus,
  LimitStatus,
  ListenerStatus,
  RecentError,
  ReloadOutcome,
  RequestRecord,
  TrafficTotals,
} from './status.ts'
import type { ClusterEvent } from './upstream/cluster.ts'

/**
 * @throws UsageError ERR_CONFIG for files that cannot be read, TransportError for addresses that
 *   cannot be listened on; nothing is left open then
 */
export async function startGateway(
  loaded: LoadedConfig,
  environment: GatewayEnvironment,
): Promise<Gateway> {
  const gateway = new Gateway(environment, loaded.config.max_recent_errors)
  try {
    await gateway.start(loaded)
  } catch (error) {
    await gateway.destroy()
    throw error
  }
  return gateway
}

export class Gateway implements GatewayStatus, AsyncDisposable {
  readonly startedAt: number
  readonly startedAtWall: number
  readonly version: string
  onRequest: ((record: RequestRecord) => void) | undefined
  readonly #environment: GatewayEnvironment
  readonly #planEnvironment: Omit<PlanEnvironment, 'demo'>
  readonly #listeners = new Map<string, { listener: GatewayListener; key: string }>()
  readonly #traffic = new Map<string, ListenerTraffic>()
  readonly #errors: RecentErrors
  readonly #counted: GatewayRegistry
  readonly #date: (now: number) => string
  #retries = 0
  #plan: GatewayPlan | undefined
  #phase: GatewayPhase = 'starting'
  #config: ConfigStatus
  #demo: DemoUpstreams | undefined
  #admin: RunningAdmin | undefined
  #accessLog: OpenAccessLog | undefined
  readonly #certificates: CertificateWatch
  readonly #audit: AuditTrail
  #drain: Promise<void> | undefined
  readonly #stopped = Promise.withResolvers<void>()
  /** Reloads run one after the other. */
  #reloading: Promise<unknown> = Promise.resolve()

  constructor(environment: GatewayEnvironment, maxRecentErrors: number) {
    const { clock, random, host, transports, names, log } = environment
    this.#environment = environment
    this.startedAt = clock.now()
    this.startedAtWall = clock.wallNow()
    this.version = environment.version
    this.#counted = gatewayRegistry(clock, environment.version)
    this.onRequest = undefined
    this.#audit = new AuditTrail(clock, log)
    this.#certificates = new CertificateWatch({
      clock,
      log,
      record: (event) => this.#audit.record(event),
      meter: this.registry,
      onChanged: () => void this.reload(),
    })
    this.#errors = new RecentErrors(maxRecentErrors, clock, log)
    this.#date = cachedDate(clock)
    this.#planEnvironment = {
      clock,
      random,
      host,
      wheel: new TimerWheel({ clock }),
      names,
      transports,
      via: `heddle-${randomHex(host, 4)}`,
      newRequestId: requestIds(randomHex(host, 6)),
      onClusterEvent: (event) => this.#onClusterEvent(event),
      onOverload: ({ limit, overloaded, queued }) =>
        log.warn(overloaded ? 'overloaded' : 'no longer overloaded', { limit, queued }),
      onRetry: () => {
        this.#retries++
      },
      tracer: openTelemetryTracer({ version: environment.version }),
      meter: this.registry,
      log,
      accessObserver: this.#audit,
    }
    this.#config = {
      file: environment.file,
      text: '',
      version: 0,
      loadedAtWall: 0,
      lastError: undefined,
    }
  }

  /** What `/metrics` shows. */
  get registry(): Registry {
    return this.#counted.registry
  }

  get phase(): GatewayPhase {
    return this.#phase
  }

  get config(): ConfigStatus {
    return this.#config
  }

  get totals(): TrafficTotals {
    const listeners = [...this.#listeners.values()].map(({ listener }) => listener)
    return { ...sumTraffic(this.#traffic.values(), listeners), retries: this.#retries }
  }

  listeners(): readonly ListenerStatus[] {
    return [...this.#listeners.values()].map(({ listener }) => listener.status())
  }

  clusters(): readonly ClusterStatus[] {
    return [...(this.#plan?.clusters.values() ?? [])].map(({ cluster }) => cluster.status())
  }

  limits(): readonly LimitStatus[] {
    return this.#plan === undefined ? [] : limitsOf(this.#plan)
  }

  caches(): readonly CacheStatus[] {
    return this.#plan?.caches.status() ?? []
  }

  auditStats(): AuditStats | undefined {
    return this.#audit.stats
  }

  recentErrors(): readonly RecentError[] {
    return this.#errors.latest()
  }

  explain(): string {
    const parts = [...(this.#plan?.clusters.values() ?? [])].map(({ cluster }) => cluster.explain())
    return `${parts.join('\n\n')}\n`
  }

  /** Where the admin service listens; undefined when it is off. */
  get adminAddress(): string | undefined {
    return this.#admin?.address
  }

  async start(loaded: LoadedConfig): Promise<void> {
    const plan = await this.#prepare(loaded.config)
    await this.#audit.use(loaded.config, plan.files)
    this.#audit.record({ type: 'start', detail: { version: this.version } })
    this.#accessLog = await openAccessLog(loaded.config.access_log, this.#environment)
    await this.#apply(plan)
    await this.#startAdmin(loaded.config)
    this.#adopt(loaded)
    this.#phase = 'ready'
  }

  /** Records what is not the gateway's own doing: of whoever runs it. */
  audit(event: AuditEvent): void {
    this.#audit.record(event)
  }

  reload(): Promise<ReloadOutcome> {
    const next = this.#reloading.then(() => this.#reload())
    this.#reloading = next
    return next
  }

  drain(): Promise<void> {
    this.#drain ??= this.#stop()
    return this.#drain
  }

  /** Resolves once everything has ended, whoever asked for it. */
  get stopped(): Promise<void> {
    return this.#stopped.promise
  }

  /** Opens the access log's file again, after it was moved away. */
  async reopenLogs(): Promise<void> {
    await this.#accessLog?.file?.reopen()
  }

  /** Closes everything now. */
  async destroy(): Promise<void> {
    this.#phase = 'stopped'
    const cut = AbortSignal.abort(new UsageError('ERR_STATE', 'the gateway is destroyed'))
    await Promise.all(
      [...this.#listeners.values()].map(({ listener }) => listener.close({ signal: cut })),
    )
    await this.#closeRest(cut)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain()
  }

  async #reload(): Promise<ReloadOutcome> {
    if (this.#phase !== 'ready') return this.#rejected([`the gateway is ${this.#phase}`])
    const outcome = await this.#environment.load()
    if (!outcome.ok) return this.#rejected(outcome.problems.map(formatProblem))
    let accessLog: { readonly opened: OpenAccessLog | undefined } | undefined
    try {
      const before = this.#plan
      accessLog = await this.#prepareReplacements(outcome.config, before?.config)
      const plan = await this.#prepare(outcome.config)
      const changes = planChanges(before, plan)
      if (changes.length === 0) {
        this.#config = { ...this.#config, lastError: undefined }
        return { status: 'unchanged', version: this.#config.version }
      }
      await this.#audit.use(outcome.config, plan.files)
      await this.#apply(plan)
      // From here on nothing is expected to fail.
      await this.#useAccessLog(accessLog)
      accessLog = undefined
      await this.#changeAdmin(outcome.config, before?.config)
      this.#adopt(outcome)
      this.#audit.reloaded('applied', { version: this.#config.version, changes })
      return { status: 'applied', version: this.#config.version, changes }
    } catch (error) {
      await accessLog?.opened?.file?.close()
      if (this.#plan !== undefined) await this.#audit.use(this.#plan.config, this.#plan.files)
      return this.#rejected([toError(error).message])
    }
  }

  async #useAccessLog(
    next: { readonly opened: OpenAccessLog | undefined } | undefined,
  ): Promise<void> {
    if (next === undefined) return
    const old = this.#accessLog
    this.#accessLog = next.opened
    await old?.file?.close()
  }

  #rejected(problems: readonly string[]): ReloadOutcome {
    this.#config = { ...this.#config, lastError: problems.join('\n') }
    this.#audit.reloaded('rejected', { problems })
    return { status: 'rejected', version: this.#config.version, problems }
  }

  #adopt(loaded: LoadedConfig): void {
    const { clock, file } = this.#environment
    this.#config = {
      file,
      text: effectiveConfig(loaded.config, loaded.secretPaths),
      version: this.#config.version + 1,
      loadedAtWall: clock.wallNow(),
      lastError: undefined,
    }
  }

  /** Everything that can fail without touching the traffic. */
  async #prepare(config: GatewayConfig): Promise<GatewayPlan> {
    const files = await GatewayFiles.read(config)
    if (files instanceof FileProblems) {
      const message = files.problems.map((problem) => problem.message).join('\n')
      const denied = files.problems.every((problem) => problem.denied)
      throw new UsageError('ERR_CONFIG', message, { detail: { denied } })
    }
    if (config.demo) this.#demo ??= await startDemoUpstreams(this.#environment.clock)
    const environment = { ...this.#planEnvironment, demo: config.demo ? this.#demo : undefined }
    return makePlan(config, files, environment, this.#plan)
  }

  /** Listens anew where that is needed, then gives every listener its plan. */
  async #apply(plan: GatewayPlan): Promise<void> {
    const before = this.#plan
    const fresh: { listener: GatewayListener; key: string }[] = []
    const changes: (() => void)[] = []
    const replaced: GatewayListener[] = []
    try {
      for (const one of plan.listeners) {
        const key = bindKey(one)
        const current = this.#listeners.get(one.config.name)
        if (current?.key === key) {
          changes.push(await current.listener.prepareTls(one, plan.files))
          continue
        }
        // The address must be free before it can be taken again.
        if (current !== undefined && sameAddress(current.listener, one.config.address)) {
          replaced.push(current.listener)
          void current.listener.close()
        }
        const listener = this.#makeListener(one, plan)
        await listener.listen()
        fresh.push({ listener, key })
      }
    } catch (error) {
      await Promise.all(fresh.map(({ listener }) => listener.close()))
      if (before !== undefined) {
        await this.#restore(before, replaced)
        this.#closeUnused(plan, before)
      } else {
        plan.access.closeUnless(undefined)
        for (const { cluster } of plan.clusters.values()) void cluster.close()
      }
      throw error
    }
    for (const change of changes) change()
    this.#commit(plan, fresh)
  }

  #commit(plan: GatewayPlan, fresh: readonly { listener: GatewayListener; key: string }[]): void {
    const before = this.#plan
    for (const one of plan.listeners) this.#listeners.get(one.config.name)?.listener.use(one)
    const names = new Set(plan.listeners.map(({ config }) => config.name))
    const anew = new Set(fresh.map(({ listener }) => listener.name))
    for (const [name, { listener }] of this.#listeners) {
      if (names.has(name) && !anew.has(name)) continue
      this.#listeners.delete(name)
      void listener.close()
    }
    for (const one of fresh) this.#listeners.set(one.listener.name, one)
    for (const { cluster, config } of plan.clusters.values()) {
      if (cluster.config !== config) cluster.adopt(config)
    }
    this.#plan = plan
    this.#certificates.use(plan.config, plan.files)
    if (before !== undefined) this.#closeUnused(before, plan)
  }

  /** Closes the clusters of `left` that `kept` does not have. Calls in flight finish. */
  #closeUnused(left: GatewayPlan, kept: GatewayPlan): void {
    left.access.closeUnless(kept.access)
    const used = new Set([...kept.clusters.values()].map(({ cluster }) => cluster))
    for (const { cluster } of left.clusters.values()) {
      if (!used.has(cluster)) void cluster.close()
    }
  }

  /** A reload failed after listeners had given up their addresses: they are taken back. */
  async #restore(plan: GatewayPlan, replaced: readonly GatewayListener[]): Promise<void> {
    for (const { name } of replaced) {
      const one = plan.listeners.find(({ config }) => config.name === name)
      if (one === undefined) continue
      const listener = this.#makeListener(one, plan)
      try {
        await listener.listen()
        this.#listeners.set(name, { listener, key: bindKey(one) })
      } catch (error) {
        this.#environment.log.error('listener lost', { listener: name, err: toError(error) })
      }
    }
  }

  #makeListener(one: GatewayPlan['listeners'][number], plan: GatewayPlan): GatewayListener {
    const { random, host, transports, descriptor } = this.#environment
    // Whatever waits for a connection waits on the wheel.
    const clock = wheelClock(this.#planEnvironment.wheel)
    const { config } = one
    const mode =
      config.socket_mode === undefined ? undefined : Number.parseInt(config.socket_mode, 8)
    const { tls } = config
    return new GatewayListener(one, {
      audit: this.#audit,
      clock,
      random,
      host,
      traffic: this.#trafficOf(config.name),
      drainTimeoutMs: durationMs(plan.config.drain.timeout),
      plain: transports.plain(mode),
      serverTls: tls && ((inner, alpn) => transports.serverTls(tls, plan.files, inner, alpn)),
      descriptor: descriptor(config.address),
      date: this.#date,
    })
  }

  #trafficOf(name: string): ListenerTraffic {
    let traffic = this.#traffic.get(name)
    if (traffic === undefined) {
      traffic = new ListenerTraffic({
        listener: name,
        accessLog: () => this.#accessLog?.log,
        onRequest: () => this.onRequest,
        onError: (error) => this.#errors.add(error),
      })
      this.#traffic.set(name, traffic)
    }
    return traffic
  }

  async #startAdmin({ admin }: GatewayConfig): Promise<void> {
    if (!admin.enabled) return
    const environment = { ...this.#environment, onAction: this.#audit.administered }
    this.#admin = await startAdmin(admin, this, this.registry, environment)
  }

  async #changeAdmin(config: GatewayConfig, before: GatewayConfig | undefined): Promise<void> {
    if (JSON.stringify(config.admin) === JSON.stringify(before?.admin)) return
    const old = this.#admin
    this.#admin = undefined
    old?.service.close()
    void old?.server.close()
    await this.#startAdmin(config)
  }

  /**
   * Opens what a reload replaces besides listeners and clusters, before anything is replaced.
   *
   * @returns the new access log; undefined: it stays
   */
  async #prepareReplacements(
    { access_log, admin }: GatewayConfig,
    before: GatewayConfig | undefined,
  ): Promise<{ readonly opened: OpenAccessLog | undefined } | undefined> {
    if (admin.enabled && admin.address !== before?.admin.address) {
      // Listened on once, so that an address in use is found out while there is still an old one.
      const { transports, descriptor } = this.#environment
      if (descriptor(admin.address) === undefined) {
        const address = parseListenAddress(admin.address)
        const probe = await transports.plain(undefined).listen(address, {
          onConnection: (connection) => connection.destroy(),
        })
        await probe.close()
      }
    }
    if (JSON.stringify(access_log) === JSON.stringify(before?.access_log)) return undefined
    return { opened: await openAccessLog(access_log, this.#environment) }
  }

  async #stop(): Promise<void> {
    if (this.#phase === 'stopped') return
    const { clock, log } = this.#environment
    const config = this.#plan?.config
    this.#phase = 'draining'
    log.info('draining')
    this.#audit.record({ type: 'drain' })
    const delayMs = durationMs(config?.drain.delay ?? '0s')
    if (delayMs > 0) {
      await new Promise<void>((resolve) => {
        clock.setTimer(clock.now() + delayMs, resolve)
      })
    }
    await Promise.all([...this.#listeners.values()].map(({ listener }) => listener.close()))
    this.#phase = 'stopped'
    await this.#closeRest(undefined)
    log.info('drained')
  }

  async #closeRest(signal: AbortSignal | undefined): Promise<void> {
    const options = signal === undefined ? {} : { signal }
    const clusters = [...(this.#plan?.clusters.values() ?? [])]
    await Promise.all(clusters.map(({ cluster }) => cluster.close(options)))
    this.#admin?.service.close()
    this.#counted[Symbol.dispose]()
    await this.#admin?.server.close(options)
    await this.#demo?.close()
    await this.#accessLog?.file?.close()
    this.#certificates[Symbol.dispose]()
    await this.#audit.close()
    this.#stopped.resolve()
  }

  #onClusterEvent(event: ClusterEvent): void {
    const { log } = this.#environment
    const { cluster, endpoint, type, reason } = event
    if (type === 'connect-failed' || type === 'unresolved') {
      return this.#errors.addOfCluster(cluster, endpoint, event.error, reason)
    }
    if (type === 'clock-jump') return log.warn('clock jumped', { cluster, endpoint, reason })
    log.info(`endpoint ${type}`, { cluster, endpoint, reason })
  }
}

function sameAddress(listener: GatewayListener, address: string): boolean {
  return listener.plan.config.address === address
}

function randomHex(host: Host, bytes: number): string {
  const random = new Uint8Array(bytes)
  host.randomBytes(random)
  return [...random].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
