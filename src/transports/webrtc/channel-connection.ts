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
  #handler: MessageHandler | undefined
  #paused = false
  #delivering = false
  #deliveryDue = false
  #held: Uint8Array[] = []
  #heldBytes = 0
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  /** The channel holds more than the high-water mark. */
  #stuck = false
  #drainDue = false
  #drainPoll: Timer | undefined
  #ending: 'no' | 'asked' | 'sent' = 'no'
  #endReceived = false
  #endTold = false
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

  open(handler: MessageHandler): void {
    if (this.#handler !== undefined || this.#closeTold) {
      throw new UsageError('ERR_ALREADY_OPEN', `connection ${this.id} is already open`)
    }
    this.#handler = handler
    this.#scheduleDelivery()
  }

  send(message: Uint8Array): boolean {
    if (this.#closing || this.#ending !== 'no') return false
    ByteWriter.checkLength('message', message.length, this.maxMessageBytes)
    if (this.#queue.length === 0 && !this.#stuck && this.#credit?.take(message.length) !== false) {
      return this.#give(message)
    }
    this.#queue.push(message)
    this.#queuedBytes += message.length
    this.#drainDue = true
    return this.writableLength <= this.#settings.highWaterMarkBytes
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
    if (this.#closing || this.#endReceived) return
    try {
      if (typeof message !== 'string') this.#receive(message)
      else if (this.#credit === undefined) this.#receive(TEXT.encode(message))
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

  /** @returns what `send` returns */
  #give(message: Uint8Array): boolean {
    let taken: boolean
    try {
      taken = this.#channel.send(message)
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
      if (this.#stuck || this.#closing || this.#credit?.take(message.length) === false) break
      sent += 1
      this.#queuedBytes -= message.length
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

  #receive(message: Uint8Array): void {
    this.#window?.received(message.length)
    const reads = this.#handler !== undefined && !this.#paused && !this.#delivering
    if (reads && this.#held.length === 0) return this.#hand(message)
    this.#held.push(message)
    this.#heldBytes += message.length + MESSAGE_COST_BYTES
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
    this.#endReceived = true
    if (!this.#delivering) this.#deliver()
  }

  #hand(message: Uint8Array): void {
    // Granted before the handler runs: it may throw.
    const grant = this.#window?.consumed(message.length) ?? 0
    if (grant > 0) this.#say(formatControl({ type: 'credit', bytes: grant }))
    this.#delivering = true
    try {
      this.#handler?.onMessage(message)
    } finally {
      this.#delivering = false
      if (this.#held.length > 0 || this.#endReceived) this.#scheduleDelivery()
    }
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
      this.#heldBytes -= message.length + MESSAGE_COST_BYTES
      this.#hand(message)
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
   * Both sides have said all. The accepting side closes the channel, behind everything it sent;
   * the initiating side waits for that. So neither leaves before the other has heard the end.
   */
  #closeCleanly(): void {
    if (this.#credit === undefined || this.#channelClosed || this.facts.role === 'accepting') {
      return this.#close(undefined, false)
    }
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
    if (!this.#channelClosed) this.#channel.close()
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

const TEXT = new TextEncoder()
/** Rare enough to cost nothing, often enough that a lost event is no more than a hiccup. */
const DRAIN_POLL_MS = 100
