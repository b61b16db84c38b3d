/**
 * One HTTP/1.1 connection of a client: calls become commands of the session, events become replies.
 *
 * A call resolves when the head of its response is there; a body that did not come with it follows
 * under demand. The exchange holds its place on the connection until request and response are both
 * through, so a body that nobody reads keeps the connection busy: read it, `discard()` it, or cancel.
 *
 * An exchange that is given up closes the connection, unless what is left of the response is short
 * enough to be dropped: the server sees at once that nobody waits.
 */
import type { Connection } from '../../core/connection.ts'
import type { ConnectionState } from '../../core/connection-state.ts'
import type { CallContext } from '../../core/context.ts'
import { ClosedError, checkRange, HeddleError, OverloadError, toError } from '../../core/errors.ts'
import type { HttpFields } from '../../protocols/http/fields.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import type { ContextWriter } from '../../protocols/http/propagation.ts'
import type { Http1ClientSession } from '../../protocols/http1/client-session.ts'
import type { ClientCommand, ClientEvent, ResponseEvent } from '../../protocols/http1/messages.ts'
import { Driver, type DriverOptions, type DriverOwner } from '../../runtime/driver.ts'
import type { Exchanger } from '../../runtime/exchanger.ts'
import { ClientExchange, type ExchangeOwner } from './client-exchange.ts'

export interface Http1ClientConnectionOptions extends DriverOptions {
  /**
   * How long a request with `Expect: 100-continue` waits for the 100 before it sends its body all
   * the same (RFC 9110 10.1.1: a server may be older than the mechanism), in milliseconds.
   *
   * @default 1_000, as curl
   */
  continueTimeoutMs?: number | undefined
  /** What of a call's context is sent with it. @default nothing */
  contextWriter?: Pick<ContextWriter, 'write'> | undefined
}

export const http1ClientConnectionDefaults: Readonly<{ continueTimeoutMs: number }> = Object.freeze(
  { continueTimeoutMs: 1_000 },
)

