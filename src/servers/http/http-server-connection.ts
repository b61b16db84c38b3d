/**
 * One HTTP connection of a server, whatever its version: events of the session become calls of the
 * service, replies become commands.
 *
 *     request event ─→ HttpRequest ─→ service ─→ HttpResponse ─→ respond | head, data…, end
 *
 * A service that answers synchronously is answered in the same input batch, with no promise made.
 * Requests of one connection may run at the same time; where the version wants their answers in
 * order (HTTP/1.1 pipelining), the session keeps it. Bodies flow in both directions under demand:
 * nothing is read from the peer that the service did not ask for, nothing is taken from the service
 * that the connection, or the peer's window, did not take.
 */
import { Channel } from '../../core/channel.ts'
import type { Connection } from '../../core/connection.ts'
import { Call, type CallInit } from '../../core/context.ts'
import {
  ClosedError,
  type HeddleError,
  InternalError,
  toError,
  UsageError,
} from '../../core/errors.ts'
import { NumberedMap } from '../../core/numbered-map.ts'
import type { MaybePromise } from '../../core/service.ts'
import { ExchangeConnection } from '../../links/layer/exchange-connection.ts'
import { Body } from '../../protocols/http/body.ts'
import type {
  HttpServerSession,
  PushCommand,
  RequestEvent,
  ServerCommand,
  ServerEvent,
} from '../../protocols/http/exchange.ts'
import { type FieldsInit, HttpFields } from '../../protocols/http/fields.ts'
import {
  HttpRequest,
  HttpResponse,
  type HttpService,
  type PushInit,
} from '../../protocols/http/messages.ts'
import type { ContextReader } from '../../protocols/http/propagation.ts'
import { isMessageType } from '../../protocols/http2/field-reader.ts'
import { Driver, type DriverOptions, type DriverOwner } from '../../runtime/driver.ts'
import type { LoadObserver } from '../../runtime/load-host.ts'
import { type ExchangeOutput, ServerExchange } from './server-exchange.ts'

export interface HttpServerConnectionOptions extends DriverOptions {
  readonly service: HttpService
  readonly scheme: 'http' | 'https'
  /** Answer to an error the service threw. */
  errorResponse(error: unknown): HttpResponse
  readonly observer: HttpServerObserver | undefined
  /** Deadline of each call, from the arrival of its head. Infinity: none. */
  readonly requestTimeoutMs: number
  /** What of the call's context the fields say; undefined: nothing is read. */
  readonly contextReader?: Pick<ContextReader, 'read'> | undefined
}

/** Told about every exchange once it is over: access logs and metrics live on it. */
export interface HttpServerObserver extends LoadObserver {
  onExchange(record: HttpExchangeRecord): void
  /** A request arrived; every one is followed by exactly one `onExchange`. */
  onRequest?(request: HttpRequest): void
  /** An error was thrown by the service, or a connection broke its protocol. */
  onError?(error: Error, request: HttpRequest | undefined): void
}

export interface HttpExchangeRecord {
  readonly request: HttpRequest
  /** 0 when no head was sent. */
  readonly status: number
  /** Monotonic time of the request's arrival. */
  readonly startedAt: number
  readonly durationMs: number
  readonly requestBytes: number
  readonly responseBytes: number
  /** Why it ended early: the client went away, or the response's body failed. */
  readonly error: Error | undefined
}

export class HttpServerConnection implements DriverOwner<ServerEvent>, ExchangeOutput {
  readonly #options: HttpServerConnectionOptions
  readonly #driver: Driver<ServerCommand | PushCommand, ServerEvent>
  readonly #connection: Connection
  readonly #onClosed: (reason: Error | undefined) => void
  readonly #session: HttpServerSession
  /** By number, oldest first. Bounded by what the session hands out. */
  readonly #exchanges = new NumberedMap<ServerExchange>()
  #upgrade: HttpResponse['upgrade']

  constructor(
    connection: Connection,
    session: HttpServerSession,
    options: HttpServerConnectionOptions,
    onClosed: (reason: Error | undefined) => void,
  ) {
    this.#options = options
    this.#connection = connection
    this.#onClosed = onClosed
    this.#session = session
    this.#driver = new Driver(connection, session, this, options)
  }

  get connection(): Connection {
    return this.#connection
  }

