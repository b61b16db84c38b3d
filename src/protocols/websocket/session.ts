/**
 * One side of one WebSocket connection (RFC 6455), sans-I/O, from behind the handshake on.
 *
 *     send, text ──► frames, masked by a client      message ◄── frames, put together
 *     open ── close sent or received ──► closing ── both ──► (client: server's end ──►) closed
 *
 * What the peer does wrong is answered by a close frame whose code stands in `failure.status`.
 * A peer that falls silent is pinged, and closed with 1001 when it stays silent.
 */
import { ByteWriter } from '../../core/byte-writer.ts'
import type { ChunkLease } from '../../core/connection.ts'
import {
  type HeddleError,
  ProtocolError,
  TimeoutError,
  TransportError,
  toError,
  UsageError,
} from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { Session, SessionState } from '../../core/session.ts'
import { type CloseFrame, closeCodeOf, parseClose, shortReason } from './close-frame.ts'
import { WebSocketDecoder } from './decoder.ts'
import {
  closePayload,
  encodeHeader,
  encodeRawFrame,
  FIN,
  FINAL_BINARY,
  FINAL_TEXT,
  MAX_HEADER_BYTES,
  RSV1,
} from './encoder.ts'
import { maskInPlace } from './mask.ts'
import { MaskKeys } from './mask-keys.ts'
import {
  CloseCode,
  isSendableCloseCode,
  MAX_CONTROL_BYTES,
  Opcode,
  type WebSocketCommand,
  type WebSocketEvent,
  type WebSocketItem,
} from './messages.ts'
import {
  type ResolvedWebSocketOptions,
  resolveWebSocketOptions,
  type WebSocketOptions,
} from './options.ts'
import { isUtf8 } from './utf8.ts'

/** What the two sides agreed on about permessage-deflate (RFC 7692 7.1). */
export interface NegotiatedDeflate {
  /** The window that this side compresses with, as a power of two. */
  readonly windowBits: number
}

export interface WebSocketSessionInit {
  readonly role: 'client' | 'server'
  readonly host: Host
  readonly options?: WebSocketOptions | ResolvedWebSocketOptions
  /** Undefined: not agreed on. */
  readonly deflate?: NegotiatedDeflate | undefined
  /** Monotonic time of its beginning. */
  readonly now: number
}

export class WebSocketSession implements Session<WebSocketCommand, WebSocketEvent> {
  state: SessionState = 'open'
  failure: HeddleError | undefined
  onWake: (() => void) | undefined
  /** Nobody answers any more: there is nothing to wait for. */
  cut = false
  /** The peer's close frame, once it has come. */
  peerClose: CloseFrame | undefined
  /** The peer's close frame said no more than ours had before. */
  closeEchoed = false
  /** From a ping to its pong; undefined: none has come yet. */
  roundTripMs: number | undefined