export class Http1ClientConnection
  implements Exchanger<HttpRequest, HttpResponse>, DriverOwner<ClientEvent>, ExchangeOwner
{
  onChange: (() => void) | undefined
  readonly #driver: Driver<ClientCommand, ClientEvent>
  readonly #session: Http1ClientSession
  readonly #options: Http1ClientConnectionOptions
  readonly #continueTimeoutMs: number
  /** In the order of the wire. */
  readonly #exchanges: ClientExchange[] = []
  /** The response whose head has come in this batch, and whose body may. */
  #starting: ClientExchange | undefined
  /** The last the pool heard of `available`. */
  #told = 0
  #closed = false

  constructor(
    connection: Connection,
    session: Http1ClientSession,
    options: Http1ClientConnectionOptions,
  ) {
    const { continueTimeoutMs = http1ClientConnectionDefaults.continueTimeoutMs } = options
    this.onChange = undefined
    this.#session = session
    this.#options = options
    this.#continueTimeoutMs = checkRange('continueTimeoutMs', continueTimeoutMs, 0, 0x7fff_ffff)
    this.#driver = new Driver(connection, session, this, options)
  }

  get connection(): Connection {
    return this.#driver.connection
  }

  /** The session says no more than that there is room: for one after the other when pipelining. */
  get available(): number {
    return !this.#closed && this.#session.canSubmit ? 1 : 0
  }

  get inFlight(): number {
    const count = this.#exchanges.length
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
    if (!this.#closed) this.#driver.submit(DRAIN)
  }

  destroy(reason: Error): void {
    if (this.#closed) return
    // A `ClosedError` says that nothing was sent, which is not known of calls in flight.
    const told =
      reason instanceof ClosedError
        ? new ClosedError('ERR_CLOSED', reason.message, { cause: reason, sent: 'some' })
        : reason
    for (const exchange of this.#exchanges.splice(0)) exchange.abortWith(told)
    this.#driver.destroy(reason)
  }

  ref(): void {
    this.connection.ref()
  }

  unref(): void {
    this.connection.unref()
  }

  onEvent(event: ClientEvent): void {
    switch (event.type) {
      case 'response':
        return this.#onResponse(event)
      case 'data': {
        const exchange = this.#find(event.exchange)
        if (exchange !== undefined && !exchange.onData(event.chunk)) this.demand(exchange, false)
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
        if (this.available !== this.#told) this.#changed()
    }
  }

  onBatchEnd(): void {
    const exchange = this.#starting
    if (exchange === undefined) return
    this.#starting = undefined
    this.demand(exchange, false)
    exchange.stream()
  }

  onWritable(): void {
    for (const exchange of this.#exchanges) exchange.resumeRequest()
  }

  onClosed(reason: Error | undefined): void {
    this.#closed = true
    const error = reason ?? new ClosedError('ERR_CLOSED', 'the connection was closed')
    for (const exchange of this.#exchanges.splice(0)) exchange.abortWith(error)
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
    return !this.#driver.blocked
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
    if (this.#starting === exchange) this.#starting = undefined
    exchange.abortWith(reason)
    this.#reset(exchange, reason)
  }

  #submit(exchange: ClientExchange, context: CallContext): void {
    const { request } = exchange
    const { contextWriter } = this.#options
    const { body } = request
    let streams = false
    let waits = false
    if (!body.isEmpty) {
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
      body: streams ? undefined : body.content,
      streams,
      bodyLength: body.length,
    })
    this.#exchanges.push(exchange)
    this.#told = this.available
    if (waits) this.#startBodyLater(exchange)
    else if (streams) exchange.startBody()
  }

  #startBodyLater(exchange: ClientExchange): void {
    const { clock } = this.#options
    const at = clock.now() + this.#continueTimeoutMs
    exchange.waitForContinue(clock.setTimer(at, () => exchange.startBody()))
  }

  #onResponse(event: ResponseEvent): void {
    const exchange = this.#find(event.exchange)
    if (exchange === undefined) return
    exchange.onHead(event)
    if (event.hasBody) {
      this.#starting = exchange
      return this.demand(exchange, true)
    }
    // 101 and 2xx to CONNECT resolve with the connection, in `#onDetached`.
    if (this.#session.state !== 'detached') this.#complete(exchange, undefined)
  }

  #onEnd(id: number, trailers: HttpFields | undefined): void {
    const exchange = this.#find(id)
    if (exchange !== undefined) this.#complete(exchange, trailers)
  }

  /**
   * The response is through. A request body that still flows is of no use any more (an early
   * answer, such as 413): it is cut, and with it the connection.
   */
  #complete(exchange: ClientExchange, trailers: HttpFields | undefined): void {
    if (this.#starting === exchange) this.#starting = undefined
    if (exchange.sending) {
      if (exchange.sentAll) exchange.end()
      else {
        const early = new Error('the response came before all of the request was sent')
        exchange.dropBody(early)
        exchange.complete(trailers)
        this.#reset(exchange, early)
        return this.#remove(exchange)
      }
    }
    exchange.complete(trailers)
    this.#remove(exchange)
  }

  #onAborted(id: number, error: HeddleError): void {
    const exchange = this.#find(id)
    if (exchange === undefined) return
    if (this.#starting === exchange) this.#starting = undefined
    exchange.abortWith(error)
    this.#remove(exchange)
  }

  #onDetached(id: number): void {
    const exchange = this.#find(id)
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
    const error = reason instanceof HeddleError ? reason : aborted(reason)
    this.#driver.submit({ type: 'reset', exchange: exchange.id, error })
    if (this.#session.state === 'closed') this.#driver.destroy(error)
  }

  #remove(exchange: ClientExchange): void {
    const at = this.#exchanges.indexOf(exchange)
    if (at === 0) this.#exchanges.shift()
    else if (at > 0) this.#exchanges.splice(at, 1)
    this.#changed()
  }

  #changed(): void {
    this.#told = this.available
    this.onChange?.()
  }

  #find(id: number): ClientExchange | undefined {
    for (const exchange of this.#exchanges) if (exchange.id === id) return exchange
    return undefined
  }
}

function aborted(reason: Error): HeddleError {
  return new ClosedError('ERR_ABORTED', `the call was cancelled: ${toError(reason).message}`, {
    cause: reason,
    sent: 'some',
  })
}

const DRAIN: ClientCommand = Object.freeze({ type: 'drain' })
