/**
 * HTTP metrics by OpenTelemetry's semantic conventions, bound once per route or cluster.
 *
 *     const metrics = new HttpServerMetrics(meter, { 'http.route': '/users/*', 'url.scheme': 'https' })
 *     metrics.started('GET')
 *     metrics.ended('GET', 200, 0.0021)
 *
 * Low in cardinality by construction: methods beyond the known ones are `_OTHER`, a status that is
 * none is left out, and the series of a (method, status) pair is made when it is first seen, then
 * found by two array reads.
 */
import type { TraceContext } from '../core/context.ts'
import type { Attributes, Counter, Gauge, Histogram, Meter } from '../core/metrics.ts'
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

/** What a server counts for one route (or for itself). */
export class HttpServerMetrics {
  readonly #durations: HttpDurations
  readonly #active: Gauge

  /** @param attributes `http.route`, `url.scheme`, `network.protocol.version`, own ones */
  constructor(meter: Meter, attributes: Attributes) {
    this.#durations = new HttpDurations(
      meter,
      'http.server.request.duration',
      'Duration of HTTP server requests.',
      attributes,
      500,
    )
    this.#active = meter.gauge('http.server.active_requests', ACTIVE_SERVER, attributes)
  }

  started(): void {
    this.#active.add(1)
  }

  ended(method: string, status: number, seconds: number, trace?: TraceContext): void {
    this.#active.add(-1)
    this.#durations.record(method, status, seconds, trace)
  }

  failed(method: string, errorType: string, seconds: number, trace?: TraceContext): void {
    this.#active.add(-1)
    this.#durations.recordFailure(method, errorType, seconds, trace)
  }
}

/** What a client counts for one destination: calls with their retries, and single attempts. */
export class HttpClientMetrics {
  readonly #calls: HttpDurations
  readonly #active: Gauge
  readonly attempts: Counter
  readonly retries: Counter
  /** Retries that were wanted but that the budget refused. */
  readonly retriesDenied: Counter
  readonly breakerOpened: Counter
  /** Calls refused before anything was sent: breaker open, pool full, no endpoint. */
  readonly rejected: Counter

  /** @param attributes `server.address`, `server.port`, own ones such as the cluster's name */
  constructor(meter: Meter, attributes: Attributes) {
    this.#calls = new HttpDurations(
      meter,
      'http.client.request.duration',
      'Duration of HTTP client requests, retries included.',
      attributes,
      400,
    )
    const counter = (name: string, unit: string, description: string): Counter =>
      meter.counter(name, { unit, description }, attributes)
    this.#active = meter.gauge('http.client.active_requests', ACTIVE_CLIENT, attributes)
    this.attempts = counter('heddle.client.attempts', '{attempt}', 'Attempts sent, first ones too.')
    this.retries = counter('heddle.client.retries', '{attempt}', 'Attempts after the first.')
    this.retriesDenied = counter(
      'heddle.client.retries.denied',
      '{attempt}',
      'Retries that the retry budget refused.',
    )
    this.breakerOpened = counter('heddle.client.breaker.opened', '{event}', 'Breakers that opened.')
    this.rejected = counter(
      'heddle.client.rejected',
      '{request}',
      'Calls refused before anything was sent.',
    )
  }

  started(): void {
    this.#active.add(1)
  }

  ended(method: string, status: number, seconds: number, trace?: TraceContext): void {
    this.#active.add(-1)
    this.#calls.record(method, status, seconds, trace)
  }

  failed(method: string, errorType: string, seconds: number, trace?: TraceContext): void {
    this.#active.add(-1)
    this.#calls.recordFailure(method, errorType, seconds, trace)
  }
}

/** What a listener or a pool counts for its connections. */
export class ConnectionMetrics {
  readonly open: Gauge
  readonly opened: Counter
  /** Accept errors, failed handshakes, refused connections. */
  readonly errors: Counter
  readonly bytesRead: Counter
  readonly bytesWritten: Counter
  readonly duration: Histogram

  /** @param attributes `network.transport`, `network.protocol.name`, `heddle.listener`, … */
  constructor(meter: Meter, attributes: Attributes) {
    const counter = (name: string, unit: string, description: string): Counter =>
      meter.counter(name, { unit, description }, attributes)
    this.open = meter.gauge(
      'heddle.connection.open',
      { unit: '{connection}', description: 'Connections that are open.' },
      attributes,
    )
    this.opened = counter('heddle.connection.opened', '{connection}', 'Connections ever opened.')
    this.errors = counter('heddle.connection.errors', '{error}', 'Connections that failed.')
    this.bytesRead = counter('heddle.connection.read', 'By', 'Bytes read.')
    this.bytesWritten = counter('heddle.connection.written', 'By', 'Bytes written.')
    this.duration = meter.histogram(
      'heddle.connection.duration',
      {
        unit: 's',
        description: 'How long connections were open.',
        buckets: CONNECTION_DURATION_BUCKETS,
      },
      attributes,
    )
  }

  closed(seconds: number): void {
    this.open.add(-1)
    this.duration.record(seconds)
  }
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
/** From the conventions for `http.client.connection.duration`. */
const CONNECTION_DURATION_BUCKETS: readonly number[] = Object.freeze([
  0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300,
])
const ACTIVE_SERVER = Object.freeze({
  unit: '{request}',
  description: 'HTTP server requests in progress.',
})
const ACTIVE_CLIENT = Object.freeze({
  unit: '{request}',
  description: 'HTTP client requests in progress.',
})
const NO_STATUS = 500
const MAX_FAILURE_KINDS = 256
