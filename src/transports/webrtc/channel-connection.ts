/**
 * One data channel as a `MessageConnection`.
 *
 * With a heddle peer (`credit` given) there is flow control and half-close, see channel-flow.ts:
 *
 *     send ─► queue ─► credit ─► channel ─► …network… ─► window ─► held while paused ─► onMessage
 *
 * With any other peer nothing stops its sending: what is held while nobody reads is bounded, and
 * over the bound the connection is closed. Closing the channel ends both directions then.
 */
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import { nextConnectionId } from '../../core/connection-id.ts'
import { ProtocolError, TransportError, toError, UsageError } from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import {
  formatControl,
  MESSAGE_COST_BYTES,
  parseControl,
  ReceiveWindow,
  SendCredit,
  TEXT_PREFIX,
} from './channel-flow.ts'
import type { ChannelEvents, DriverChannel } from './webrtc-driver.ts'
import type { WebRtcFacts } from './webrtc-facts.ts'

/** What a channel needs of the connection of peers that it belongs to. */
export interface ChannelHost {
  /** Whether the peers are still connected: tells a closed channel from a peer that is gone. */
  readonly connected: boolean
  /**
   * The channel is done. `abrupt`: what it had under way may be lost; otherwise the peer may not
   * have heard all of it yet.
   */
  channelDone(connection: ChannelConnection, abrupt: boolean): void
  /** Another channel to the same peer, with the same options. */
  openChannel(label: string | undefined): Promise<WebRtcConnection>
}

export interface ChannelSettings {
  readonly clock: Clock
  readonly facts: WebRtcFacts
  readonly highWaterMarkBytes: number
  /** What we have announced. Not every library holds its peer to it. */
  readonly maxReceiveBytes: number
  readonly maxHeldBytes: number
  readonly closeTimeoutMs: number
  /** Only with a peer that has announced it. */
  readonly flow:
    | { readonly sendWindowBytes: number; readonly receiveWindowBytes: number }
    | undefined
}

/** A data channel: a `MessageConnection`, and what only WebRTC has. */
export interface WebRtcConnection extends MessageConnection {
  readonly facts: WebRtcFacts
  /**
   * Another channel on the same connection of peers: no signalling, ICE or DTLS again. The
   * listening side gets it by its `onConnection`.
   *
   * @throws TransportError when the peers are no longer connected
   */
  openChannel(options?: { label?: string }): Promise<WebRtcConnection>
  /** As `send`, a text message: what a browser gets as a string. */
  sendText(text: string): boolean
}

export interface WebRtcHandler extends MessageHandler {
  /**
   * A text message. Without it text is refused with ERR_PROTOCOL, as over WebSocket: bytes that were
   * text must not be taken for others.
   */
  onText?(text: string): void
}

export class ChannelConnection implements WebRtcConnection, ChannelEvents {
  readonly id: number = nextConnectionId()
  readonly ownsMessages = true
  readonly facts: WebRtcFacts
  /** Hears of the channel's opening. */
  onOpened: (() => void) | undefined
  readonly #channel: DriverChannel
  readonly #host: ChannelHost
  readonly #settings: ChannelSettings
  readonly #credit: SendCredit | undefined
  readonly #window: ReceiveWindow | undefined
  #handler: WebRtcHandler | undefined
  #paused = false
  #delivering = false
  #deliveryDue = false
  #held: (Uint8Array | string)[] = []
  #heldBytes = 0
  #queue: (Uint8Array | string)[] = []
  #queuedBytes = 0
  /** The channel holds more than the high-water mark. */
  #stuck = false
  #drainDue = false
  #drainPoll: Timer | undefined
  #ending: 'no' | 'asked' | 'sent' = 'no'
  #endReceived = false
  #endTold = false
  #doneReceived = false
  #closing = false
  #closeTold = false
  #reason: Error | undefined
  #channelClosed = false
  #closeTimer: Timer | undefined

