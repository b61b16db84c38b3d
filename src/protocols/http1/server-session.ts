/**
 * The server's side of one HTTP/1.1 connection (RFC 9112), sans-I/O.
 *
 *     requests   ──► request, data, end events, one request after the other
 *     responses  ◄── respond, or head + data + end commands, sent in the order of the requests
 *
 * Requests in a pipeline are handed out while earlier ones are answered, up to `maxPipelined`, and
 * only while all of them are safe (RFC 9112 9.3.2): a POST is handed out when everything before it
 * was answered, and nothing behind it is until it was. A response that is ready early waits.
 *
 * What cannot be understood is refused with the status that says why, after the responses to the
 * requests before it; then the connection is closed. Each exchange ends with exactly one of `sent`
 * and `aborted`: what has not come of a request's body by then is dropped.
 */
// size: one state machine; what may be read next depends on what was answered, and the reverse.
import { ByteWriter } from '../../core/byte-writer.ts'
import {
  ClosedError,
  checkInteger,
  type HeddleError,
  ProtocolError,
  TimeoutError,
  TransportError,
  UsageError,
} from '../../core/errors.ts'
import { portableText } from '../../core/portable-text.ts'
import type { SessionState } from '../../core/session.ts'
import type { HttpServerSession } from '../http/exchange.ts'
import type { HttpFields } from '../http/fields.ts'
import type { BodyDecoder } from './body-decoder.ts'
import { MessageDecoder } from './decoder.ts'
import { checkCount, checkTimeout, type ResolvedLimits, resolveLimits } from './limits.ts'
import type {
  DemandCommand,
  InformCommand,
  RequestEvent,
  ResetCommand,
  RespondCommand,
  ResponseHeadCommand,
  ServerCommand,
  ServerEvent,
} from './messages.ts'
import { type Http1ServerOptions, http1ServerDefaults } from './options.ts'
import { RequestReader } from './request-reader.ts'
import {
  ASKED_UPGRADE,
  AWAITS_CONTINUE,
  asksClose,
  checkInform,
  ResponseWriter,
  UNSAFE,
  WANTS_CLOSE,
  WAS_1_0,
  WAS_CONNECT,
  WAS_HEAD,
} from './response-writer.ts'
import { Ring } from './ring.ts'

type Held = RespondCommand | ResponseHeadCommand | ResetCommand

export class Http1ServerSession implements HttpServerSession {
  state: SessionState = 'open'
  failure: HeddleError | undefined
  onWake: (() => void) | undefined
  /** True: the last message is incomplete and only an abortive close can show it. */
  cut = false

  readonly #limits: ResolvedLimits
  readonly #maxPipelined: number
  readonly #maxRequests: number
  readonly #allowHalfClose: boolean
  readonly #headTimeoutMs: number
  readonly #bodyTimeoutMs: number
  readonly #minBodyBytes: number
  readonly #keepAliveTimeoutMs: number
  readonly #decoder: MessageDecoder
  readonly #reader: RequestReader
  readonly #out: ByteWriter
  readonly #writer: ResponseWriter
  /** Events that came about while something else was done; few at any time. */
  readonly #events = new Ring<ServerEvent>()
  #phase: Phase = HEAD

  // Exchanges `#answered + 1` to `#received` are open; `#flags` has one entry for each.
  #received = 0
  #answered = 0
  readonly #flags = new Ring<number>()
  /** Responses that wait for their turn. At most `maxPipelined`. */
  #held: Map<number, Held> | undefined
  #heldInforms: InformCommand[] | undefined
  /** The response being written, or the last one, says that the connection closes. */
  #closing = false
  #draining = false
  #peerEnded = false
  /** A request that was read, but must wait until everything before it was answered. */
  #parked: RequestEvent | undefined
  #parkedFlags = 0
  /** Nothing is handed out behind a request that is not safe until it was answered. */
  #barrier = false
  /** What is answered last, before the connection closes. */
  #refusal: HeddleError | undefined
  #refusedExchange = 0

  // The body of exchange `#received`.
  #demand = false
  #bodyFlags = 0
  #discarding = false
  #discardFrom = 0
  #continueHeld = false

  #now: number
  #idleSince: number | undefined
  #headStartedAt: number | undefined
  /** Progress of the body is measured in windows of `bodyTimeoutMs`. */
  #windowStart = 0
  #windowBytes = 0

