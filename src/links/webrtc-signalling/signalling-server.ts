/**
 * A server that passes signalling messages between peers, over any transport of messages:
 *
 *     const server = signallingServer()
 *     await webSocket().listen(parseAddress('ws://0.0.0.0:8080/'), server)
 *
 * It keeps names, nothing else: descriptions pass through, and are forgotten. It is as trusted as a
 * name server is: whoever must not trust it signs messages (signed-signalling.ts).
 */
import type { Clock } from '../../core/clock.ts'
import { AccessError, checkInteger, ProtocolError, toError } from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import type { TransportBaseOptions } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import type { SignalMessage } from '../../transports/webrtc/signalling.ts'
import {
  type ClientMessage,
  decodeClientMessage,
  encodeSignalling,
  type RefusalCode,
  type ServerMessage,
} from './signalling-messages.ts'

export interface SignallingServerOptions extends TransportBaseOptions {
  /** Names in use at a time, over all connections. @default 10_000 */
  maxPeers?: number
  /** Names that one connection may have at a time. @default 256 */
  maxPeersPerConnection?: number
  /** Longest message. @default 131_072 */
  maxMessageBytes?: number
  /** Messages that a connection may send in a second, on average. @default 100 */
  maxMessagesPerSecond?: number
  /** … and at once. @default 500 */
  maxBurst?: number
  /** Bytes that may wait for a client that does not read; over it the client is dropped. @default 1_048_576 */
  maxQueuedBytes?: number
  /** Whether a connection may have this name; undefined for one that the server chooses. */
  authorize?: (peer: string | undefined, connection: MessageConnection) => boolean
  /** Why a client was dropped. */
  onError?: (error: Error, connection: MessageConnection) => void
}

type Numbers = Exclude<keyof SignallingServerOptions, 'clock' | 'authorize' | 'onError'>

export const signallingServerDefaults: Readonly<Record<Numbers, number>> = Object.freeze({
  maxPeers: 10_000, // about 10 MB
  maxPeersPerConnection: 256, // one that listens, and attempts to connect
  maxMessageBytes: 131_072, // a description of 64 KiB, escaped
  maxMessagesPerSecond: 100, // an attempt has about ten
  maxBurst: 500,
  maxQueuedBytes: 1_048_576,
})

export function signallingServer(options: SignallingServerOptions = {}): SignallingServer {
  return new SignallingServer(options)
}

/** What `listen` of a message transport takes. */
export class SignallingServer {
  readonly #limits: Readonly<Record<Numbers, number>>
  readonly #clock: Clock
  readonly #options: SignallingServerOptions
  readonly #peers = new Map<string, SignallingClientConnection>()
  #names = 0

  constructor(options: SignallingServerOptions) {
    const check = (name: Numbers): number =>
      checkInteger(name, options[name] ?? signallingServerDefaults[name], 1, 0x7fff_ffff)
    this.#limits = {
      maxPeers: check('maxPeers'),
      maxPeersPerConnection: check('maxPeersPerConnection'),
      maxMessageBytes: check('maxMessageBytes'),
      maxMessagesPerSecond: check('maxMessagesPerSecond'),
      maxBurst: check('maxBurst'),
      maxQueuedBytes: check('maxQueuedBytes'),
    }
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** Names in use. */
  get peerCount(): number {
    return this.#peers.size
  }

