/**
 * One HTTP/1.1 connection of a server: events of the session become calls of the service, replies
 * become commands.
 *
 *     request event ─→ HttpRequest ─→ service ─→ HttpResponse ─→ respond | head, data…, end
 *
 * A service that answers synchronously is answered in the same input batch, with no promise made.
 * Requests of one connection may run at the same time (pipelining); the session keeps the order of
 * the answers. Bodies flow in both directions under demand: nothing is read from the peer that the
 * service did not ask for, nothing is taken from the service that the socket did not take.
 */
import { Channel } from '../../core/channel.ts'
import type { Connection } from '../../core/connection.ts'
import { Call, type CallInit } from '../../core/context.ts'
import { ClosedError, type HeddleError, InternalError, toError } from '../../core/errors.ts'
import type { Flow, Sink } from '../../core/flow.ts'
import type { MaybePromise } from '../../core/service.ts'
import type { Session } from '../../core/session.ts'
import { Body } from '../../protocols/http/body.ts'
import { type FieldsInit, HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import type { ContextReader } from '../../protocols/http/propagation.ts'
import type { RequestEvent, ServerCommand, ServerEvent } from '../../protocols/http1/messages.ts'
import { Driver, type DriverOptions, type DriverOwner } from '../../runtime/driver.ts'
import type { LoadObserver } from '../../runtime/load-host.ts'

export interface Http1ServerConnectionOptions extends DriverOptions {
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

export class Http1ServerConnection implements DriverOwner<ServerEvent> {
  readonly #options: Http1ServerConnectionOptions
  readonly #driver: Driver<ServerCommand, ServerEvent>
  readonly #connection: Connection
  readonly #onClosed: (reason: Error | undefined) => void
  /** Open exchanges, oldest first: rarely more than one, so a list beats a map. */
  readonly #exchanges: Exchange[] = []
  #upgrade: HttpResponse['upgrade']

  constructor(
    connection: Connection,
    session: Session<ServerCommand, ServerEvent>,
    options: Http1ServerConnectionOptions,
    onClosed: (reason: Error | undefined) => void,
  ) {
    this.#options = options
    this.#connection = connection
    this.#onClosed = onClosed
    this.#driver = new Driver(connection, session, this, options)
  }

  get connection(): Connection {
    return this.#connection
  }

  /** No request is being answered. */
  get idle(): boolean {
    return this.#exchanges.length === 0
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
        const exchange = this.#find(event.exchange)
        if (exchange?.channel === undefined) return
        exchange.requestBytes += event.chunk.length
        if (!exchange.channel.write(event.chunk)) this.#demand(exchange, false)
        return
      }
      case 'end': {
        const exchange = this.#find(event.exchange)
        if (exchange?.channel === undefined) return
        exchange.request.body.trailers = event.trailers
        exchange.channel.end()
        return
      }
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
    // Only the exchange whose turn it is has a flow that waits.
    for (const exchange of this.#exchanges) exchange.resume()
  }

  onClosed(reason: Error | undefined): void {
    // The session has ended every exchange before; what is left is a service still at work.
    for (const exchange of this.#exchanges.splice(0)) {
      this.#settle(exchange, reason ?? new ClosedError('ERR_CLOSED', 'the connection was closed'))
    }
    if (reason !== undefined) this.#options.observer?.onError?.(reason, undefined)
    this.#onClosed(reason)
  }

  #onRequest(event: RequestEvent): void {
    const options = this.#options
    const channel = event.hasBody ? this.#channel(event.exchange, event.expectsContinue) : undefined
    const request = new HttpRequest({
      method: event.method,
      target: event.target,
      scheme: options.scheme,
      authority: event.authority,
      fields: event.fields,
      body: channel === undefined ? Body.empty : Body.from(channel, event.bodyLength),
      version: event.version,
    })
    const { now } = this.#driver
    const deadline = now + options.requestTimeoutMs
    const init: CallInit = {
      deadline: deadline === Number.POSITIVE_INFINITY ? undefined : deadline,
      connection: this.#connection,
      trace: undefined,
      correlationId: undefined,
      metadata: undefined,
    }
    options.contextReader?.read(event.fields, init, now)
    const call = new Call(init)
    const exchange = new Exchange(event.exchange, request, call, channel, now, this.#driver)
    request.connection = this.#connection
    request.trace = init.trace
    request.inform = (status, fields) => this.#inform(exchange, status, fields)
    this.#exchanges.push(exchange)
    options.observer?.onRequest?.(request)
    this.#call(exchange)
  }

  #call(exchange: Exchange): void {
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

  #respond(exchange: Exchange, response: HttpResponse): void {
    if (exchange.settled) return response.body.discard()
    const { status, reason, fields, body, upgrade } = response
    exchange.response = response
    const { content, trailers } = body
    // Trailers need chunks, also behind content that is there as a whole.
    const streams = trailers !== undefined || (content === undefined && !body.isEmpty)
    if (upgrade === undefined && streams) {
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
      detach: upgrade !== undefined,
    })
  }

  /** A response that cannot be encoded is the service's mistake: it becomes a 500. */
  #submit(exchange: Exchange, command: ServerCommand): void {
    try {
      this.#driver.submit(command)
    } catch (error) {
      this.#options.observer?.onError?.(toError(error), exchange.request)
      const message = `response cannot be sent: ${toError(error).message}`
      const failure = new InternalError('ERR_INVARIANT', message, { cause: error })
      this.#driver.submit({ type: 'reset', exchange: exchange.id, error: failure })
    }
  }

  #inform(exchange: Exchange, status: number, fields: FieldsInit | undefined): void {
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
        const exchange = this.#find(id)
        if (exchange === undefined) return
        // Reading the body is what tells a waiting client to go on (RFC 9110 10.1.1).
        if (!promised) {
          promised = true
          this.#inform(exchange, 100, undefined)
        }
        this.#demand(exchange, true)
      },
      () => {
        const exchange = this.#find(id)
        if (exchange !== undefined) this.#demand(exchange, false)
      },
    )
  }

  #demand(exchange: Exchange, wanted: boolean): void {
    this.#driver.submit({ type: 'demand', exchange: exchange.id, wanted })
  }

  #onTurn(id: number): void {
    const exchange = this.#find(id)
    exchange?.startBody()
    // A web stream gives even what it has only in a promise.
    if (exchange?.awaitsBody === true) this.#driver.postpone()
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

  #settle(exchange: Exchange, error: Error | undefined): void {
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

  #find(id: number): Exchange | undefined {
    for (const exchange of this.#exchanges) if (exchange.id === id) return exchange
    return undefined
  }

  #take(id: number): Exchange | undefined {
    const exchanges = this.#exchanges
    // Unlike `shift`, `pop` keeps the memory of a list that becomes empty.
    if (exchanges[0]?.id === id) return exchanges.length === 1 ? exchanges.pop() : exchanges.shift()
    const at = exchanges.findIndex((exchange) => exchange.id === id)
    return at < 0 ? undefined : exchanges.splice(at, 1)[0]
  }
}