  /** @param now when the connection was opened; unknown: from the first call that says it */
  constructor(options: Http1ServerOptions = {}, now?: number) {
    const defaults = http1ServerDefaults
    const {
      host,
      scheme = 'http',
      date,
      maxPipelined = defaults.maxPipelined,
      maxRequestsPerConnection = defaults.maxRequestsPerConnection,
      allowHalfClose = defaults.allowHalfClose,
      headTimeoutMs = defaults.headTimeoutMs,
      bodyTimeoutMs = defaults.bodyTimeoutMs,
      minBodyBytes = defaults.minBodyBytes,
      keepAliveTimeoutMs = defaults.keepAliveTimeoutMs,
    } = options
    const text = host?.text ?? portableText
    this.#limits = resolveLimits(options)
    this.#maxPipelined = checkInteger('maxPipelined', maxPipelined, 1, 1_024)
    this.#maxRequests = checkCount('maxRequestsPerConnection', maxRequestsPerConnection)
    this.#allowHalfClose = allowHalfClose
    this.#headTimeoutMs = checkTimeout('headTimeoutMs', headTimeoutMs)
    this.#bodyTimeoutMs = checkTimeout('bodyTimeoutMs', bodyTimeoutMs)
    this.#minBodyBytes = checkInteger('minBodyBytes', minBodyBytes, 1, 0x4000_0000)
    this.#keepAliveTimeoutMs = checkTimeout('keepAliveTimeoutMs', keepAliveTimeoutMs)
    this.#decoder = new MessageDecoder('request', this.#limits, text)
    this.#reader = new RequestReader(this.#decoder.head, scheme, this.#limits.maxBodyBytes)
    this.#out = new ByteWriter({ text })
    this.#writer = new ResponseWriter(this.#out, date)
    this.#now = now ?? 0
    this.#idleSince = now
  }

  /** Requests handed out whose responses have not been encoded completely. */
  get pending(): number {
    return this.#received - this.#answered
  }

  /** Nothing but the connection holds an answer up. */
  isWritable(_exchange: number): boolean {
    return true
  }

  /** Bytes of input kept in memory of our own. */
  get buffered(): number {
    return this.#decoder.buffered
  }

