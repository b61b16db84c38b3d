/**
 * The admin service: probes, metrics, what the gateway is doing, and the dashboard.
 *
 *     GET   /            the dashboard               GET   /livez /readyz /startupz   probes
 *     GET   /metrics     Prometheus or OpenMetrics   GET   /clusters /config /explain
 *     GET   /api/status  everything, as JSON         GET   /api/events                live
 *     POST  /drain       begins the drain            POST  /reload                    reads the file
 *
 * It is an HTTP service like any other and knows no socket. Whoever reaches it may read and change:
 * it belongs on loopback or behind something that authenticates. Web pages of others are kept out
 * (request-guard.ts).
 */
import type { Clock, Timer } from '../../core/clock.ts'
import { toError } from '../../core/errors.ts'
import type { ProcessFacts } from '../../core/process-facts.ts'
import {
  type HttpRequest,
  HttpResponse,
  type HttpResponseInit,
  type HttpService,
} from '../../protocols/http/messages.ts'
import { type Logger, silentLogger } from '../../telemetry/log.ts'
import {
  EXPOSITION_TYPES,
  negotiateExposition,
  renderPrometheus,
} from '../../telemetry/prometheus.ts'
import type { Registry } from '../../telemetry/registry.ts'
import type { GatewayStatus, RequestRecord } from '../status.ts'
import { loadDashboard } from './dashboard-assets.ts'
import { EndpointTrends } from './endpoint-trends.ts'
import { type EventStreamOptions, EventStreams } from './event-streams.ts'
import { GatewayMetrics } from './gateway-metrics.ts'
import { refusal } from './request-guard.ts'
import { ProcessMeter, type SnapshotSources, takeSnapshot } from './snapshot.ts'
import { TrafficHistory, type TrafficHistoryOptions } from './traffic-history.ts'

export interface AdminOptions extends EventStreamOptions, TrafficHistoryOptions {
  status: GatewayStatus
  registry: Registry
  clock: Clock
  /**
   * Host names answered besides loopback names and IP addresses. `.example.com` allows all below.
   *
   * @default none
   */
  allowedHosts?: readonly string[]
  /** Shown and exposed. @default nothing of the process */
  process?: ProcessFacts
  /** Told about drains and reloads asked for here. @default silent */
  log?: Logger
  /** The same, for the audit log. */
  onAction?: (action: string, address: string | undefined) => void
}

export class AdminService {
  readonly service: HttpService
  readonly #status: GatewayStatus
  readonly #registry: Registry
  readonly #clock: Clock
  readonly #log: Logger
  readonly #allowedHosts: readonly string[]
  readonly #onAction: AdminOptions['onAction']
  readonly #sources: SnapshotSources
  readonly #history: TrafficHistory
  readonly #metrics: GatewayMetrics
  readonly #streams: EventStreams
  readonly #routes: ReadonlyMap<string, Route>
  readonly #onRequest: (record: RequestRecord) => void
  #timer: Timer | undefined
  #closed = false