  readonly #client: boolean
  readonly #host: Host
  readonly #options: ResolvedWebSocketOptions
  readonly #deflate: NegotiatedDeflate | undefined
  readonly #decoder: WebSocketDecoder
  readonly #out: ByteWriter
  readonly #message: { type: 'message'; text: boolean; payload: Uint8Array } = {
    type: 'message',
    text: false,
    payload: EMPTY,
  }
  #wanted = true
  #closeSent = false
  #sentCode = 0
  #inputEnded = false
  #inflated = false

  // Liveness.
  #heardAt: number
  #missedPings = 0
  #pingNumber = 0
  #pingedAt = 0
  #closeBy: number | undefined
  #now: number

  // Answers.
  #answers = 0
  #lastPing: Uint8Array | undefined

  /** Undefined on a server, which masks nothing. */
  readonly #keys: MaskKeys | undefined

  constructor(init: WebSocketSessionInit) {
    const { role, host, deflate, now } = init
    const options = resolveWebSocketOptions(init.options)
    this.#client = role === 'client'
    this.#host = host
    this.#options = options
    this.#deflate = deflate
    this.#keys = this.#client ? new MaskKeys(host.randomBytes) : undefined
    this.#out = new ByteWriter({ text: host.text })
    this.#decoder = new WebSocketDecoder({
      masked: !this.#client,
      maxFrameBytes: options.maxFrameBytes,
      maxMessageBytes: options.maxMessageBytes,
      compressed: deflate !== undefined,
      isUtf8: host.text.isUtf8,
    })
    this.#heardAt = now
    this.#now = now
    if (deflate !== undefined && host.rawDeflate === undefined) {
      throw new UsageError('ERR_OPTION_UNSUPPORTED', 'this host has no raw deflate')
    }
  }

  get wantsRead(): boolean {
    return this.#wanted
  }

  /** permessage-deflate was agreed on. */
  get compressed(): boolean {
    return this.#deflate !== undefined
  }

  /** Nothing can be sent any more. */
  get sendingEnded(): boolean {
    return this.#closeSent
  }

  receive(chunk: Uint8Array, now: number): void {
    if (this.state === 'closed') return
    this.#now = now
    this.#heardAt = now
    this.#missedPings = 0
    this.#decoder.push(chunk)
  }

  receiveEnd(now: number): void {
    this.#now = now
    this.#inputEnded = true
  }

  receiveClose(reason: Error | undefined, now: number): void {
    this.#now = now
    if (this.state === 'closed') return
    // Both have said that they close: how the connection then went does not matter.
    if (reason === undefined && !(this.#closeSent && this.peerClose !== undefined)) {
      this.failure ??= this.#lost('the connection was closed without a close frame')
    }
    this.#close()
  }

  pollEvent(): WebSocketEvent | undefined {
    while (this.state !== 'closed') {
      if (!this.#wanted) {
        this.#decoder.hold()
        return undefined
      }
      try {
        const item = this.#decoder.next()
        if (item === undefined) break
        const event = item.opcode <= Opcode.BINARY ? this.#onMessage(item) : this.#onControl(item)
        if (event !== undefined) return event
      } catch (error) {
        this.#violated(error)
      }
    }
    if (this.#inputEnded && this.state !== 'closed') this.#onEnd()
    return undefined
  }

  submit(command: WebSocketCommand, now: number): void {
    this.#now = now
    switch (command.type) {
      case 'send':
        return this.send(command.payload, command.text)
      case 'text':
        return this.sendText(command.text)
      case 'demand':
        this.#wanted = command.wanted
        // Silence does not count while nobody listens.
        this.#heardAt = now
        return
      case 'ping':
        return this.#ping(command.payload)
      case 'close':
        return this.#submitClose(command.code, command.reason)
      case 'refuse': {
        const { code, message } = command
        this.#violated(new ProtocolError('ERR_PROTOCOL', message, { status: code }))
      }
    }
  }

  /**
   * As the command, without an object for it. The payload is given until it has left.
   *
   * @throws ProtocolError ERR_FRAME_TOO_LARGE over `maxMessageBytes`, UsageError ERR_STATE after the
   *   close frame
   */
  send(payload: Uint8Array, text: boolean): void {
    this.#checkSending(payload.length)
    if (this.#deflate !== undefined && this.#sendDeflated(payload, text)) return
    const first = text ? FINAL_TEXT : FINAL_BINARY
    if (payload.length <= this.#options.sendFrameBytes) {
      const key = this.#keys?.next()
      return encodeRawFrame(this.#out, first, payload, key, true)
    }
    this.#sendFragments(first, payload)
  }

  /** As the command, without an object for it. */
  sendText(text: string): void {
    const codec = this.#host.text
    const bytes = codec.utf8Length(text)
    const { sendFrameBytes, compression } = this.#options
    const deflates = this.#deflate !== undefined && bytes >= (compression?.minBytes ?? 0)
    if (deflates || bytes > SHORT_TEXT || bytes > sendFrameBytes) {
      const whole = new Uint8Array(bytes)
      codec.writeUtf8(text, whole, 0)
      return this.send(whole, true)
    }
    this.#checkSending(bytes)
    const out = this.#out
    const key = this.#keys?.next()
    out.reserve(MAX_HEADER_BYTES + bytes)
    encodeHeader(out, FINAL_TEXT, bytes, key)
    const at = out.length
    out.length += codec.writeUtf8(text, out.bytes, at)
    if (key !== undefined) maskInPlace(out.bytes, at, bytes, key, 0)
  }

  pollTransmit(_maxBytes: number): ByteWriter {
    const out = this.#out
    if (this.#lastPing !== undefined && out.pending === 0 && !this.#closeSent) {
      const payload = this.#lastPing
      this.#lastPing = undefined
      this.#control(Opcode.PONG, payload)
    }
    return out
  }

  pollTimeout(): number | undefined {
    if (this.state === 'closed' || !this.#wanted) return undefined
    if (this.#closeBy !== undefined) return this.#closeBy
    const at = this.#heardAt + this.#options.pingIntervalMs * (this.#missedPings + 1)
    return at === Number.POSITIVE_INFINITY ? undefined : at
  }

  handleTimeout(now: number): void {
    const at = this.pollTimeout()
    if (at === undefined || now < at) return
    this.#now = now
    if (this.#closeBy !== undefined) return this.#giveUpClosing()
    if (this.#missedPings < this.#options.maxMissedPings) {
      this.#missedPings += 1
      this.#pingedAt = now
      this.#pingNumber = (this.#pingNumber + 1) >>> 0
      return this.#control(Opcode.PING, pingPayload(this.#pingNumber))
    }
    const silence = Math.round(now - this.#heardAt)
    const message = `nothing arrived for ${silence} ms, with ${this.#missedPings} pings unanswered`
    this.failure = new TimeoutError('ERR_IDLE', message)
    this.#sendClose(CloseCode.GOING_AWAY, EMPTY)
    this.#close()
  }

  takeUnread(): Uint8Array {
    throw new UsageError('ERR_STATE', 'a WebSocket connection is never handed over')
  }

  /**
   * Inside the handling of a message: keeps its memory until the lease is released. Undefined: the
   * message is in the chunk that was received last.
   */
  keepMessage(): ChunkLease | undefined {
    if (!this.#inflated) return this.#decoder.keep()
    this.#host.rawDeflate?.keep()
    return NOTHING_TO_RELEASE
  }

  // What arrives.

  #onMessage(item: WebSocketItem): WebSocketEvent | undefined {
    // Behind its close frame a peer sends nothing that counts (RFC 6455 5.5.1).
    if (this.peerClose !== undefined) return undefined
    const message = this.#message
    message.text = item.opcode === Opcode.TEXT
    message.payload = item.compressed ? this.#inflate(item.payload) : item.payload
    this.#inflated = item.compressed
    if (item.compressed && message.text) this.#checkText(message.payload)
    return message
  }

  #inflate(payload: Uint8Array): Uint8Array {
    const { maxMessageBytes, compression } = this.#options
    const { maxExpansion = Number.POSITIVE_INFINITY, expansionFreeBytes = 0 } = compression ?? {}
    const allowed = Math.max(expansionFreeBytes, Math.floor(payload.length * maxExpansion))
    const most = Math.min(maxMessageBytes, allowed)
    return (this.#host.rawDeflate as NonNullable<Host['rawDeflate']>).inflate(payload, most)
  }

  #checkText(payload: Uint8Array): void {
    const { text } = this.#host
    if ((text.isUtf8 ?? isUtf8)(payload, 0, payload.length)) return
    const status = CloseCode.INVALID_PAYLOAD
    throw new ProtocolError('ERR_ENCODING', 'a text message is not UTF-8', { status })
  }

  #onControl({ opcode, payload }: WebSocketItem): WebSocketEvent | undefined {
    if (this.peerClose !== undefined) return undefined
    if (opcode === Opcode.PING) {
      this.#answer(payload)
      return undefined
    }
    if (opcode === Opcode.PONG) return this.#onPong(payload)
    const close = parseClose(payload, this.#host.text)
    this.peerClose = close
    this.closeEchoed = this.#closeSent && close.code === this.#sentCode
    if (!this.#closeSent) {
      // The code is echoed, the reason is not: it is the peer's own.
      this.#sendClose(close.code, EMPTY)
    }
    if (this.#client) this.#closeBy = this.#now + this.#options.closeTimeoutMs
    else this.#close()
    return { type: 'close', code: close.code, reason: close.reason }
  }

  #onPong(payload: Uint8Array): WebSocketEvent {
    const ours = pingPayload(this.#pingNumber)
    let roundTripMs: number | undefined
    if (
      this.#pingNumber > 0 &&
      payload.length === 4 &&
      ours.every((byte, at) => byte === payload[at])
    ) {
      roundTripMs = this.#now - this.#pingedAt
      this.roundTripMs = roundTripMs
    }
    return { type: 'pong', payload, roundTripMs }
  }

  #answer(payload: Uint8Array): void {
    if (this.#closeSent) return
    if (this.#out.pending === 0) this.#answers = 0
    if (this.#answers < this.#options.maxAnswers) {
      this.#answers += 1
      return this.#control(Opcode.PONG, payload)
    }
    this.#lastPing = payload.slice()
  }

  #onEnd(): void {
    if (this.peerClose === undefined) {
      try {
        this.#decoder.end()
        this.failure = this.#lost('the connection ended without a close frame')
      } catch (error) {
        this.failure = toError(error) as HeddleError
      }
    }
    this.#close()
  }

  /** What a peer did wrong is told by the code of the close frame; then nothing more is read. */
  #violated(thrown: unknown): void {
    const error = toError(thrown)
    if (!(error instanceof ProtocolError)) throw error // ours
    this.failure = error
    const status = closeCodeOf(error)
    const reason = shortReason(error.message, this.#host.text)
    if (status !== CloseCode.ABNORMAL && !this.#closeSent) this.#sendClose(status, reason)
    this.#close()
  }

  #lost(message: string): TransportError {
    return new TransportError('ERR_DISCONNECTED', message, { status: CloseCode.ABNORMAL })
  }

  #giveUpClosing(): void {
    // A client that has both close frames only waited for the server to end the connection.
    if (this.peerClose === undefined) {
      const { closeTimeoutMs } = this.#options
      const message = `the peer did not answer the close frame within ${closeTimeoutMs} ms`
      this.failure = new TimeoutError('ERR_IDLE', message)
      this.cut = true
    }
    this.#close()
  }

  #close(): void {
    this.state = 'closed'
    this.#decoder.close()
  }

  // What leaves.

  #checkSending(bytes: number): void {
    if (this.#closeSent) throw new UsageError('ERR_STATE', 'nothing is sent behind a close frame')
    ByteWriter.checkLength('message', bytes, this.#options.maxMessageBytes)
  }

  #sendFragments(first: number, payload: Uint8Array): void {
    const most = this.#options.sendFrameBytes
    const { length } = payload
    let head = first & ~FIN
    for (let at = 0; at < length; at += most) {
      if (at + most >= length) head |= FIN
      const key = this.#keys?.next()
      encodeRawFrame(this.#out, head, payload.subarray(at, at + most), key, true)
      head = Opcode.CONTINUATION
    }
  }

  /** @returns false: it goes as it is */
  #sendDeflated(payload: Uint8Array, text: boolean): boolean {
    const { compression, sendFrameBytes } = this.#options
    const { length } = payload
    if (compression === undefined) return false
    if (length < compression.minBytes || length > compression.maxBytes) return false
    const raw = this.#host.rawDeflate as NonNullable<Host['rawDeflate']>
    const { windowBits } = this.#deflate as NegotiatedDeflate
    // zlib has no raw deflate with a window of 256 bytes; nobody is obliged to compress.
    if (windowBits < 9) return false
    const packed = raw.deflate(payload, windowBits, compression.level)
    if (packed.length >= length || packed.length > sendFrameBytes) return false
    const first = (text ? FINAL_TEXT : FINAL_BINARY) | RSV1
    // What deflate gave is lent.
    encodeRawFrame(this.#out, first, packed, this.#keys?.next(), false)
    return true
  }

  #ping(payload: Uint8Array): void {
    if (this.#closeSent) return
    if (payload.length > MAX_CONTROL_BYTES) {
      const message = `a ping of ${payload.length} bytes is over ${MAX_CONTROL_BYTES}`
      throw new UsageError('ERR_ARGUMENT', message)
    }
    this.#control(Opcode.PING, payload)
  }

  #submitClose(code: number, reason: string): void {
    if (this.#closeSent || this.state === 'closed') return
    if (!isSendableCloseCode(code)) {
      throw new UsageError('ERR_ARGUMENT', `close code ${code} may not be sent`)
    }
    this.#sendClose(code, shortReason(reason, this.#host.text))
    this.state = 'closing'
    this.#closeBy = this.#now + this.#options.closeTimeoutMs
  }

  #sendClose(code: number, reason: Uint8Array): void {
    this.#control(Opcode.CLOSE, closePayload(code, reason))
    this.#closeSent = true
    this.#sentCode = code
    this.#lastPing = undefined
    if (this.state === 'open') this.state = 'closing'
  }

  #control(opcode: number, payload: Uint8Array): void {
    const key = this.#keys?.next()
    encodeRawFrame(this.#out, FIN | opcode, payload, key, false)
  }
}

function pingPayload(number: number): Uint8Array {
  return Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number)
}

const EMPTY = new Uint8Array(0)
/** Up to here text is encoded straight into the writer. */
const SHORT_TEXT = 16_384
const NOTHING_TO_RELEASE: ChunkLease = Object.freeze({ release() {} })
