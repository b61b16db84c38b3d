/**
 * One request and its answer on a connection of a server; also the sink of a streamed answer.
 */
import type { Channel } from '../../core/channel.ts'
import type { Call } from '../../core/context.ts'
import { ClosedError, type HeddleError, InternalError, toError } from '../../core/errors.ts'
import type { Flow, Sink } from '../../core/flow.ts'
import type { ExchangeConnection } from '../../links/layer/exchange-connection.ts'
import type { HttpFields } from '../../protocols/http/fields.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'

/** What an exchange needs of its connection. */
export interface ExchangeOutput {
  /** @returns false: stop until `resume` */
  sendData(id: number, chunk: Uint8Array): boolean
  sendEnd(id: number, trailers: HttpFields | undefined): void
  reset(id: number, error: HeddleError): void
}

export class ServerExchange implements Sink<Uint8Array> {
  readonly id: number
  readonly request: HttpRequest
  readonly call: Call
  readonly channel: Channel<Uint8Array> | undefined
  readonly startedAt: number
  response: HttpResponse | undefined
  settled = false
  /** Its response was over what the client takes, and an error answers it. */
  unsendable = false
  failure: Error | undefined
  requestBytes = 0
  responseBytes = 0
  /** After a 2xx to CONNECT in HTTP/2: what comes and goes is its. */
  tunnel: ExchangeConnection | undefined
  readonly #output: ExchangeOutput
  #flow: Flow | undefined

  constructor(
    id: number,
    request: HttpRequest,
    call: Call,
    channel: Channel<Uint8Array> | undefined,
    startedAt: number,
    output: ExchangeOutput,
  ) {
    this.id = id
    this.request = request
    this.call = call
    this.channel = channel
    this.startedAt = startedAt
    this.response = undefined
    this.tunnel = undefined
    this.#output = output
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

  /** Something may still be promised: its answer has not come, or is being written. */
  get open(): boolean {
    return !this.settled && (this.response === undefined || this.#flow !== undefined)
  }

  /** The body was started and has given nothing so far. */
  get awaitsBody(): boolean {
    return this.#flow !== undefined && this.responseBytes === 0
  }

  /** The connection, or the peer's window, takes more. */
  resume(): void {
    if (this.tunnel === undefined) this.#flow?.resume()
    else this.tunnel.onWritable()
  }

  // --- the request's body

  /** @returns false: no more for now */
  onData(chunk: Uint8Array): boolean {
    this.requestBytes += chunk.length
    if (this.tunnel !== undefined) {
      this.tunnel.onData(chunk)
      return true
    }
    return this.channel === undefined || this.channel.write(chunk)
  }

  onEnd(trailers: HttpFields | undefined): void {
    if (this.tunnel !== undefined) return this.tunnel.onPeerEnd()
    if (this.channel === undefined) return
    this.request.body.trailers = trailers
    this.channel.end()
  }

  // --- the answer's body

  write(chunk: Uint8Array): boolean {
    this.responseBytes += chunk.length
    return this.#output.sendData(this.id, chunk)
  }

  end(): void {
    this.#flow = undefined
    this.#output.sendEnd(this.id, this.response?.body.trailers)
  }

  /** The body broke in the middle: the peer must see it cut, never a shorter whole. */
  fail(reason: Error): void {
    this.#flow = undefined
    this.failure = reason
    const error = new InternalError('ERR_INVARIANT', `response body failed: ${reason.message}`, {
      cause: reason,
    })
    this.#output.reset(this.id, error)
  }

  settle(error: Error | undefined): void {
    if (this.settled) return
    this.settled = true
    const flow = this.#flow
    this.#flow = undefined
    if (this.tunnel !== undefined && error !== undefined) this.tunnel.onAbort(error)
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
