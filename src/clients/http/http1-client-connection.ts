/**
 * One HTTP/1.1 connection of a client: calls become commands of the session, events become replies.
 *
 * A call resolves when the head of its response is there; the body follows under demand. The
 * exchange holds its place on the connection until request and response are both through, so a body
 * that nobody reads keeps the connection busy: read it, `discard()` it, or cancel it.
 */
import { Channel } from '../../core/channel.ts'
import type { Connection } from '../../core/connection.ts'
import type { ConnectionState } from '../../core/connection-state.ts'
import type { CallContext } from '../../core/context.ts'
import { ClosedError, HeddleError, OverloadError, toError } from '../../core/errors.ts'
import type { Flow, Sink } from '../../core/flow.ts'
import { Body } from '../../protocols/http/body.ts'
import type { HttpFields } from '../../protocols/http/fields.ts'
import { type HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import type { Http1ClientSession } from '../../protocols/http1/client-session.ts'
import type { ClientCommand, ClientEvent, ResponseEvent } from '../../protocols/http1/messages.ts'
import { Driver, type DriverOptions, type DriverOwner } from '../../runtime/driver.ts'
import type { Exchanger } from '../../runtime/exchanger.ts'

export class Http1ClientConnection
  implements Exchanger<HttpRequest, HttpResponse>, DriverOwner<ClientEvent>
{
  onChange: (() => void) | undefined
  readonly #driver: Driver<ClientCommand, ClientEvent>
  readonly #session: Http1ClientSession
  /** In the order of the wire. */
  readonly #exchanges: ClientExchange[] = []
  #nextId = 1
  #closed = false

  constructor(connection: Connection, session: Http1ClientSession, options: DriverOptions) {
    this.onChange = undefined
    this.#session = session
    this.#driver = new Driver(connection, session, this, options)
  }

  get connection(): Connection {
    return this.#driver.connection
  }

  /** Calls that may be made now. */
  get available(): number {
    return this.#closed ? 0 : this.#session.available
  }

  get inFlight(): number {
    return this.#exchanges.length
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

  start(): void {
    this.#driver.start()
  }

  /**
   * Sends one request. Rejects with what the session says was sent, or with the caller's own reason.
   * The request's body must be unused.
   */
  call(request: HttpRequest, context: CallContext): Promise<HttpResponse> {
    if (context.cancelReason !== undefined) return Promise.reject(context.cancelReason)
    if (this.available === 0) {
      return Promise.reject(new OverloadError('ERR_BUSY', 'the connection takes no call now'))
    }
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      const exchange = new ClientExchange(id, request, this.#driver, resolve, reject)
      this.#exchanges.push(exchange)
      try {
        this.#submit(exchange)
      } catch (error) {
        this.#exchanges.pop()
        return reject(error)
      }
      exchange.release = context.onCancel((reason) => this.#cancel(exchange, reason))
    })
  }

  /** Finishes what is in flight, then closes. */
  close(): void {
    if (!this.#closed) this.#driver.submit({ type: 'drain' })
  }

  destroy(reason: Error): void {
    this.#driver.destroy(reason)
  }

  ref(): void {
    this.#driver.connection.ref()
  }

  unref(): void {
    this.#driver.connection.unref()
  }

  onEvent(event: ClientEvent): void {
    switch (event.type) {
      case 'response':
        return this.#onResponse(event)
      case 'data': {
        const exchange = this.#find(event.exchange)
        if (exchange === undefined) return
        if (!exchange.onData(event.chunk)) this.#demand(exchange, false)
        return
      }
      case 'end':
        return this.#onEnd(event.exchange, event.trailers)
      case 'inform':
        return this.#find(event.exchange)?.onInform(event.status, event.fields)
      case 'aborted':
        return this.#onAborted(event.exchange, event.error)
      case 'detached':
        return this.#onDetached(event.exchange)
      case 'capacity':
        return this.onChange?.()
    }
  }

  onWritable(): void {
    for (const exchange of this.#exchanges) exchange.resumeRequest()
  }

  onClosed(reason: Error | undefined): void {
    this.#closed = true
    const error = reason ?? new ClosedError('ERR_CLOSED', 'the connection was closed')
    for (const exchange of this.#exchanges.splice(0)) exchange.abort(error)
    this.onChange?.()
  }

  #submit(exchange: ClientExchange): void {
    const { request } = exchange
    const { body } = request
    const streams = body.content === undefined && !body.isEmpty
    this.#driver.submit({
      type: 'request',
      exchange: exchange.id,
      method: request.method,
      target: request.target,
      authority: request.authority,
      fields: request.fields,
      body: body.content,
      streams,
      bodyLength: body.length,
    })
    if (streams) exchange.startBody()
  }

  #onResponse(event: ResponseEvent): void {
    const exchange = this.#find(event.exchange)
    if (exchange === undefined) return
    const channel = event.hasBody ? this.#channel(exchange) : undefined
    const response = new HttpResponse({
      status: event.status,
      reason: event.reason,
      fields: event.fields,
      body: channel === undefined ? Body.empty : Body.from(channel, event.bodyLength),
      version: event.version,
    })
    exchange.channel = channel
    exchange.response = response
    if (channel === undefined) {
      // 101 and 2xx to CONNECT resolve with the connection, in `#onDetached`.
      if (this.#session.state === 'detached') return
      this.#finishResponse(exchange)
    }
    exchange.resolve(response)
  }

  #onEnd(id: number, trailers: HttpFields | undefined): void {
    const exchange = this.#find(id)
    if (exchange === undefined) return
    if (exchange.response !== undefined) exchange.response.body.trailers = trailers
    const { channel } = exchange
    this.#finishResponse(exchange)
    channel?.end()
  }

  /**
   * The response is through. A request body that still flows is of no use any more (an early
   * answer, such as 413): it is cut, and with it the connection.
   */
  #finishResponse(exchange: ClientExchange): void {
    this.#remove(exchange)
    const cut = exchange.flowing
    exchange.finish()
    if (cut) {
      const error = aborted(new Error('the response came before the request was sent'))
      this.#driver.submit({ type: 'reset', exchange: exchange.id, error })
    }
  }

  #remove(exchange: ClientExchange): void {
    const at = this.#exchanges.indexOf(exchange)
    if (at < 0) return
    if (at === 0) this.#exchanges.shift()
    else this.#exchanges.splice(at, 1)
    this.onChange?.()
  }

  #onAborted(id: number, error: HeddleError): void {
    const exchange = this.#find(id)
    if (exchange === undefined) return
    this.#remove(exchange)
    exchange.abort(error)
  }

  #onDetached(id: number): void {
    const exchange = this.#find(id)
    const connection = this.#driver.detach()
    this.#closed = true
    if (exchange?.response === undefined) connection.destroy()
    else {
      this.#finishResponse(exchange)
      exchange.response.connection = connection
      exchange.resolve(exchange.response)
    }
    this.onChange?.()
  }

  #cancel(exchange: ClientExchange, reason: Error): void {
    if (!this.#exchanges.includes(exchange)) return
    exchange.abort(reason)
    const error = reason instanceof HeddleError ? reason : aborted(reason)
    this.#driver.submit({ type: 'reset', exchange: exchange.id, error })
  }

  #channel(exchange: ClientExchange): Channel<Uint8Array> {
    return new Channel<Uint8Array>(
      () => this.#demand(exchange, true),
      (reason) => {
        if (!this.#exchanges.includes(exchange)) return
        const error = aborted(reason ?? new Error('the body was cancelled'))
        this.#driver.submit({ type: 'reset', exchange: exchange.id, error })
      },
    )
  }

  #demand(exchange: ClientExchange, wanted: boolean): void {
    if (this.#closed) return
    this.#driver.submit({ type: 'demand', exchange: exchange.id, wanted })
  }

  #find(id: number): ClientExchange | undefined {
    for (const exchange of this.#exchanges) if (exchange.id === id) return exchange
    return undefined
  }
}

