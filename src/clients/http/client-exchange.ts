/**
 * One call on a client connection: the promise of its response, the sink of its request's body, and
 * the two ends of its response's body.
 *
 *     waiting ──head──► receiving ──end──► answered ──end of the request──► over
 *        └──────────────────┴──────────────────┴──abort───────────────────► over
 *
 * `answered` is passed through at once where the request is through already, and in HTTP/1.1.
 * A body that arrived together with its head is given as bytes: it needs no stream, can be passed on
 * in one write, and the connection is free before the caller has even seen the response.
 */
import type { Timer } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import { ClosedError, type HeddleError, toError } from '../../core/errors.ts'
import type { Flow, Sink } from '../../core/flow.ts'
import { copyForNow, giveCopyBack, isCopyForNow } from '../../core/region-pool.ts'
import type { ExchangeConnection } from '../../links/layer/exchange-connection.ts'
import { Body } from '../../protocols/http/body.ts'
import type { ResponseEvent } from '../../protocols/http/exchange.ts'
import type { HttpFields } from '../../protocols/http/fields.ts'
import {
  type HttpRequest,
  HttpResponse,
  type ResponseExchange,
} from '../../protocols/http/messages.ts'
import { PendingReply } from '../../runtime/settle.ts'
import { ResponseStream, type StreamOwner } from './response-stream.ts'

/** What an exchange needs of its connection. */
export interface ExchangeOwner {
  /** @returns false: stop until `resumeRequest` */
  sendData(exchange: ClientExchange, chunk: Uint8Array): boolean
  isWritable(exchange: ClientExchange): boolean
  sendEnd(exchange: ClientExchange, trailers: HttpFields | undefined): void
  demand(exchange: ClientExchange, wanted: boolean): void
  cancel(exchange: ClientExchange, reason: Error): void
  /** The rest of the request has left behind a response that was complete before. */
  finished(exchange: ClientExchange): void
}

export class ClientExchange implements Sink<Uint8Array>, StreamOwner, ResponseExchange {
  readonly id: number
  readonly request: HttpRequest
  onOver: (() => void) | undefined
  over = false
  /** After 2xx to CONNECT, where streams carry connections. */
  tunnel: ExchangeConnection | undefined
  readonly #owner: ExchangeOwner
  readonly #reply = new PendingReply<HttpResponse>()
  #stopWatching: (() => void) | undefined
  #flow: Flow | undefined
  #bodyStarted = false
  #continueTimer: Timer | undefined
  /** Body bytes still to come, where a length was announced. */
  #left: number
  #head: ResponseEvent | undefined
  /** The response is complete, only the request goes on. */
  #answered = false
  #held: Uint8Array[] | undefined
  #response: HttpResponse | undefined
  #stream: ResponseStream | undefined

  constructor(id: number, request: HttpRequest, owner: ExchangeOwner) {
    this.id = id
    this.request = request
    this.onOver = undefined
    this.tunnel = undefined
    this.#owner = owner
    this.#stopWatching = undefined
    this.#flow = undefined
    this.#continueTimer = undefined
    this.#left = request.body.length ?? Number.POSITIVE_INFINITY
    this.#head = undefined
    this.#held = undefined
    this.#response = undefined
    this.#stream = undefined
  }

  get promise(): Promise<HttpResponse> {
    return this.#reply.promise
  }

  watch(context: CallContext): void {
    if (this.over) return
    this.#stopWatching = context.onCancel((reason) => this.#owner.cancel(this, reason))
  }

  // --- the request's body

  /** @throws UsageError ERR_BODY_USED */
  openBody(): void {
    this.#flow = this.request.body.open(this)
  }

  /** The body starts with the 100, or when `timer` fires. */
  waitForContinue(timer: Timer): void {
    this.#continueTimer = timer
  }

