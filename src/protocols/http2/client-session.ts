/**
 * The client's side of one HTTP/2 connection (RFC 9113), sans-I/O.
 *
 *     request, data, end commands ──► requests, as many at a time as the server takes
 *     response, data, end events  ◄── responses, as they come
 *
 * The number of an exchange is that of its stream: 1, 3, 5 … Each ends with the last event of its
 * response or with `aborted`, whose error says what of the request had left (`sent`): `nothing` also
 * where the server said that it did not look at it (GOAWAY, REFUSED_STREAM), so that sending it again
 * is safe.
 */
// size: every frame and command that a client's stream can see, in one place
import {
  ClosedError,
  checkInteger,
  type HeddleError,
  OverloadError,
  ProtocolError,
  type Sent,
  TimeoutError,
  TransportError,
  UsageError,
} from '../../core/errors.ts'
import type { HttpFields } from '../http/fields.ts'
import type { HttpVersion } from '../http/messages.ts'
import { WE_RESET } from './closed-streams.ts'
import { PING_USER } from './connection.ts'
import { encodePreface, encodePriorityUpdate, encodeReset } from './encoder.ts'
import { isMessageType } from './field-reader.ts'
import { checkTimeout, resolveHttp2Limits } from './limits.ts'
import {
  type ClientEvent,
  FrameFlag,
  type Http2ClientCommand,
  Http2Code,
  type HttpClientSession,
  http2CodeName,
  MAX_STREAM_ID,
  type PriorityCommand,
  type RequestCommand,
  type ResponseEvent,
  SettingId,
} from './messages.ts'
import { type Http2ClientOptions, http2ClientDefaults } from './options.ts'
import { writePriority } from './priority.ts'
import {
  checkGivenLength,
  checkListBytes,
  encodeBody,
  entryBytes,
  RequestRules,
  sendableTrailers,
} from './send-rules.ts'
import { sharedSettings } from './settings.ts'
import {
  CUT,
  END_TOLD,
  ENDING,
  HEAD_CAME,
  HEAD_SENT,
  HEAD_TOLD,
  type Http2Stream,
  NO_BODY,
  PATIENT,
  PEER_DONE,
  PUSHED,
  WAS_CONNECT,
  WAS_HEAD,
  WE_DONE,
} from './stream.ts'
import { Http2Streams, type PendingHead } from './streams.ts'

type ResponseHead = { -readonly [Key in keyof ResponseEvent]: ResponseEvent[Key] } & PendingHead
type ClientStream = Http2Stream<ResponseHead>