/** One request and its answer; also the sink of a streamed answer. */
class Exchange implements Sink<Uint8Array> {
  readonly id: number
  readonly request: HttpRequest
  readonly call: Call
  readonly channel: Channel<Uint8Array> | undefined
  readonly startedAt: number
  response: HttpResponse | undefined
  settled = false
  failure: Error | undefined
  requestBytes = 0
  responseBytes = 0
  readonly #driver: Driver<ServerCommand, ServerEvent>
  #flow: Flow | undefined

  constructor(
    id: number,
    request: HttpRequest,
    call: Call,
    channel: Channel<Uint8Array> | undefined,
    startedAt: number,
    driver: Driver<ServerCommand, ServerEvent>,
  ) {
    this.id = id
    this.request = request
    this.call = call
    this.channel = channel
    this.startedAt = startedAt
    this.response = undefined
    this.#driver = driver
  }

  /** Everything before it has left: the answer's body may flow. */
  startBody(): void {
    if (this.settled || this.response === undefined || this.#flow !== undefined) return
    try {
      this.#flow = this.response.body.open(this)
    } catch (error) {
      return this.fail(toError(error))
    }
    this.#flow.resume()
  }

  /** The body was started and has given nothing so far. */
  get awaitsBody(): boolean {
    return this.#flow !== undefined && this.responseBytes === 0
  }

  resume(): void {
    this.#flow?.resume()
  }

  write(chunk: Uint8Array): boolean {
    this.responseBytes += chunk.length
    this.#driver.submit({ type: 'data', exchange: this.id, chunk, owned: false })
    return !this.#driver.blocked
  }

  end(): void {
    this.#flow = undefined
    const trailers = this.response?.body.trailers
    this.#driver.submit({ type: 'end', exchange: this.id, trailers })
  }

  /** The body broke in the middle: the peer must see it cut, never a shorter whole. */
  fail(reason: Error): void {
    this.#flow = undefined
    this.failure = reason
    const error = new InternalError('ERR_INVARIANT', `response body failed: ${reason.message}`, {
      cause: reason,
    })
    this.#driver.submit({ type: 'reset', exchange: this.id, error })
  }

  settle(error: Error | undefined): void {
    if (this.settled) return
    this.settled = true
    const flow = this.#flow
    this.#flow = undefined
    if (error === undefined) {
      this.call.finish()
      // What has not come of the request by now is dropped by the session. Most have come whole, and
      // an error costs as much as the rest of the exchange.
      if (this.channel?.done === false) {
        const message = 'the response was sent, the body is dropped'
        this.channel.fail(new ClosedError('ERR_CLOSED', message))
      }
      return
    }
    flow?.cancel(error)
    // First the call: whoever hears of the broken body must find that its caller has gone.
    this.call.cancel(error)
    this.channel?.fail(error)
  }
}
