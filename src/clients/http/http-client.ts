/**
 * An HTTP client of one destination: endpoints, pools, retries, breakers and deadlines around
 * HTTP/1.1 and HTTP/2 connections over any transport.
 *
 *     await using client = httpClient('http://127.0.0.1:3000')
 *     const response = await client.get('/hello')
 *     console.log(response.status, await response.body.text())
 *
 * `explainText(client)` prints the stack with its parameters and live state (explain-client.ts). For
 * many origins see http-agent.ts.
 */
import { formatAddress, parseAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import { Call, type CallContext } from '../../core/context.ts'
import { TimeoutError, UsageError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { MetricNames } from '../../core/metric-names.ts'
import type { Lease } from '../../core/pool.ts'
import { redactUrl } from '../../core/secret.ts'
import type {
  Client,
  ClientCall,
  ClientStatus,
  MaybePromise,
  Middleware,
  Service,
} from '../../core/service.ts'
import type { Transport } from '../../core/transport.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { systemClock } from '../../platform/system-clock.ts'
import type { ReplayableBodyInit } from '../../protocols/http/body.ts'
import { createHttpClassifier } from '../../protocols/http/classifier.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import {
  HttpRequest,
  type HttpRequestInit,
  type HttpResponse,
  type ResponseExchange,
} from '../../protocols/http/messages.ts'
import { HTTP_METRIC_NAMES } from '../../protocols/http/metric-names.ts'
import { ContextWriter, type ContextWriterOptions } from '../../protocols/http/propagation.ts'
import { httpSemantics } from '../../protocols/http/semantics.ts'
import { type ClientCore, createClient } from '../../runtime/client.ts'
import { combineObservers } from '../../runtime/client-observers.ts'
import type { ClientOptions } from '../../runtime/client-options.ts'
import type { PoolLimits } from '../../runtime/pool-options.ts'
import { isPromise, type Settlement, settle } from '../../runtime/settle.ts'
import { TimerWheel } from '../../runtime/timer-wheel.ts'
import { wheelClock } from '../../runtime/wheel-clock.ts'
import { CHANNELS, publishCalls } from '../../telemetry/channels.ts'
import { channelObserver } from '../telemetry/channel-observer.ts'
import type { Coalescing } from './coalescing.ts'
import {
  alpnOf,
  checkHttp2Options,
  checkVersionChoice,
  connectHttp,
  expectedCapacityOf,
  type Http1ConnectionOptions,
  type Http2ConnectionOptions,
  type HttpConnectSettings,
  type HttpVersionChoice,
  hostOf,
} from './connect-http.ts'
import { type DecompressOptions, decompress } from './decompress.ts'
import {
  directRoute,
  type Origin,
  type OriginTlsOptions,
  type ProxyOption,
  proxyRoute,
  type Route,
} from './default-transport.ts'
import {
  type HttpCallInit,
  type OneShotCallInit,
  oneShotError,
  type ReplayableRequestInit,
} from './http-call-init.ts'

export interface HttpClientOptions
  extends Partial<
    Omit<ClientOptions<HttpRequest, HttpResponse>, 'connectEndpoint' | 'clock' | 'random'>
  > {
  /**
   * How to reach the endpoints.
   *
   * @default by the origin: TLS for https, Unix sockets for `http+unix:`, TCP otherwise
   */
  transport?: Transport
  /** TLS of the default transport: authorities, client certificate, pins. */
  tls?: OriginTlsOptions
  /**
   * Goes through a proxy: `http://`, `https://`, `socks5://` or `socks4://` with its host, and
   * `user:password@` where it wants them; `environment` reads `http_proxy`, `https_proxy`,
   * `all_proxy` and `no_proxy` as curl does.
   *
   * @default none: a service must not change its way because of a variable that was meant for curl
   */
  proxy?: ProxyOption
  /** Asks for compressed answers and decodes them, within limits. @default false */
  decompress?: boolean | DecompressOptions
  /**
   * What of a call's context goes along with it: the W3C trace, baggage and the request id. Nothing
   * is sent for a call without a context; `false` never sends any.
   *
   * @default sends all of them
   */
  propagation?: ContextWriterOptions | false
  /**
   * Which version is spoken: `auto` is what the server chooses over TLS (ALPN), HTTP/1.1 elsewhere;
   * `2` over anything but TLS is prior knowledge (RFC 9113 3.3).
   *
   * @default auto
   */
  version?: HttpVersionChoice
  /** Connections that several clients may use for each other's origins; an agent makes one. */
  coalescing?: Coalescing
  /** Limits and timeouts of each HTTP/1.1 connection. */
  http1?: Http1ConnectionOptions
  /** Limits and timeouts of each HTTP/2 connection. */
  http2?: Http2ConnectionOptions
  /** @default the system clock */
  clock?: Clock
  /** @default Node's */
  host?: Host
}

/**
 * Names are resolved by the transport, which tries all addresses of a host; with
 * `resolver: dns()` each address becomes an endpoint with its own pool, breaker and share of the load.
 *
 * @param origin `http://host:port`, `https://host`, or `http+unix:/path/to/socket`; with
 *   `endpoints` or a resolver it still says scheme and authority
 */
export function httpClient(origin: string | URL, options: HttpClientOptions = {}): HttpClient {
  return new HttpClient(origin, options)
}

export class HttpClient implements Client<HttpRequest, HttpResponse> {
  /** The stack below, which `explain` prints. */
  readonly core: ClientCore<HttpRequest, HttpResponse>
  readonly scheme: 'http' | 'https'
  readonly authority: string
  readonly #clock: Clock
  readonly #service: Service<HttpRequest, HttpResponse>

  constructor(where: string | URL, options: HttpClientOptions = {}) {
    const { clock = systemClock, host = nodeHost, transport, http1, http2, ...rest } = options
    const { wheel = new TimerWheel({ clock }) } = options
    const connectionClock = wheelClock(wheel)
    const { tls, proxy, decompress: decoding = false, propagation, ...others } = rest
    const { version: choice = 'auto', coalescing, ...core } = others
    const version = checkVersionChoice(choice)
    checkHttp2Options(http2)
    const origin = parseOrigin(where)
    const { scheme, authority } = origin
    this.scheme = scheme
    this.authority = authority
    this.#clock = clock
    const route = routeOf(origin, options, alpnOf(version))
    const { address } = route
    const name = core.name ?? `${scheme}://${authority}`
    const contextWriter = propagation === false ? undefined : new ContextWriter(propagation)
    const settings: HttpConnectSettings = {
      clock: connectionClock,
      host,
      authority,
      scheme,
      version,
      contextWriter,
      http1,
      http2,
      poolIdles: core.pool?.idleTimeoutMs !== undefined,
      coalescing,
    }
    this.core = createClient<HttpRequest, HttpResponse>({
      name,
      classifier: createHttpClassifier({ wallNow: () => clock.wallNow() }),
      metricNames: httpMetricNames(origin),
      semantics: httpSemantics,
      ...(core.resolver === undefined
        ? { endpoints: [{ address }] }
        : { target: formatAddress(address) }),
      expectedCapacity: expectedCapacityOf(version, scheme, http2),
      ...core,
      observer: combineObservers(core.observer, channelObserver(name)),
      clock,
      wheel,
      random: host.random,
      ping: core.ping ?? (() => this.#ping()),
      ...(core.sharedPools && {
        poolKey: core.sharedPools.identity(
          scheme,
          authority,
          transport,
          tls,
          http1,
          http2,
          version,
          proxyKey(proxy),
        ),
      }),
      connectEndpoint: (endpoint, context) =>
        connectHttp(route.transport, endpoint, context, settings),
    })
    this.#service = aroundCalls(this.core, route, decoding, host)
  }

  get status(): ClientStatus {
    return this.core.status
  }

  /**
   * Sends a request; its authority and scheme are this client's unless it brings its own. Cancelling
   * `context`, or its own deadline, ends a body that is still on its way as well.
   */
  readonly call: ClientCall<HttpRequest, HttpResponse> = (request, context) => {
    const complete = request.authority === '' ? this.#complete(request) : request
    if (context === undefined) return this.#call(complete)
    return settle(this.#service, complete, context, new FollowedCall(this.#clock, context))
  }

  /**
   * A request by its parts; `init.signal` and `timeoutMs` limit the whole call, body included.
   *
   * @throws UsageError ERR_ARGUMENT for `idempotent: true` with a body that can be sent only once
   */
  request(init: ReplayableRequestInit): MaybePromise<HttpResponse>
  request(init: HttpRequestInit & OneShotCallInit): MaybePromise<HttpResponse>
  request(init: HttpRequestInit & HttpCallInit): MaybePromise<HttpResponse> {
    return this.#request(init)
  }

  #request(init: HttpRequestInit & HttpCallInit): MaybePromise<HttpResponse> {
    const { scheme = this.scheme, authority = this.authority } = init
    const request = new HttpRequest({ ...init, scheme, authority })
    if (init.idempotent === true && request.body.oneShot) throw oneShotError()
    const { timeoutMs, signal, idempotent, priority, context: parent } = init
    if (
      parent === undefined &&
      timeoutMs === undefined &&
      signal === undefined &&
      idempotent === undefined &&
      priority === undefined
    ) {
      return this.#call(request)
    }
    const deadline = timeoutMs === undefined ? undefined : this.#clock.now() + timeoutMs
    const context = new Call({ deadline, signal, idempotent, priority, attempt: 1 }, parent)
    const followed = new FollowedCall(this.#clock, context, () => context.finish())
    return settle(this.#service, request, context, followed)
  }

  /** One connection for requests that belong together, as a service; see `ClientCore.pin`. */
  async pin(context?: CallContext): Promise<Lease<Service<HttpRequest, HttpResponse>>> {
    const lease = await this.core.pin(context)
    return {
      resource: (request, call) =>
        lease.resource(request.authority === '' ? this.#complete(request) : request, call),
      release: () => lease.release(),
      discard: (reason) => lease.discard(reason),
      [Symbol.dispose]: () => lease[Symbol.dispose](),
    }
  }

  /** Other limits for the pools from now on, without touching a call. */
  reconfigure(options: { pool: PoolLimits }): void {
    this.core.reconfigure(options)
  }

  get(target: string, init?: HttpRequestInit & HttpCallInit): Promise<HttpResponse> {
    return this.#send('GET', target, undefined, init)
  }

  post(
    target: string,
    body: ReplayableBodyInit,
    init?: HttpRequestInit & HttpCallInit,
  ): Promise<HttpResponse>
  post(
    target: string,
    body: HttpRequestInit['body'],
    init?: HttpRequestInit & OneShotCallInit,
  ): Promise<HttpResponse>
  post(
    target: string,
    body: HttpRequestInit['body'],
    init?: HttpRequestInit & HttpCallInit,
  ): Promise<HttpResponse> {
    return this.#send('POST', target, body, init)
  }

  close(options?: { signal?: AbortSignal }): Promise<void> {
    return this.core.close(options)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Not `async`: the promise of the connection is the promise of the caller. */
  #send(
    method: string,
    target: string,
    body: HttpRequestInit['body'],
    init: (HttpRequestInit & HttpCallInit) | undefined,
  ): Promise<HttpResponse> {
    const { scheme, authority } = this
    try {
      const reply =
        init === undefined
          ? this.#call(new HttpRequest({ method, target, scheme, authority, body }))
          : this.#request({ ...init, method, target, body: body ?? init.body })
      return isPromise(reply) ? reply : Promise.resolve(reply)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Asks for nothing but an answer (RFC 9110 9.3.7). */
  #ping(): HttpRequest {
    const { scheme, authority } = this
    return new HttpRequest({ method: 'OPTIONS', target: '*', scheme, authority })
  }

  #call(request: HttpRequest): MaybePromise<HttpResponse> {
    return this.#service(request, new Call())
  }

  #complete(request: HttpRequest): HttpRequest {
    const { method, target, fields, body, inform, route, protocol } = request
    const { scheme, authority } = this
    const complete = new HttpRequest({
      method,
      target,
      scheme,
      authority,
      fields,
      body,
      route,
      protocol,
    })
    complete.inform = inform
    return complete
  }
}

/**
 * The layers of the stack are done with a call when its head is there. This one follows the caller's
 * context to the end of the body.
 */
class FollowedCall implements Settlement<HttpResponse> {
  readonly #clock: Clock
  readonly #context: CallContext
  readonly #onEnd: () => void

  constructor(clock: Clock, context: CallContext, onEnd: () => void = () => {}) {
    this.#clock = clock
    this.#context = context
    this.#onEnd = onEnd
  }

  onReply(response: HttpResponse): HttpResponse {
    const { exchange } = response
    if (exchange === undefined || exchange.over) this.#onEnd()
    else this.#follow(exchange)
    return response
  }

  onError(error: unknown): never {
    this.#onEnd()
    throw error
  }

  #follow(exchange: ResponseExchange): void {
    const { deadline } = this.#context
    const remove = this.#context.onCancel((reason) => exchange.abort(reason))
    const timer =
      deadline === undefined
        ? undefined
        : this.#clock.setTimer(deadline, () => {
            const message = 'the deadline passed before the body of the response was through'
            exchange.abort(new TimeoutError('ERR_DEADLINE', message, { sent: 'all' }))
          })
    exchange.onOver = () => {
      remove()
      timer?.cancel()
      this.#onEnd()
    }
  }
}

function parseOrigin(origin: string | URL): Origin {
  const text = String(origin)
  if (text.startsWith('http+unix:')) {
    return { scheme: 'http', authority: 'localhost', address: parseAddress(text.slice(5)) }
  }
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    const message = `'${redactUrl(text)}' is not an http://, https:// or http+unix: origin`
    throw new UsageError('ERR_ADDRESS_INVALID', message)
  }
  if (url.username !== '' || url.password !== '') {
    // Not shown: it is a secret.
    const message = 'an origin has no credentials: send them as Authorization'
    throw new UsageError('ERR_ADDRESS_INVALID', message)
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    const message = `'${text}' has a path: an origin is scheme, host and port`
    throw new UsageError('ERR_ADDRESS_INVALID', message)
  }
  const scheme = url.protocol === 'https:' ? 'https' : 'http'
  const port = url.port === '' ? DEFAULT_PORTS[scheme] : Number(url.port)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { scheme, authority: url.host, address: { kind: 'ip', host, port } }
}