  /** Serves a connection until it closes. Bound, so that the server can be `listen`'s options. */
  readonly onConnection = (connection: MessageConnection): void => {
    const { onError } = this.#options
    const client = new SignallingClientConnection(connection, this, this.#clock, this.#limits)
    client.onError = (error) => onError?.(error, connection)
    connection.open(client)
  }

  /** @returns the name, or why there is none */
  join(
    peer: string | undefined,
    client: SignallingClientConnection,
  ): { readonly peer: string } | RefusalCode {
    const { maxPeers, maxPeersPerConnection } = this.#limits
    if (this.#peers.size >= maxPeers) return 'ERR_LIMITED'
    if (client.peers.size >= maxPeersPerConnection) return 'ERR_LIMITED'
    if (this.#options.authorize?.(peer, client.connection) === false) return 'ERR_FORBIDDEN'
    const name = peer ?? this.#freshName()
    if (this.#peers.has(name)) return 'ERR_ADDRESS_IN_USE'
    this.#peers.set(name, client)
    return { peer: name }
  }

  leave(peer: string, client: SignallingClientConnection): void {
    if (this.#peers.get(peer) === client) this.#peers.delete(peer)
  }

  /** @returns false when nobody has the name */
  deliver(message: SignalMessage): boolean {
    const receiver = this.#peers.get(message.to)
    receiver?.tell(message)
    return receiver !== undefined
  }

  #freshName(): string {
    for (;;) {
      this.#names += 1
      const name = `peer-${this.#names}`
      if (!this.#peers.has(name)) return name
    }
  }
}

/** One client. Several names may be reached through it. */
export class SignallingClientConnection implements MessageHandler {
  readonly connection: MessageConnection
  readonly peers = new Set<string>()
  onError: ((error: Error) => void) | undefined
  readonly #server: SignallingServer
  readonly #clock: Clock
  readonly #limits: Readonly<Record<Numbers, number>>
  #tokens: number
  #countedAt: number

  constructor(
    connection: MessageConnection,
    server: SignallingServer,
    clock: Clock,
    limits: Readonly<Record<Numbers, number>>,
  ) {
    this.connection = connection
    this.#server = server
    this.#clock = clock
    this.#limits = limits
    this.#tokens = limits.maxBurst
    this.#countedAt = clock.now()
  }

  tell(message: ServerMessage): void {
    this.connection.send(encodeSignalling(message))
    const { maxQueuedBytes } = this.#limits
    const waiting = this.connection.writableLength
    if (waiting <= maxQueuedBytes) return
    const text = `${waiting} bytes wait for a client that does not read, over ${maxQueuedBytes}`
    this.#drop(new ProtocolError('ERR_LIMIT', text))
  }

  onMessage(message: Uint8Array): void {
    this.#receive(message, message.length)
  }
  /** A page in a browser may send text. */
  onText(text: string): void {
    this.#receive(text, text.length)
  }
  onDrain(): void {}
  onEnd(): void {
    this.connection.end()
  }
  onClose(): void {
    for (const peer of this.peers) this.#server.leave(peer, this)
    this.peers.clear()
  }

  #receive(message: Uint8Array | string, length: number): void {
    try {
      this.#count(length)
      this.#serve(decodeClientMessage(message))
    } catch (error) {
      this.#drop(toError(error))
    }
  }

  #serve(message: ClientMessage): void {
    if (message.type === 'join') {
      const { ticket } = message
      const joined = this.#server.join(message.peer, this)
      if (typeof joined === 'string') return this.tell({ type: 'refused', code: joined, ticket })
      this.peers.add(joined.peer)
      this.tell({ type: 'joined', peer: joined.peer, ticket })
    } else if (message.type === 'leave') {
      if (this.peers.delete(message.peer)) this.#server.leave(message.peer, this)
    } else {
      const { session, from, to } = message
      if (!this.peers.has(from)) {
        throw new AccessError('ERR_FORBIDDEN', `a message from '${from}', which is not its name`)
      }
      if (this.#server.deliver(message) || message.type === 'bye') return
      this.tell({ type: 'undeliverable', session, from, to })
    }
  }

  /** A bucket of tokens that fills again with time. */
  #count(length: number): void {
    const { maxMessageBytes, maxMessagesPerSecond, maxBurst } = this.#limits
    if (length > maxMessageBytes) {
      const text = `signalling message of ${length} bytes is over ${maxMessageBytes}`
      throw new ProtocolError('ERR_FRAME_TOO_LARGE', text)
    }
    const now = this.#clock.now()
    const grown = ((now - this.#countedAt) / 1_000) * maxMessagesPerSecond
    this.#tokens = Math.min(maxBurst, this.#tokens + grown) - 1
    this.#countedAt = now
    if (this.#tokens >= 0) return
    const text = `more than ${maxMessagesPerSecond} messages in a second, and ${maxBurst} at once`
    throw new ProtocolError('ERR_LIMIT', text)
  }

  #drop(error: Error): void {
    this.onError?.(error)
    this.connection.destroy(error)
  }
}