/** One call on the wire; also the sink of its request's body. */
class ClientExchange implements Sink<Uint8Array> {
  readonly id: number
  readonly request: HttpRequest
  response: HttpResponse | undefined
  channel: Channel<Uint8Array> | undefined
  release: (() => void) | undefined
  readonly #driver: Driver<ClientCommand, ClientEvent>
  readonly #resolve: (response: HttpResponse) => void
  readonly #reject: (reason: unknown) => void
  #flow: Flow | undefined
  #done = false

  constructor(
    id: number,
    request: HttpRequest,
    driver: Driver<ClientCommand, ClientEvent>,
    resolve: (response: HttpResponse) => void,
    reject: (reason: unknown) => void,
  ) {
    this.id = id
    this.request = request
    this.response = undefined
    this.channel = undefined
    this.release = undefined
    this.#driver = driver
    this.#resolve = resolve
    this.#reject = reject
  }

  /** Whether the request's body is not through yet. */
  get flowing(): boolean {
    return this.#flow !== undefined
  }

  startBody(): void {
    this.#flow = this.request.body.open(this)
    this.#flow.resume()
  }

  resumeRequest(): void {
    this.#flow?.resume()
  }

  write(chunk: Uint8Array): boolean {
    if (this.#done) return false
    this.#driver.submit({ type: 'data', exchange: this.id, chunk, owned: false })
    return !this.#driver.blocked
  }

  end(): void {
    this.#flow = undefined
    if (this.#done) return
    const { trailers } = this.request.body
    this.#driver.submit({ type: 'end', exchange: this.id, trailers })
  }

  /** As a sink: the request's body broke. The peer must see it cut, never a shorter whole. */
  fail(reason: Error): void {
    if (this.#done) return
    this.#flow = undefined
    this.abort(reason)
    this.#driver.submit({ type: 'reset', exchange: this.id, error: aborted(reason) })
  }

  /** It ended early: whoever waits for the head or reads the body is told. */
  abort(reason: Error): void {
    this.finish()
    this.channel?.fail(reason)
    this.#reject(reason)
  }

  onInform(status: number, fields: HttpFields): void {
    this.request.inform?.(status, fields)
  }

  onData(chunk: Uint8Array): boolean {
    return this.channel === undefined ? true : this.channel.write(chunk)
  }

  resolve(response: HttpResponse): void {
    this.#resolve(response)
  }

  /** Lets go of the caller's context and of a request body that nobody needs any more. */
  finish(): void {
    if (this.#done) return
    this.#done = true
    this.release?.()
    this.release = undefined
    const flow = this.#flow
    this.#flow = undefined
    flow?.cancel()
  }
}

function aborted(reason: Error): HeddleError {
  return new ClosedError('ERR_ABORTED', `the call was cancelled: ${toError(reason).message}`, {
    cause: reason,
    sent: 'some',
  })
}
