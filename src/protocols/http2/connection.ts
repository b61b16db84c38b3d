/**
 * One side of an HTTP/2 connection below its streams: frames in, SETTINGS, PING, GOAWAY, the windows
 * of the connection, header blocks, budgets, timeouts of the connection. What a frame means for a
 * stream is above (streams.ts), what for a request or response above that.
 *
 *     receive ─► frames ─┬─ SETTINGS PING GOAWAY WINDOW_UPDATE(0) PRIORITY…   here
 *                        └─ HEADERS DATA RST_STREAM WINDOW_UPDATE             hooks
 *
 * WINDOW_UPDATEs, and the PING that measures, leave once for each input batch.
 */
// size: the frames of a connection and the rules between them, in one place
import { ByteWriter } from '../../core/byte-writer.ts'
import type { CodeOf } from '../../core/error-codes.ts'
import {
  ClosedError,
  type HeddleError,
  ProtocolError,
  RemoteError,
  TimeoutError,
  TransportError,
} from '../../core/errors.ts'
import { portableText } from '../../core/portable-text.ts'
import type { SessionState } from '../../core/session.ts'
import { Bandwidth } from './bandwidth.ts'
import { BlockCache } from './block-cache.ts'
import { Budget } from './budget.ts'
import { BROKEN, FRAME, FrameDecoder, PIECE } from './decoder.ts'
import {
  encodeGoAway,
  encodePing,
  encodeSettings,
  encodeSettingsAck,
  encodeWindowUpdate,
} from './encoder.ts'
import { EventQueue } from './event-queue.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import type { Http2Limits } from './limits.ts'
import {
  DEFAULT_WINDOW,
  FrameFlag,
  FrameType,
  type GoAwayEvent,
  HTTP2_PREFACE,
  Http2Code,
  http2CodeName,
  MAX_STREAM_ID,
  MAX_WINDOW,
  type PongEvent,
  SettingId,
} from './messages.ts'
import type { Http2Options } from './options.ts'
import { PeerSettings } from './settings.ts'

export type ConnectionEvent = PongEvent | GoAwayEvent

export abstract class Http2Connection<Event> {
  state: SessionState = 'open'
  failure: HeddleError | undefined
  onWake: (() => void) | undefined

  protected readonly isServer: boolean
  protected readonly limits: Http2Limits
  protected readonly out: ByteWriter
  protected readonly events: EventQueue<Event> = new EventQueue<Event>()
  protected readonly frames: FrameDecoder
  protected readonly peer: PeerSettings = new PeerSettings()
  protected readonly bandwidth: Bandwidth
  protected readonly resets: Budget
  protected now: number
  /** What may be sent on the connection. */
  protected sendWindow: number = DEFAULT_WINDOW
  /** First window of streams that the peer opens or answers, as it has acknowledged. */
  protected streamWindow: number = DEFAULT_WINDOW
  /** How much more it is once what was sent is acknowledged. */
  protected streamWindowComing = 0
  /** Received, and neither read nor dropped. */
  protected unread = 0
  /** Last stream of the peer's that was looked at. */
  protected lastPeerStream = 0
  /** Output was taken this often: what was submitted since has not left. */
  protected flushes = 0
  /** HEADERS or DATA were written since the peer's last PING. */
  protected wroteMessage = false
  protected draining = false
  /** GOAWAY with the last stream was sent: the peer opens no more. */
  protected sentGoAway = false
  /** GOAWAY came: the last of our streams that the peer looks at. */
  protected peerLastStream: number = MAX_STREAM_ID
  protected peerEnded = false

  readonly #hpack: HpackDecoder
  readonly #blocks = new BlockCache()
  readonly #idleFrames: Budget
  /** The connection's receive window. */
  #receiveWindow: number = DEFAULT_WINDOW
  #prefaceAt = 0
  readonly #prefaceBytes: number
  /** First windows that were sent in SETTINGS and wait for the acknowledgement. */
  readonly #settingsSent: number[] = []
  #settingsDueAt = Number.POSITIVE_INFINITY
  #wantsSample = false
  // The header block that is not complete.
  #blockStream = 0
  #blockFlags = 0
  #blockPromised = 0
  #block: Uint8Array[] = []
  #blockBytes = 0
  #continuations = 0
  #blockStartedAt: number | undefined
  /** PINGs of ours that wait, oldest first: number and time. */
  readonly #pings: { readonly id: number; readonly at: number; readonly kind: PingKind }[] = []
  #pingNumber = 0
  #lastReceivedAt: number
  /** Control bytes written since output was last taken. */
  #controlBytes = 0

