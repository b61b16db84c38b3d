/**
 * A message connection made of a WebSocket session and whatever stream carries it.
 *
 * Messages are lent: `leaseMessage` keeps one. What is sent in one tick leaves in one write. While it
 * is paused nothing is read from the carrier, so the peer feels it. An accepting side whose writes
 * are stuck reads nothing either, until they have left.
 */
import type { Clock } from '../../core/clock.ts'
import type { ChunkLease, Connection, ConnectionFacts } from '../../core/connection.ts'
import { UsageError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import { closeError } from '../../protocols/websocket/close-frame.ts'
import {
  CloseCode,
  type WebSocketCommand,
  type WebSocketEvent,
} from '../../protocols/websocket/messages.ts'
import {
  type ResolvedWebSocketOptions,
  resolveWebSocketOptions,
  type WebSocketOptions,
} from '../../protocols/websocket/options.ts'
import { type NegotiatedDeflate, WebSocketSession } from '../../protocols/websocket/session.ts'
import { Driver, type DriverOptions, type DriverOwner } from '../../runtime/driver.ts'
import { WebSocketFacts } from './websocket-facts.ts'

export interface WebSocketHandler extends MessageHandler {
  /**
   * A text message. Without it text is refused with close code 1003: bytes that were text must not be
   * taken for others.
   */
  onText?(text: string): void
  /** The answer to a ping. @param roundTripMs undefined: it answers none of ours */
  onPong?(payload: Uint8Array, roundTripMs: number | undefined): void
}

export interface WebSocketConnectionInit {
  readonly role: 'client' | 'server'
  readonly clock: Clock
  readonly host: Host
  readonly options?: WebSocketOptions | ResolvedWebSocketOptions
  readonly deflate?: NegotiatedDeflate | undefined
  /** What was agreed on, if anything. */
  readonly subprotocol?: string | undefined
  /** Path and query of the request. */
  readonly target?: string
  readonly driver?: Omit<DriverOptions, 'clock'>
}

export class WebSocketConnection implements MessageConnection, DriverOwner<WebSocketEvent> {
  readonly id: number
  readonly facts: ConnectionFacts
  readonly ownsMessages = false
  readonly subprotocol: string | undefined
  readonly target: string
  readonly #carrier: Connection
  readonly #session: WebSocketSession
  readonly #driver: Driver<WebSocketCommand, WebSocketEvent>
  readonly #options: ResolvedWebSocketOptions
  readonly #host: Host
  #handler: WebSocketHandler | undefined
  #opened = false
  /** The handler asked for something to leave that had not left when `send` returned. */
  #drainDue = false
  #inMessage = false
  #destroyed = false
  #closed = false

  constructor(carrier: Connection, init: WebSocketConnectionInit) {
    const { role, clock, host, options, deflate, subprotocol, target = '/', driver } = init
    this.id = carrier.id
    this.subprotocol = subprotocol
    this.target = target
    this.#carrier = carrier
    this.#host = host
    this.#options = resolveWebSocketOptions(options)
    this.#session = new WebSocketSession({
      role,
      host,
      deflate,
      now: clock.now(),
      options: this.#options,
    })
    this.facts = new WebSocketFacts(carrier, this.#session)
    this.#driver = new Driver(carrier, this.#session, this, { ...driver, clock })
  }

  get maxMessageBytes(): number {
    return this.#options.maxMessageBytes
  }

  get writableLength(): number {
    if (this.#destroyed || this.#closed) return 0
    return this.#session.pollTransmit(0).pending + this.#carrier.writableLength
  }

  /** The peer's close frame, once it has come. */
  get peerClose(): { readonly code: number; readonly reason: string } | undefined {
    return this.#session.peerClose
  }

  /** Whether messages may be compressed: both sides agreed. */
  get compressed(): boolean {
    return this.#session.compressed
  }

  open(handler: WebSocketHandler): void {
    if (this.#handler !== undefined || this.#closed) {
      throw new UsageError('ERR_ALREADY_OPEN', `connection ${this.id} is already open`)
    }
    this.#handler = handler
    this.#opened = true
    this.#driver.start()
  }

  send(message: Uint8Array): boolean {
    if (this.#over) return false
    this.#session.send(message, false)
    return this.#sent()
  }

  /** As `send`; the text is encoded at once. */
  sendText(text: string): boolean {
    if (this.#over) return false
    this.#session.sendText(text)
    return this.#sent()
  }

  /** Asks for a pong. Liveness does so by itself. */
  ping(payload: Uint8Array = NOTHING): void {
    if (!this.#over) this.#driver.submit({ type: 'ping', payload })
  }

  pause(): void {
    this.#driver.submit(PAUSE)
  }

  resume(): void {
    this.#driver.submit(RESUME)
  }

  end(): void {
    this.close()
  }

  /**
   * Sends a close frame behind what is queued and waits for the peer's.
   *
   * @param code as RFC 6455 7.4; 1000 by default
   * @param reason at most 123 bytes, cut where it is longer
   */
  close(code: number = CloseCode.NORMAL, reason: string = ''): void {
    if (!this.#over) this.#driver.submit({ type: 'close', code, reason })
  }

  destroy(reason?: Error): void {
    if (this.#destroyed || this.#closed) return
    this.#destroyed = true
    this.#driver.destroy(reason)
  }

  leaseMessage(): ChunkLease {
    if (!this.#inMessage) {
      throw new UsageError('ERR_STATE', 'leaseMessage is legal inside onMessage only')
    }
    return this.#session.keepMessage() ?? this.#carrier.leaseChunk()
  }

  ref(): void {
    this.#carrier.ref()
  }
  unref(): void {
    this.#carrier.unref()
  }

  // From the driver.

  onEvent(event: WebSocketEvent): void {
    // After a destroy nothing is heard but the close.
    if (this.#destroyed) return
    switch (event.type) {
      case 'message':
        return event.text ? this.#onText(event.payload) : this.#onMessage(event.payload)
      case 'pong':
        return this.#handler?.onPong?.(event.payload, event.roundTripMs)
      case 'close':
        return this.#handler?.onEnd()
    }
  }

  onWritable(): void {
    this.onDrained()
  }

  onDrained(): void {
    if (!this.#drainDue || this.writableLength > 0) return
    this.#drainDue = false
    if (this.#opened && !this.#destroyed) this.#handler?.onDrain()
  }

  onClosed(reason: Error | undefined): void {
    this.#closed = true
    const { peerClose, closeEchoed } = this.#session
    const told = peerClose === undefined || closeEchoed ? undefined : closeError(peerClose)
    const handler = this.#handler
    this.#handler = undefined
    handler?.onClose(reason ?? told)
  }

  get #over(): boolean {
    return this.#destroyed || this.#closed || this.#session.sendingEnded
  }

  #sent(): boolean {
    this.#driver.flushSoon()
    // Only a write that left something behind is owed a drain.
    if (!this.#drainDue && this.writableLength > 0) this.#drainDue = true
    return !this.#driver.blocked
  }

  #onMessage(payload: Uint8Array): void {
    this.#inMessage = true
    try {
      this.#handler?.onMessage(payload)
    } finally {
      this.#inMessage = false
    }
  }

  #onText(payload: Uint8Array): void {
    const handler = this.#handler
    if (handler?.onText !== undefined) {
      return handler.onText(this.#host.text.utf8(payload, 0, payload.length))
    }
    const message = 'a text message where only bytes are understood'
    this.#driver.submit({ type: 'refuse', code: CloseCode.UNSUPPORTED_DATA, message })
  }
}

const NOTHING = new Uint8Array(0)
const PAUSE: WebSocketCommand = Object.freeze({ type: 'demand', wanted: false })
const RESUME: WebSocketCommand = Object.freeze({ type: 'demand', wanted: true })