function routeOf(origin: Origin, options: HttpClientOptions, alpn: readonly string[]): Route {
  const { transport, proxy, tls } = options
  checkRoute(options)
  if (transport !== undefined) {
    return { transport, address: origin.address, absolute: false, authorization: undefined }
  }
  const viaProxy = proxy === undefined ? undefined : proxyRoute(origin, proxy, tls, alpn)
  return viaProxy ?? directRoute(origin, tls, alpn)
}

/** What stands around the stack of a client, the caller's side last. */
function aroundCalls(
  core: ClientCore<HttpRequest, HttpResponse>,
  route: Route,
  decoding: boolean | DecompressOptions,
  host: Host,
): Service<HttpRequest, HttpResponse> {
  const publish = publishCalls<HttpRequest, HttpResponse>(CHANNELS.clientCall, core.name)
  let service = publish(core.call)
  if (route.absolute) service = absoluteForm(route.authorization)(service)
  if (decoding === false) return service
  return decompress({ host, ...(decoding === true ? {} : decoding) })(service)
}

function checkRoute(options: HttpClientOptions): void {
  const { proxy, transport, tls, endpoints, resolver } = options
  if (transport !== undefined && (proxy !== undefined || tls !== undefined)) {
    throw new UsageError('ERR_ARGUMENT', 'a transport of its own brings its own proxy and TLS')
  }
  if (proxy !== undefined && (endpoints !== undefined || resolver !== undefined)) {
    throw new UsageError('ERR_ARGUMENT', 'through a proxy the origin is the only endpoint')
  }
}

