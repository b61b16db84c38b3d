/**
 * An HTTP server: a service, the limits around it, and any transport under it.
 *
 *     await using server = httpServer((request) => HttpResponse.text(`hello ${request.path}`))
 *     await server.listen(tcp(), 'tcp://127.0.0.1:3000')
 *
 * One server may listen on many transports and addresses. Policies given as options stand around
 * the service in the order of runtime/stack/server-stack.ts; without any the service is called
 * directly.
 */
import { type Address, parseAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import { checkRange, toError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { Server } from '../../core/service.ts'
import type { Listener, ListenOptions, Transport } from '../../core/transport.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { httpClassifier } from '../../protocols/http/classifier.ts'
import { formatHttpDate } from '../../protocols/http/date.ts'
import type { HttpRequest, HttpResponse, HttpService } from '../../protocols/http/messages.ts'
import {
  ContextReader,
  type ContextReaderOptions,
  requestIds,
} from '../../protocols/http/propagation.ts'
import { type Http1ServerOptions, http1ServerDefaults } from '../../protocols/http1/options.ts'
import type { Http2ServerOptions } from '../../protocols/http2/options.ts'
import { driverDefaults } from '../../runtime/driver.ts'
import {
  type ConnectionControl,
  ServerCore,
  type ServerCoreOptions,
  type ServerStats,
} from '../../runtime/server.ts'
import { hasPolicies, type ServerPolicies, serverStack } from '../../runtime/stack/server-stack.ts'
import { TimerWheel } from '../../runtime/timer-wheel.ts'
import { wheelClock } from '../../runtime/wheel-clock.ts'
import type { HttpServerObserver } from './http-server-connection.ts'
import {
  alpnOf,
  type ConnectionAge,
  checkUpgradeBytes,
  checkVersions,
  type ServedVersion,
  type ServeHttpOptions,
  serveHttp,
} from './serve-http.ts'
import {
  observerOf,
  publishedService,
  publishRefused,
  serverTracing,
  stateObserver,
} from './server-telemetry.ts'

export interface HttpServerOptions
  extends Omit<Http1ServerOptions, 'host' | 'scheme' | 'date'>,
    Omit<ServerCoreOptions, 'clock' | 'createConnection'>,
    ServerPolicies<HttpRequest, HttpResponse> {
  /** What people call it, in messages on diagnostics channels. @default 'http' */
  name?: string
  /**
   * Versions that are spoken. Over TLS the client chooses by ALPN, which a `tls()` without `alpn` of
   * its own offers; elsewhere, by its first bytes: HTTP/2 begins with a preface of its own.
   *
   * @default ['1.1', '2']
   */
  versions?: readonly ServedVersion[]
  /**
   * Limits of HTTP/2. Those it shares with HTTP/1.1 (`maxBodyBytes`, the timeouts, …) are taken from
   * beside it where they are not here.
   *
   * @default see http2ServerDefaults
   */
  http2?: Omit<Http2ServerOptions, 'host' | 'scheme' | 'date' | 'upgraded'>
  /**
   * Longest body, in bytes, of a request that upgrades its connection from HTTP/1.1 to HTTP/2
   * (`Upgrade: h2c`); one with a longer body is answered in HTTP/1.1. Undefined: none upgrades. A
   * proxy in front that lets such a request through by mistake cannot look at what follows, and no
   * client depends on it.
   *
   * @default undefined
   */
  upgradeBytes?: number
  /**
   * How old a connection grows, in milliseconds, give or take a tenth so that not all of them end
   * at once; then it finishes its calls and closes. Clients behind a balancer that only looks at
   * connections come to servers that started later. For HTTP/1.1 this is `Connection: close`, for
   * HTTP/2 GOAWAY.
   *
   * @default Infinity, as gRPC
   */
  maxConnectionAgeMs?: number
  /**
   * How long its calls may take from then on, in milliseconds; then it is destroyed.
   *
   * @default Infinity, as gRPC
   */
  maxConnectionAgeGraceMs?: number
  /**
   * Deadline of each call from the arrival of its head, in milliseconds, seen by the service as
   * `context.deadline`. The HTTP layer cannot know how long an answer may take, so there is none
   * by default; a gateway or a service sets its own.
   *
   * @default Infinity
   */
  requestTimeoutMs?: number
  /**
   * How long a client may take nothing of what is sent to it, in milliseconds; then it is dropped.
   * Anything in that time is enough; it is long because a kernel may take a megabyte from a slow
   * reader before it asks us for more.
   *
   * @default 120_000
   */
  writeTimeoutMs?: number
  /**
   * What of a call's context is read from its fields: the W3C trace, baggage and the request id,
   * which is made where none came. `false` reads nothing.
   *
   * @default reads all of them, and believes them
   */
  propagation?: ContextReaderOptions | false
  /** Told about each exchange. */
  observer?: HttpServerObserver
  /**
   * Answers for errors the service throws. By default the status of the error's class, with no
   * detail of the inside.
   */
  errorResponse?: (error: unknown) => HttpResponse
  /** @default the system clock */
  clock?: Clock
  /** @default Node's */
  host?: Host
}

export const httpServerDefaults: Readonly<{
  name: string
  versions: readonly ServedVersion[]
  requestTimeoutMs: number
  writeTimeoutMs: number
  maxConnectionAgeMs: number
  maxConnectionAgeGraceMs: number
}> = Object.freeze({
  name: 'http',
  // A client that speaks only one of them is told nothing of the other.
  versions: Object.freeze(['1.1', '2'] as const),
  requestTimeoutMs: Number.POSITIVE_INFINITY,
  writeTimeoutMs: driverDefaults.writeTimeoutMs,
  maxConnectionAgeMs: Number.POSITIVE_INFINITY,
  maxConnectionAgeGraceMs: Number.POSITIVE_INFINITY,
})

export function httpServer(service: HttpService, options: HttpServerOptions = {}): HttpServer {
  return new HttpServer(service, options)
}

export class HttpServer implements Server {
  readonly #wheel: TimerWheel
  readonly #core: ServerCore
  readonly #serving: ServeHttpOptions

  constructor(service: HttpService, options: HttpServerOptions = {}) {
    const { clock = systemClock, host = nodeHost, name = httpServerDefaults.name } = options
    const wheel = new TimerWheel({ clock })
    this.#wheel = wheel
    this.#serving = serving(service, options, wheel, host)
    this.#core = new ServerCore({
      ...options,
      clock,
      onStateChange: stateObserver(options.onStateChange, name),
      createConnection: (connection, control) =>
        serveHttp(connection, control, this.#serving, (reason) => control.closed(reason)),
    })
  }

  get stats(): ServerStats {
    return this.#core.stats
  }

  /** The connections that are open now, oldest first. */
  get connections(): Iterable<ConnectionControl> {
    return this.#core.connections
  }

  /** Called once when it begins to drain, at once if it does already. Returns what takes that back. */
  whenDraining(callback: () => void): () => void {
    return this.#core.whenDraining(callback)
  }

  listen(
    transport: Transport,
    address: Address | string,
    options?: Pick<ListenOptions, 'backlog' | 'descriptor'>,
  ): Promise<Listener> {
    const where = typeof address === 'string' ? parseAddress(address) : address
    // A layer above TLS would be handed what its own client has not agreed to.
    const offers = transport.name === 'tls' || transport.name.startsWith('tls+')
    const alpn = offers ? { alpn: alpnOf(this.#serving.versions) } : {}
    return this.#core.listen(transport, where, { ...options, ...alpn })
  }

  close(options?: { signal?: AbortSignal }): Promise<void> {
    const closed = this.#core.close(options)
    const rest = (): void => this.#wheel.rest()
    closed.then(rest, rest)
    return closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** What every connection is served with. */
function serving(
  service: HttpService,
  options: HttpServerOptions,
  wheel: TimerWheel,
  host: Host,
): ServeHttpOptions {
  const defaults = httpServerDefaults
  const {
    name = defaults.name,
    versions = defaults.versions,
    requestTimeoutMs = defaults.requestTimeoutMs,
    writeTimeoutMs = defaults.writeTimeoutMs,
    headTimeoutMs = http1ServerDefaults.headTimeoutMs,
    upgradeBytes,
  } = options
  const own = { host, date: cachedDate(wheel.clock) }
  return {
    service: publishedService(withPolicies(service, options, wheel), name),
    versions: checkVersions(versions),
    http1: { ...options, ...own },
    http2: { ...sharedLimits(options), ...options.http2, ...own },
    headTimeoutMs,
    age: ageOf(options, host),
    upgradeBytes: upgradeBytes === undefined ? undefined : checkUpgradeBytes(upgradeBytes),
    // Every timeout of every connection: head, body, keep-alive, writes, and the requests' own.
    clock: wheelClock(wheel),
    requestTimeoutMs: checkTime('requestTimeoutMs', requestTimeoutMs),
    writeTimeoutMs: checkTime('writeTimeoutMs', writeTimeoutMs),
    contextReader: contextReader(options.propagation, host),
    observer: observerOf(options.observer, options.meter),
    errorResponse: options.errorResponse ?? httpClassifier.errorResponse,
  }
}

function ageOf(options: HttpServerOptions, host: Host): ConnectionAge | undefined {
  const {
    maxConnectionAgeMs = httpServerDefaults.maxConnectionAgeMs,
    maxConnectionAgeGraceMs = httpServerDefaults.maxConnectionAgeGraceMs,
  } = options
  const maxMs = checkTime('maxConnectionAgeMs', maxConnectionAgeMs)
  const graceMs = checkTime('maxConnectionAgeGraceMs', maxConnectionAgeGraceMs)
  return maxMs === Number.POSITIVE_INFINITY ? undefined : { maxMs, graceMs, random: host.random }
}

/** What HTTP/1.1 and HTTP/2 mean the same by. */
function sharedLimits(options: HttpServerOptions): Http2ServerOptions {
  const limits: Http2ServerOptions = {}
  for (const key of SHARED_LIMITS) if (options[key] !== undefined) limits[key] = options[key]
  return limits
}

function checkTime(name: string, ms: number): number {
  return checkRange(name, ms, 1, Number.POSITIVE_INFINITY)
}

function contextReader(
  options: ContextReaderOptions | false | undefined,
  host: Host,
): ContextReader | undefined {
  if (options === false) return undefined
  const random = new Uint8Array(REQUEST_ID_BYTES)
  host.randomBytes(random)
  const prefix = [...random].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return new ContextReader({ newRequestId: requestIds(prefix), ...options })
}

/** Errors are answered inside the stack then, so that metrics, log and spans see the answer. */
function withPolicies(
  service: HttpService,
  options: HttpServerOptions,
  wheel: TimerWheel,
): HttpService {
  const { propagation } = options
  // A caller's deadline is kept, whatever the service does with it.
  const trustsDeadline = propagation !== false && propagation?.trustDeadline === true
  if (!hasPolicies(options) && !trustsDeadline) return service
  const { errorResponse = httpClassifier.errorResponse, observer } = options
  const { tracer, semantics, tracing: own, name = httpServerDefaults.name } = options
  return serverStack(service, {
    ...options,
    clock: wheel.clock,
    wheel,
    classifier: { ...httpClassifier, errorResponse },
    random: (options.host ?? nodeHost).random,
    onOverload: (change) => observer?.onOverload?.(change),
    onRefused(refusal) {
      observer?.onRefused?.(refusal)
      publishRefused(name, refusal.limit, refusal.retryAfterMs)
    },
    onStoreError: (error) => observer?.onError?.(error, undefined),
    measured: false,
    ...(tracer !== undefined && own === undefined && { tracing: serverTracing(tracer, semantics) }),
    onError: (error, request) => observer?.onError?.(toError(error), request),
  })
}

/**
 * The `Date` field, formatted once a second: RFC 9110 6.6.1 has no finer grain. The wall clock is
 * read only when the second that it was last read in must have passed.
 */
export function cachedDate(clock: Clock): (now: number) => string {
  let validUntil = Number.NEGATIVE_INFINITY
  let text = ''
  return (now) => {
    if (now >= validUntil) {
      const wall = clock.wallNow()
      validUntil = now + 1_000 - (wall % 1_000)
      text = formatHttpDate(wall)
    }
    return text
  }
}

const REQUEST_ID_BYTES = 6
const SHARED_LIMITS = [
  'maxBodyBytes',
  'maxFieldCount',
  'maxRequestsPerConnection',
  'headTimeoutMs',
  'bodyTimeoutMs',
  'minBodyBytes',
  'keepAliveTimeoutMs',
] as const