  get wantsRead(): boolean {
    if (this.state === 'closed' || this.state === 'detached') return false
    if (this.#phase === BODY) return this.#demand || this.#discarding
    const readsHeads = this.#phase === HEAD && this.#parked === undefined
    if (this.#phase === STOPPED || (readsHeads && this.#mayReadHead())) return true
    // Nothing is handed out now, as behind an upgrade that is not answered or a request that waits.
    // Reading on, within a bound, is how a client that leaves is noticed.
    return this.#decoder.buffered < this.#limits.maxHeadBytes
  }

  receive(chunk: Uint8Array, now: number): void {
    this.#now = now
    if (this.state === 'closed' || this.#phase === STOPPED) return
    this.#decoder.push(chunk)
  }

  receiveEnd(now: number): void {
    this.#now = now
    if (this.state === 'closed' || this.state === 'detached') return
    this.#peerEnded = true
    if (this.#allowHalfClose) {
      if (this.#phase === STOPPED && this.pending === 0) this.#close()
      return
    }
    if (this.pending > 0) {
      const message = 'the client closed before the response was complete'
      this.#abort(new TransportError('ERR_DISCONNECTED', message))
    }
  }

  receiveClose(reason: Error | undefined, now: number): void {
    this.#now = now
    if (this.state === 'closed' || this.state === 'detached') return
    const message = `the connection was lost${reason === undefined ? '' : `: ${reason.message}`}`
    const error = new TransportError('ERR_DISCONNECTED', message, { cause: reason })
    const busy = this.pending > 0 || this.#phase === BODY
    if (busy) this.#abort(error)
    else this.#close()
  }

  pollEvent(): ServerEvent | undefined {
    for (;;) {
      if (this.#events.length > 0) return this.#events.shift()
      if (this.state === 'closed' || this.state === 'detached') return undefined
      const phase = this.#phase
      let event: ServerEvent | undefined
      if (phase === HEAD) event = this.#readHead()
      else if (phase === BODY) event = this.#readBody()
      if (event !== undefined) return event
      if (phase === this.#phase && this.#events.length === 0) {
        this.#decoder.hold()
        return undefined
      }
    }
  }

  submit(command: ServerCommand, now: number): void {
    this.#now = now
    if (this.state === 'closed' || this.state === 'detached') return
    if (command.type === 'drain') return this.#drain()
    const { exchange } = command
    if (exchange === this.#refusedExchange && exchange !== 0) return // it ended with `aborted`
    if (!(exchange > 0 && exchange <= this.#received)) {
      throw new UsageError('ERR_STATE', `exchange ${exchange} is not open`)
    }
    if (command.type === 'demand') return this.#setDemand(command)
    if (command.type === 'reset') return this.#reset(command)
    if (exchange <= this.#answered) {
      throw new UsageError('ERR_STATE', `exchange ${exchange} was answered already`)
    }
    switch (command.type) {
      case 'respond':
      case 'head':
        return this.#answer(command)
      case 'inform':
        return this.#inform(command)
      case 'data':
        this.#checkStreaming(exchange)
        return this.#writer.data(command)
      case 'end':
        this.#checkStreaming(exchange)
        this.#writer.end(command)
        this.#answeredOne()
        this.#advance()
    }
  }

  pollTransmit(_maxBytes: number): ByteWriter {
    return this.#out
  }

  pollTimeout(): number | undefined {
    const at = this.#timeoutAt()
    return at === Number.POSITIVE_INFINITY ? undefined : at
  }

  handleTimeout(now: number): void {
    this.#now = now
    if (this.#idleSince === undefined) this.#idleSince = now
    const at = this.pollTimeout()
    if (at === undefined || now < at) return
    if (this.#phase === BODY) return this.#checkProgress()
    if (this.#decoder.head.started) {
      const message = `the request head was not complete after ${this.#headTimeoutMs} ms`
      return this.#refuse(new TimeoutError('ERR_REQUEST_TIMEOUT', message, { status: 408 }))
    }
    this.#close()
  }

  takeUnread(): Uint8Array {
    return this.#decoder.takeUnread()
  }

  // --- reading ---

  #mayReadHead(): boolean {
    const pending = this.#received - this.#answered
    return pending === 0 || (!this.#barrier && pending < this.#maxPipelined)
  }

  #readHead(): ServerEvent | undefined {
    if (this.#parked !== undefined) {
      return this.pending === 0 ? this.#open(this.#parked, this.#parkedFlags) : undefined
    }
    if (!this.#mayReadHead()) return undefined
    if (!this.#decoder.nextHead()) {
      const { failure, head } = this.#decoder
      if (failure !== undefined) this.#refuse(failure)
      else if (this.#peerEnded) this.#endOfRequests()
      else if (head.started) this.#headStartedAt ??= this.#now
      return undefined
    }
    this.#headStartedAt = undefined
    const event = this.#reader.read(this.#received + 1)
    if (event === undefined) {
      this.#refuse(this.#reader.refusal as ProtocolError)
      return undefined
    }
    const isLast = this.#draining || event.exchange >= this.#maxRequests
    const flags = isLast ? this.#reader.flags | WANTS_CLOSE : this.#reader.flags
    if ((flags & UNSAFE) !== 0 && this.pending > 0) {
      this.#parked = event
      this.#parkedFlags = flags
      return undefined
    }
    return this.#open(event, flags)
  }

  #open(event: RequestEvent, flags: number): RequestEvent {
    this.#parked = undefined
    this.#received = event.exchange
    this.#flags.push(flags)
    this.#barrier = (flags & UNSAFE) !== 0
    if (event.hasBody) {
      this.#phase = BODY
      this.#bodyFlags = flags
      this.#decoder.beginBody(
        event.bodyLength === undefined ? 'chunked' : 'length',
        event.bodyLength ?? 0,
      )
    } else this.#endOfRequest(flags)
    return event
  }

  /** A request was read completely: what may follow it? */
  #endOfRequest(flags: number): void {
    if ((flags & WANTS_CLOSE) !== 0) this.#phase = STOPPED
    else if ((flags & (ASKED_UPGRADE | WAS_CONNECT)) !== 0) this.#phase = SWITCHING
    else this.#phase = HEAD
  }

  #readBody(): ServerEvent | undefined {
    const body = this.#decoder.body
    if (body === undefined) return undefined
    while (!body.ended) {
      if (!this.#demand && !this.#discarding) return undefined
      const chunk = this.#decoder.nextPiece()
      if (chunk === undefined) break
      this.#windowBytes += chunk.length
      if (!this.#discarding) return { type: 'data', exchange: this.#received, chunk }
      if (body.received - this.#discardFrom > this.#limits.maxDiscardBytes) {
        this.#close()
        return undefined
      }
    }
    const { failure } = this.#decoder
    if (failure !== undefined) this.#bodyFailed(failure)
    else if (body.ended) return this.#endBody(body.trailers)
    else if (this.#peerEnded) {
      const message = 'the client ended inside the body of its request'
      this.#bodyFailed(new ProtocolError('ERR_TRUNCATED', message, { status: 400 }))
    }
    return undefined
  }

  #endBody(trailers: HttpFields | undefined): ServerEvent | undefined {
    const silent = this.#discarding
    this.#demand = false
    this.#discarding = false
    this.#continueHeld = false
    if (this.pending > 0) this.#endOfRequest(this.#bodyFlags)
    else if (this.#draining) this.#close()
    else this.#startIdle()
    return silent ? undefined : { type: 'end', exchange: this.#received, trailers }
  }

  /** The peer sends no further requests. */
  #endOfRequests(): void {
    if (this.#decoder.head.started) {
      const message = 'the client ended inside the head of a request'
      return this.#refuse(new ProtocolError('ERR_TRUNCATED', message, { status: 400 }))
    }
    this.#phase = STOPPED
    if (this.pending === 0) this.#close()
  }

  #bodyFailed(error: HeddleError): void {
    const exchange = this.#received
    // One that was answered had its last event.
    if (this.pending > 0) this.#events.push({ type: 'aborted', exchange, error })
    this.#refusedExchange = exchange
    this.#refuse(error)
  }

  /** Reads no further. The answer leaves after the responses to the requests before it. */
  #refuse(error: HeddleError): void {
    this.failure = error
    this.#refusal = error
    this.#phase = STOPPED
    this.#parked = undefined
    if (this.state === 'open') this.state = 'closing'
    this.#held?.delete(this.#refusedExchange)
    this.#sendRefusal()
  }

  #sendRefusal(): void {
    const error = this.#refusal
    if (error === undefined) return
    const inBody = this.#refusedExchange !== 0
    const open = this.pending - (inBody && this.pending > 0 ? 1 : 0)
    if (open > 0) return
    this.#refusal = undefined
    // Half a response cannot be taken back: it ends where it is. A whole one needs no second.
    const answered = inBody && (this.pending === 0 || this.#writer.streaming)
    if (this.#writer.streaming) this.#cutResponse()
    if (!answered) {
      const status = typeof error.status === 'number' ? error.status : 400
      const isHead = inBody && ((this.#flags.at(0) as number) & WAS_HEAD) !== 0
      this.#writer.refuse(status, error, !isHead, this.#now)
    }
    this.#answered = this.#received
    this.#close()
  }

  #checkProgress(): void {
    if (this.#windowBytes >= this.#minBodyBytes) return this.#startWindow()
    const message = `${this.#windowBytes} bytes of a request body in ${this.#bodyTimeoutMs} ms`
    if (this.#discarding) return this.#close()
    this.#bodyFailed(new TimeoutError('ERR_REQUEST_TIMEOUT', message, { status: 408 }))
  }

  #startWindow(): void {
    this.#windowStart = this.#now
    this.#windowBytes = 0
  }

  #timeoutAt(): number | undefined {
    if (this.state === 'closed' || this.state === 'detached') return undefined
    if (this.#phase === BODY) {
      if (!this.#demand && !this.#discarding) return undefined
      return this.#windowStart + this.#bodyTimeoutMs
    }
    if (this.#phase !== HEAD) return undefined
    if (this.#headStartedAt !== undefined) return this.#headStartedAt + this.#headTimeoutMs
    if (this.pending > 0 || this.#parked !== undefined) return undefined
    if (this.#idleSince === undefined) return 0 // nobody has said yet what time it is
    const wait = this.#received === 0 ? this.#headTimeoutMs : this.#keepAliveTimeoutMs
    return this.#idleSince + wait
  }

  // --- answering ---

  #flagsOf(exchange: number): number {
    return this.#flags.at(exchange - this.#answered - 1) as number
  }

  #isTurn(exchange: number): boolean {
    return exchange === this.#answered + 1 && !this.#writer.streaming
  }

  #answer(command: RespondCommand | ResponseHeadCommand): void {
    const { exchange } = command
    const flags = this.#flagsOf(exchange)
    if (this.#held?.has(exchange) || (exchange === this.#answered + 1 && this.#writer.streaming)) {
      throw new UsageError('ERR_STATE', `exchange ${exchange} has its response already`)
    }
    this.#writer.check(command, flags)
    if (command.type === 'respond' && command.detach === true) this.#checkDetach(exchange)
    if (this.#isTurn(exchange)) {
      this.#send(command, flags)
      this.#advance()
      return
    }
    this.#writer.checkFraming(command, flags)
    this.#held ??= new Map()
    this.#held.set(exchange, command)
  }

  #checkDetach(exchange: number): void {
    if (exchange === this.#received && this.#phase === SWITCHING) return
    throw new UsageError('ERR_STATE', 'the request is not complete: read its body before upgrading')
  }

  /** It is the turn of this response. */
  #send(command: RespondCommand | ResponseHeadCommand, flags: number): void {
    const close = this.#closesAfter(command, flags)
    if (command.type === 'head') {
      const endsWithConnection = this.#writer.head(command, flags, close, this.#now)
      this.#closing = close || endsWithConnection
      this.#events.push({ type: 'turn', exchange: command.exchange })
      return
    }
    this.#writer.respond(command, flags, close, this.#now)
    this.#closing = close
    this.#answeredOne()
    if (command.detach !== true) return
    this.state = 'detached'
    this.#events.push({ type: 'detached', exchange: command.exchange })
  }

  #closesAfter(command: RespondCommand | ResponseHeadCommand, flags: number): boolean {
    if (command.type === 'respond' && command.detach === true) return false
    if ((flags & WANTS_CLOSE) !== 0 || asksClose(command.fields)) return true
    if (command.exchange !== this.#received || this.#refusal !== undefined) return false
    if (this.#phase === BODY && !this.#canFinishBody()) return true
    // What comes behind a refused CONNECT may be meant for the tunnel already.
    if ((flags & WAS_CONNECT) !== 0 || this.#phase === STOPPED) return true
    return this.#draining && !this.#decoder.head.started && this.#parked === undefined
  }

  /** Whether the rest of the body can be dropped at little cost, to keep the connection. */
  #canFinishBody(): boolean {
    if (((this.#flags.at(this.#flags.length - 1) ?? 0) & AWAITS_CONTINUE) !== 0) return false
    const remaining = this.#decoder.body?.remaining
    return remaining === undefined || remaining <= this.#limits.maxDiscardBytes
  }

  /** The response of the exchange whose turn it was is complete. */
  #answeredOne(): void {
    const flags = this.#flags.shift() as number
    const exchange = ++this.#answered
    this.#events.push({ type: 'sent', exchange })
    if (this.#closing) return this.#close()
    if (exchange !== this.#received) return
    if (this.#phase === BODY) {
      if ((flags & AWAITS_CONTINUE) !== 0) return this.#close()
      this.#discardBody()
    } else if (this.#phase === SWITCHING) {
      this.#phase = HEAD
      this.#startIdle()
    } else if (this.#phase === STOPPED && this.#refusal === undefined) this.#close()
    else if (this.#draining && !this.#decoder.head.started && this.#parked === undefined) {
      this.#close()
    } else this.#idleSince = this.#now
  }

  /** What waits for its turn leaves, as far as it can. */
  #advance(): void {
    while (this.state !== 'closed' && this.state !== 'detached' && !this.#writer.streaming) {
      if (this.#refusal !== undefined) this.#sendRefusal()
      if (this.pending === 0) return
      const exchange = this.#answered + 1
      this.#sendInforms(exchange)
      const held = this.#held?.get(exchange)
      if (held === undefined) return
      this.#held?.delete(exchange)
      if (held.type === 'reset') return this.#cut(held)
      this.#send(held, this.#flagsOf(exchange))
    }
  }

  #inform(command: InformCommand): void {
    checkInform(command)
    const { exchange, status, fields } = command
    const flags = this.#flagsOf(exchange)
    if ((flags & WAS_1_0) !== 0) return // HTTP/1.0 knows no interim responses: RFC 9110 15.2
    if (this.#isTurn(exchange)) {
      if (status === 100) return this.#sendContinue(exchange)
      this.#writer.inform(status, fields)
      return
    }
    if (exchange === this.#answered + 1) {
      throw new UsageError('ERR_STATE', 'an interim response after the head of the final one')
    }
    this.#heldInforms ??= []
    if (this.#heldInforms.length >= MAX_HELD_INFORMS) {
      throw new UsageError('ERR_STATE', `more than ${MAX_HELD_INFORMS} interim responses wait`)
    }
    this.#heldInforms.push(command)
  }

  #sendInforms(exchange: number): void {
    if (this.#continueHeld && exchange === this.#received) this.#sendContinue(exchange)
    const held = this.#heldInforms
    if (held === undefined) return
    this.#heldInforms = undefined
    for (const command of held) {
      if (command.exchange >= exchange) this.#inform(command)
    }
  }

  /** Once, and only to a client that waits for it. */
  #sendContinue(exchange: number): void {
    this.#continueHeld = false
    const index = exchange - this.#answered - 1
    const flags = this.#flags.at(index) as number
    if ((flags & AWAITS_CONTINUE) === 0) return
    this.#flags.set(index, flags & ~AWAITS_CONTINUE)
    this.#writer.inform(100, undefined)
  }

  #checkStreaming(exchange: number): void {
    if (exchange === this.#answered + 1 && this.#writer.streaming) return
    throw new UsageError('ERR_STATE', `it is not the turn of the body of exchange ${exchange}`)
  }

  // --- commands ---

  #setDemand(command: DemandCommand): void {
    const { exchange, wanted } = command
    if (exchange !== this.#received || this.#phase !== BODY || this.#discarding) return
    if (wanted && !this.#demand) this.#startWindow()
    this.#demand = wanted
    if (!wanted) return
    const flags = this.pending > 0 ? this.#flagsOf(exchange) : 0
    if ((flags & AWAITS_CONTINUE) === 0) return
    // Who wants the body wants the client to send it.
    if (this.#isTurn(exchange)) this.#sendContinue(exchange)
    else if (exchange === this.#answered + 1) this.#flags.set(0, flags & ~AWAITS_CONTINUE)
    else this.#continueHeld = true
  }

  #reset(command: ResetCommand): void {
    const { exchange } = command
    if (exchange <= this.#answered) {
      if (exchange === this.#received && this.#phase === BODY) this.#discardBody()
      return
    }
    if (exchange === this.#answered + 1) return this.#cut(command)
    this.#held ??= new Map()
    this.#held.set(exchange, command)
  }

  #cut(command: ResetCommand): void {
    this.failure = command.error
    this.#cutResponse()
    this.#abort(command.error)
  }

  /** The peer must not take what was sent for a whole response. */
  #cutResponse(): void {
    if (this.#writer.endsWithConnection) this.cut = true
    this.#writer.streaming = false
  }

  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    if (this.state === 'open') this.state = 'closing'
    if (this.#phase !== HEAD || this.#parked !== undefined || this.#decoder.head.started) return
    this.#phase = STOPPED
    if (this.pending === 0) this.#close()
  }

  /** Reads the rest of a body that nobody wants, to keep the connection. */
  #discardBody(): void {
    if (this.#discarding || this.#phase !== BODY) return
    const body = this.#decoder.body as BodyDecoder
    this.#demand = false
    this.#discarding = true
    this.#discardFrom = body.received
    this.#startWindow()
  }

  #startIdle(): void {
    this.#phase = HEAD
    this.#idleSince = this.#now
  }

  /** Every open exchange gets its last event. */
  #abort(error: HeddleError): void {
    this.failure ??= error
    for (let exchange = this.#answered + 1; exchange <= this.#received; exchange++) {
      if (exchange !== this.#refusedExchange)
        this.#events.push({ type: 'aborted', exchange, error })
    }
    this.#answered = this.#received
    this.#phase = STOPPED
    this.#close()
  }

  #close(): void {
    for (let exchange = this.#answered + 1; exchange <= this.#received; exchange++) {
      const message = 'an earlier response on the connection closed it'
      const error = new ClosedError('ERR_CLOSED', message)
      this.#events.push({ type: 'aborted', exchange, error })
    }
    this.state = 'closed'
    this.#phase = STOPPED
    this.#answered = this.#received
    this.#flags.clear()
    this.#held = undefined
    this.#heldInforms = undefined
    this.#decoder.takeUnread()
  }
}

/** What is read next. */
type Phase = 0 | 1 | 2 | 3
const HEAD = 0
const BODY = 1
/** Whether what follows is HTTP depends on the response: upgrade, CONNECT. */
const SWITCHING = 2
/** Nothing: input is dropped. */
const STOPPED = 3

/** Interim responses of exchanges whose turn has not come; they are the caller's own. */
const MAX_HELD_INFORMS = 32
