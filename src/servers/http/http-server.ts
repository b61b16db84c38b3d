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
import type { Connection } from '../../core/connection.ts'
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
import type { Http1ServerOptions } from '../../protocols/http1/options.ts'
import { Http1ServerSession } from '../../protocols/http1/server-session.ts'
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
import { HttpServerConnection, type HttpServerObserver } from './http-server-connection.ts'
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
  requestTimeoutMs: number
  writeTimeoutMs: number
}> = Object.freeze({
  name: 'http',
  requestTimeoutMs: Number.POSITIVE_INFINITY,
  writeTimeoutMs: driverDefaults.writeTimeoutMs,
})

export function httpServer(service: HttpService, options: HttpServerOptions = {}): HttpServer {
  return new HttpServer(service, options)
}

export class HttpServer implements Server {
  readonly #service: HttpService
  readonly #options: HttpServerOptions
  readonly #wheel: TimerWheel
  readonly #clock: Clock
  readonly #host: Host
  readonly #core: ServerCore
  readonly #requestTimeoutMs: number
  readonly #writeTimeoutMs: number
  readonly #date: (now: number) => string
  readonly #contextReader: ContextReader | undefined
  readonly #observer: HttpServerObserver | undefined

  constructor(service: HttpService, options: HttpServerOptions = {}) {
    const {
      clock = systemClock,
      host = nodeHost,
      name = httpServerDefaults.name,
      requestTimeoutMs = httpServerDefaults.requestTimeoutMs,
      writeTimeoutMs = httpServerDefaults.writeTimeoutMs,
    } = options
    const wheel = new TimerWheel({ clock })
    this.#service = publishedService(withPolicies(service, options, wheel), name)
    this.#observer = observerOf(options.observer, options.meter)
    this.#options = options
    this.#wheel = wheel
    // Every timeout of every connection: head, body, keep-alive, writes, and the requests' own.
    this.#clock = wheelClock(wheel)
    this.#host = host
    this.#requestTimeoutMs = checkRange(
      'requestTimeoutMs',
      requestTimeoutMs,
      1,
      Number.POSITIVE_INFINITY,
    )
    this.#writeTimeoutMs = checkRange('writeTimeoutMs', writeTimeoutMs, 1, Number.POSITIVE_INFINITY)
    this.#date = cachedDate(clock)
    this.#contextReader = contextReader(options.propagation, host)
    this.#core = new ServerCore({
      ...options,
      clock,
      onStateChange: stateObserver(options.onStateChange, name),
      createConnection: (connection, control) => this.#createConnection(connection, control),
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
    return this.#core.listen(transport, where, options)
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

  #createConnection(connection: Connection, control: ConnectionControl): HttpServerConnection {
    const scheme = connection.facts.tls === undefined ? 'http' : 'https'
    const session = new Http1ServerSession(
      {
        ...this.#options,
        host: this.#host,
        scheme,
        date: this.#date,
      },
      this.#clock.now(),
    )
    const served = new HttpServerConnection(
      connection,
      session,
      {
        service: this.#service,
        scheme,
        clock: this.#clock,
        requestTimeoutMs: this.#requestTimeoutMs,
        writeTimeoutMs: this.#writeTimeoutMs,
        contextReader: this.#contextReader,
        observer: this.#observer,
        errorResponse: this.#options.errorResponse ?? httpClassifier.errorResponse,
      },
      (reason) => control.closed(reason),
    )
    control.to('ready')
    served.start()
    return served
  }
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