  startBody(): void {
    if (this.#bodyStarted || this.over) return
    this.#bodyStarted = true
    this.#continueTimer?.cancel()
    this.#flow?.resume()
  }

  /** The connection takes more. */
  resumeRequest(): void {
    if (this.tunnel !== undefined) this.tunnel.onWritable()
    else if (this.#bodyStarted) this.#flow?.resume()
  }

  /** Whether bytes of the request's body are still to come. */
  get sending(): boolean {
    return this.#flow !== undefined
  }

  /** Every announced byte was sent, only the source has not said `end` yet. */
  get sentAll(): boolean {
    return this.#left === 0
  }

  write(chunk: Uint8Array): boolean {
    if (this.#flow === undefined) return false
    this.#left -= chunk.length
    return chunk.length === 0 || this.#owner.sendData(this, chunk)
  }

  end(): void {
    if (this.#flow === undefined) return
    this.#flow = undefined
    this.#owner.sendEnd(this, this.request.body.trailers)
    if (!this.#answered || this.over) return
    this.#finish()
    this.#owner.finished(this)
  }

  /** The request's body broke: the peer must see it cut, never a shorter whole. */
  fail(reason: Error): void {
    this.#flow = undefined
    this.request.body.failure = reason
    this.#owner.cancel(this, reason)
  }

  dropBody(reason: Error): void {
    const flow = this.#flow
    this.#flow = undefined
    flow?.cancel(reason)
  }

  // --- the response

  onHead(head: ResponseEvent): void {
    this.#head = head
  }

  onData(chunk: Uint8Array): boolean {
    if (this.tunnel !== undefined) {
      this.tunnel.onData(chunk)
      return true
    }
    if (this.#stream !== undefined) return this.#stream.push(chunk)
    this.#held ??= []
    // A large piece of more waits here no longer than until somebody reads it. What is whole is the
    // caller's to keep.
    this.#held.push(this.#isWhole(chunk) ? new Uint8Array(chunk) : copyForNow(chunk))
    return true
  }

  /** The head is there, and nobody has been told. */
  get isStarting(): boolean {
    return this.#head !== undefined
  }

  /** Everything that came with the head is there, and it was not all. */
  stream(): void {
    const head = this.#head
    if (head === undefined || this.over) return
    this.#stream = new ResponseStream(this, this.#held ?? [])
    this.#held = undefined
    this.#respond(head, Body.from(this.#stream, head.bodyLength), this)
  }

  #isWhole(chunk: Uint8Array): boolean {
    const length = this.#head?.bodyLength
    return length !== undefined && chunk.length >= length
  }

  /** The response is complete. While the request is still `sending`, the exchange goes on. */
  complete(trailers: HttpFields | undefined): void {
    const head = this.#head
    if (this.sending) this.#answered = true
    else this.#finish()
    if (head === undefined) {
      const response = this.#response as HttpResponse
      if (trailers !== undefined) response.body.trailers = trailers
      if (this.over) response.exchange = undefined
      this.#stream?.end()
      return
    }
    const body =
      head.content === undefined
        ? wholeBody(this.#held, trailers !== undefined)
        : Body.from(head.content)
    this.#held = undefined
    if (trailers !== undefined) body.trailers = trailers
    this.#respond(head, body, this.over ? undefined : this)
  }

  /** 101, or 2xx to CONNECT: the response comes with the connection. */
  completeWith(connection: HttpResponse['connection']): void {
    const head = this.#head as ResponseEvent
    this.#finish()
    this.#respond(head, Body.empty, undefined, connection)
  }

  /** 2xx to CONNECT: the exchange is the connection, and over when that is. */
  completeAs(tunnel: ExchangeConnection): void {
    const head = this.#head as ResponseEvent
    // Whoever called has the connection now: the call's context is done with it.
    this.#stopWatching?.()
    this.#stopWatching = undefined
    this.tunnel = tunnel
    this.#respond(head, Body.empty, undefined, tunnel)
  }

  /** The connection that was made of it has ended. */
  tunnelDone(): void {
    if (!this.over) this.#finish()
  }

  onInform(status: number, fields: HttpFields): void {
    this.request.inform?.(status, fields)
    if (status === 100) this.startBody()
  }

  /** It ended early: whoever waits for the head or reads the body is told. */
  abortWith(reason: unknown): void {
    if (this.over) return
    this.#finish()
    this.dropBody(toError(reason))
    if (this.#response === undefined) return this.#reply.reject(reason)
    this.#response.exchange = undefined
    if (this.tunnel !== undefined) this.tunnel.onAbort(toError(reason))
    else if (!this.#answered) this.#stream?.fail(toError(reason))
  }

  // --- what the response's body and its owner ask

  demand(wanted: boolean): void {
    this.#owner.demand(this, wanted)
  }

  giveUp(reason: Error): void {
    this.#owner.cancel(this, reason)
  }

  abort(reason: Error): void {
    this.#owner.cancel(this, reason)
  }

  /** Everything about the response is set before: middleware looks at it inside `resolve`. */
  #respond(
    head: ResponseEvent,
    body: Body,
    exchange?: ResponseExchange,
    connection?: HttpResponse['connection'],
  ): void {
    const response = new HttpResponse({
      status: head.status,
      reason: head.reason,
      fields: head.fields,
      body,
      version: head.version,
    })
    response.exchange = exchange
    response.connection = connection
    this.#head = undefined
    this.#response = response
    this.#reply.resolve(response)
  }

  #finish(): void {
    this.over = true
    this.#stopWatching?.()
    this.#stopWatching = undefined
    this.#continueTimer?.cancel()
    this.onOver?.()
  }
}

function wholeBody(held: readonly Uint8Array[] | undefined, hasTrailers: boolean): Body {
  // The shared empty body takes no trailers.
  if (held === undefined) return hasTrailers ? Body.from(new Uint8Array(0)) : Body.empty
  const [only] = held
  if (held.length === 1 && !isCopyForNow(only)) return Body.from(only)
  let length = 0
  for (const chunk of held) length += chunk.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of held) {
    whole.set(chunk, at)
    at += chunk.length
    giveCopyBack(chunk)
  }
  return Body.from(whole)
}

/** What a session is told of a caller that gave up. */
export function aborted(reason: Error): HeddleError {
  return new ClosedError('ERR_ABORTED', `the call was cancelled: ${toError(reason).message}`, {
    cause: reason,
    sent: 'some',
  })
}