/** To an HTTP proxy: the whole URL as target, and who we are to the proxy. */
function absoluteForm(authorization: string | undefined): Middleware<HttpRequest, HttpResponse> {
  return (next) => (request, context) => {
    const { method, target, scheme, authority, body, route } = request
    const fields = new HttpFields(request.fields)
    if (authorization !== undefined) fields.set('proxy-authorization', authorization)
    const whole = target.startsWith('/') ? `${scheme}://${authority}${target}` : target
    const init = { method, target: whole, scheme, authority, fields, body, route }
    const asked = new HttpRequest(init)
    asked.inform = request.inform
    return next(asked, context)
  }
}

function proxyKey(proxy: ProxyOption | undefined): object | string | undefined {
  return proxy instanceof URL ? proxy.href : proxy
}

/**
 * https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#http-client: each request on the
 * wire is measured by itself, a call with its retries under a name of ours.
 */
function httpMetricNames({ scheme, authority }: Origin): MetricNames<HttpRequest, HttpResponse> {
  const port = /:(\d+)$/.exec(authority)?.[1]
  const attributes = {
    'server.address': hostOf(authority),
    'server.port': port === undefined ? DEFAULT_PORTS[scheme] : Number(port),
    'url.scheme': scheme,
  }
  return { ...HTTP_METRIC_NAMES, attributes }
}

const DEFAULT_PORTS = { http: 80, https: 443 } as const
