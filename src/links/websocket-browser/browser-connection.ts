/** One `WebSocket` of the platform as a message connection. */
import type { Clock, Timer } from '../../core/clock.ts'
import type { ConnectionFacts } from '../../core/connection.ts'
import { nextConnectionId } from '../../core/connection-id.ts'
import { ProtocolError, TransportError, UsageError } from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import { closeError } from '../../protocols/websocket/close-frame.ts'

/** What is used of the platform's `WebSocket`. */
export interface PlatformWebSocket {
  binaryType: string
  readonly bufferedAmount: number
  readonly protocol: string
  onopen: (() => void) | null
  onerror: (() => void) | null
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null
  send(data: Uint8Array | string): void
  close(code?: number, reason?: string): void
}

export interface BrowserLimits {
  readonly maxMessageBytes: number
  readonly highWaterMarkBytes: number
  readonly maxQueuedBytes: number
  readonly drainPollMs: number
}

export interface BrowserHandler extends MessageHandler {
  /** A text message. Without it text closes the connection with 4003. */
  onText?(text: string): void
}

export class BrowserConnection implements MessageConnection {
  readonly id: number = nextConnectionId()
  readonly facts: ConnectionFacts
  readonly ownsMessages = true
  readonly #socket: PlatformWebSocket
  readonly #limits: BrowserLimits
  readonly #clock: Clock
  #handler: BrowserHandler | undefined
  /** Waits until it is opened or resumed. */
  #queue: (Uint8Array | string)[] = []
  #queuedBytes = 0
  #paused = false
  #ending = false
  #destroyed = false
  #drainDue = false
  #drainTimer: Timer | undefined
  #turnDue = false
  #end: { readonly code: number; readonly reason: string } | undefined
  #reason: Error | undefined
  #closed = false

  constructor(socket: PlatformWebSocket, url: string, limits: BrowserLimits, clock: Clock) {
    this.#socket = socket
    this.#limits = limits
    this.#clock = clock
    this.facts = browserFacts(url)
    socket.onmessage = ({ data }) => this.#receive(data)
    socket.onclose = (event) => this.#onPlatformClose(event)
  }

  get maxMessageBytes(): number {
    return this.#limits.maxMessageBytes
  }
  /** What the platform chose, as the server said. */
  get subprotocol(): string | undefined {
    return this.#socket.protocol === '' ? undefined : this.#socket.protocol
  }
  get writableLength(): number {
    return this.#over ? 0 : this.#socket.bufferedAmount
  }

  open(handler: BrowserHandler): void {
    if (this.#handler !== undefined || this.#closed) {
      throw new UsageError('ERR_ALREADY_OPEN', `connection ${this.id} is already open`)
    }
    this.#handler = handler
    this.#schedule()
  }

  send(message: Uint8Array): boolean {
    this.#checkLength(message.length)
    return this.#send(message)
  }

  sendText(text: string): boolean {
    // Of what may be too long only: three bytes is the most that a unit of UTF-16 becomes.
    if (text.length * 3 > this.#limits.maxMessageBytes) {
      this.#checkLength(new TextEncoder().encode(text).length)
    }
    return this.#send(text)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#schedule()
  }

  end(): void {
    this.close()
  }

  /** @param code 1000, or 3000 to 4999: pages may send no others */
  close(code: number = 1000, reason: string = ''): void {
    if (this.#ending || this.#over) return
    this.#ending = true
    this.#socket.close(code, reason)
  }

  destroy(reason?: Error): void {
    if (this.#over) return
    this.#destroyed = true
    this.#reason = reason
    this.#drainTimer?.cancel()
    this.#queue = []
    this.#socket.close()
    this.#schedule()
  }

  get #over(): boolean {
    return this.#destroyed || this.#end !== undefined
  }

  #send(data: Uint8Array | string): boolean {
    if (this.#ending || this.#over) return false
    this.#socket.send(data)
    const waiting = this.#socket.bufferedAmount
    if (waiting > 0) this.#awaitDrain()
    return waiting <= this.#limits.highWaterMarkBytes
  }

  #checkLength(bytes: number): void {
    const { maxMessageBytes } = this.#limits
    if (bytes <= maxMessageBytes) return
    const message = `message of ${bytes} bytes is over ${maxMessageBytes}`
    throw new ProtocolError('ERR_FRAME_TOO_LARGE', message)
  }