  constructor(isServer: boolean, options: Http2Options, limits: Http2Limits, now: number) {
    this.isServer = isServer
    this.limits = limits
    this.now = now
    const text = options.host?.text ?? portableText
    this.out = new ByteWriter({ text })
    this.frames = new FrameDecoder(limits.maxFrameBytes)
    this.#hpack = new HpackDecoder({
      maxTableBytes: limits.headerTableBytes,
      maxListBytes: limits.maxHeaderListBytes,
      text,
    })
    this.bandwidth = new Bandwidth(limits.windowBytes, limits.maxWindowBytes)
    this.resets = new Budget(limits.maxResets, limits.resetsPerSecond, now)
    this.#idleFrames = new Budget(limits.maxIdleFrames, limits.idleFramesPerSecond, now)
    this.#prefaceBytes = isServer ? HTTP2_PREFACE.length : 0
    this.#lastReceivedAt = now
  }

  // --- what is above ---

  protected abstract onHeaders(stream: number, flags: number, list: string[], ok: boolean): void
  protected abstract onPromise(stream: number, promised: number, list: string[], ok: boolean): void
  protected abstract onPiece(): void
  protected abstract onReset(stream: number, code: number): void
  protected abstract onStreamWindow(stream: number, bytes: number): void
  protected abstract onPriority(stream: number, value: string): void
  protected abstract onPeerSettings(windowChange: number): void
  /** Our first window was acknowledged: every stream's changes by as much. */
  protected abstract onOwnWindow(change: number): void
  /** The connection's send window is no longer used up. */
  protected abstract onSendWindow(): void
  protected abstract onGoAway(lastStream: number, code: number, text: string): void
  /** A PING of the peer's was answered. */
  protected abstract onPing(): void
  /** The PING behind the first GOAWAY of a drain was answered. */
  protected abstract onDrained(): void
  /** An event that waits for demand, if there is one. */
  protected abstract deliver(): Event | undefined
  /** No whole frame is left. @returns whether there are events now */
  protected abstract endBatch(): boolean
  /** Every exchange gets its last event. */
  protected abstract abortAll(error: HeddleError): void
  protected abstract get openExchanges(): number

  // --- Session ---

  get wantsRead(): boolean {
    return this.state !== 'closed'
  }

  /** Bytes of input kept in memory of our own. */
  get buffered(): number {
    return this.frames.buffered + this.#blockBytes + this.unread
  }

  /** What the peer may still send on the connection, in bytes. */
  get receiveWindowBytes(): number {
    return this.#receiveWindow
  }

  /** What may still be sent to the peer on the connection, in bytes. */
  get sendWindowBytes(): number {
    return this.sendWindow
  }

  /** Last measured round trip in milliseconds. */
  get rttMs(): number | undefined {
    return this.bandwidth.rttMs
  }

  receive(chunk: Uint8Array, now: number): void {
    this.now = now
    if (this.state === 'closed') return
    this.#lastReceivedAt = now
    if (this.#prefaceAt < this.#prefaceBytes) {
      const rest = this.#readPreface(chunk)
      if (rest === undefined) return
      chunk = rest
    }
    this.frames.push(chunk)
  }

  receiveEnd(now: number): void {
    this.now = now
    if (this.state === 'closed') return
    this.peerEnded = true
    const inside = this.frames.inFrame || this.#blockStream !== 0
    const message = inside ? 'the peer ended inside a frame' : 'the peer ended the connection'
    this.lose(new TransportError('ERR_DISCONNECTED', message))
  }

  receiveClose(reason: Error | undefined, now: number): void {
    this.now = now
    if (this.state === 'closed') return
    const message = `the connection was lost${reason === undefined ? '' : `: ${reason.message}`}`
    this.lose(new TransportError('ERR_DISCONNECTED', message, { cause: reason }))
  }

  pollEvent(): Event | undefined {
    for (;;) {
      const event = this.events.shift()
      if (event !== undefined) return event
      if (this.state === 'closed') return undefined
      const waiting = this.deliver()
      if (waiting !== undefined) return waiting
      if (this.#readFrame()) continue
      if (this.endBatch()) continue
      if (!this.isClosed) this.#sendObligations()
      this.frames.hold()
      if (this.events.isEmpty) return undefined
    }
  }

  protected get isClosed(): boolean {
    return this.state === 'closed'
  }

  takeUnread(): Uint8Array {
    return new Uint8Array(0)
  }

  // --- ends ---

  /** The peer broke the protocol: GOAWAY, and everything ends. */
  protected fail(
    http2Code: number,
    message: string,
    code: CodeOf<'ProtocolError'> = 'ERR_PROTOCOL',
  ): void {
    if (this.state === 'closed') return
    const text = `${http2CodeName(http2Code)}: ${message}`
    this.failWith(new ProtocolError(code, text, { status: http2CodeName(http2Code) }), http2Code)
  }

  /** @param text what the peer is told */
  protected failWith(error: HeddleError, http2Code: number, text: string = error.message): void {
    if (this.state === 'closed') return
    this.failure ??= error
    // To who does not speak HTTP/2 a frame says nothing.
    if (error.code !== 'ERR_WRONG_PROTOCOL') {
      encodeGoAway(this.out, this.lastPeerStream, http2Code, text)
    }
    // Before: the last exchange that ends would say GOAWAY once more.
    this.state = 'closed'
    this.abortAll(error)
    this.close()
  }

  /** The connection is gone, or the peer's side of it. */
  protected lose(error: HeddleError): void {
    if (this.openExchanges > 0) this.failure ??= error
    this.state = 'closed'
    this.abortAll(error)
    this.close()
  }

  protected close(): void {
    this.state = 'closed'
    this.frames.clear()
    this.#block = []
    this.#blockBytes = 0
    this.unread = 0
    this.#pings.length = 0
  }

  /** No more streams of the peer's than were looked at. */
  protected sendGoAway(code: number, text: string, lastStream = this.lastPeerStream): void {
    encodeGoAway(this.out, lastStream, code, text)
    if (lastStream !== MAX_STREAM_ID) this.sentGoAway = true
    if (this.state === 'open') this.state = 'closing'
  }

  // --- budgets ---

  /** A frame that is of no use. */
  protected chargeIdle(what: string): void {
    if (this.#idleFrames.take(this.now)) return
    const message = `over maxIdleFrames ${this.limits.maxIdleFrames} with ${what}`
    this.fail(Http2Code.ENHANCE_YOUR_CALM, message, 'ERR_LIMIT')
  }

  /** A stream that was ended before it was answered. @returns false: the connection is closed */
  protected chargeReset(what: string): boolean {
    if (this.resets.take(this.now)) return true
    const message = `over maxResets ${this.limits.maxResets} with ${what}`
    this.fail(Http2Code.ENHANCE_YOUR_CALM, message, 'ERR_LIMIT')
    return false
  }

  protected earnIdle(frames: number): void {
    this.#idleFrames.give(frames)
  }

  /** Something is written because of what the peer did. */
  protected chargeControl(bytes: number): void {
    this.#controlBytes += bytes
    if (this.#controlBytes <= this.limits.maxControlBytes) return
    const message = `${this.#controlBytes} bytes of answers wait, over maxControlBytes ${this.limits.maxControlBytes}`
    this.fail(Http2Code.ENHANCE_YOUR_CALM, message, 'ERR_LIMIT')
  }

  /** Output is taken: the peer reads. */
  protected controlLeft(): void {
    this.#controlBytes = 0
  }

  // --- SETTINGS ---

  /** The first SETTINGS, and what the connection's window is more than the protocol gives. */
  protected sendFirstSettings(settings: readonly number[]): void {
    this.sendSettings(settings, this.limits.windowBytes)
    const more = this.limits.connectionWindowBytes - DEFAULT_WINDOW
    if (more <= 0) return
    encodeWindowUpdate(this.out, 0, more)
    this.#receiveWindow += more
  }

  protected sendSettings(settings: readonly number[], windowBytes: number): void {
    encodeSettings(this.out, settings)
    this.#settingsSent.push(windowBytes)
    this.streamWindowComing = windowBytes - this.streamWindow
    if (this.#settingsSent.length === 1) {
      this.#settingsDueAt = this.now + this.limits.settingsTimeoutMs
    }
  }

  #onSettings(): void {
    const { frames, peer } = this
    if (frames.stream !== 0) return this.fail(Http2Code.PROTOCOL_ERROR, 'SETTINGS on a stream')
    if ((frames.flags & FrameFlag.ACK) !== 0) return this.#onSettingsAck()
    if (frames.length % 6 !== 0) {
      return this.fail(Http2Code.FRAME_SIZE_ERROR, `SETTINGS of ${frames.length} bytes`)
    }
    this.chargeIdle('SETTINGS')
    const before = peer.windowBytes
    for (let at = frames.start; at < frames.end; at += 6) {
      const id = ((frames.bytes[at] as number) << 8) | (frames.bytes[at + 1] as number)
      const problem = peer.apply(id, uint32(frames.bytes, at + 2), !this.isServer)
      if (problem !== undefined) return this.fail(problem.code, problem.message)
    }
    if (this.isClosed) return
    peer.known = true
    encodeSettingsAck(this.out)
    this.chargeControl(9)
    if (!this.isClosed) this.onPeerSettings(peer.windowBytes - before)
  }

  /** What an HTTP/1.1 peer said in `HTTP2-Settings`: no acknowledgement is sent for it. */
  protected applySettings(payload: Uint8Array): string | undefined {
    if (payload.length % 6 !== 0) return `HTTP2-Settings of ${payload.length} bytes`
    for (let at = 0; at < payload.length; at += 6) {
      const id = ((payload[at] as number) << 8) | (payload[at + 1] as number)
      const problem = this.peer.apply(id, uint32(payload, at + 2), !this.isServer)
      if (problem !== undefined) return problem.message
    }
    return undefined
  }

  /** Whether the peer knows what we last said. */
  protected get isAcknowledged(): boolean {
    return this.#settingsSent.length === 0
  }

  #onSettingsAck(): void {
    if (this.frames.length !== 0) {
      return this.fail(Http2Code.FRAME_SIZE_ERROR, 'an acknowledgement of SETTINGS with a payload')
    }
    const windowBytes = this.#settingsSent.shift()
    if (windowBytes === undefined) return this.chargeIdle('acknowledgements of nothing')
    this.#settingsDueAt =
      this.#settingsSent.length === 0
        ? Number.POSITIVE_INFINITY
        : this.now + this.limits.settingsTimeoutMs
    this.#hpack.acknowledge()
    const change = windowBytes - this.streamWindow
    this.streamWindow = windowBytes
    this.streamWindowComing -= change
    if (change !== 0) this.onOwnWindow(change)
  }

  // --- PING ---

  /** @returns the number that `pong` will have */
  protected sendPing(kind: PingKind): number {
    const id = ++this.#pingNumber
    encodePing(this.out, false, kind, id)
    this.#pings.push({ id, at: this.now, kind })
    return id
  }

  protected get waitingPings(): number {
    return this.#pings.length
  }

  #onPing(): void {
    const { frames } = this
    if (frames.stream !== 0) return this.fail(Http2Code.PROTOCOL_ERROR, 'PING on a stream')
    if (frames.length !== 8) {
      return this.fail(Http2Code.FRAME_SIZE_ERROR, `PING of ${frames.length} bytes`)
    }
    const high = uint32(frames.bytes, frames.start)
    const low = uint32(frames.bytes, frames.start + 4)
    if ((frames.flags & FrameFlag.ACK) !== 0) return this.#onPong(high, low)
    this.chargeIdle('PING')
    if (this.state === 'closed') return
    encodePing(this.out, true, high, low)
    this.chargeControl(17)
    if (!this.isClosed) this.onPing()
  }

  #onPong(kind: number, id: number): void {
    const oldest = this.#pings[0]
    if (oldest === undefined || oldest.id !== id || oldest.kind !== kind) {
      return this.chargeIdle('answers to no PING')
    }
    this.#pings.shift()
    if (kind === PING_SAMPLE) {
      if (this.bandwidth.finish(this.now)) this.#growWindows()
    } else if (kind === PING_DRAIN) this.onDrained()
    else if (kind === PING_USER) {
      const event: PongEvent = { type: 'pong', exchange: 0, ping: id, rttMs: this.now - oldest.at }
      this.events.push(event as Event)
    }
  }

  /** New streams begin with what was measured. One change at a time is on its way. */
  #growWindows(): void {
    const { target } = this.bandwidth
    if (this.#settingsSent.length > 0) return
    this.sendSettings([SettingId.INITIAL_WINDOW_SIZE, target], target)
  }

  // --- receiving ---

  /** @returns what follows the preface; undefined: it is not complete, or wrong */
  #readPreface(chunk: Uint8Array): Uint8Array | undefined {
    for (let at = 0; at < chunk.length; at++) {
      if (this.#prefaceAt === this.#prefaceBytes) return chunk.subarray(at)
      if (chunk[at] !== HTTP2_PREFACE.charCodeAt(this.#prefaceAt)) {
        const message = 'what the client sent first is not the preface of HTTP/2'
        this.fail(Http2Code.PROTOCOL_ERROR, message, 'ERR_WRONG_PROTOCOL')
        return undefined
      }
      this.#prefaceAt++
    }
    return undefined
  }

  /** Whether the client's preface has come. */
  protected get greeted(): boolean {
    return this.#prefaceAt === this.#prefaceBytes
  }

  #readFrame(): boolean {
    const { frames } = this
    const found = frames.next()
    if (found === PIECE) {
      if (this.#blockStream !== 0 || !this.peer.known) this.#outOfPlace()
      else this.onPiece()
      return true
    }
    if (found === FRAME) {
      this.#onFrame()
      return true
    }
    if (found !== BROKEN) return false
    if (frames.problem === 'padding') {
      this.fail(Http2Code.PROTOCOL_ERROR, 'padding longer than its frame')
    } else {
      const message = `a frame of ${frames.length} bytes is over maxFrameBytes ${this.limits.maxFrameBytes}`
      this.fail(Http2Code.FRAME_SIZE_ERROR, message, 'ERR_FRAME_TOO_LARGE')
    }
    return true
  }

  #outOfPlace(): void {
    const what =
      this.#blockStream !== 0
        ? `stream ${this.#blockStream} has an unfinished header block`
        : 'SETTINGS must come first'
    this.fail(Http2Code.PROTOCOL_ERROR, `frame of type ${this.frames.type}, but ${what}`)
  }

  #onFrame(): void {
    const { type } = this.frames
    if (this.#blockStream !== 0) {
      if (type !== FrameType.CONTINUATION) return this.#outOfPlace()
      return this.#onContinuation()
    }
    if (type === FrameType.HEADERS && this.peer.known) return this.#onHeadersFrame()
    if (!this.peer.known) {
      const first = type === FrameType.SETTINGS && (this.frames.flags & FrameFlag.ACK) === 0
      if (!first) return this.#outOfPlace()
    }
    switch (type) {
      case FrameType.WINDOW_UPDATE:
        return this.#onWindowUpdate()
      case FrameType.RST_STREAM:
        return this.#onResetFrame()
      case FrameType.SETTINGS:
        return this.#onSettings()
      case FrameType.PING:
        return this.#onPing()
      case FrameType.GOAWAY:
        return this.#onGoAwayFrame()
      case FrameType.PRIORITY:
        return this.#onPriorityFrame()
      case FrameType.PRIORITY_UPDATE:
        return this.#onPriorityUpdate()
      case FrameType.PUSH_PROMISE:
        return this.#onPushPromise()
      case FrameType.CONTINUATION:
        return this.fail(Http2Code.PROTOCOL_ERROR, 'CONTINUATION without HEADERS')
      default:
        // RFC 9113 4.1: ignored.
        this.chargeIdle(`frames of type ${type}`)
    }
  }

  #onWindowUpdate(): void {
    const { frames } = this
    if (frames.length !== 4) {
      return this.fail(Http2Code.FRAME_SIZE_ERROR, `WINDOW_UPDATE of ${frames.length} bytes`)
    }
    this.chargeIdle('WINDOW_UPDATE')
    const bytes = uint32(frames.bytes, frames.start) & MAX_WINDOW
    if (this.state === 'closed') return
    if (frames.stream !== 0) return this.onStreamWindow(frames.stream, bytes)
    if (bytes === 0) return this.fail(Http2Code.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0')
    if (this.sendWindow + bytes > MAX_WINDOW) {
      const message = `the connection's window would be ${this.sendWindow + bytes}`
      return this.fail(Http2Code.FLOW_CONTROL_ERROR, message)
    }
    const wasUsedUp = this.sendWindow <= 0
    this.sendWindow += bytes
    if (wasUsedUp) this.onSendWindow()
  }

  #onResetFrame(): void {
    const { frames } = this
    if (frames.stream === 0) return this.fail(Http2Code.PROTOCOL_ERROR, 'RST_STREAM on stream 0')
    if (frames.length !== 4) {
      return this.fail(Http2Code.FRAME_SIZE_ERROR, `RST_STREAM of ${frames.length} bytes`)
    }
    this.onReset(frames.stream, uint32(frames.bytes, frames.start))
  }

  #onGoAwayFrame(): void {
    const { frames } = this
    if (frames.stream !== 0) return this.fail(Http2Code.PROTOCOL_ERROR, 'GOAWAY on a stream')
    if (frames.length < 8) {
      return this.fail(Http2Code.FRAME_SIZE_ERROR, `GOAWAY of ${frames.length} bytes`)
    }
    this.chargeIdle('GOAWAY')
    if (this.state === 'closed') return
    const lastStream = uint32(frames.bytes, frames.start) & MAX_STREAM_ID
    if (lastStream > this.peerLastStream) {
      const message = `GOAWAY with stream ${lastStream} after ${this.peerLastStream}`
      return this.fail(Http2Code.PROTOCOL_ERROR, message)
    }
    this.peerLastStream = lastStream
    const code = uint32(frames.bytes, frames.start + 4)
    const end = Math.min(frames.end, frames.start + 8 + MAX_DEBUG_BYTES)
    const text = this.out.text.latin1(frames.bytes, frames.start + 8, end)
    if (this.state === 'open') this.state = 'closing'
    const event: GoAwayEvent = {
      type: 'goaway',
      exchange: 0,
      code,
      name: http2CodeName(code),
      lastExchange: lastStream,
      text: text.replace(/[^\x20-\x7e]/g, '?'),
    }
    this.events.push(event as Event)
    this.onGoAway(lastStream, code, event.text)
  }

  /** The tree of RFC 7540: tolerated, without effect (RFC 9113 5.3.2). */
  #onPriorityFrame(): void {
    const { frames } = this
    if (frames.stream === 0) return this.fail(Http2Code.PROTOCOL_ERROR, 'PRIORITY on stream 0')
    if (frames.length !== 5) {
      return this.fail(Http2Code.FRAME_SIZE_ERROR, `PRIORITY of ${frames.length} bytes`)
    }
    this.chargeIdle('PRIORITY')
  }

  #onPriorityUpdate(): void {
    const { frames } = this
    if (frames.stream !== 0) {
      return this.fail(Http2Code.PROTOCOL_ERROR, 'PRIORITY_UPDATE on a stream')
    }
    if (frames.length < 4) {
      return this.fail(Http2Code.FRAME_SIZE_ERROR, `PRIORITY_UPDATE of ${frames.length} bytes`)
    }
    const stream = uint32(frames.bytes, frames.start) & MAX_STREAM_ID
    if (stream === 0) return this.fail(Http2Code.PROTOCOL_ERROR, 'PRIORITY_UPDATE of stream 0')
    if (!this.isServer) {
      return this.fail(Http2Code.PROTOCOL_ERROR, 'PRIORITY_UPDATE from a server')
    }
    this.chargeIdle('PRIORITY_UPDATE')
    if (this.state === 'closed') return
    const end = Math.min(frames.end, frames.start + 4 + MAX_PRIORITY_BYTES)
    this.onPriority(stream, this.out.text.latin1(frames.bytes, frames.start + 4, end))
  }

  // --- header blocks ---

  #onHeadersFrame(): void {
    const { frames } = this
    const { stream, flags } = frames
    if (stream === 0) return this.fail(Http2Code.PROTOCOL_ERROR, 'HEADERS on stream 0')
    let { start, end } = frames
    if ((flags & (FrameFlag.PADDED | FrameFlag.PRIORITY)) !== 0) {
      if ((flags & FrameFlag.PADDED) !== 0) {
        if (start === end) return this.fail(Http2Code.FRAME_SIZE_ERROR, 'HEADERS without padding')
        end -= frames.bytes[start++] as number
      }
      if ((flags & FrameFlag.PRIORITY) !== 0) {
        if (end - start < 5 && frames.length < 6) {
          return this.fail(Http2Code.FRAME_SIZE_ERROR, 'HEADERS too short for its priority')
        }
        const parent = uint32(frames.bytes, start) & MAX_STREAM_ID
        if (parent === stream) {
          return this.fail(Http2Code.PROTOCOL_ERROR, `stream ${stream} depends on itself`)
        }
        start += 5
      }
      if (start > end) return this.fail(Http2Code.PROTOCOL_ERROR, 'padding longer than its frame')
    }
    this.#beginBlock(stream, flags, start, end, 0)
  }

  #onPushPromise(): void {
    const { frames } = this
    const { stream, flags } = frames
    if (this.isServer) return this.fail(Http2Code.PROTOCOL_ERROR, 'PUSH_PROMISE from a client')
    if (stream === 0) return this.fail(Http2Code.PROTOCOL_ERROR, 'PUSH_PROMISE on stream 0')
    let { start, end } = frames
    if ((flags & FrameFlag.PADDED) !== 0 && start < end) end -= frames.bytes[start++] as number
    if (end - start < 4) return this.fail(Http2Code.FRAME_SIZE_ERROR, 'PUSH_PROMISE too short')
    const promised = uint32(frames.bytes, start) & MAX_STREAM_ID
    if (promised === 0) return this.fail(Http2Code.PROTOCOL_ERROR, 'PUSH_PROMISE of stream 0')
    this.#beginBlock(stream, flags & ~FrameFlag.END_STREAM, start + 4, end, promised)
  }

  #beginBlock(stream: number, flags: number, start: number, end: number, promised: number): void {
    const { bytes } = this.frames
    if ((flags & FrameFlag.END_HEADERS) !== 0) {
      return this.#onBlock(stream, flags, promised, bytes, start, end)
    }
    const fragment = bytes.slice(start, end)
    this.#blockStream = stream
    this.#blockFlags = flags
    this.#blockPromised = promised
    this.#block = [fragment]
    this.#blockBytes = fragment.length
    this.#continuations = 0
    this.#blockStartedAt = this.now
  }

  #onContinuation(): void {
    const { frames, limits } = this
    if (frames.stream !== this.#blockStream) return this.#outOfPlace()
    this.#continuations++
    this.#blockBytes += frames.length
    if (this.#continuations > limits.maxContinuations) {
      const message = `${this.#continuations} CONTINUATION frames, over maxContinuations ${limits.maxContinuations}`
      return this.fail(Http2Code.ENHANCE_YOUR_CALM, message, 'ERR_LIMIT')
    }
    // Compressed it is no longer than the list, but for what its framing adds.
    if (this.#blockBytes > limits.maxHeaderListBytes + limits.maxFrameBytes) {
      const message = `a header block of ${this.#blockBytes} bytes is over maxHeaderListBytes ${limits.maxHeaderListBytes}`
      return this.fail(Http2Code.ENHANCE_YOUR_CALM, message, 'ERR_LIMIT')
    }
    if (frames.length === 0) this.chargeIdle('empty CONTINUATION')
    if (this.state === 'closed') return
    this.#block.push(frames.bytes.slice(frames.start, frames.end))
    if ((frames.flags & FrameFlag.END_HEADERS) === 0) return
    const whole = new Uint8Array(this.#blockBytes)
    let at = 0
    for (const part of this.#block) {
      whole.set(part, at)
      at += part.length
    }
    const stream = this.#blockStream
    this.#blockStream = 0
    this.#block = []
    this.#blockBytes = 0
    this.#blockStartedAt = undefined
    this.#onBlock(stream, this.#blockFlags, this.#blockPromised, whole, 0, at)
  }

  /** The block is from `start` to `end`. */
  #onBlock(
    stream: number,
    flags: number,
    promised: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    // Most are found, and need no view of their own.
    const known = this.#blocks.find(bytes, start, end, this.#hpack.changes)
    if (known !== undefined && promised === 0) return this.onHeaders(stream, flags, known, true)
    const block = bytes.subarray(start, end)
    const list: string[] = []
    const before = this.#hpack.changes
    const outcome = this.#hpack.decode(block, list)
    if (outcome === 'broken') {
      const message = this.#hpack.problem ?? 'a header block cannot be decoded'
      return this.fail(Http2Code.COMPRESSION_ERROR, message, 'ERR_MALFORMED')
    }
    const ok = outcome === 'ok' && list.length <= this.limits.maxFieldCount * 2
    if (ok && before === this.#hpack.changes) this.#blocks.keep(block, before, list)
    if (promised !== 0) this.onPromise(stream, promised, list, ok)
    else this.onHeaders(stream, flags, list, ok)
  }

  // --- windows of the connection ---

  /** A DATA frame begins. @returns false: it is over the window, the connection is closed */
  protected takeWindow(length: number): boolean {
    this.#receiveWindow -= length
    this.unread += length
    if (this.#receiveWindow < 0) {
      const message = `${length} bytes of DATA are over the connection's window by ${-this.#receiveWindow}`
      this.fail(Http2Code.FLOW_CONTROL_ERROR, message)
      return false
    }
    if (this.bandwidth.received(length)) this.#wantsSample = true
    return true
  }

  /** Bytes of DATA were read or dropped. */
  protected giveBack(bytes: number): void {
    this.unread -= bytes
  }

  #sendObligations(): void {
    const { connectionWindowBytes, windowBytes } = this.limits
    const stream = this.bandwidth.target
    // Two streams at full speed, once it is known what that takes.
    const target =
      stream > windowBytes ? Math.max(connectionWindowBytes, stream * 2) : connectionWindowBytes
    const more = target - this.#receiveWindow - this.unread
    // When it at least doubles what the peer has: at half of the window, and never in crumbs.
    if (more > 0 && more >= this.#receiveWindow) {
      encodeWindowUpdate(this.out, 0, more)
      this.#receiveWindow += more
    }
    if (!this.#wantsSample) return
    this.#wantsSample = false
    this.bandwidth.start(this.now)
    this.sendPing(PING_SAMPLE)
  }

  // --- timeouts ---

  /** The earliest of the connection's own. */
  protected connectionTimeoutAt(headTimeoutMs: number, openedAt: number): number {
    let at = this.#settingsDueAt
    const ping = this.#pings[0]
    if (ping !== undefined) at = Math.min(at, ping.at + this.limits.pingTimeoutMs)
    if (!this.peer.known) at = Math.min(at, openedAt + headTimeoutMs)
    if (this.#blockStartedAt !== undefined) at = Math.min(at, this.#blockStartedAt + headTimeoutMs)
    const keepAlive = this.#keepAliveAt()
    return Math.min(keepAlive, at)
  }

  #keepAliveAt(): number {
    const { keepAlivePingMs, keepAliveWithoutExchanges } = this.limits
    if (keepAlivePingMs === Number.POSITIVE_INFINITY || this.#pings.length > 0) {
      return Number.POSITIVE_INFINITY
    }
    if (this.openExchanges === 0 && !keepAliveWithoutExchanges) return Number.POSITIVE_INFINITY
    return this.#lastReceivedAt + keepAlivePingMs
  }

  protected handleConnectionTimeout(headTimeoutMs: number, openedAt: number): void {
    const { now, limits } = this
    const ping = this.#pings[0]
    if (!this.peer.known && now >= openedAt + headTimeoutMs) {
      const message = `no SETTINGS after ${headTimeoutMs} ms`
      return this.failWith(
        new TimeoutError('ERR_REQUEST_TIMEOUT', message),
        Http2Code.SETTINGS_TIMEOUT,
      )
    }
    if (this.#blockStartedAt !== undefined && now >= this.#blockStartedAt + headTimeoutMs) {
      const message = `a header block was not complete after ${headTimeoutMs} ms`
      return this.failWith(
        new TimeoutError('ERR_REQUEST_TIMEOUT', message, { status: 408 }),
        Http2Code.ENHANCE_YOUR_CALM,
      )
    }
    if (now >= this.#settingsDueAt) {
      const message = `SETTINGS_TIMEOUT: no acknowledgement after ${limits.settingsTimeoutMs} ms`
      return this.failWith(new TimeoutError('ERR_IDLE', message), Http2Code.SETTINGS_TIMEOUT)
    }
    if (ping !== undefined && now >= ping.at + limits.pingTimeoutMs) {
      const message = `no answer to a PING after ${limits.pingTimeoutMs} ms`
      return this.failWith(new TimeoutError('ERR_IDLE', message), Http2Code.NO_ERROR)
    }
    if (now >= this.#keepAliveAt()) this.sendPing(PING_KEEP_ALIVE)
  }
}

/** The error of what the peer reset or refused. */
export function resetError(code: number, what: string): HeddleError {
  const message = `the peer reset ${what}: ${http2CodeName(code)}`
  const status = http2CodeName(code)
  if (code === Http2Code.CANCEL || code === Http2Code.NO_ERROR) {
    return new ClosedError('ERR_ABORTED', message, { status, sent: 'some' })
  }
  return new RemoteError('ERR_REMOTE', message, { status })
}

export function uint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  )
}

/** What a PING of ours is for: its first four bytes. */
export type PingKind = number
export const PING_USER = 0x7573_6572
export const PING_SAMPLE = 0x7274_7400
export const PING_DRAIN = 0x6472_6169
export const PING_KEEP_ALIVE = 0x6b65_6570
const MAX_DEBUG_BYTES = 256
const MAX_PRIORITY_BYTES = 256
