/**
 * The client's side of one HTTP/1.1 connection (RFC 9112), sans-I/O.
 *
 *     request, data, end commands ──► requests, one behind the other
 *     response, data, end events  ◄── responses in the order of the requests
 *
 * Responses are read as strictly as a server reads requests: whatever two readers could take
 * differently ends the connection, since behind it a stranger's answer could be taken for ours.
 *
 * Each exchange ends with the last event of its response or with `aborted`, whose error says what
 * of the request had been given to the connection (`sent`) and whether sending it again is safe.
 */
// size: one state machine; which response is read next depends on what was sent, and the reverse.
import { ByteWriter } from '../../core/byte-writer.ts'
import type { CodeOf, Retryable } from '../../core/error-codes.ts'
import {
  ClosedError,
  checkInteger,
  type HeddleError,
  ProtocolError,
  type Sent,
  TimeoutError,
  TransportError,
  UsageError,
} from '../../core/errors.ts'
import { portableText } from '../../core/portable-text.ts'
import type { SessionState } from '../../core/session.ts'
import type { BodyDecoder, BodyFraming } from './body-decoder.ts'
import { MessageDecoder } from './decoder.ts'
import type { HeadDecoder } from './head-decoder.ts'
import { checkTimeout, type ResolvedLimits, resolveLimits } from './limits.ts'
import type {
  CapacityEvent,
  ClientCommand,
  ClientEvent,
  DemandCommand,
  HttpClientSession,
  RequestCommand,
  ResetCommand,
} from './messages.ts'
import { type Http1ClientOptions, http1ClientDefaults } from './options.ts'
import { closesAfter } from './request-reader.ts'
import { RequestWriter } from './request-writer.ts'
import { keepAliveHint, responseFraming, switchesProtocols } from './response-rules.ts'
import { ASKED_UPGRADE, UNSAFE, WANTS_CLOSE, WAS_CONNECT } from './response-writer.ts'
import { Ring } from './ring.ts'

export class Http1ClientSession implements HttpClientSession {
  readonly version = '1.1'
  state: SessionState = 'open'
  failure: HeddleError | undefined
  onWake: (() => void) | undefined
  /** How long the server says it keeps the connection idle (`Keep-Alive: timeout`). */
  keepAliveHintMs: number | undefined

  readonly #limits: ResolvedLimits
  readonly #maxPipelined: number
  readonly #maxInforms: number
  readonly #headTimeoutMs: number
  readonly #bodyTimeoutMs: number
  readonly #discardTimeoutMs: number
  readonly #minBodyBytes: number
  readonly #decoder: MessageDecoder
  readonly #out: ByteWriter
  readonly #writer: RequestWriter
  readonly #events = new Ring<ClientEvent>()
  #phase: Phase = HEAD

  // Exchanges `#answered + 1` to `#submitted` are in flight, with one entry each in the rings.
  #submitted = 0
  /** The same, with those that were aborted because the server closes. */
  #lastSubmitted = 0
  #answered = 0
  readonly #flags = new Ring<number>()
  /** Where a request starts and ends in all that was encoded; an end of -1: not yet. */
  readonly #starts = new Ring<number>()
  readonly #ends = new Ring<number>()
  #encoded = 0

  /** Requests behind this one must wait for its response. */
  #barrier = false
  #hadCapacity = true
  /** The connection ends with the response being read. */
  #closing = false
  #draining = false
  #peerEnded = false
  #informs = 0
  /** The last `Keep-Alive`, usually the same again. */
  #keepAlive: string | undefined

  // The body of the response to exchange `#answered + 1`.
  #demand = false
  #discarding = false

  #now: number
  /** Since when the next response is awaited. */
  #waitingSince = 0
  #windowStart = 0
  #windowBytes = 0

  constructor(options: Http1ClientOptions = {}, now = 0) {
    const defaults = http1ClientDefaults
    const {
      host,
      maxPipelined = defaults.maxPipelined,
      headTimeoutMs = defaults.headTimeoutMs,
      bodyTimeoutMs = defaults.bodyTimeoutMs,
      discardTimeoutMs = defaults.discardTimeoutMs,
      minBodyBytes = defaults.minBodyBytes,
      maxInforms = defaults.maxInforms,
    } = options
    const text = host?.text ?? portableText
    this.#limits = resolveLimits(options)
    this.#maxPipelined = checkInteger('maxPipelined', maxPipelined, 1, 1_024)
    this.#maxInforms = checkInteger('maxInforms', maxInforms, 0, 65_536)
    this.#headTimeoutMs = checkTimeout('headTimeoutMs', headTimeoutMs)
    this.#bodyTimeoutMs = checkTimeout('bodyTimeoutMs', bodyTimeoutMs)
    this.#discardTimeoutMs = checkTimeout('discardTimeoutMs', discardTimeoutMs)
    this.#minBodyBytes = checkInteger('minBodyBytes', minBodyBytes, 1, 0x4000_0000)
    this.#decoder = new MessageDecoder('response', this.#limits, text)
    this.#out = new ByteWriter({ text })
    this.#writer = new RequestWriter(this.#out)
    this.#now = now
  }

