/**
 * The server's side of one HTTP/2 connection (RFC 9113), sans-I/O.
 *
 *     requests   ──► request, data, end events of every stream, as they come
 *     responses  ◄── respond, or head + data + end commands, in any order
 *
 * The number of an exchange is that of its stream. An exchange ends with exactly one of `sent` and
 * `aborted`; what has not come of the request's body by then is told to stop (RST_STREAM NO_ERROR)
 * and dropped. CONNECT, and extended CONNECT (RFC 8441), hand nothing over: behind a 2xx head the
 * exchange's data goes both ways.
 */
// size: every frame and command that a server's stream can see, in one place
import {
  checkInteger,
  checkRange,
  type HeddleError,
  ProtocolError,
  TimeoutError,
  UsageError,
} from '../../core/errors.ts'
import type { HttpFields } from '../http/fields.ts'
import { WE_RESET } from './closed-streams.ts'
import { PING_DRAIN, PING_USER } from './connection.ts'
import { encodeReset } from './encoder.ts'
import { checkCount, checkTimeout, resolveHttp2Limits } from './limits.ts'
import {
  FrameFlag,
  Http2Code,
  type Http2ServerCommand,
  type HttpServerSession,
  http2CodeName,
  type InformCommand,
  MAX_STREAM_ID,
  type PushCommand,
  type RequestEvent,
  type RespondCommand,
  type ResponseHeadCommand,
  type ServerEvent,
  SettingId,
} from './messages.ts'
import { type Http2ServerOptions, http2ServerDefaults } from './options.ts'
import { PingPolicy, TOO_MANY_PINGS } from './ping-policy.ts'
import { checkGivenLength, checkListBytes, entryBytes, sendableTrailers } from './send-rules.ts'
import { sharedSettings } from './settings.ts'
import { decodeSettingsHeader } from './settings-header.ts'
import {
  AWAITS_CONTINUE,
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
  TUNNEL,
  WAS_CONNECT,
  WAS_HEAD,
  WE_DONE,
} from './stream.ts'
import { Http2Streams, type PendingHead } from './streams.ts'

type RequestHead = { -readonly [Key in keyof RequestEvent]: RequestEvent[Key] } & PendingHead
type ServerStream = Http2Stream<RequestHead>

