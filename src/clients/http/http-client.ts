/**
 * An HTTP client of one destination: endpoints, pools, retries, breakers and deadlines around
 * HTTP/1.1 connections over any transport.
 *
 *     await using client = httpClient('http://127.0.0.1:3000')
 *     const response = await client.get('/hello')
 *     console.log(response.status, await response.body.text())
 *
 * `explain(client.core)` prints the stack with its parameters and live state. For many origins see
 * http-agent.ts.
 */
import { type Address, formatAddress, parseAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import { Call, type CallContext, type CallInit } from '../../core/context.ts'
import { TransportError, UsageError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { Endpoint } from '../../core/policy.ts'
import type { Client, ClientCall, ClientStatus, MaybePromise } from '../../core/service.ts'
import type { Transport } from '../../core/transport.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { httpClassifier } from '../../protocols/http/classifier.ts'
import {
  HttpRequest,
  type HttpRequestInit,
  type HttpResponse,
} from '../../protocols/http/messages.ts'
import { Http1ClientSession } from '../../protocols/http1/client-session.ts'
import type { Http1ClientOptions } from '../../protocols/http1/options.ts'
import { type ClientCore, type ClientOptions, createClient } from '../../runtime/client.ts'
import type { ConnectContext } from '../../runtime/exchanger.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { tls } from '../../transports/tls/tls.ts'
import { unix } from '../../transports/unix/unix.ts'
import { Http1ClientConnection } from './http1-client-connection.ts'

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
  /** Limits and timeouts of each connection's session. */
  http1?: Omit<Http1ClientOptions, 'host'>
  /** @default the system clock */
  clock?: Clock
  /** @default Node's */
  host?: Host
}

/**
 * @param origin `http://host:port`, `https://host`, or `http+unix:/path/to/socket`; with
 *   `endpoints` or a resolver it still says scheme and authority
 */
export function httpClient(origin: string | URL, options: HttpClientOptions = {}): HttpClient {
  return new HttpClient(origin, options)
}

export class HttpClient implements Client<HttpRequest, HttpResponse> {
  /** The stack below: `explain(client.core)`. */
  readonly core: ClientCore<HttpRequest, HttpResponse>
  readonly scheme: 'http' | 'https'
  readonly authority: string
  readonly #clock: Clock

  constructor(origin: string | URL, options: HttpClientOptions = {}) {
    const { clock = systemClock, host = nodeHost, transport, http1, ...core } = options
    const { scheme, authority, address } = parseOrigin(origin)
    this.scheme = scheme
    this.authority = authority
    this.#clock = clock
    const via = transport ?? defaultTransport(scheme, address)
    const endpoints = core.resolver === undefined ? [{ address }] : undefined
    this.core = createClient<HttpRequest, HttpResponse>({
      name: `${scheme}://${authority}`,
      classifier: httpClassifier,
      ...(endpoints !== undefined && { endpoints }),
      ...core,
      clock,
      random: host.random,
      connectEndpoint: (endpoint, context) =>
        connectHttp1(via, endpoint, context, { clock, host, authority, ...(http1 && { http1 }) }),
    })
  }

  get status(): ClientStatus {
    return this.core.status
  }

  /** Sends a request; its authority and scheme are this client's unless it brings its own. */
  readonly call: ClientCall<HttpRequest, HttpResponse> = (request, context) =>
    this.core.call(this.#complete(request), context)

  /** A request by its parts; `init.deadline` and `timeoutMs` limit the whole call. */
  request(init: HttpRequestInit & HttpCallInit): MaybePromise<HttpResponse> {
    return this.call(new HttpRequest(init), this.#context(init))
  }

  async get(target: string, init: HttpRequestInit & HttpCallInit = {}): Promise<HttpResponse> {
    return this.request({ ...init, method: 'GET', target })
  }

  async post(
    target: string,
    body: HttpRequestInit['body'],
    init: HttpRequestInit & HttpCallInit = {},
  ): Promise<HttpResponse> {
    return this.request({ ...init, method: 'POST', target, body })
  }

  close(options?: { signal?: AbortSignal }): Promise<void> {
    return this.core.close(options)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #complete(request: HttpRequest): HttpRequest {
    if (request.authority !== '') return request
    const { method, target, fields, body, inform } = request
    const { scheme, authority } = this
    const complete = new HttpRequest({ method, target, scheme, authority, fields, body })
    complete.inform = inform
    return complete
  }

  #context(init: HttpCallInit): CallContext | undefined {
    const { timeoutMs, signal, idempotent, priority } = init
    if (timeoutMs === undefined && signal === undefined && idempotent === undefined)
      return undefined
    const deadline = timeoutMs === undefined ? undefined : this.#clock.now() + timeoutMs
    return new Call({ deadline, signal, idempotent, priority })
  }
}

export interface HttpCallInit extends Pick<CallInit, 'signal' | 'idempotent' | 'priority'> {
  /** Of the whole call, from now, in milliseconds. */
  timeoutMs?: number
}

interface ConnectSettings {
  readonly clock: Clock
  readonly host: Host
  readonly authority: string
  readonly http1?: Omit<Http1ClientOptions, 'host'>
}

/** Connects to one endpoint and makes the connection ready for calls. */
export async function connectHttp1(
  transport: Transport,
  endpoint: Endpoint,
  context: ConnectContext,
  settings: ConnectSettings,
): Promise<Http1ClientConnection> {
  const { clock, host, authority, http1 } = settings
  const connection = await transport.connect(endpoint.address, {
    signal: context.signal,
    deadline: context.deadline,
    serverName: endpoint.hostname ?? hostOf(authority),
  })
  const alpn = connection.facts.tls?.alpn
  if (alpn !== undefined && alpn !== 'http/1.1') {
    connection.destroy()
    const where = formatAddress(endpoint.address)
    throw new TransportError('ERR_TLS', `${where} agreed to ${alpn}, not to http/1.1`, {
      sent: 'nothing',
    })
  }
  const session = new Http1ClientSession({ ...http1, host })
  const exchanger = new Http1ClientConnection(connection, session, { clock })
  exchanger.start()
  return exchanger
}

function parseOrigin(origin: string | URL): {
  scheme: 'http' | 'https'
  authority: string
  address: Address
} {
  const text = String(origin)
  if (text.startsWith('http+unix:')) {
    return { scheme: 'http', authority: 'localhost', address: parseAddress(text.slice(5)) }
  }
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    const message = `'${text}' is not an http://, https:// or http+unix: origin`
    throw new UsageError('ERR_ADDRESS_INVALID', message)
  }
  const scheme = url.protocol === 'https:' ? 'https' : 'http'
  const port = url.port === '' ? DEFAULT_PORTS[scheme] : Number(url.port)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { scheme, authority: url.host, address: { kind: 'ip', host, port } }
}

function defaultTransport(scheme: 'http' | 'https', address: Address): Transport {
  if (address.kind === 'unix') return unix()
  return scheme === 'https' ? tls({ alpn: ['http/1.1'] }) : tcp()
}

/** `a.example` of `a.example:8080`, `::1` of `[::1]:80`. */
function hostOf(authority: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(authority)
  return bracketed?.[1] ?? authority.replace(/:\d+$/, '')
}

const DEFAULT_PORTS = { http: 80, https: 443 } as const