  /** No request is being answered. */
  get idle(): boolean {
    return this.#exchanges.size === 0
  }

  start(): void {
    this.#driver.start()
  }

  /** Answers what has arrived, then closes. */
  drain(): void {
    this.#driver.submit({ type: 'drain' })
  }

  destroy(reason?: Error): void {
    this.#driver.destroy(reason)
  }

  onEvent(event: ServerEvent): void {
    switch (event.type) {
      case 'request':
        return this.#onRequest(event)
      case 'data': {
        const exchange = this.#exchanges.get(event.exchange)
        if (exchange !== undefined && !exchange.onData(event.chunk)) {
          this.demand(event.exchange, false)
        }
        return
      }
      case 'end':
        return this.#exchanges.get(event.exchange)?.onEnd(event.trailers)
      case 'writable':
        if (!this.#driver.blocked) this.#exchanges.get(event.exchange)?.resume()
        return
      case 'turn':
        return this.#onTurn(event.exchange)
      case 'sent':
        return this.#onSent(event.exchange)
      case 'aborted':
        return this.#onAborted(event.exchange, event.error)
      case 'detached':
        return this.#onDetached()
    }
  }

  onWritable(): void {
    for (const exchange of this.#exchanges.values()) {
      if (this.#driver.blocked) return
      if (this.#session.isWritable(exchange.id)) exchange.resume()
    }
  }

  onClosed(reason: Error | undefined): void {
    // The session has ended every exchange before; what is left is a service still at work.
    const left = this.#exchanges.values()
    this.#exchanges.clear()
    for (const exchange of left) {
      this.#settle(exchange, reason ?? new ClosedError('ERR_CLOSED', 'the connection was closed'))
    }
    if (reason !== undefined) this.#options.observer?.onError?.(reason, undefined)
    this.#onClosed(reason)
  }

  #onRequest(event: RequestEvent): void {
    const options = this.#options
    const channel =
      event.hasBody && event.content === undefined
        ? this.#channel(event.exchange, event.expectsContinue)
        : undefined
    const request = new HttpRequest({
      method: event.method,
      target: event.target,
      scheme: options.scheme,
      authority: event.authority,
      fields: event.fields,
      body: bodyOf(event, channel),
      version: event.version,
      protocol: event.method === 'CONNECT' ? protocolOf(event) : undefined,
    })
    const init = this.#callInit()
    const { now } = this.#driver
    options.contextReader?.read(event.fields, init, now)
    const exchange = this.#open(event.exchange, request, init, channel)
    if (event.content !== undefined) exchange.requestBytes = event.content.length
    const { nextPush } = this.#session
    if (nextPush !== undefined && nextPush !== 0) {
      request.push = (push) => this.#push(exchange, push)
    }
    this.#call(exchange)
  }

  #callInit(): CallInit {
    const deadline = this.#driver.now + this.#options.requestTimeoutMs
    return {
      deadline: deadline === Number.POSITIVE_INFINITY ? undefined : deadline,
      connection: this.#connection,
      trace: undefined,
      correlationId: undefined,
      newCorrelationId: undefined,
      priority: undefined,
      metadata: undefined,
    }
  }

  #open(
    id: number,
    request: HttpRequest,
    init: CallInit,
    channel: Channel<Uint8Array> | undefined,
  ): ServerExchange {
    const exchange = new ServerExchange(
      id,
      request,
      new Call(init),
      channel,
      this.#driver.now,
      this,
    )
    request.connection = this.#connection
    request.trace = init.trace
    request.inform = (status, fields) => this.#inform(exchange, status, fields)
    this.#exchanges.add(exchange)
    this.#options.observer?.onRequest?.(request)
    return exchange
  }