  #awaitDrain(): void {
    if (this.#drainTimer !== undefined) return
    const at = this.#clock.now() + this.#limits.drainPollMs
    this.#drainTimer = this.#clock.setTimer(at, () => {
      this.#drainTimer = undefined
      if (this.#over) return
      if (this.#socket.bufferedAmount > 0) return this.#awaitDrain()
      this.#drainDue = true
      this.#tellDrain()
    })
  }

  /** Later, if nobody has opened it yet. */
  #tellDrain(): void {
    if (!this.#drainDue || this.#handler === undefined || this.writableLength > 0) return
    this.#drainDue = false
    this.#handler.onDrain()
  }

  #receive(data: unknown): void {
    if (this.#over) return
    const message = typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer)
    const { maxMessageBytes, maxQueuedBytes } = this.#limits
    // A unit of text counts as one byte at least: what it takes here is never less.
    if (message.length > maxMessageBytes) {
      return this.#refuse(4009, `a message of ${message.length} bytes is over ${maxMessageBytes}`)
    }
    if (this.#handler !== undefined && !this.#paused && this.#queue.length === 0) {
      return this.#deliver(message)
    }
    this.#queuedBytes += message.length + MESSAGE_COST
    if (this.#queuedBytes > maxQueuedBytes) {
      const why = `${this.#queuedBytes} bytes wait for a reader, over ${maxQueuedBytes}`
      return this.#refuse(4009, why)
    }
    this.#queue.push(message)
  }

  #deliver(message: Uint8Array | string): void {
    const handler = this.#handler
    if (typeof message !== 'string') handler?.onMessage(message)
    else if (handler?.onText !== undefined) handler.onText(message)
    else this.#refuse(4003, 'a text message where only bytes are understood')
  }

  #refuse(code: number, message: string): void {
    this.#socket.close(code)
    this.#destroyed = true
    this.#queue = []
    const tooLarge = code === 4009
    const name = tooLarge ? 'ERR_FRAME_TOO_LARGE' : 'ERR_PROTOCOL'
    this.#reason = new ProtocolError(name, message, { status: code })
    this.#schedule()
  }

  #onPlatformClose(event: { readonly code: number; readonly reason: string }): void {
    this.#end ??= { code: event.code, reason: event.reason }
    this.#drainTimer?.cancel()
    this.#schedule()
  }

  #schedule(): void {
    if (this.#turnDue) return
    this.#turnDue = true
    this.#clock.defer(() => {
      this.#turnDue = false
      this.#turn()
    })
  }

  /** What waited, in order; then the end. */
  #turn(): void {
    if (!this.#over) this.#tellDrain()
    while (this.#handler !== undefined && !this.#paused && !this.#destroyed) {
      const message = this.#queue.shift()
      if (message === undefined) break
      this.#queuedBytes -= message.length + MESSAGE_COST
      this.#deliver(message)
    }
    const handler = this.#handler
    if (handler === undefined || this.#closed) return
    if (this.#destroyed) return this.#finish(handler, this.#reason)
    const end = this.#end
    if (end === undefined || this.#queue.length > 0) return
    if (end.code === ABNORMAL) {
      const message = 'the connection ended without a close frame'
      const options = { status: end.code }
      return this.#finish(handler, new TransportError('ERR_DISCONNECTED', message, options))
    }
    handler.onEnd()
    this.#finish(handler, this.#ending ? undefined : closeError(end))
  }

  #finish(handler: BrowserHandler, reason: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#handler = undefined
    handler.onClose(reason)
  }
}

/** The platform tells a page nothing of the way to the server. */
function browserFacts(url: string): ConnectionFacts {
  return Object.freeze({
    transport: 'websocket',
    local: { kind: 'url', url: 'browser:' },
    remote: { kind: 'url', url },
    role: 'initiating',
    tls: undefined,
    mtu: undefined,
    receiveBufferBytes: undefined,
    sendBufferBytes: undefined,
    capabilities: 0,
    roundTripMs: () => undefined,
  } as const)
}

const ABNORMAL = 1006
/** An empty message costs memory too. */
const MESSAGE_COST = 64
