/**
 * One HTTP connection of a client, of any version: calls become commands of the session, events
 * become replies.
 *
 * A call resolves with the head of its response; a body that did not come with it follows under
 * demand. Until both are through the exchange keeps its place: read, `discard()` or cancel a body.
 *
 * | an exchange…                      | HTTP/1.1                        | HTTP/2              |
 * |-----------------------------------|---------------------------------|---------------------|
 * | given up                          | closes the connection, unless what is left is short enough to be dropped | resets its stream |
 * | answered before it was sent       | is cut, and with it the connection | goes on sending, unless the server says otherwise (RFC 9113 8.1) |
 * | CONNECT, answered with 2xx        | hands the connection over       | becomes a connection |
 */
import type { Connection } from '../../core/connection.ts'
import type { ConnectionState } from '../../core/connection-state.ts'
import type { CallContext } from '../../core/context.ts'
import {
  ClosedError,
  checkRange,
  HeddleError,
  OverloadError,
  toError,
  UsageError,
} from '../../core/errors.ts'
import { ExchangeConnection } from '../../links/layer/exchange-connection.ts'
import type {
  ClientCommand,
  ClientEvent,
  HttpClientSession,
  PushedEvent,
  ResponseEvent,
} from '../../protocols/http/exchange.ts'
import type { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, type HttpResponse, type HttpVersion } from '../../protocols/http/messages.ts'
import type { ContextWriter } from '../../protocols/http/propagation.ts'
import { Driver, type DriverOptions, type DriverOwner } from '../../runtime/driver.ts'
import type { ConnectContext, Exchanger } from '../../runtime/exchanger.ts'
import { aborted, ClientExchange, type ExchangeOwner } from './client-exchange.ts'
import { ClientPings } from './client-pings.ts'
import { TunnelCarrier } from './tunnel-carrier.ts'

export interface HttpClientConnectionOptions extends DriverOptions {
  /**
   * How long a request with `Expect: 100-continue` waits for the 100 before it sends its body all
   * the same (RFC 9110 10.1.1: a server may be older than the mechanism), in milliseconds.
   *
   * @default 1_000, as curl
   */
  continueTimeoutMs?: number | undefined
  /** `:scheme` of HTTP/2, whatever requests say: a proxy's are its clients'. @default the request's */
  scheme?: 'http' | 'https' | undefined
  /** What of a call's context is sent with it. @default nothing */
  contextWriter?: Pick<ContextWriter, 'write'> | undefined
  /** HTTP/2: gets what the server pushes. @default none: it is refused */
  onPush?: PushHandler | undefined
  /** HTTP/2: told the code and text of each GOAWAY. */
  onGoAway?: ((code: number, text: string) => void) | undefined
  /** As `Exchanger.pingAfterMs`. */
  pingAfterMs?: number | undefined
  /** As `Exchanger.maxIdleMs`. */
  maxIdleMs?: number | undefined
}

/**
 * Told of a push: the request that the server answers before it was made, safe and without a body
 * (RFC 9113 8.4), and its response, which rejects where it breaks. `response.body.discard()`, or
 * `exchange.abort`, when it is not wanted: it holds a place like any other.
 */
export type PushHandler = (request: HttpRequest, response: Promise<HttpResponse>) => void

export const httpClientConnectionDefaults: Readonly<{ continueTimeoutMs: number }> = Object.freeze({
  continueTimeoutMs: 1_000,
})

