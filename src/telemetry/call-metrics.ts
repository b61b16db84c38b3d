/**
 * HTTP metrics by OpenTelemetry's semantic conventions, bound once per server, route or cluster.
 * Clients are measured by the metrics layers of their stack (runtime/middleware/metrics.ts).
 *
 * Low in cardinality by construction: methods beyond the known ones are `_OTHER`, a status that is
 * none is left out, and the series of a (method, status) pair is made when it is first seen, then
 * found by two array reads.
 */
import type { TraceContext } from '../core/context.ts'
import type { Attributes, Gauge, Histogram, Meter } from '../core/metrics.ts'
import { DURATION_BUCKETS, OTHER } from './registry.ts'

/** One kind of duration, by method and status, for a fixed set of further attributes. */
export class HttpDurations {
  readonly #meter: Meter
  readonly #attributes: Attributes
  readonly #name: string
  readonly #description: string
  readonly #errorsFrom: number
  /** By method, then by status − 100. */
  readonly #byMethod: (Histogram | undefined)[][] = []
  /** By method and error type: failures are not worth a faster way. */
  readonly #failures = new Map<string, Histogram>()

  /** @param errorsFrom statuses from here on carry `error.type`: 400 for clients, 500 for servers */
  constructor(
    meter: Meter,
    name: string,
    description: string,
    attributes: Attributes,
    errorsFrom: number,
  ) {
    this.#meter = meter
    this.#name = name
    this.#description = description
    this.#attributes = attributes
    this.#errorsFrom = errorsFrom
  }

  record(method: string, status: number, seconds: number, trace?: TraceContext): void {
    const index = methodIndex(method)
    const statuses = (this.#byMethod[index] ??= [])
    const at = status >= 100 && status < 600 ? status - 100 : NO_STATUS
    const histogram = (statuses[at] ??= this.#bindStatus(index, status))
    histogram.record(seconds, trace)
  }

  /** The call ended without an answer. `errorType`: the code of the error, low in cardinality. */
  recordFailure(method: string, errorType: string, seconds: number, trace?: TraceContext): void {
    const index = methodIndex(method)
    const key = `${index} ${errorType}`
    let histogram = this.#failures.get(key)
    if (histogram === undefined) {
      histogram = this.#bind(index, { 'error.type': errorType })
      // The meter bounds its series; this map follows it only as long as codes are few.
      if (this.#failures.size < MAX_FAILURE_KINDS) this.#failures.set(key, histogram)
    }
    histogram.record(seconds, trace)
  }

  #bindStatus(method: number, status: number): Histogram {
    if (!(status >= 100 && status < 600)) return this.#bind(method, { 'error.type': OTHER })
    const failed = status >= this.#errorsFrom
    return this.#bind(method, {
      'http.response.status_code': status,
      ...(failed && { 'error.type': String(status) }),
    })
  }

  #bind(method: number, outcome: Attributes): Histogram {
    const name = HTTP_METHODS[method] ?? OTHER
    const attributes = { ...this.#attributes, 'http.request.method': name, ...outcome }
    const options = { unit: 's', description: this.#description, buckets: HTTP_DURATION_BUCKETS }
    return this.#meter.histogram(this.#name, options, attributes)
  }
}

/**
 * What an HTTP server counts, as the observer it takes; `httpServer(service, { meter })` makes one:
 *
 *     httpServer(service, { observer: new HttpServerMetrics(meter) })
 *
 * Durations are by scheme, version and the request's route where its service names one. Routes are
 * templates, of which there are few; beyond 256 kinds the route is `_OTHER`.
 */
export class HttpServerMetrics {
  readonly #meter: Meter
  readonly #attributes: Attributes
  readonly #kinds = new Map<string, HttpDurations>()
  readonly #active: Gauge

  /** @param attributes `server.address`, own ones */
  constructor(meter: Meter, attributes: Attributes = {}) {
    this.#meter = meter
    this.#attributes = attributes
    const description = 'HTTP server requests in progress.'
    const options = { unit: '{request}', description }
    this.#active = meter.gauge('http.server.active_requests', options, attributes)
  }

  onRequest(): void {
    this.#active.add(1)
  }

  onExchange(exchange: FinishedExchange): void {
    this.#active.add(-1)
    const { request, status, durationMs, error } = exchange
    const seconds = durationMs / 1_000
    const durations = this.#durationsOf(request)
    if (status !== 0) return durations.record(request.method, status, seconds, request.trace)
    const code = (error as { code?: unknown } | undefined)?.code
    const type = typeof code === 'string' ? code : OTHER
    durations.recordFailure(request.method, type, seconds, request.trace)
  }

  #durationsOf(request: FinishedExchange['request']): HttpDurations {
    const { route = '' } = request
    const key = `${request.scheme} ${request.version} ${route}`
    const known = this.#kinds.get(key)
    if (known !== undefined) return known
    // Routes that share a place are few kinds: schemes and versions are.
    const name = this.#kinds.size >= MAX_KINDS && route !== '' ? OTHER : route
    if (name !== route) return this.#durationsOf({ ...request, route: name })
    const made = new HttpDurations(
      this.#meter,
      'http.server.request.duration',
      'Duration of HTTP server requests.',
      {
        ...this.#attributes,
        ...(request.scheme !== undefined && { 'url.scheme': request.scheme }),
        ...(request.version !== undefined && { 'network.protocol.version': request.version }),
        ...(name !== '' && { 'http.route': name }),
      },
      500,
    )
    this.#kinds.set(key, made)
    return made
  }
}

/** What of a finished exchange is counted. */
export interface FinishedExchange {
  readonly request: {
    readonly method: string
    readonly scheme?: string
    readonly version?: string
    readonly route?: string | undefined
    /** Its own span, or what came with it. */
    readonly trace?: TraceContext | undefined
  }
  /** 0: no answer was sent. */
  readonly status: number
  readonly durationMs: number
  readonly error: Error | undefined
}

/** Position in {@link HTTP_METHODS}, or its length for any other method. */
function methodIndex(method: string): number {
  switch (method) {
    case 'GET':
      return 0
    case 'POST':
      return 1
    case 'PUT':
      return 2
    case 'DELETE':
      return 3
    case 'HEAD':
      return 4
    case 'PATCH':
      return 5
    case 'OPTIONS':
      return 6
    case 'CONNECT':
      return 7
    case 'TRACE':
      return 8
    case 'QUERY':
      return 9
    default:
      return 10
  }
}

/** The methods that the conventions let stand as they are; case matters. */
const HTTP_METHODS: readonly string[] = Object.freeze([
  'GET',
  'POST',
  'PUT',
  'DELETE',
  'HEAD',
  'PATCH',
  'OPTIONS',
  'CONNECT',
  'TRACE',
  'QUERY',
])

/**
 * OpenTelemetry's buckets, with three below: a gateway answers in less than the advised 5 ms, and
 * everything would be in one bucket.
 */
export const HTTP_DURATION_BUCKETS: readonly number[] = Object.freeze([
  0.000_5,
  0.001,
  0.002_5,
  ...DURATION_BUCKETS,
])
const NO_STATUS = 500
const MAX_FAILURE_KINDS = 256
const MAX_KINDS = 256