  /** A push has none of its own. @returns false: nothing was promised */
  #push(parent: ServerExchange, init: PushInit): boolean {
    const { scheme, authority, trace } = parent.request
    const { target, method = 'GET' } = init
    if (!PUSHABLE_TARGET.test(target)) {
      throw new UsageError('ERR_ARGUMENT', 'the target of a push is no path')
    }
    const id = parent.open ? (this.#session.nextPush ?? 0) : 0
    if (id === 0) return false
    const fields = new HttpFields(init.fields)
    const request = new HttpRequest({ method, target, scheme, authority, fields, version: '2' })
    this.#driver.submit({ type: 'push', exchange: parent.id, method, target, authority, fields })
    // The client gave the request up a moment ago.
    if (this.#session.nextPush === id) return false
    const callInit = this.#callInit()
    callInit.trace = trace
    this.#call(this.#open(id, request, callInit, undefined))
    return true
  }

  #call(exchange: ServerExchange): void {
    let reply: MaybePromise<HttpResponse>
    try {
      reply = this.#options.service(exchange.request, exchange.call)
    } catch (error) {
      return this.#respond(exchange, this.#errorResponse(error, exchange.request))
    }
    if (reply instanceof HttpResponse) return this.#respond(exchange, reply)
    reply.then(
      (response) => this.#respond(exchange, response),
      (error) => this.#respond(exchange, this.#errorResponse(error, exchange.request)),
    )
  }