export class HttpClientConnection
  implements Exchanger<HttpRequest, HttpResponse>, DriverOwner<ClientEvent>, ExchangeOwner
{
  onChange: (() => void) | undefined
  readonly pingAfterMs: number | undefined
  readonly maxIdleMs: number | undefined
  /** A server that has enough, or goes, says which calls it has not looked at. */
  readonly mayRefuse: boolean
  readonly ping: ((context: ConnectContext) => Promise<void>) | undefined
  readonly #driver: Driver<ClientCommand, ClientEvent>
  readonly #session: HttpClientSession
  readonly #options: HttpClientConnectionOptions
  readonly #continueTimeoutMs: number
  /** Exchanges are streams beside each other: what happens to one does not concern the others. */
  readonly #multiplexed: boolean
  /** By number, in the order of the wire. Bounded by what the session takes. */
  readonly #exchanges = new Map<number, ClientExchange>()
  /** Responses whose heads have come in this batch, and whose bodies may. */
  #starting: ClientExchange[] = []
  readonly #pings = new ClientPings(() => this.#driver.submit(PING))
  #watchers: Set<() => void> | undefined
  readonly #holders = new Set<object>([this])
  /** The last the pool heard of `available`, where it is 0 or 1. */
  #told = 0
  #closed = false

  constructor(
    connection: Connection,
    session: HttpClientSession,
    options: HttpClientConnectionOptions,
  ) {
    const { continueTimeoutMs = httpClientConnectionDefaults.continueTimeoutMs } = options
    this.onChange = undefined
    this.#session = session
    this.#options = options
    this.#multiplexed = session.version !== '1.1' && session.version !== '1.0'
    this.mayRefuse = this.#multiplexed
    this.ping = this.#multiplexed ? (context) => this.#pings.ask(context) : undefined
    this.pingAfterMs = options.pingAfterMs
    this.maxIdleMs = options.maxIdleMs
    this.#continueTimeoutMs = checkRange('continueTimeoutMs', continueTimeoutMs, 0, 0x7fff_ffff)
    this.#driver = new Driver(connection, session, this, options)
  }

  get connection(): Connection {
    return this.#driver.connection
  }

  get version(): HttpVersion {
    return this.#session.version
  }

  get available(): number {
    return this.#closed ? 0 : this.#session.capacity
  }

  get inFlight(): number {
    const count = this.#exchanges.size
    if (this.#multiplexed) return count
    // An exchange that was given up, whose response is still being dropped.
    return count === 0 && !this.#closed && this.#session.pending > 0 ? 1 : count
  }

  get state(): ConnectionState {
    if (this.#closed) return 'closed'
    switch (this.#session.state) {
      case 'opening':
      case 'open':
        return 'ready'
      case 'closing':
        return 'draining'
      default:
        return 'closing'
    }
  }

  get idleTimeoutMs(): number | undefined {
    return this.#session.keepAliveHintMs
  }

  /** `callback` hears what `onChange` hears. @returns what ends that */
  watch(callback: () => void): () => void {
    this.#watchers ??= new Set()
    this.#watchers.add(callback)
    return () => this.#watchers?.delete(callback)
  }

  start(): void {
    this.#driver.start()
    this.#told = this.available
  }

  /**
   * Sends one request. Rejects with what the session says was sent, or with the caller's own reason.
   * A streamed body must be unused.
   */
  call(request: HttpRequest, context: CallContext): Promise<HttpResponse> {
    if (context.cancelled) return Promise.reject(context.cancelReason)
    if (this.available === 0) {
      return Promise.reject(new OverloadError('ERR_BUSY', 'the connection takes no call now'))
    }
    // RFC 8441 3: not before it was offered, which is the first that a server says.
    if (request.protocol !== undefined && this.#session.peerKnown === false) {
      return this.#pings.ask(context, true).then(() => this.call(request, context))
    }
    const exchange = new ClientExchange(this.#session.nextExchange, request, this)
    try {
      this.#submit(exchange, context)
    } catch (error) {
      exchange.dropBody(toError(error))
      return Promise.reject(error)
    }
    exchange.watch(context)
    return exchange.promise
  }

  /** Finishes what is in flight, then closes. */
  close(): void {
    if (this.#closed) return
    this.#driver.submit(DRAIN)
    this.#changed()
  }

  destroy(reason: Error): void {
    if (this.#closed) return
    // A `ClosedError` says that nothing was sent, which is not known of calls in flight.
    const told =
      reason instanceof ClosedError
        ? new ClosedError('ERR_CLOSED', reason.message, { cause: reason, sent: 'some' })
        : reason
    this.#abortAll(told)
    this.#driver.destroy(reason)
  }

  /** It keeps the process alive while anybody holds it: its pool does at first. */
  ref(holder: object = this): void {
    this.#holders.add(holder)
    this.connection.ref()
  }

  unref(holder: object = this): void {
    this.#holders.delete(holder)
    if (this.#holders.size === 0) this.connection.unref()
  }

  onEvent(event: ClientEvent): void {
    switch (event.type) {
      case 'response':
        return this.#onResponse(event)
      case 'data': {
        const exchange = this.#exchanges.get(event.exchange)
        if (exchange !== undefined && !exchange.onData(event.chunk)) this.demand(exchange, false)
        return
      }
      case 'end':
        return this.#onEnd(event.exchange, event.trailers)
      case 'writable':
        if (!this.#driver.blocked) this.#exchanges.get(event.exchange)?.resumeRequest()
        return
      case 'inform':
        return this.#exchanges.get(event.exchange)?.onInform(event.status, event.fields)
      case 'aborted':
        return this.#onAborted(event.exchange, event.error)
      case 'detached':
        return this.#onDetached(event.exchange)
      case 'pong':
        return this.#pings.answered()
      case 'goaway':
        this.#options.onGoAway?.(event.code, event.text)
        return this.#changed()
      case 'pushed':
        return this.#onPushed(event)
      case 'capacity':
        if (this.#multiplexed || this.available !== this.#told) this.#changed()
    }
  }

  onBatchEnd(): void {
    if (this.#starting.length === 0) return
    const starting = this.#starting
    this.#starting = []
    for (const exchange of starting) {
      // It may have ended in the same batch.
      if (exchange.over || !exchange.isStarting) continue
      this.demand(exchange, false)
      exchange.stream()
    }
  }

  onWritable(): void {
    const session = this.#session
    for (const exchange of this.#exchanges.values()) {
      if (this.#driver.blocked) return
      if (session.isWritable(exchange.id)) exchange.resumeRequest()
    }
  }

  onClosed(reason: Error | undefined): void {
    this.#closed = true
    const error = reason ?? new ClosedError('ERR_CLOSED', 'the connection was closed')
    this.#abortAll(error)
    this.#pings.fail(error)
    this.#changed()
  }

  // --- what exchanges ask

  sendData(exchange: ClientExchange, chunk: Uint8Array): boolean {
    try {
      this.#driver.submit({ type: 'data', exchange: exchange.id, chunk, owned: false })
    } catch (error) {
      // More than the length announced.
      this.cancel(exchange, toError(error))
      return false
    }
    return this.isWritable(exchange)
  }

  isWritable(exchange: ClientExchange): boolean {
    return !this.#closed && !this.#driver.blocked && this.#session.isWritable(exchange.id)
  }

  sendEnd(exchange: ClientExchange, trailers: HttpFields | undefined): void {
    try {
      this.#driver.submit({ type: 'end', exchange: exchange.id, trailers })
    } catch (error) {
      // Less than the length announced, or trailers that cannot be sent.
      this.cancel(exchange, toError(error))
    }
  }

  demand(exchange: ClientExchange, wanted: boolean): void {
    if (this.#closed || exchange.over) return
    this.#driver.submit({ type: 'demand', exchange: exchange.id, wanted })
  }

  /** Gives one up: its caller hears `reason`, untouched. */
  cancel(exchange: ClientExchange, reason: Error): void {
    if (exchange.over) return
    exchange.abortWith(reason)
    this.#reset(exchange, reason)
    // HTTP/1.1 may have to drop the rest of its response first.
    if (this.#multiplexed) this.#remove(exchange)
  }

  finished(exchange: ClientExchange): void {
    this.#remove(exchange)
  }

  #submit(exchange: ClientExchange, context: CallContext): void {
    const { request } = exchange
    const { contextWriter } = this.#options
    const { body } = request
    let streams = false
    let waits = false
    const tunnels = this.#tunnels(request)
    if (tunnels) streams = true
    else if (!body.isEmpty) {
      waits = request.fields.hasToken('expect', '100-continue')
      streams = waits || body.content === undefined
      if (streams) exchange.openBody()
    }
    this.#driver.submit({
      type: 'request',
      exchange: exchange.id,
      method: request.method,
      target: request.target,
      authority: request.authority,
      fields: contextWriter?.write(request.fields, context, this.#options.clock) ?? request.fields,
      scheme: this.#options.scheme ?? request.scheme,
      protocol: request.protocol,
      body: streams ? undefined : body.content,
      trailers: streams ? undefined : body.trailers,
      streams,
      bodyLength: tunnels ? undefined : body.length,
    })
    this.#exchanges.set(exchange.id, exchange)
    if (!this.#multiplexed) this.#told = this.available
    if (waits) this.#startBodyLater(exchange)
    else if (streams) exchange.startBody()
  }

  /** The stream stays open both ways for what the connection made of it will say. */
  #tunnels(request: HttpRequest): boolean {
    const { method, protocol, body } = request
    if (method !== 'CONNECT') {
      if (protocol === undefined) return false
      throw new UsageError('ERR_ARGUMENT', `protocol '${protocol}' with ${method}, not CONNECT`)
    }
    if (!this.#multiplexed) {
      if (protocol === undefined) return false
      const message = `HTTP/${this.version} has no CONNECT with a protocol, such as '${protocol}'`
      throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
    }
    if (body.isEmpty) return true
    throw new UsageError('ERR_ARGUMENT', 'CONNECT with a body')
  }

  #startBodyLater(exchange: ClientExchange): void {
    const { clock } = this.#options
    const at = clock.now() + this.#continueTimeoutMs
    exchange.waitForContinue(clock.setTimer(at, () => exchange.startBody()))
  }

  #onResponse(event: ResponseEvent): void {
    const exchange = this.#exchanges.get(event.exchange)
    if (exchange === undefined) return
    exchange.onHead(event)
    if (this.#multiplexed && exchange.request.method === 'CONNECT') {
      if (event.status >= 200 && event.status < 300) return this.#openTunnel(exchange, event)
      this.sendEnd(exchange, undefined)
      if (exchange.over) return
    }
    if (event.hasBody && event.content === undefined) {
      this.#starting.push(exchange)
      return this.demand(exchange, true)
    }
    // 101 and 2xx to CONNECT resolve with the connection, in `#onDetached`.
    if (this.#session.state !== 'detached') this.#complete(exchange, event.trailers)
  }

  #onEnd(id: number, trailers: HttpFields | undefined): void {
    const exchange = this.#exchanges.get(id)
    if (exchange === undefined) return
    if (exchange.tunnel !== undefined) exchange.tunnel.onPeerEnd()
    else this.#complete(exchange, trailers)
  }

  /**
   * The response is through. A request body that still flows goes on where it has its own stream.
   * In HTTP/1.1 it is of no use any more (an early answer, such as 413): it is cut, and with it the
   * connection.
   */
  #complete(exchange: ClientExchange, trailers: HttpFields | undefined): void {
    if (exchange.sending) {
      if (exchange.sentAll) exchange.end()
      else if (!this.#multiplexed) return this.#cutRequest(exchange, trailers)
    }
    if (exchange.over) return
    exchange.complete(trailers)
    if (exchange.over) this.#remove(exchange)
  }

  #cutRequest(exchange: ClientExchange, trailers: HttpFields | undefined): void {
    const early = new Error('the response came before all of the request was sent')
    exchange.dropBody(early)
    exchange.complete(trailers)
    this.#reset(exchange, early)
    this.#remove(exchange)
  }

  #openTunnel(exchange: ClientExchange, event: ResponseEvent): void {
    const carrier = new TunnelCarrier(exchange, this)
    const tunnel = new ExchangeConnection(this.connection, carrier, this.#options.clock)
    exchange.completeAs(tunnel)
    if (event.content !== undefined) tunnel.onData(event.content)
    if (!event.hasBody || event.content !== undefined) tunnel.onPeerEnd()
  }

  #onPushed(event: PushedEvent): void {
    const { onPush } = this.#options
    const { exchange: id, method, target, authority, fields } = event
    if (onPush === undefined) {
      const error = new ClosedError('ERR_ABORTED', 'nobody takes what is pushed')
      return this.#driver.submit({ type: 'reset', exchange: id, error })
    }
    const scheme = this.connection.facts.tls === undefined ? 'http' : 'https'
    const request = new HttpRequest({ method, target, scheme, authority, fields, version: '2' })
    const exchange = new ClientExchange(id, request, this)
    this.#exchanges.set(id, exchange)
    // Whoever does not wait for it is not to be blamed when it breaks.
    exchange.promise.catch(() => {})
    onPush(request, exchange.promise)
  }

  #onAborted(id: number, error: HeddleError): void {
    const exchange = this.#exchanges.get(id)
    if (exchange === undefined) return
    exchange.abortWith(error)
    this.#remove(exchange)
  }

  #onDetached(id: number): void {
    const exchange = this.#exchanges.get(id)
    const connection = this.#driver.detach()
    this.#closed = true
    if (exchange === undefined) connection.destroy()
    else {
      exchange.dropBody(new Error('the connection was upgraded'))
      exchange.completeWith(connection)
      this.#remove(exchange)
    }
  }

  /** Where the session had to close for it, the connection ends at once: nobody waits for more. */
  #reset(exchange: ClientExchange, reason: Error): void {
    if (this.#closed) return
    const given = this.#multiplexed ? reason instanceof ClosedError : reason instanceof HeddleError
    const error = given ? (reason as HeddleError) : aborted(reason)
    this.#driver.submit({ type: 'reset', exchange: exchange.id, error })
    if (!this.#multiplexed && this.#session.state === 'closed') this.#driver.destroy(error)
  }

  #abortAll(reason: Error): void {
    const exchanges = [...this.#exchanges.values()]
    this.#exchanges.clear()
    for (const exchange of exchanges) exchange.abortWith(reason)
  }

  #remove(exchange: ClientExchange): void {
    this.#exchanges.delete(exchange.id)
    this.#changed()
  }

  #changed(): void {
    if (!this.#multiplexed) this.#told = this.available
    this.onChange?.()
    if (this.#watchers !== undefined) for (const watcher of [...this.#watchers]) watcher()
  }
}

const DRAIN: ClientCommand = Object.freeze({ type: 'drain' })
const PING: ClientCommand = Object.freeze({ type: 'ping' })