  constructor(channel: DriverChannel, host: ChannelHost, settings: ChannelSettings) {
    this.#channel = channel
    this.#host = host
    this.#settings = settings
    this.facts = settings.facts
    const { flow } = settings
    this.#credit = flow && new SendCredit(flow.sendWindowBytes)
    this.#window = flow && new ReceiveWindow(flow.receiveWindowBytes)
  }

  get maxMessageBytes(): number {
    const { flow } = this.#settings
    const { maxMessageBytes } = this.#channel
    if (flow === undefined) return maxMessageBytes
    return Math.min(maxMessageBytes, flow.sendWindowBytes - MESSAGE_COST_BYTES)
  }

  get writableLength(): number {
    if (this.#closing) return 0
    return this.#queuedBytes + (this.#drainDue ? this.#channel.bufferedAmount : 0)
  }

  get closed(): boolean {
    return this.#closing
  }

  open(handler: WebRtcHandler): void {
    if (this.#handler !== undefined || this.#closeTold) {
      throw new UsageError('ERR_ALREADY_OPEN', `connection ${this.id} is already open`)
    }
    this.#handler = handler
    this.#scheduleDelivery()
  }

  send(message: Uint8Array): boolean {
    return this.#submit(message, message.length)
  }

  sendText(text: string): boolean {
    // Between heddle ends text messages are also what they say to each other.
    const message = this.#credit === undefined ? text : `${TEXT_PREFIX}${text}`
    return this.#submit(message, lengthOf(message))
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#scheduleDelivery()
  }

  end(): void {
    if (this.#closing || this.#ending !== 'no') return
    this.#ending = 'asked'
    this.#sendEndIfEmpty()
  }

  destroy(reason?: Error): void {
    if (this.#closing) return
    this.#held = []
    this.#close(reason, true)
  }

  openChannel(options: { label?: string } = {}): Promise<WebRtcConnection> {
    return this.#host.openChannel(options.label)
  }

  /** The connection of peers is gone. */
  peerGone(error: Error | undefined): void {
    if (this.#closing) return
    this.#channelClosed = true
    // Everything was said on both sides: the peer left without waiting for us.
    if (this.#ending === 'sent' && this.#endReceived) return this.#scheduleDelivery()
    this.#close(error ?? reset(), true)
  }

  // Called by the driver.

  onOpen(): void {
    this.onOpened?.()
  }

  onMessage(message: Uint8Array | string): void {
    if (this.#closing || this.#endReceived) {
      if (message !== 'done' || this.#closing) return
      this.#doneReceived = true
      return this.#scheduleDelivery()
    }
    try {
      if (typeof message !== 'string') this.#receive(message, message.length)
      else if (this.#credit === undefined) this.#receive(message, lengthOf(message))
      else if (message.startsWith(TEXT_PREFIX)) this.#receive(message, lengthOf(message))
      else this.#control(message)
    } catch (error) {
      if (error instanceof ProtocolError) this.#close(error, true)
      else throw error
    }
  }

  onDrain(): void {
    if (this.#closing || this.#channel.bufferedAmount > 0) return
    this.#stuck = false
    this.#flush()
    this.#sendEndIfEmpty()
    if (!this.#drainDue || this.#queue.length > 0 || this.writableLength > 0) return
    this.#drainDue = false
    this.#handler?.onDrain()
  }

  onClosed(): void {
    if (this.#channelClosed || this.#closing) return
    if (this.#credit === undefined && this.#host.connected) {
      // Closing is all that other peers have for an end.
      this.#endReceived = true
      this.#ending = 'sent'
      this.#channelClosed = true
      this.#scheduleDelivery()
    } else this.peerGone(undefined)
  }

  onError(error: Error): void {
    this.#close(
      new TransportError('ERR_RESET', `data channel: ${error.message}`, { cause: error }),
      true,
    )
  }

  // Sending.

  #submit(message: Uint8Array | string, length: number): boolean {
    if (this.#closing || this.#ending !== 'no') return false
    ByteWriter.checkLength('message', length, this.maxMessageBytes)
    if (this.#queue.length === 0 && !this.#stuck && this.#credit?.take(length) !== false) {
      return this.#give(message)
    }
    this.#queue.push(message)
    this.#queuedBytes += length
    this.#drainDue = true
    return this.writableLength <= this.#settings.highWaterMarkBytes
  }

  /** @returns what `send` returns */
  #give(message: Uint8Array | string): boolean {
    let taken: boolean
    try {
      const channel = this.#channel
      taken = typeof message === 'string' ? channel.sendText(message) : channel.send(message)
    } catch {
      return false // the channel has closed, and we are about to hear it
    }
    if (taken) return true
    this.#drainDue = true
    this.#pollForDrain()
    const waiting = this.#channel.bufferedAmount
    if (waiting <= this.#settings.highWaterMarkBytes) return true
    this.#stuck = true
    return false
  }

  /** What waited for credit, or for the channel. */
  #flush(): void {
    let sent = 0
    for (const message of this.#queue) {
      const length = lengthOf(message)
      if (this.#stuck || this.#closing || this.#credit?.take(length) === false) break
      sent += 1
      this.#queuedBytes -= length
      this.#give(message)
    }
    if (sent > 0) this.#queue.splice(0, sent)
  }

  #sendEndIfEmpty(): void {
    if (this.#ending !== 'asked' || this.#queue.length > 0 || this.#closing) return
    if (this.#credit !== undefined) {
      this.#ending = 'sent'
      this.#say('end')
      this.#scheduleDelivery()
      return
    }
    if (this.#channel.bufferedAmount > 0) {
      this.#drainDue = true
      return this.#pollForDrain()
    }
    this.#ending = 'sent'
    this.#endReceived = true
    this.#scheduleDelivery()
  }

  /**
   * Libraries have lost the event that a buffer is empty (libp2p/js-libp2p #2628), so it is looked
   * at as well.
   */
  #pollForDrain(): void {
    if (this.#drainPoll !== undefined) return
    const { clock } = this.#settings
    this.#drainPoll = clock.setTimer(clock.now() + DRAIN_POLL_MS, () => {
      this.#drainPoll = undefined
      if (this.#closing || !this.#drainDue) return
      if (this.#channel.bufferedAmount === 0) this.onDrain()
      else this.#pollForDrain()
    })
  }

  #say(text: string): void {
    try {
      if (!this.#channel.sendText(text)) this.#pollForDrain()
    } catch {
      // The channel has closed, and we are about to hear it.
    }
  }

  // Receiving.

  #receive(message: Uint8Array | string, length: number): void {
    ByteWriter.checkLength('message', length, this.#settings.maxReceiveBytes)
    this.#window?.received(length)
    const reads = this.#handler !== undefined && !this.#paused && !this.#delivering
    if (reads && this.#held.length === 0) return this.#hand(message, length)
    this.#held.push(message)
    this.#heldBytes += length + MESSAGE_COST_BYTES
    const { maxHeldBytes } = this.#settings
    if (this.#window !== undefined || this.#heldBytes <= maxHeldBytes) return
    const text = `${this.#heldBytes} bytes wait for a reader, over maxHeldBytes ${maxHeldBytes}`
    throw new ProtocolError('ERR_LIMIT', text)
  }

  #control(text: string): void {
    const message = parseControl(text)
    if (message.type === 'credit') {
      this.#credit?.add(message.bytes)
      this.#flush()
      this.onDrain()
      return
    }
    if (message.type === 'done') throw new ProtocolError('ERR_PROTOCOL', "'done' before the end")
    this.#endReceived = true
    if (!this.#delivering) this.#deliver()
  }

  #hand(message: Uint8Array | string, length: number): void {
    // Granted before the handler runs: it may throw.
    const grant = this.#window?.consumed(length) ?? 0
    if (grant > 0) this.#say(formatControl({ type: 'credit', bytes: grant }))
    this.#delivering = true
    try {
      if (typeof message !== 'string') this.#handler?.onMessage(message)
      else this.#handText(message)
    } finally {
      this.#delivering = false
      if (this.#held.length > 0 || this.#endReceived) this.#scheduleDelivery()
    }
  }

  #handText(message: string): void {
    const handler = this.#handler
    if (handler?.onText === undefined) {
      const text = 'a text message, where only binary ones are understood'
      return this.#close(new ProtocolError('ERR_PROTOCOL', text), true)
    }
    handler.onText(this.#credit === undefined ? message : message.slice(TEXT_PREFIX.length))
  }

  #scheduleDelivery(): void {
    if (this.#deliveryDue) return
    this.#deliveryDue = true
    this.#settings.clock.defer(() => {
      this.#deliveryDue = false
      this.#deliver()
    })
  }

  /** Everything that the handler is to hear now, in order. */
  #deliver(): void {
    while (this.#held.length > 0 && this.#handler !== undefined && !this.#paused) {
      const message = this.#held.shift()!
      const length = lengthOf(message)
      this.#heldBytes -= length + MESSAGE_COST_BYTES
      this.#hand(message, length)
    }
    if (this.#closing) {
      if (this.#held.length === 0) this.#tellClose()
      return
    }
    if (this.#endReceived && this.#held.length === 0) this.#deliverEnd()
  }

  #deliverEnd(): void {
    const handler = this.#handler
    if (!this.#endTold) {
      if (handler === undefined || this.#paused) return
      this.#endTold = true
      handler.onEnd()
    }
    if (this.#ending === 'sent' && !this.#closing) this.#closeCleanly()
  }

  // Closing.

  /**
   * Both sides have said all. The accepting side says that it has heard so, and the initiating side
   * waits for that before it leaves. So neither goes before the other has heard the end.
   */
  #closeCleanly(): void {
    const accepting = this.facts.role === 'accepting'
    const flows = this.#credit !== undefined && !this.#channelClosed
    if (flows && accepting) this.#say(formatControl({ type: 'done' }))
    if (!flows || accepting || this.#doneReceived) return this.#close(undefined, false)
    if (this.#closeTimer !== undefined) return
    const { clock, closeTimeoutMs } = this.#settings
    const at = clock.now() + closeTimeoutMs
    this.#closeTimer = clock.setTimer(at, () => this.#close(undefined, false))
  }

  #close(reason: Error | undefined, abrupt: boolean): void {
    if (this.#closing) return
    this.#closing = true
    this.#reason = reason
    this.#queue = []
    this.#queuedBytes = 0
    // What came before the connection broke is kept for a handler that comes later.
    if (this.#handler !== undefined) this.#held = []
    this.#closeTimer?.cancel()
    this.#drainPoll?.cancel()
    // First the host: a peer that is dropped must not take the closed channel for an end.
    this.#host.channelDone(this, abrupt)
    // After 'done' the initiating side closes it; closing now might overtake what we have said.
    const theirs = this.#credit !== undefined && this.facts.role === 'accepting' && !abrupt
    if (!this.#channelClosed && !theirs) this.#channel.close()
    this.#scheduleDelivery()
  }

  #tellClose(): void {
    const handler = this.#handler
    if (handler === undefined || this.#closeTold) return
    this.#closeTold = true
    this.#handler = undefined
    handler.onClose(this.#reason)
  }
}

function reset(): TransportError {
  return new TransportError('ERR_RESET', 'the peer closed the connection without an end')
}

/** A value that was thrown by a driver, as the reason of a connection that failed. */
export function connectFailure(error: unknown, what: string): TransportError {
  const cause = toError(error)
  return new TransportError('ERR_CONNECT', `${what}: ${cause.message}`, { cause, sent: 'nothing' })
}

function lengthOf(message: Uint8Array | string): number {
  return typeof message === 'string' ? ENCODER.encode(message).length : message.length
}

const ENCODER = new TextEncoder()
/** Rare enough to cost nothing, often enough that a lost event is no more than a hiccup. */
const DRAIN_POLL_MS = 100