  /** Requests whose responses are not complete. */
  get pending(): number {
    return this.#submitted - this.#answered
  }

  /** The number that the next request must have. */
  get nextExchange(): number {
    return this.#submitted + 1
  }

  /**
   * 1: a request may be submitted now; when it becomes 1 there is a `capacity` event. Never more,
   * also when pipelining: what the next request is decides whether there may be another behind it.
   */
  get capacity(): number {
    return this.#canSubmit ? 1 : 0
  }

  get #canSubmit(): boolean {
    return (
      this.state === 'open' &&
      !this.#closing &&
      !this.#barrier &&
      !this.#peerEnded &&
      this.#writer.streaming === 0 &&
      this.pending < this.#maxPipelined
    )
  }

  /** What bounds it is the connection, whose driver knows. */
  isWritable(exchange: number): boolean {
    return this.#writer.streaming === exchange
  }

  /** Bytes of input kept in memory of our own. */
  get buffered(): number {
    return this.#decoder.buffered
  }

  get wantsRead(): boolean {
    if (this.state === 'closed' || this.state === 'detached') return false
    return this.#phase !== BODY || this.#demand || this.#discarding
  }

  receive(chunk: Uint8Array, now: number): void {
    this.#now = now
    if (this.state === 'closed') return
    this.#decoder.push(chunk)
  }

  receiveEnd(now: number): void {
    this.#now = now
    if (this.state === 'detached') return
    this.#peerEnded = true
    this.#hadCapacity = false
  }

  receiveClose(reason: Error | undefined, now: number): void {
    this.#now = now
    if (this.state === 'closed' || this.state === 'detached') return
    this.#peerEnded = true
    if (this.pending === 0) return this.#close()
    const message = `the connection was lost${reason === undefined ? '' : `: ${reason.message}`}`
    this.#lose('ERR_DISCONNECTED', message, reason)
  }

  pollEvent(): ClientEvent | undefined {
    for (;;) {
      const queued = this.#events.shift()
      if (queued !== undefined) return queued
      if (this.state === 'closed' || this.state === 'detached') return undefined
      const phase = this.#phase
      const event = phase === HEAD ? this.#readHead() : this.#readBody()
      if (event !== undefined) return event
      if (phase === this.#phase && this.#events.length === 0) {
        this.#decoder.hold()
        return undefined
      }
    }
  }

  submit(command: ClientCommand, now: number): void {
    this.#now = now
    const before = this.#out.pending
    try {
      this.#do(command)
    } finally {
      this.#encoded += this.#out.pending - before
    }
  }

  pollTransmit(_maxBytes: number): ByteWriter {
    return this.#out
  }

  pollTimeout(): number | undefined {
    if (this.state === 'closed' || this.state === 'detached' || this.pending === 0) return undefined
    let at: number
    if (this.#phase === BODY) {
      if (!this.#demand && !this.#discarding) return undefined
      at = this.#windowStart + (this.#discarding ? this.#discardTimeoutMs : this.#bodyTimeoutMs)
    } else {
      if (this.#writer.streaming === this.#answered + 1) return undefined
      at = this.#waitingSince + this.#headTimeoutMs
    }
    return at === Number.POSITIVE_INFINITY ? undefined : at
  }

  handleTimeout(now: number): void {
    this.#now = now
    const at = this.pollTimeout()
    if (at === undefined || now < at) return
    const progress = !this.#discarding && this.#windowBytes >= this.#minBodyBytes
    if (this.#phase === BODY && progress) return this.#startWindow()
    const windowMs = this.#discarding ? this.#discardTimeoutMs : this.#bodyTimeoutMs
    const message =
      this.#phase === BODY
        ? `${this.#windowBytes} bytes of a response body in ${windowMs} ms`
        : `no response after ${this.#headTimeoutMs} ms`
    const first = new TimeoutError('ERR_IDLE', message, this.#proof(0))
    this.#abort(
      first,
      'ERR_DISCONNECTED',
      `an earlier response on the connection failed: ${message}`,
    )
  }

  takeUnread(): Uint8Array {
    return this.#decoder.takeUnread()
  }

  // --- sending ---

  #do(command: ClientCommand): void {
    if (command.type === 'request') return this.#request(command)
    if (this.state === 'closed' || this.state === 'detached') return
    if (command.type === 'drain') return this.#drain()
    if (command.type === 'ping') throw new UsageError('ERR_STATE', 'HTTP/1.1 has no PING')
    const { exchange } = command
    if (!(exchange > 0 && exchange <= this.#lastSubmitted)) {
      throw new UsageError('ERR_STATE', `exchange ${exchange} was not submitted`)
    }
    switch (command.type) {
      case 'demand':
        return this.#setDemand(command)
      case 'reset':
        return this.#reset(command)
      case 'data':
        if (this.#isStreaming(exchange)) this.#writer.data(command)
        return
      case 'end':
        if (!this.#isStreaming(exchange)) return
        this.#endOfRequest(() => this.#writer.end(command))
    }
  }

  #request(command: RequestCommand): void {
    const { exchange } = command
    if (this.state === 'closed' || this.state === 'detached' || this.#peerEnded) {
      throw new ClosedError('ERR_CLOSED', 'the connection is closed', { retryable: 'yes' })
    }
    if (!this.#canSubmit)
      throw new UsageError('ERR_STATE', 'the connection cannot take a request now')
    if (exchange !== this.#submitted + 1) {
      throw new UsageError(
        'ERR_ARGUMENT',
        `exchange is ${exchange}, must be ${this.#submitted + 1}`,
      )
    }
    const before = this.#out.pending
    const flags = this.#writer.request(command)
    this.#submitted = exchange
    this.#lastSubmitted = exchange
    this.#flags.push(flags)
    this.#starts.push(this.#encoded)
    this.#ends.push(command.streams ? -1 : this.#encoded + this.#out.pending - before)
    if (this.pending === 1) this.#waitingSince = this.#now
    this.#barrier = (flags & BARRIER) !== 0
    this.#hadCapacity = this.#canSubmit
  }

  #isStreaming(exchange: number): boolean {
    if (this.#writer.streaming === exchange) return true
    // It may have been aborted a moment ago.
    if (this.state !== 'open' || this.#closing) return false
    throw new UsageError('ERR_STATE', `exchange ${exchange} has no body to write`)
  }

  #endOfRequest(write: () => void): void {
    const exchange = this.#writer.streaming
    const before = this.#out.pending
    write()
    const index = exchange - this.#answered - 1
    if (index >= 0) this.#ends.set(index, this.#encoded + this.#out.pending - before)
    if (index === 0) this.#waitingSince = this.#now
    if (this.pending === 0 && this.#draining) this.#close()
    else this.#updateCapacity()
  }

  #updateCapacity(): void {
    const had = this.#hadCapacity
    this.#hadCapacity = this.#canSubmit
    if (!had && this.#hadCapacity) this.#events.push(CAPACITY)
  }

  // --- reading ---

  #readHead(): ClientEvent | undefined {
    const { head, unread } = this.#decoder
    if (unread > 0 && !this.#expectsResponse()) {
      const message = `${unread} bytes from the server without a request`
      this.#fail(new ProtocolError('ERR_PROTOCOL', message, { status: 502 }))
      return undefined
    }
    if (this.#decoder.nextHead()) return this.#response(head)
    const { failure } = this.#decoder
    if (failure !== undefined) this.#fail(failure)
    else if (this.#peerEnded) this.#peerLeft()
    return undefined
  }

  /** Whether anything of the oldest request has been given to the connection. */
  #expectsResponse(): boolean {
    if (this.pending === 0) return false
    return (this.#starts.at(0) as number) < this.#flushed
  }

  get #flushed(): number {
    return this.#encoded - this.#out.pending
  }

  #peerLeft(): void {
    if (this.pending === 0) return this.#close()
    const message = this.#decoder.head.started
      ? 'the server closed inside the head of its response'
      : 'the server closed before it answered'
    this.#lose('ERR_DISCONNECTED', message, undefined)
  }

  #response(head: HeadDecoder): ClientEvent | undefined {
    const { status, fields } = head
    const exchange = this.#answered + 1
    const flags = this.#flags.at(0) as number
    const framing = responseFraming(head, flags)
    if (typeof framing === 'object') return this.#refuse(framing)
    if (status < 200 && status !== 101) {
      if (++this.#informs > this.#maxInforms) {
        const message = `more interim responses than maxInforms ${this.#maxInforms}`
        return this.#refuse(new ProtocolError('ERR_LIMIT', message, { status: 502 }))
      }
      return { type: 'inform', exchange, status, fields }
    }
    if (framing === 'length' && head.contentLength > this.#limits.maxBodyBytes) {
      const { maxBodyBytes } = this.#limits
      const message = `body of ${head.contentLength} bytes is over maxBodyBytes ${maxBodyBytes}`
      return this.#refuse(new ProtocolError('ERR_LIMIT', message, { status: 502 }))
    }
    this.#informs = 0
    if (head.keepAlive !== this.#keepAlive) {
      this.#keepAlive = head.keepAlive
      if (head.keepAlive !== undefined) this.keepAliveHintMs = keepAliveHint(head.keepAlive)
    }
    const hasBody = framing !== 'none'
    if (switchesProtocols(head, flags)) this.#detach(exchange)
    else {
      const ends = framing === 'until-close' || closesAfter(head.connection, head.minor)
      if (ends || (flags & WANTS_CLOSE) !== 0) this.#lastResponse(exchange)
      if (hasBody) this.#beginBody(framing, head.contentLength)
      else this.#endOfResponse()
    }
    return {
      type: 'response',
      exchange,
      status,
      reason: head.reason,
      fields,
      version: head.minor === 1 ? '1.1' : '1.0',
      hasBody,
      bodyLength: framing === 'length' ? head.contentLength : hasBody ? undefined : 0,
      content: undefined,
      trailers: undefined,
    }
  }

  #beginBody(framing: BodyFraming, length: number): void {
    this.#phase = BODY
    this.#demand = false
    this.#discarding = false
    this.#decoder.beginBody(framing, length)
  }

  #detach(exchange: number): void {
    this.#answered = exchange
    this.state = 'detached'
    this.#events.push({ type: 'detached', exchange })
  }

  /**
   * The server closes after this response. RFC 9112 9.6: it must not process requests behind it, so
   * these are as good as never sent.
   */
  #lastResponse(exchange: number): void {
    this.#closing = true
    if (this.state === 'open') this.state = 'closing'
    for (let behind = exchange + 1; behind <= this.#submitted; behind++) {
      const message = 'the server closes the connection after an earlier response'
      const proof = { sent: 'nothing', retryable: 'yes' } as const
      const error = new TransportError('ERR_DISCONNECTED', message, proof)
      this.#events.push({ type: 'aborted', exchange: behind, error })
    }
    this.#submitted = exchange
    if (this.#writer.streaming > exchange) this.#writer.streaming = 0
  }

  #readBody(): ClientEvent | undefined {
    const body = this.#decoder.body as BodyDecoder
    const exchange = this.#answered + 1
    while (!body.ended) {
      if (!this.#demand && !this.#discarding) return undefined
      const chunk = this.#decoder.nextPiece()
      if (chunk === undefined) break
      this.#windowBytes += chunk.length
      if (!this.#discarding) return { type: 'data', exchange, chunk }
    }
    const { failure } = this.#decoder
    if (failure !== undefined) {
      this.#fail(failure)
      return undefined
    }
    if (!body.ended && !(this.#peerEnded && body.end())) {
      if (this.#peerEnded) {
        this.#lose(
          'ERR_DISCONNECTED',
          'the server closed inside the body of its response',
          undefined,
        )
      }
      return undefined
    }
    const silent = this.#discarding
    const { trailers } = body
    this.#endOfResponse()
    return silent ? undefined : { type: 'end', exchange, trailers }
  }

  #endOfResponse(): void {
    this.#phase = HEAD
    this.#demand = false
    this.#discarding = false
    this.#answered++
    this.#flags.shift()
    this.#starts.shift()
    this.#ends.shift()
    this.#waitingSince = this.#now
    if (this.pending === 0) {
      this.#barrier = false
      if (this.#closing || (this.#draining && this.#writer.streaming === 0)) return this.#close()
    }
    this.#updateCapacity()
  }

  // --- ending ---

  #setDemand(command: DemandCommand): void {
    const { exchange, wanted } = command
    if (exchange !== this.#answered + 1 || this.#phase !== BODY || this.#discarding) return
    if (wanted && !this.#demand) this.#startWindow()
    this.#demand = wanted
  }

  #reset(command: ResetCommand): void {
    const { exchange, error } = command
    const index = exchange - this.#answered - 1
    if (index < 0) {
      // Answered early, and the rest of the request is not going to be sent.
      if (this.#writer.streaming === exchange) this.#endWith(error)
      return
    }
    if (exchange > this.#submitted) return // it was aborted already
    this.#events.push({ type: 'aborted', exchange, error })
    if (index === 0 && this.#phase === BODY && this.#canDiscard(exchange)) {
      this.#discarding = true
      this.#demand = false
      return this.#startWindow()
    }
    const message = 'the connection was closed to cancel another request'
    for (let other = 0; other < this.pending; other++) {
      if (other === index) continue
      const proof = this.#proof(other)
      const aborted = new ClosedError('ERR_CLOSED', message, {
        ...proof,
        retryable: proof.retryable ?? 'if-idempotent',
      })
      this.#events.push({ type: 'aborted', exchange: this.#answered + 1 + other, error: aborted })
    }
    this.#endWith(error)
  }

  /** Whether the rest of a response is short enough to be dropped rather than the connection. */
  #canDiscard(exchange: number): boolean {
    if (this.#closing || this.#writer.streaming === exchange) return false
    const { remaining } = this.#decoder.body as BodyDecoder
    return remaining !== undefined && remaining <= this.#limits.maxDiscardBytes
  }

  #drain(): void {
    this.#draining = true
    if (this.state === 'open') this.state = 'closing'
    this.#hadCapacity = false
    if (this.pending === 0 && this.#writer.streaming === 0) this.#close()
  }

  #startWindow(): void {
    this.#windowStart = this.#now
    this.#windowBytes = 0
  }

  /** What is known of the request `index` places behind the one that is answered now. */
  #proof(index: number): { sent: Sent; retryable?: Retryable } {
    const flushed = this.#flushed
    const end = this.#ends.at(index)
    if ((this.#starts.at(index) ?? 0) >= flushed) return { sent: 'nothing', retryable: 'yes' }
    const sent = end !== undefined && end >= 0 && end <= flushed ? 'all' : 'some'
    // Part of the answer was handed out: the caller cannot be given another from the start.
    if (index === 0 && this.#phase === BODY) return { sent, retryable: 'no' }
    return { sent }
  }

  /** The connection is gone. */
  #lose(code: CodeOf<'TransportError'>, message: string, cause: Error | undefined): void {
    const first = new TransportError(code, message, { ...this.#proof(0), cause })
    this.#abort(first, code, message)
  }

  /** The server broke the protocol. */
  #fail(failure: ProtocolError): void {
    if (this.pending === 0) return this.#endWith(failure)
    const { code, message, status } = failure
    const first = new ProtocolError(code as CodeOf<'ProtocolError'>, message, {
      ...this.#proof(0),
      ...(status !== undefined && { status }),
    })
    this.#abort(first, 'ERR_DISCONNECTED', `an earlier response was not valid: ${message}`)
  }

  #refuse(failure: ProtocolError): undefined {
    this.#fail(failure)
  }

  /** The oldest exchange ends with `first`, those behind it with a `TransportError`. */
  #abort(first: HeddleError, code: CodeOf<'TransportError'>, message: string): void {
    const exchange = this.#answered + 1
    // A response whose caller gave up has had its last event.
    if (!this.#discarding) this.#events.push({ type: 'aborted', exchange, error: first })
    for (let index = 1; index < this.pending; index++) {
      const error = new TransportError(code, message, { ...this.#proof(index), cause: first })
      this.#events.push({ type: 'aborted', exchange: exchange + index, error })
    }
    this.#endWith(first)
  }

  #endWith(error: HeddleError): void {
    this.failure ??= error
    this.#close()
  }

  #close(): void {
    this.state = 'closed'
    this.#answered = this.#submitted
    this.#writer.streaming = 0
    this.#flags.clear()
    this.#starts.clear()
    this.#ends.clear()
    this.#decoder.takeUnread()
  }
}

/** What is read next. */
type Phase = 0 | 1
const HEAD = 0
const BODY = 1

/** Nothing is pipelined behind these (RFC 9112 9.3.2), nor behind what may end HTTP here. */
const BARRIER = UNSAFE | WANTS_CLOSE | WAS_CONNECT | ASKED_UPGRADE
const CAPACITY: CapacityEvent = Object.freeze({ type: 'capacity' })