  #errorResponse(error: unknown, request: HttpRequest): HttpResponse {
    this.#options.observer?.onError?.(toError(error), request)
    return this.#options.errorResponse(error)
  }

  #respond(exchange: ServerExchange, response: HttpResponse): void {
    if (exchange.settled) return response.body.discard()
    const { status, reason, fields, body, upgrade } = response
    exchange.response = response
    const { content, trailers } = body
    if (upgrade === undefined && content === undefined && !body.isEmpty) {
      const bodyLength = trailers === undefined ? body.length : undefined
      this.#submit(exchange, {
        type: 'head',
        exchange: exchange.id,
        status,
        reason,
        fields,
        bodyLength,
      })
      return
    }
    if (content !== undefined) exchange.responseBytes = content.length
    this.#submit(exchange, {
      type: 'respond',
      exchange: exchange.id,
      status,
      reason,
      fields,
      body: content,
      trailers,
      detach: upgrade !== undefined,
    })
    if (upgrade === undefined || exchange.unsendable) return
    if (exchange.request.version === '2') this.#tunnel(exchange, upgrade)
  }

  /** Nothing is handed over in HTTP/2: the exchange itself becomes a connection. */
  #tunnel(exchange: ServerExchange, upgrade: (connection: Connection) => void): void {
    if (exchange.settled) return
    const { id } = exchange
    const session = this.#session
    const driver = this.#driver
    const tunnel = new ExchangeConnection(
      this.#connection,
      {
        get writable() {
          return !driver.blocked && session.isWritable(id)
        },
        sendData: (chunk) => {
          exchange.responseBytes += chunk.length
          return this.sendData(id, chunk)
        },
        sendEnd: () => this.sendEnd(id, undefined),
        demand: (wanted) => this.demand(id, wanted),
        reset: (reason) => this.#resetTunnel(exchange, reason),
        done() {},
      },
      this.#options.clock,
    )
    exchange.tunnel = tunnel
    upgrade(tunnel)
  }

  #resetTunnel(exchange: ServerExchange, reason: Error): void {
    if (exchange.settled) return
    const message = `the tunnel was closed: ${reason.message}`
    const error = new ClosedError('ERR_ABORTED', message, { cause: reason })
    this.reset(exchange.id, error)
  }

  /** A response that cannot be encoded is the service's mistake: it becomes a 500. */
  #submit(exchange: ServerExchange, command: ServerCommand): void {
    try {
      this.#driver.submit(command)
    } catch (error) {
      this.#options.observer?.onError?.(toError(error), exchange.request)
      const message = `response cannot be sent: ${toError(error).message}`
      const failure = new InternalError('ERR_INVARIANT', message, { cause: error })
      // Nothing was written of fields that are too many; a 500 has few. A call of gRPC has no
      // status of HTTP: to it the reset is INTERNAL.
      const tooLarge = error instanceof UsageError && error.code === 'ERR_FIELDS_TOO_LARGE'
      const isCall = isMessageType(exchange.request.fields.get('content-type'))
      if (!tooLarge || isCall || exchange.unsendable) return this.reset(exchange.id, failure)
      exchange.unsendable = true
      exchange.response?.body.discard()
      this.#respond(exchange, this.#options.errorResponse(failure))
    }
  }

  #inform(exchange: ServerExchange, status: number, fields: FieldsInit | undefined): void {
    if (exchange.settled || exchange.response !== undefined) return
    this.#driver.submit({
      type: 'inform',
      exchange: exchange.id,
      status,
      fields: fields === undefined ? undefined : new HttpFields(fields),
    })
  }

  #channel(id: number, expectsContinue: boolean): Channel<Uint8Array> {
    let promised = !expectsContinue
    return new Channel<Uint8Array>(
      () => {
        const exchange = this.#exchanges.get(id)
        if (exchange === undefined) return
        // Reading the body is what tells a waiting client to go on (RFC 9110 10.1.1).
        if (!promised) {
          promised = true
          this.#inform(exchange, 100, undefined)
        }
        this.demand(id, true)
      },
      () => {
        const exchange = this.#exchanges.get(id)
        if (exchange !== undefined) this.demand(id, false)
      },
    )
  }

  // --- what exchanges ask

  /** @returns false: stop until `resume` */
  sendData(id: number, chunk: Uint8Array): boolean {
    this.#driver.submit({ type: 'data', exchange: id, chunk, owned: false })
    return !this.#driver.blocked && this.#session.isWritable(id)
  }

  sendEnd(id: number, trailers: HttpFields | undefined): void {
    try {
      this.#driver.submit({ type: 'end', exchange: id, trailers })
    } catch (error) {
      // Trailers that cannot be sent, or less than the length announced: never a shorter whole.
      const message = `response cannot be ended: ${toError(error).message}`
      const failure = new InternalError('ERR_INVARIANT', message, { cause: error })
      const exchange = this.#exchanges.get(id)
      if (exchange !== undefined) {
        exchange.failure = failure
        this.#options.observer?.onError?.(toError(error), exchange.request)
      }
      this.reset(id, failure)
    }
  }

  reset(id: number, error: HeddleError): void {
    this.#driver.submit({ type: 'reset', exchange: id, error })
  }

  demand(id: number, wanted: boolean): void {
    this.#driver.submit({ type: 'demand', exchange: id, wanted })
  }

  #onTurn(id: number): void {
    const exchange = this.#exchanges.get(id)
    if (exchange === undefined || exchange.tunnel !== undefined) return
    exchange.startBody()
    // A web stream gives even what it has only in a promise.
    if (exchange.awaitsBody) this.#driver.postpone()
  }

  #onSent(id: number): void {
    const exchange = this.#take(id)
    if (exchange === undefined) return
    this.#settle(exchange, undefined)
    // `detached` follows: the connection goes to whoever the response named.
    if (exchange.response?.upgrade !== undefined) this.#upgrade = exchange.response.upgrade
  }

  #onAborted(id: number, error: HeddleError): void {
    const exchange = this.#take(id)
    if (exchange !== undefined) this.#settle(exchange, error)
  }

  #onDetached(): void {
    const connection = this.#driver.detach()
    this.#onClosed(undefined)
    if (this.#upgrade === undefined) connection.destroy()
    else this.#upgrade(connection)
  }

  #settle(exchange: ServerExchange, error: Error | undefined): void {
    exchange.settle(error)
    const { observer, clock } = this.#options
    if (observer === undefined) return
    observer.onExchange({
      request: exchange.request,
      status: exchange.response?.status ?? 0,
      startedAt: exchange.startedAt,
      durationMs: clock.now() - exchange.startedAt,
      requestBytes: exchange.requestBytes,
      responseBytes: exchange.responseBytes,
      error: error ?? exchange.failure,
    })
  }

  #take(id: number): ServerExchange | undefined {
    const exchange = this.#exchanges.get(id)
    if (exchange !== undefined) this.#exchanges.delete(id)
    return exchange
  }
}

function bodyOf(event: RequestEvent, channel: Channel<Uint8Array> | undefined): Body {
  if (channel !== undefined) return Body.from(channel, event.bodyLength)
  const { content, trailers } = event
  if (content === undefined) return Body.empty
  const body = Body.from(content)
  if (trailers !== undefined) body.trailers = trailers
  return body
}

/** `:protocol` of an extended CONNECT (RFC 8441); plain CONNECT says `connect`. */
function protocolOf(event: RequestEvent): string | undefined {
  return event.upgrade === 'connect' ? undefined : event.upgrade
}

const PUSHABLE_TARGET = /^\/[\x21-\x7e]*$/