export class Http2ClientSession
  extends Http2Streams<ResponseHead, ClientEvent>
  implements HttpClientSession
{
  readonly version: HttpVersion = '2'
  /** HTTP/2 servers do not say. */
  readonly keepAliveHintMs: number | undefined = undefined
  readonly #scheme: 'http' | 'https'
  readonly #maxStreams: number
  readonly #initialStreams: number
  readonly #headTimeoutMs: number
  readonly #maxInforms: number
  readonly #maxPushed: number
  readonly #rules = new RequestRules()
  readonly #openedAt: number
  #next = 1
  #pushed = 0
  #hadCapacity = true

  constructor(options: Http2ClientOptions = {}, now = 0) {
    const defaults = http2ClientDefaults
    super(false, options, resolveHttp2Limits(options, defaults), now)
    const {
      scheme = 'http',
      maxConcurrentStreams = defaults.maxConcurrentStreams,
      initialConcurrentStreams = defaults.initialConcurrentStreams,
      headTimeoutMs = defaults.headTimeoutMs,
      maxInforms = defaults.maxInforms,
      maxPushedStreams = defaults.maxPushedStreams,
      upgraded,
    } = options
    this.#scheme = scheme
    this.#maxStreams = checkInteger('maxConcurrentStreams', maxConcurrentStreams, 1, 0x7fff_ffff)
    this.#initialStreams = checkInteger(
      'initialConcurrentStreams',
      initialConcurrentStreams,
      1,
      0x7fff_ffff,
    )
    this.#headTimeoutMs = checkTimeout('headTimeoutMs', headTimeoutMs)
    this.#maxInforms = checkInteger('maxInforms', maxInforms, 0, 65_536)
    this.#maxPushed = checkInteger('maxPushedStreams', maxPushedStreams, 0, 0x7fff_ffff)
    this.#openedAt = now
    encodePreface(this.out)
    this.sendFirstSettings(http2ClientSettings(options))
    if (upgraded !== undefined) this.#upgrade(upgraded)
  }

  /** The number that the next `request` must have. */
  get nextExchange(): number {
    return this.#next
  }

  /** How many requests may be submitted now; when it is no longer 0 there is a `capacity` event. */
  get capacity(): number {
    if (this.state !== 'open' || this.draining || this.#next > MAX_STREAM_ID) return 0
    const { peer } = this
    const allowed = peer.known ? peer.maxConcurrentStreams : this.#initialStreams
    const free = Math.min(allowed, this.#maxStreams) - (this.openStreams - this.#pushed)
    return free > 0 ? Math.min(free, (MAX_STREAM_ID - this.#next) / 2 + 1) : 0
  }

  get peerKnown(): boolean {
    return this.peer.known
  }

  /** Exchanges that are not over. */
  get pending(): number {
    return this.streams.size
  }

  /** For tests: the numbers below are taken as used. */
  skipTo(exchange: number): void {
    this.#next = exchange
  }

  // --- commands ---

  submit(command: Http2ClientCommand, now: number): void {
    this.now = now
    if (command.type === 'request') return this.#request(command)
    if (this.state === 'closed') return
    if (command.type === 'drain') return this.#drain()
    if (command.type === 'ping') {
      if (this.waitingPings < MAX_PINGS) this.sendPing(PING_USER)
      return
    }
    const { exchange } = command
    const stream = this.streams.get(exchange)
    if (stream === undefined) {
      // It may have been aborted a moment ago.
      if (!this.isIdle(exchange)) return
      throw new UsageError('ERR_STATE', `exchange ${exchange} was not submitted`)
    }
    switch (command.type) {
      case 'data':
        if (this.#isStreaming(stream)) this.sendData(stream, command.chunk, command.owned)
        return
      case 'end':
        if (this.#isStreaming(stream)) {
          const trailers = sendableTrailers(command.trailers)
          checkListBytes(this.peer.maxHeaderListBytes, 0, trailers)
          this.sendEnd(stream, undefined, trailers)
        }
        return
      case 'demand':
        return this.setDemand(stream, command.wanted)
      case 'reset':
        return this.giveUp(stream, command.error)
      case 'priority':
        return this.#prioritise(stream, command)
    }
  }

  #isStreaming(stream: ClientStream): boolean {
    // The server may have ended the exchange: what is left of the request goes nowhere.
    if ((stream.flags & (WE_DONE | PEER_DONE)) === (WE_DONE | PEER_DONE)) return false
    if ((stream.flags & (WE_DONE | ENDING)) === 0) return true
    throw new UsageError('ERR_STATE', `exchange ${stream.id} has no body to write`)
  }

  #request(command: RequestCommand): void {
    if (this.state === 'closed') {
      throw new ClosedError('ERR_CLOSED', 'the connection is closed', { retryable: 'yes' })
    }
    const { exchange, method, fields, body, streams, trailers, protocol } = command
    if (this.capacity === 0) {
      throw new UsageError('ERR_STATE', 'the connection cannot take a request now')
    }
    if (exchange !== this.#next) {
      throw new UsageError('ERR_ARGUMENT', `exchange is ${exchange}, must be ${this.#next}`)
    }
    this.#rules.check(command)
    const bytes = typeof body === 'string' ? encodeBody(this.out, body) : body
    const length = bytes?.length ?? 0
    if (streams && length > 0) throw new UsageError('ERR_ARGUMENT', 'both a body and a stream')
    if (length > 0 && (method === 'CONNECT' || method === 'TRACE')) {
      throw new UsageError('ERR_ARGUMENT', `${method} with a body`)
    }
    if (protocol !== undefined && this.peer.known && !this.peer.connectProtocol) {
      throw new UsageError('ERR_OPTION_UNSUPPORTED', 'the server does not offer extended CONNECT')
    }
    const sent = streams ? undefined : sendableTrailers(trailers)
    const said = streams ? command.bodyLength : length
    checkGivenLength(fields, said)
    this.#checkHead(command, sent === undefined ? said : undefined)
    checkListBytes(this.peer.maxHeaderListBytes, 0, sent)
    const ends = !streams && length === 0 && sent === undefined && method !== 'CONNECT'
    const stream = this.open(exchange, HEAD_SENT)
    this.#next += 2
    if (this.#next > MAX_STREAM_ID) this.#noMoreStreams()
    stream.mark = this.flushes
    if (method === 'HEAD') stream.flags |= WAS_HEAD
    if (method === 'CONNECT') stream.flags |= WAS_CONNECT | PATIENT
    else if (isMessageType(fields.get('content-type'))) stream.flags |= PATIENT
    this.#writeHead(command, ends, sent === undefined ? said : undefined)
    this.#hadCapacity = this.capacity > 0
    if (ends) return this.weDone(stream)
    stream.sendLeft = streams ? (command.bodyLength ?? -1) : -1
    if (!streams && method !== 'CONNECT') this.sendEnd(stream, bytes, sent)
  }

  /** @throws UsageError when the head is over what the server takes */
  #checkHead(command: RequestCommand, length: number | undefined): void {
    const limit = this.peer.maxHeaderListBytes
    if (limit === Number.POSITIVE_INFINITY) return
    const { method, target, fields, protocol, scheme } = command
    let bytes = entryBytes(':method', method)
    if (method === 'CONNECT' && protocol === undefined) bytes += entryBytes(':authority', target)
    else {
      const authority = fields.get('host') ?? command.authority
      bytes += entryBytes(':scheme', scheme ?? this.#scheme) + entryBytes(':path', target)
      if (authority !== '') bytes += entryBytes(':authority', authority)
      if (protocol !== undefined) bytes += entryBytes(':protocol', protocol)
      const isSaid = length !== undefined && (length > 0 || METHODS_WITH_CONTENT.has(method))
      if (isSaid && !fields.has('content-length')) {
        bytes += entryBytes('content-length', String(length))
      }
    }
    checkListBytes(limit, bytes, fields, 'host')
  }

  #writeHead(command: RequestCommand, ends: boolean, length: number | undefined): void {
    const { exchange, method, target, fields, protocol, scheme } = command
    const { writer } = this
    const isTunnel = method === 'CONNECT' && protocol === undefined
    writer.begin(fields)
    writer.method(method)
    if (!isTunnel) writer.scheme(scheme ?? this.#scheme)
    // A `Host` given goes first, as in HTTP/1.1.
    const host = isTunnel ? undefined : fields.get('host')
    const authority = isTunnel ? target : (host ?? command.authority)
    if (authority !== '') writer.authority(authority)
    if (!isTunnel) writer.path(target)
    if (protocol !== undefined) writer.protocol(protocol)
    writer.fields(fields, 'host')
    const isSaid = length !== undefined && (length > 0 || METHODS_WITH_CONTENT.has(method))
    if (isSaid && !isTunnel && !fields.has('content-length')) {
      writer.field('content-length', String(length))
    }
    writer.finish(exchange, ends ? FrameFlag.END_STREAM : 0)
  }

  #prioritise(stream: ClientStream, command: PriorityCommand): void {
    const { urgency, incremental } = command
    this.order.setPriority(stream, urgency & 7, incremental)
    encodePriorityUpdate(this.out, stream.id, writePriority({ urgency: urgency & 7, incremental }))
  }

  #drain(): void {
    if (this.draining) return
    this.draining = true
    this.#hadCapacity = false
    if (this.state === 'open') this.state = 'closing'
    this.#closeIfDone()
  }

  /** RFC 9113 5.1.1: numbers are not used twice; what is in flight is finished. */
  #noMoreStreams(): void {
    this.draining = true
    this.state = 'closing'
  }

  #closeIfDone(): void {
    if (this.state !== 'closing' || this.streams.size > 0) return
    this.sendGoAway(Http2Code.NO_ERROR, '')
    this.close()
  }

  // --- responses ---

  protected override isIdle(id: number): boolean {
    return (id & 1) === 1 ? id >= this.#next : id > this.lastPeerStream
  }

  protected override onHeaders(id: number, flags: number, list: string[], ok: boolean): void {
    const stream = this.streams.get(id)
    if (stream === undefined || (stream.flags & PEER_DONE) !== 0) {
      return this.#onLateHeaders(id, stream)
    }
    const ends = (flags & FrameFlag.END_STREAM) !== 0
    if (!ok) {
      const message = `a field section over maxHeaderListBytes ${this.limits.maxHeaderListBytes}`
      return this.violate(stream, Http2Code.CANCEL, message)
    }
    if ((stream.flags & HEAD_CAME) !== 0) return this.#onTrailers(stream, list, ends)
    const fields = this.reader.response(list)
    if (fields === undefined) {
      return this.violate(stream, Http2Code.PROTOCOL_ERROR, this.reader.problem)
    }
    this.earnIdle(2)
    const { status } = this.reader
    if (status < 200) return this.#onInform(stream, status, fields, ends)
    this.#onResponse(stream, status, fields, ends)
  }

  #onLateHeaders(id: number, stream: ClientStream | undefined): void {
    if (stream === undefined && this.isIdle(id)) {
      return this.fail(Http2Code.PROTOCOL_ERROR, `HEADERS on stream ${id}, which was never opened`)
    }
    const ending = this.closedStreams.endingOf(id)
    if (stream !== undefined && ending === 0) {
      return this.violate(stream, Http2Code.STREAM_CLOSED, 'HEADERS after the end of the stream')
    }
    if (ending === 0 || ending === WE_RESET) {
      return this.chargeIdle('HEADERS on streams that are closed')
    }
    this.fail(Http2Code.STREAM_CLOSED, `HEADERS on stream ${id}, which it has ended`)
  }

  #onInform(stream: ClientStream, status: number, fields: HttpFields, ends: boolean): void {
    if (ends) {
      return this.violate(stream, Http2Code.PROTOCOL_ERROR, `status ${status} ends the stream`)
    }
    stream.informs++
    if (stream.informs > this.#maxInforms) {
      const message = `more than maxInforms ${this.#maxInforms} interim responses`
      return this.violate(stream, Http2Code.ENHANCE_YOUR_CALM, message)
    }
    this.events.push({ type: 'inform', exchange: stream.id, status, fields })
  }

  #onResponse(stream: ClientStream, status: number, fields: HttpFields, ends: boolean): void {
    const { contentLength, patient } = this.reader
    stream.flags |= HEAD_CAME
    const isTunnel = (stream.flags & WAS_CONNECT) !== 0 && status < 300
    const bodiless = (stream.flags & WAS_HEAD) !== 0 || status === 204 || status === 304
    if (bodiless) stream.flags |= NO_BODY
    if (patient || isTunnel) stream.flags |= PATIENT
    if (!isTunnel && !bodiless) stream.bodyLeft = contentLength
    const head: ResponseHead = {
      type: 'response',
      exchange: stream.id,
      status,
      reason: '',
      fields,
      version: '2',
      hasBody: !ends,
      bodyLength: ends || contentLength < 0 || isTunnel ? undefined : contentLength,
      content: undefined,
      trailers: undefined,
    }
    if (!ends) return this.holdHead(stream, head)
    if (stream.bodyLeft > 0) {
      const message = 'a content-length without a body'
      return this.violate(stream, Http2Code.PROTOCOL_ERROR, message)
    }
    stream.flags |= PEER_DONE | END_TOLD
    this.events.push(head)
    if ((stream.flags & WE_DONE) !== 0) this.closeStream(stream, 1)
    this.onPeerDone(stream)
  }

  #onTrailers(stream: ClientStream, list: string[], ends: boolean): void {
    if (!ends) {
      return this.violate(stream, Http2Code.PROTOCOL_ERROR, 'trailers that do not end the stream')
    }
    const trailers = this.reader.trailers(list)
    if (trailers === undefined) {
      return this.violate(stream, Http2Code.PROTOCOL_ERROR, this.reader.problem)
    }
    this.peerDone(stream, trailers)
  }

  protected override onPeerDone(stream: ClientStream): void {
    if ((stream.flags & (END_TOLD | WE_DONE)) !== (END_TOLD | WE_DONE)) return
    this.forget(stream)
    if ((stream.flags & CUT) !== 0) {
      const message = 'the server has answered and wants no more of the request'
      const error = new ClosedError('ERR_ABORTED', message, { sent: 'some' })
      this.events.push({ type: 'aborted', exchange: stream.id, error })
    }
    this.#whenForgotten()
  }

  protected override onWeDone(stream: ClientStream): void {
    if ((stream.flags & END_TOLD) !== 0) {
      this.forget(stream)
      return this.#whenForgotten()
    }
    if ((stream.flags & (HEAD_CAME | PATIENT)) === 0) this.#watchHead(stream)
  }

  #watchHead(stream: ClientStream): void {
    this.watch(stream, this.#headTimeoutMs)
  }

  protected override endsEarly(stream: ClientStream): boolean {
    return (stream.flags & END_TOLD) === 0 || (stream.flags & WE_DONE) === 0
  }

  protected override abort(stream: ClientStream, error: HeddleError, ending: 1 | 2 | 3): void {
    super.abort(stream, error, ending)
    this.#whenForgotten()
  }

  #whenForgotten(): void {
    this.#closeIfDone()
  }

  protected override onStreamClosed(stream: ClientStream): void {
    if ((stream.flags & PUSHED) !== 0) this.#pushed--
    this.#updateCapacity()
  }

  #updateCapacity(): void {
    const had = this.#hadCapacity
    this.#hadCapacity = this.capacity > 0
    if (!had && this.#hadCapacity) this.events.push(CAPACITY)
  }

  protected override onPeerSettings(windowChange: number): void {
    super.onPeerSettings(windowChange)
    this.#updateCapacity()
  }

  protected override onStreamReset(stream: ClientStream, code: number): void {
    // RFC 9113 8.1: the answer is complete, the rest of the request is not wanted.
    if ((stream.flags & (PEER_DONE | END_TOLD)) === PEER_DONE) {
      stream.flags |= CUT
      return this.closeStream(stream, 2)
    }
    super.onStreamReset(stream, code)
  }

  protected override onPing(): void {
    // A server may ask as often as maxIdleFrames lets.
  }

  protected override onGoAway(lastStream: number, code: number, text: string): void {
    const said = text === '' ? '' : `: ${text}`
    const message = `the server takes no more (${http2CodeName(code)}${said})`
    for (const stream of this.streams.values()) {
      if (stream.id <= lastStream || (stream.id & 1) === 0) continue
      const options = { sent: 'nothing', retryable: 'yes', status: http2CodeName(code) } as const
      const error =
        code === Http2Code.ENHANCE_YOUR_CALM
          ? new OverloadError('ERR_BUSY', message, options)
          : new ClosedError('ERR_DRAINING', message, options)
      this.abort(stream, error, 2)
    }
    this.#hadCapacity = false
    this.#closeIfDone()
  }

  protected override onDrained(): void {
    // Only servers drain in two steps.
  }

  protected override onPriority(): void {
    // The frame was refused.
  }

  protected override onTooLong(stream: ClientStream): void {
    const message = `a body of ${stream.received} bytes is over maxBodyBytes ${this.limits.maxBodyBytes}`
    const error = new ProtocolError('ERR_LIMIT', message, { status: 502 })
    this.resetStream(stream, Http2Code.CANCEL, error)
  }

  protected override overdue(stream: ClientStream): HeddleError {
    const isHead = (stream.flags & HEAD_CAME) === 0
    const message = isHead
      ? `no response after ${this.#headTimeoutMs} ms`
      : this.bodyOverdue(stream)
    return new TimeoutError('ERR_IDLE', message, { sent: this.#sent(stream) })
  }

  /** What of the request had been given to the connection. */
  #sent(stream: ClientStream): Sent {
    if (stream.mark === this.flushes) return 'nothing'
    return (stream.flags & WE_DONE) !== 0 ? 'all' : 'some'
  }

  protected override errorFor(stream: ClientStream, error: HeddleError): HeddleError {
    const sent = this.#sent(stream)
    if (!(error instanceof TransportError)) return error
    return new TransportError('ERR_DISCONNECTED', error.message, {
      sent,
      cause: error.cause,
      ...(sent === 'nothing' && { retryable: 'yes' as const }),
    })
  }

  protected override handOutWhole(stream: ClientStream): boolean {
    if ((stream.flags & PEER_DONE) === 0) return false
    this.finishDelivery(stream)
    this.forget(stream)
    return true
  }

  // --- push ---

  protected override onPromise(id: number, promised: number, list: string[], ok: boolean): void {
    if (this.#maxPushed === 0) {
      return this.fail(Http2Code.PROTOCOL_ERROR, 'PUSH_PROMISE, which was switched off')
    }
    if ((promised & 1) === 1 || promised <= this.lastPeerStream) {
      return this.fail(Http2Code.PROTOCOL_ERROR, `PUSH_PROMISE of stream ${promised}`)
    }
    this.lastPeerStream = promised
    const parent = this.streams.get(id)
    if (parent === undefined || (parent.flags & PEER_DONE) !== 0) {
      const isLate = this.closedStreams.endingOf(id) === WE_RESET
      if (isLate) return this.#refusePush(promised, Http2Code.CANCEL)
      return this.fail(Http2Code.PROTOCOL_ERROR, `PUSH_PROMISE on stream ${id}, which is not open`)
    }
    const fields = ok ? this.reader.request(list) : undefined
    const { method, target, authority } = this.reader
    if (fields === undefined || (method !== 'GET' && method !== 'HEAD')) {
      if (this.chargeReset('promises that are not valid')) {
        this.#refusePush(promised, Http2Code.PROTOCOL_ERROR)
      }
      return
    }
    if (this.#pushed >= this.#maxPushed) {
      return this.#refusePush(promised, Http2Code.REFUSED_STREAM)
    }
    this.#pushed++
    const stream = this.open(promised, WE_DONE | HEAD_TOLD | PUSHED)
    if (method === 'HEAD') stream.flags |= WAS_HEAD
    this.#watchHead(stream)
    this.events.push({
      type: 'pushed',
      exchange: promised,
      parent: id,
      method,
      target,
      authority,
      fields,
    })
  }

  #refusePush(promised: number, code: number): void {
    encodeReset(this.out, promised, code)
    this.chargeControl(13)
    this.closedStreams.add(promised, WE_RESET)
  }

  // --- upgrade from HTTP/1.1 ---

  #upgrade(method: string): void {
    const stream = this.open(1, HEAD_SENT | WE_DONE)
    this.#next = 3
    stream.mark = -1
    if (method === 'HEAD') stream.flags |= WAS_HEAD
    this.#watchHead(stream)
  }

  // --- timeouts ---

  pollTimeout(): number | undefined {
    if (this.state === 'closed') return undefined
    const at = Math.min(
      this.connectionTimeoutAt(Number.POSITIVE_INFINITY, this.#openedAt),
      this.streamsDueAt,
    )
    return at === Number.POSITIVE_INFINITY ? undefined : at
  }

  handleTimeout(now: number): void {
    this.now = now
    const at = this.pollTimeout()
    if (at === undefined || now < at) return
    this.handleConnectionTimeout(Number.POSITIVE_INFINITY, this.#openedAt)
    if (this.state !== 'closed') this.handleStreamTimeouts()
  }
}

/** The first SETTINGS of a client: also what `HTTP2-Settings` of an upgrade says. */
export function http2ClientSettings(options: Http2ClientOptions): number[] {
  const limits = resolveHttp2Limits(options, http2ClientDefaults)
  const { maxPushedStreams = http2ClientDefaults.maxPushedStreams } = options
  const settings: number[] = [SettingId.ENABLE_PUSH, maxPushedStreams > 0 ? 1 : 0]
  if (maxPushedStreams > 0) settings.push(SettingId.MAX_CONCURRENT_STREAMS, maxPushedStreams)
  return [...settings, ...sharedSettings(limits)]
}

const METHODS_WITH_CONTENT: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])
const MAX_PINGS = 16
const CAPACITY: ClientEvent = Object.freeze({ type: 'capacity' })