export class Http2ServerSession
  extends Http2Streams<RequestHead, ServerEvent>
  implements HttpServerSession
{
  readonly #scheme: 'http' | 'https' | undefined
  readonly #date: ((now: number) => string) | undefined
  readonly #maxStreams: number
  readonly #maxRequests: number
  readonly #headTimeoutMs: number
  readonly #keepAliveTimeoutMs: number
  readonly #extendedConnect: boolean
  readonly #pingPolicy: PingPolicy
  #openedAt: number | undefined
  #idleSince: number | undefined
  #requests = 0
  #nextPush = 2
  #pushes = 0
  /** Priorities that came before their requests; few. */
  #early: Map<number, string> | undefined

  /** @param now when the connection was opened; unknown: from the first call that says it */
  constructor(options: Http2ServerOptions = {}, now?: number) {
    const defaults = http2ServerDefaults
    super(true, options, resolveHttp2Limits(options, defaults), now ?? 0)
    const {
      scheme,
      date,
      maxConcurrentStreams = defaults.maxConcurrentStreams,
      maxRequestsPerConnection = defaults.maxRequestsPerConnection,
      headTimeoutMs = defaults.headTimeoutMs,
      keepAliveTimeoutMs = defaults.keepAliveTimeoutMs,
      extendedConnect = defaults.extendedConnect,
      minPingIntervalMs = defaults.minPingIntervalMs,
      permitPingsWithoutExchanges = defaults.permitPingsWithoutExchanges,
      upgraded,
    } = options
    this.#scheme = scheme
    this.#date = date
    this.#maxStreams = checkInteger('maxConcurrentStreams', maxConcurrentStreams, 1, 0x7fff_ffff)
    this.#maxRequests = checkCount('maxRequestsPerConnection', maxRequestsPerConnection, 1)
    this.#headTimeoutMs = checkTimeout('headTimeoutMs', headTimeoutMs)
    this.#keepAliveTimeoutMs = checkTimeout('keepAliveTimeoutMs', keepAliveTimeoutMs)
    this.#extendedConnect = extendedConnect
    const minPingMs = checkRange('minPingIntervalMs', minPingIntervalMs, 0, 0x7fff_ffff)
    this.#pingPolicy = new PingPolicy(minPingMs, permitPingsWithoutExchanges)
    this.#openedAt = now
    this.#idleSince = now
    const settings: number[] = [SettingId.MAX_CONCURRENT_STREAMS, this.#maxStreams]
    if (extendedConnect) settings.push(SettingId.ENABLE_CONNECT_PROTOCOL, 1)
    this.sendFirstSettings([...settings, ...sharedSettings(this.limits)])
    if (upgraded !== undefined) this.#upgrade(upgraded.request, upgraded.settings)
  }

  /** Requests handed out that have not ended. */
  get pending(): number {
    return this.streams.size
  }

  /** The exchange that the next `push` opens; 0: the client takes none now. */
  get nextPush(): number {
    const { peer } = this
    const open = this.state === 'open' && peer.known && peer.pushEnabled
    if (!open || this.#pushes >= peer.maxConcurrentStreams) return 0
    return this.#nextPush > MAX_STREAM_ID ? 0 : this.#nextPush
  }

  override receive(chunk: Uint8Array, now: number): void {
    this.#start(now)
    super.receive(chunk, now)
  }

  /** The first time that somebody says is when the connection was opened. */
  #start(now: number): void {
    if (this.#openedAt !== undefined) return
    this.#openedAt = now
    this.#idleSince = now
  }

  // --- commands ---

  submit(command: Http2ServerCommand, now: number): void {
    this.now = now
    if (this.state === 'closed') return
    if (command.type === 'drain') return this.#drain()
    if (command.type === 'ping') return this.#ping()
    const stream = this.streams.get(command.exchange)
    if (stream === undefined) return this.#submitLate(command)
    switch (command.type) {
      case 'respond':
        return this.#respond(stream, command)
      case 'head':
        return this.#head(stream, command)
      case 'inform':
        return this.#inform(stream, command)
      case 'data':
        this.#checkStreaming(stream)
        return this.sendData(stream, command.chunk, command.owned)
      case 'end':
        this.#checkStreaming(stream)
        return this.#end(stream, sendableTrailers(command.trailers))
      case 'demand':
        return this.#demand(stream, command.wanted)
      case 'reset':
        return this.giveUp(stream, command.error)
      case 'priority':
        return this.order.setPriority(stream, command.urgency & 7, command.incremental)
      case 'push':
        return this.#push(stream, command)
    }
  }

  /** The exchange is over; its owner may not know yet. */
  #submitLate(command: Exclude<Http2ServerCommand, { type: 'drain' | 'ping' }>): void {
    const { exchange, type } = command
    if (this.isIdle(exchange)) throw new UsageError('ERR_STATE', `exchange ${exchange} is not open`)
    if (type === 'demand' || type === 'reset' || type === 'priority' || type === 'push') return
    // Aborted by the peer a moment ago: what is said now goes nowhere.
    if (this.closedStreams.endingOf(exchange) !== 1) return
    throw new UsageError('ERR_STATE', `exchange ${exchange} was answered already`)
  }

  #end(stream: ServerStream, trailers: HttpFields | undefined): void {
    checkListBytes(this.peer.maxHeaderListBytes, 0, trailers)
    this.sendEnd(stream, undefined, trailers)
  }

  #ping(): void {
    if (this.waitingPings < MAX_PINGS) this.sendPing(PING_USER)
  }

  #demand(stream: ServerStream, wanted: boolean): void {
    this.setDemand(stream, wanted)
    // Who wants the body wants the client to send it.
    if (wanted && (stream.flags & AWAITS_CONTINUE) !== 0) this.#continue(stream)
  }

  #continue(stream: ServerStream): void {
    stream.flags &= ~AWAITS_CONTINUE
    if ((stream.flags & (HEAD_SENT | PEER_DONE)) !== 0) return
    this.#writeHead(stream, 100, undefined, false, undefined)
  }

  #inform(stream: ServerStream, command: InformCommand): void {
    const { status, fields } = command
    if (!Number.isInteger(status) || status < 100 || status > 199 || status === 101) {
      throw new UsageError('ERR_ARGUMENT', `${status} is not the status of an interim response`)
    }
    if (fields?.has('content-length')) {
      throw new UsageError('ERR_ARGUMENT', 'a field that frames a message in an interim response')
    }
    if ((stream.flags & HEAD_SENT) !== 0) {
      throw new UsageError('ERR_STATE', 'an interim response after the head of the final one')
    }
    if (status === 100) {
      if ((stream.flags & AWAITS_CONTINUE) !== 0) this.#continue(stream)
      return
    }
    this.#checkFields(status, fields, undefined)
    this.#writeHead(stream, status, fields, false, undefined)
  }

  #respond(stream: ServerStream, command: RespondCommand): void {
    const { status, fields, body, trailers } = command
    this.#checkHead(stream, command)
    if (command.detach === true) return this.#accept(stream, command)
    const length = typeof body === 'string' ? this.out.text.utf8Length(body) : (body?.length ?? 0)
    if (length > 0 && status === 204) {
      throw new UsageError('ERR_ARGUMENT', 'a response of status 204 has no content')
    }
    const bodiless = this.#isBodiless(stream, status)
    checkGivenLength(fields, bodiless && length === 0 ? undefined : length)
    const sent = sendableTrailers(trailers)
    // What HEAD and 304 describe is the caller's to say, unless it gave a body to measure.
    const described = bodiless && length === 0
    const isSaid = status !== 204 && !described && sent === undefined && length > 0
    const said = isSaid ? length : undefined
    this.#checkFields(status, fields, said)
    checkListBytes(this.peer.maxHeaderListBytes, 0, sent)
    stream.flags |= HEAD_SENT
    const ends = (length === 0 || bodiless) && sent === undefined
    this.#writeHead(stream, status, fields, ends, said)
    this.resets.give(1)
    this.earnIdle(2)
    if (ends) return this.weDone(stream)
    if (bodiless || body === undefined) return this.sendEnd(stream, undefined, sent)
    if (typeof body === 'string') return this.sendText(stream, body, length, sent)
    this.sendEnd(stream, body, sent)
  }

  #head(stream: ServerStream, command: ResponseHeadCommand): void {
    const { status, fields, bodyLength } = command
    this.#checkHead(stream, command)
    const bodiless = this.#isBodiless(stream, status)
    if (bodyLength !== undefined) checkGivenLength(fields, bodyLength)
    this.#checkFields(status, fields, status === 204 ? undefined : bodyLength)
    stream.flags |= HEAD_SENT
    stream.sendLeft = bodyLength ?? -1
    if (bodiless) stream.flags |= NO_BODY
    this.#writeHead(stream, status, fields, false, status === 204 ? undefined : bodyLength)
    this.resets.give(1)
    this.earnIdle(2)
    this.events.push({ type: 'turn', exchange: stream.id })
  }

  /** 2xx to CONNECT: the exchange goes on as a tunnel. */
  #accept(stream: ServerStream, command: RespondCommand): void {
    const { status, fields } = command
    const isConnect = (stream.flags & WAS_CONNECT) !== 0
    if (!isConnect || status < 200 || status > 299) {
      const message = `status ${status} does not open a tunnel here`
      throw new UsageError('ERR_ARGUMENT', message)
    }
    this.#checkFields(status, fields, undefined)
    stream.flags |= HEAD_SENT | TUNNEL | PATIENT
    this.#writeHead(stream, status, fields, false, undefined)
    this.resets.give(1)
    this.events.push({ type: 'turn', exchange: stream.id })
  }

  #isBodiless(stream: ServerStream, status: number): boolean {
    return (stream.flags & WAS_HEAD) !== 0 || status === 204 || status === 304
  }

  #checkHead(stream: ServerStream, command: RespondCommand | ResponseHeadCommand): void {
    const { status } = command
    if ((stream.flags & HEAD_SENT) !== 0) {
      throw new UsageError('ERR_STATE', `exchange ${stream.id} has its response already`)
    }
    if (!Number.isInteger(status) || status < 200 || status > 999) {
      throw new UsageError('ERR_ARGUMENT', `${status} is not the status of a final response`)
    }
  }

  /** @throws UsageError when the section is over what the client takes */
  #checkFields(status: number, fields: HttpFields | undefined, length: number | undefined): void {
    const limit = this.peer.maxHeaderListBytes
    if (limit === Number.POSITIVE_INFINITY) return
    let bytes = entryBytes(':status', '200')
    if (length !== undefined && fields?.has('content-length') !== true) {
      bytes += entryBytes('content-length', String(length))
    }
    const dates = this.#date !== undefined && status >= 200 && fields?.has('date') !== true
    if (dates) bytes += DATE_BYTES
    checkListBytes(limit, bytes, fields)
  }

  #checkStreaming(stream: ServerStream): void {
    if ((stream.flags & (HEAD_SENT | ENDING | WE_DONE)) === HEAD_SENT) return
    throw new UsageError('ERR_STATE', `exchange ${stream.id} has no body to write now`)
  }

  #writeHead(
    stream: ServerStream,
    status: number,
    fields: HttpFields | undefined,
    ends: boolean,
    length: number | undefined,
  ): void {
    const { writer } = this
    const adds = length !== undefined && fields?.has('content-length') !== true
    const isDated = this.#date !== undefined && status >= 200 && fields?.has('date') !== true
    writer.begin(fields)
    const date = isDated ? this.#date?.(this.now) : undefined
    writer.response(status, fields, adds ? length : undefined, date)
    writer.finish(stream.id, ends ? FrameFlag.END_STREAM : 0)
    this.wroteMessage = true
  }

  #push(parent: ServerStream, command: PushCommand): void {
    const id = this.nextPush
    if (id === 0) throw new UsageError('ERR_STATE', 'the client takes no push now')
    if ((parent.flags & (WE_DONE | ENDING | PUSHED)) !== 0) {
      throw new UsageError('ERR_STATE', `exchange ${parent.id} is over, or was pushed itself`)
    }
    const { method, target, authority, fields } = command
    if (method !== 'GET' && method !== 'HEAD') {
      throw new UsageError('ERR_ARGUMENT', `a push of ${method}: it must be safe and cacheable`)
    }
    let bytes = entryBytes(':method', method) + entryBytes(':scheme', this.#scheme ?? 'http')
    bytes += entryBytes(':authority', authority) + entryBytes(':path', target)
    checkListBytes(this.peer.maxHeaderListBytes, bytes, fields, 'host')
    const { writer } = this
    writer.begin(fields, id)
    writer.method(method)
    writer.scheme(this.#scheme ?? 'http')
    writer.authority(authority)
    writer.path(target)
    writer.fields(fields, 'host')
    writer.finish(parent.id, 0)
    this.#nextPush += 2
    this.#pushes++
    const stream = this.open(id, HEAD_CAME | PEER_DONE | END_TOLD | HEAD_TOLD | PUSHED)
    if (method === 'HEAD') stream.flags |= WAS_HEAD
  }

  /** GOAWAY in two steps: what the client sends until it hears of it is still answered. */
  #drain(): void {
    if (this.draining) return
    this.draining = true
    this.sendGoAway(Http2Code.NO_ERROR, 'draining', MAX_STREAM_ID)
    // Without the preface there is nobody to answer a PING.
    if (this.peer.known) this.sendPing(PING_DRAIN)
    else this.onDrained()
  }

  protected override onDrained(): void {
    if (!this.sentGoAway) this.sendGoAway(Http2Code.NO_ERROR, 'draining')
    this.#closeIfDone()
  }

  #closeIfDone(): void {
    if (this.state !== 'closing' || this.streams.size > 0) return
    if (this.draining ? this.sentGoAway : true) {
      if (!this.sentGoAway) this.sendGoAway(Http2Code.NO_ERROR, '')
      this.close()
    }
  }

  // --- requests ---

  protected override isIdle(id: number): boolean {
    return (id & 1) === 1 ? id > this.lastPeerStream : id >= this.#nextPush || id === 0
  }

  protected override onHeaders(id: number, flags: number, list: string[], ok: boolean): void {
    if (id <= this.lastPeerStream || (id & 1) === 0)
      return this.#onLaterHeaders(id, flags, list, ok)
    if (this.sentGoAway) return // RFC 9113 6.8: never looked at, and the client knows
    this.lastPeerStream = id
    this.earnIdle(2)
    if (this.openStreams - this.#pushes >= this.#maxStreams) return this.#refuseStream(id)
    const ends = (flags & FrameFlag.END_STREAM) !== 0
    const stream = this.open(id, HEAD_CAME)
    if (!ok) return this.#answerTooLarge(stream, ends)
    const fields = this.reader.request(list)
    if (fields === undefined || !this.#accepts()) {
      if (ends) stream.flags |= PEER_DONE
      return this.violate(stream, Http2Code.PROTOCOL_ERROR, this.reader.problem)
    }
    this.#idleSince = undefined
    if (++this.#requests >= this.#maxRequests) this.#drain()
    this.#openRequest(stream, fields, ends)
  }

  /** What only this server knows of a request. */
  #accepts(): boolean {
    const { reader } = this
    if (reader.protocol !== undefined && !this.#extendedConnect) {
      reader.problem = ':protocol, which was not offered'
      return false
    }
    if (this.#scheme === undefined || reader.scheme === undefined) return true
    if (reader.scheme === this.#scheme) return true
    reader.problem = `:scheme is not ${this.#scheme}`
    return false
  }

  #openRequest(stream: ServerStream, fields: HttpFields, ends: boolean): void {
    const { reader } = this
    const { method, protocol, contentLength } = reader
    if (method === 'HEAD') stream.flags |= WAS_HEAD
    const isConnect = method === 'CONNECT'
    if (isConnect) stream.flags |= WAS_CONNECT
    if (reader.patient) stream.flags |= PATIENT
    const early = this.#early?.get(stream.id)
    const priority = early ?? reader.priority
    if (early !== undefined) this.#early?.delete(stream.id)
    if (priority !== undefined) this.applyPriority(stream, priority)
    const expects = reader.expectsContinue && !ends
    if (expects) stream.flags |= AWAITS_CONTINUE
    const head: RequestHead = {
      type: 'request',
      exchange: stream.id,
      method,
      target: reader.target,
      authority: reader.authority,
      fields,
      version: '2',
      hasBody: !ends,
      bodyLength: ends ? 0 : contentLength < 0 || isConnect ? undefined : contentLength,
      expectsContinue: expects,
      upgrade: isConnect ? (protocol ?? 'connect') : undefined,
      content: undefined,
      trailers: undefined,
    }
    if (contentLength > this.limits.maxBodyBytes) return this.#answer413(stream, ends)
    if (!isConnect) stream.bodyLeft = contentLength
    if (ends) {
      if (contentLength > 0 && !isConnect) {
        return this.violate(stream, Http2Code.PROTOCOL_ERROR, 'a content-length without a body')
      }
      stream.flags |= PEER_DONE | END_TOLD | HEAD_TOLD
      this.events.push(head)
    } else this.holdHead(stream, head)
  }

  #onLaterHeaders(id: number, flags: number, list: string[], ok: boolean): void {
    const stream = this.streams.get(id)
    if (stream === undefined || (stream.flags & PEER_DONE) !== 0) {
      return this.#onLateHeaders(id, stream)
    }
    if ((flags & FrameFlag.END_STREAM) === 0) {
      return this.violate(stream, Http2Code.PROTOCOL_ERROR, 'trailers that do not end the stream')
    }
    if (!ok) return this.violate(stream, Http2Code.ENHANCE_YOUR_CALM, 'trailers over the limit')
    const trailers = this.reader.trailers(list)
    if (trailers === undefined) {
      return this.violate(stream, Http2Code.PROTOCOL_ERROR, this.reader.problem)
    }
    this.peerDone(stream, trailers)
  }

  #onLateHeaders(id: number, stream: ServerStream | undefined): void {
    if ((id & 1) === 0) {
      return this.fail(Http2Code.PROTOCOL_ERROR, `HEADERS on stream ${id}, which is the server's`)
    }
    const ending = this.closedStreams.endingOf(id)
    if (ending === WE_RESET) return this.chargeIdle('HEADERS on streams that are closed')
    if (stream !== undefined) {
      return this.violate(stream, Http2Code.STREAM_CLOSED, 'HEADERS after the end of the stream')
    }
    // RFC 9113 5.1.1: numbers ascend; one below is closed, whether it was used or not.
    const code = ending === 0 ? Http2Code.PROTOCOL_ERROR : Http2Code.STREAM_CLOSED
    this.fail(code, `HEADERS on stream ${id}, which is closed`)
  }

  #refuseStream(id: number): void {
    const what = `requests over maxConcurrentStreams ${this.#maxStreams}`
    // Until it has read our SETTINGS a client cannot know the limit.
    if (!this.isAcknowledged) this.chargeIdle(what)
    else this.chargeReset(what)
    if (this.isClosed) return
    encodeReset(this.out, id, Http2Code.REFUSED_STREAM)
    this.closedStreams.add(id, WE_RESET)
    this.chargeControl(13)
  }

  #answerTooLarge(stream: ServerStream, ends: boolean): void {
    this.#answerEarly(stream, ends, 431, 'a field section over its limits')
  }

  #answer413(stream: ServerStream, ends: boolean): void {
    this.#answerEarly(stream, ends, 413, 'a body over maxBodyBytes')
  }

  /** The session itself answers, and nobody hears of the request. */
  #answerEarly(stream: ServerStream, ends: boolean, status: number, what: string): void {
    if (!this.chargeReset(what)) return
    if (ends) stream.flags |= PEER_DONE
    this.#writeHead(stream, status, undefined, true, 0)
    if (!ends) encodeReset(this.out, stream.id, Http2Code.NO_ERROR)
    this.chargeControl(32)
    this.closeStream(stream, WE_RESET)
    this.forget(stream)
    this.#whenForgotten()
  }

  protected override onTooLong(stream: ServerStream): void {
    const message = `a body of ${stream.received} bytes is over maxBodyBytes ${this.limits.maxBodyBytes}`
    if (!this.chargeReset('bodies over maxBodyBytes')) return
    const error = new ProtocolError('ERR_LIMIT', message, { status: 413 })
    if ((stream.flags & HEAD_SENT) !== 0) return this.resetStream(stream, Http2Code.CANCEL, error)
    this.#writeHead(stream, 413, undefined, true, 0)
    this.resetStream(stream, Http2Code.NO_ERROR, error)
  }

  protected override onPing(): void {
    const sent = this.wroteMessage
    this.wroteMessage = false
    if (this.#pingPolicy.accept(this.now, this.streams.size === 0, sent)) return
    const code = Http2Code.ENHANCE_YOUR_CALM
    const status = http2CodeName(code)
    const message = `${status}: ${TOO_MANY_PINGS}, over minPingIntervalMs`
    this.failWith(new ProtocolError('ERR_LIMIT', message, { status }), code, TOO_MANY_PINGS)
  }

  protected override onPromise(): void {
    // The frame was refused.
  }

  protected override onPriority(id: number, value: string): void {
    const stream = this.streams.get(id)
    if (stream !== undefined) return this.applyPriority(stream, value)
    if (!this.isIdle(id)) return
    if ((id & 1) === 0) {
      const message = `PRIORITY_UPDATE of stream ${id}, which was not promised`
      return this.fail(Http2Code.PROTOCOL_ERROR, message)
    }
    this.#early ??= new Map()
    if (this.#early.size >= MAX_EARLY && !this.#early.has(id)) {
      // The oldest one is of a request that came long ago, or never comes.
      this.#early.delete(this.#early.keys().next().value as number)
    }
    this.#early.set(id, value)
  }

  protected override onPeerDone(stream: ServerStream): void {
    // The exchange goes on until it was answered.
    const both = TUNNEL | WE_DONE | END_TOLD
    if ((stream.flags & both) === both) this.#sent(stream)
  }

  protected override onWeDone(stream: ServerStream): void {
    if ((stream.flags & (TUNNEL | END_TOLD)) !== TUNNEL) this.#sent(stream)
  }

  #sent(stream: ServerStream): void {
    this.events.push({ type: 'sent', exchange: stream.id })
    if ((stream.flags & PEER_DONE) === 0) {
      encodeReset(this.out, stream.id, Http2Code.NO_ERROR)
      this.closeStream(stream, WE_RESET)
    }
    this.forget(stream)
    this.#whenForgotten()
  }

  protected override onStreamReset(stream: ServerStream, code: number): void {
    // A push that is not wanted was our doing.
    const isPushed = (stream.flags & PUSHED) !== 0
    const what = 'RST_STREAM of requests that were not answered'
    if (!isPushed && !this.chargeReset(what)) return
    super.onStreamReset(stream, code)
  }

  protected override endsEarly(stream: ServerStream): boolean {
    // Of a head that was never handed out nobody has to be told.
    return (stream.flags & HEAD_TOLD) !== 0
  }

  protected override abort(stream: ServerStream, error: HeddleError, ending: 1 | 2 | 3): void {
    super.abort(stream, error, ending)
    this.#whenForgotten()
  }

  #whenForgotten(): void {
    if (this.streams.size > 0) return
    this.#idleSince = this.now
    this.#closeIfDone()
  }

  protected override onStreamClosed(stream: ServerStream): void {
    if ((stream.flags & PUSHED) !== 0) this.#pushes--
  }

  protected override onGoAway(): void {
    this.#closeIfDone()
  }

  protected override overdue(stream: ServerStream): HeddleError {
    return new TimeoutError('ERR_REQUEST_TIMEOUT', this.bodyOverdue(stream), { status: 408 })
  }

  // --- upgrade from HTTP/1.1 ---

  #upgrade(request: RequestEvent, header: string): void {
    const payload = decodeSettingsHeader(header)
    const problem =
      payload === undefined ? 'HTTP2-Settings is not base64url' : this.applySettings(payload)
    if (problem !== undefined) throw new UsageError('ERR_ARGUMENT', problem)
    this.lastPeerStream = 1
    const stream = this.open(1, HEAD_CAME | PEER_DONE | END_TOLD | HEAD_TOLD)
    if (request.method === 'HEAD') stream.flags |= WAS_HEAD
    this.#idleSince = undefined
    this.#requests++
    this.events.push({ ...request, exchange: 1, version: '2', upgrade: undefined })
  }

  // --- timeouts ---

  pollTimeout(): number | undefined {
    if (this.state === 'closed') return undefined
    if (this.#openedAt === undefined) return 0 // nobody has said yet what time it is
    let at = this.connectionTimeoutAt(this.#headTimeoutMs, this.#openedAt)
    at = Math.min(at, this.streamsDueAt)
    if (this.#idleSince !== undefined && this.peer.known && this.streams.size === 0) {
      at = Math.min(at, this.#idleSince + this.#keepAliveTimeoutMs)
    }
    return at === Number.POSITIVE_INFINITY ? undefined : at
  }

  handleTimeout(now: number): void {
    this.now = now
    this.#start(now)
    const at = this.pollTimeout()
    if (at === undefined || now < at) return
    this.handleConnectionTimeout(this.#headTimeoutMs, this.#openedAt as number)
    if (this.state === 'closed') return
    this.handleStreamTimeouts()
    if (this.#idleSince === undefined || this.streams.size > 0 || !this.peer.known) return
    if (now < this.#idleSince + this.#keepAliveTimeoutMs) return
    this.sendGoAway(Http2Code.NO_ERROR, 'idle')
    this.close()
  }
}

/** PINGs of the owner that may wait. */
const MAX_PINGS = 16
const MAX_EARLY = 32
/** `date: Sun, 06 Nov 1994 08:49:37 GMT` */
const DATE_BYTES = 4 + 29 + 32