  /** Takes `status.onRequest` and a timer until it is closed. */
  constructor(options: AdminOptions) {
    const { status, registry, clock, process, log = silentLogger } = options
    this.#status = status
    this.#onAction = options.onAction
    this.#registry = registry
    this.#clock = clock
    this.#log = log
    this.#allowedHosts = (options.allowedHosts ?? []).map((host) => host.toLowerCase())
    const now = clock.now()
    this.#history = new TrafficHistory(now, options)
    this.#sources = {
      status,
      history: this.#history,
      trends: new EndpointTrends(),
      process: process === undefined ? undefined : new ProcessMeter(process, now),
      clock,
    }
    this.#streams = new EventStreams(() => this.#snapshotJson(), options)
    this.#metrics = new GatewayMetrics(registry, status, process)
    this.#routes = this.#makeRoutes()
    this.service = (request) => this.#serve(request)
    this.#onRequest = (record) => this.#count(record)
    status.onRequest = this.#onRequest
    this.#armTimer()
  }

  /** Pages that watch now. */
  get watchers(): number {
    return this.#streams.size
  }

  /** Ends live streams and stops counting; requests are answered as before. A successor may follow. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#timer?.cancel()
    if (this.#status.onRequest === this.#onRequest) this.#status.onRequest = undefined
    // Pages learn why the stream ends.
    this.#push(0)
    this.#streams.close()
    this.#metrics[Symbol.dispose]()
  }

  #makeRoutes(): ReadonlyMap<string, Route> {
    const routes = new Map<string, Route>()
    for (const [path, { type, bytes }] of loadDashboard()) {
      routes.set(path, { method: 'GET', handle: () => respond(200, type, { body: bytes }) })
    }
    const get = (path: string, handle: Route['handle']): void =>
      void routes.set(path, { method: 'GET', handle })
    const post = (path: string, handle: Route['handle']): void =>
      void routes.set(path, { method: 'POST', handle })
    get('/livez', () => probe(true, this.#status.phase))
    get('/readyz', () => probe(this.#status.phase === 'ready', this.#status.phase))
    get('/startupz', () => probe(this.#status.phase !== 'starting', this.#status.phase))
    get('/metrics', (request) => this.#answerMetrics(request))
    get('/clusters', () => json(200, takeSnapshot(this.#sources, 0).clusters))
    get('/config', () => text(200, this.#status.config.text))
    get('/explain', () => text(200, this.#status.explain()))
    get('/api/status', () => json(200, takeSnapshot(this.#sources)))
    get('/api/events', (request) => this.#answerEvents(request))
    post('/drain', () => this.#drain())
    post('/reload', () => this.#reload())
    return routes
  }

  #serve(request: HttpRequest): HttpResponse | Promise<HttpResponse> {
    // Nothing here has a use for content.
    request.body.discard()
    const { path, method } = request
    const problem = refusal(request, this.#allowedHosts)
    if (problem !== undefined) {
      this.#log.warn('admin request refused', { path, reason: problem })
      return failure(403, problem)
    }
    const route = this.#routes.get(path)
    if (route === undefined) {
      return failure(404, `nothing at ${path}; there are ${[...this.#routes.keys()].join(' ')}`)
    }
    const allowed = method === route.method || (method === 'HEAD' && route.method === 'GET')
    if (!allowed) return notAllowed(path, route.method)
    if (method === 'POST') {
      const remote = request.connection?.facts.remote
      this.#onAction?.(path.slice(1), remote?.kind === 'ip' ? remote.host : undefined)
    }
    return route.handle(request)
  }

  #answerMetrics(request: HttpRequest): HttpResponse {
    const format = negotiateExposition(request.fields.get('accept'))
    const body = renderPrometheus(this.#registry, format)
    const response = respond(200, EXPOSITION_TYPES[format], { body })
    response.fields.set('vary', 'accept')
    return response
  }

  #answerEvents(request: HttpRequest): HttpResponse {
    if (request.method === 'HEAD') return respond(200, EVENT_STREAM, {})
    const body = this.#closed ? undefined : this.#streams.tryOpen(this.#clock.now())
    if (body !== undefined) return respond(200, EVENT_STREAM, { body })
    const why = this.#closed
      ? 'the gateway is stopping'
      : `all ${this.#streams.limit} live streams are taken; /api/status has the same as JSON`
    const response = failure(503, why)
    response.fields.set('retry-after', '5')
    return response
  }

  #drain(): HttpResponse {
    this.#log.info('drain asked for by admin')
    // It ends when the last call has; whoever asked watches /readyz or the process.
    this.#status.drain().catch((thrown: unknown) => {
      this.#log.error('drain failed', { err: toError(thrown) })
    })
    // A drain may be over before the next second: pages learn at once that it began.
    this.#push(0)
    return json(202, { status: 'draining' })
  }

  async #reload(): Promise<HttpResponse> {
    const outcome = await this.#status.reload()
    this.#log.info('reload asked for by admin', { outcome: outcome.status })
    return json(outcome.status === 'rejected' ? 422 : 200, outcome)
  }

  #count(record: RequestRecord): void {
    this.#history.record(record.status, record.durationSeconds, record.endedAt)
    this.#metrics.record(record)
  }

  /** Shortly after each whole second, so that the second before can be closed. */
  #armTimer(): void {
    const next = (Math.floor(this.#clock.now() / 1_000) + 1) * 1_000 + AFTER_SECOND_MS
    this.#timer = this.#clock.setTimer(next, () => {
      if (this.#closed) return
      this.#armTimer()
      this.#tick()
    })
    this.#timer.unref()
  }

  #tick(): void {
    const { status, trends, process } = this.#sources
    const now = this.#clock.now()
    const { openConnections, activeRequests, retries } = status.totals
    const levels = { connections: openConnections, active: activeRequests, retries }
    const points = this.#history.close(now, levels)
    trends.sample(status.clusters(), this.#clock.wallNow())
    process?.sample(now)
    this.#metrics.tidy()
    this.#push(points)
  }

  /** @param points how many seconds have been closed since the last time */
  #push(points: number): void {
    const make = (): string => JSON.stringify(takeSnapshot(this.#sources, points))
    this.#streams.tick(this.#clock.now(), make)
  }

  #snapshotJson(): string {
    return JSON.stringify(takeSnapshot(this.#sources))
  }
}

interface Route {
  readonly method: 'GET' | 'POST'
  readonly handle: (request: HttpRequest) => HttpResponse | Promise<HttpResponse>
}

function probe(ok: boolean, phase: string): HttpResponse {
  return text(ok ? 200 : 503, `${ok ? 'ok' : phase}\n`)
}

function text(status: number, body: string): HttpResponse {
  return respond(status, 'text/plain; charset=utf-8', { body })
}

function json(status: number, value: unknown): HttpResponse {
  return respond(status, 'application/json', { body: `${JSON.stringify(value)}\n` })
}

function failure(status: number, message: string): HttpResponse {
  return json(status, { error: message })
}

function notAllowed(path: string, allowed: Route['method']): HttpResponse {
  const what = allowed === 'POST' ? 'changes something' : 'only tells'
  const response = failure(405, `${path} ${what}: use ${allowed}`)
  response.fields.set('allow', allowed === 'GET' ? 'GET, HEAD' : 'POST')
  return response
}

function respond(status: number, type: string, init: HttpResponseInit): HttpResponse {
  return new HttpResponse({ ...init, status, fields: { 'content-type': type, ...SAFE_FIELDS } })
}

const EVENT_STREAM = 'text/event-stream'
/** Nothing is kept, nothing comes from elsewhere, nobody may embed it. */
const SAFE_FIELDS: Readonly<Record<string, string>> = Object.freeze({
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
})
const AFTER_SECOND_MS = 5
