/**
 * How connections come into being. A transport knows no protocol.
 *
 * `connect` and `listen` are the only promises of this layer: everything after them is synchronous
 * (connection.ts). Errors are `TransportError` or `TimeoutError` with `sent: 'nothing'`; an aborted
 * signal rejects with its own reason.
 */
import type { Address } from './address.ts'
import type { Clock } from './clock.ts'
import type { Connection } from './connection.ts'
import type { MessageConnection } from './message-connection.ts'
import type { MultiplexedConnection } from './multiplexed-connection.ts'

export interface Transport {
  /** `tcp`, `tls`, `unix`, `memory`, … */
  readonly name: string
  readonly traits: TransportTraits
  connect(address: Address, options?: ConnectOptions): Promise<Connection>
  listen(address: Address, options: ListenOptions): Promise<Listener>
}

/**
 * As {@link Transport}, for peers that exchange whole messages: WebSocket, data channels, framed
 * streams. `links/byte-stream` makes a `Transport` of one, `links/framed` one of a `Transport`.
 */
export interface MessageTransport {
  readonly name: string
  /** `messageBoundaries` is true. */
  readonly traits: TransportTraits
  connect(address: Address, options?: ConnectOptions): Promise<MessageConnection>
  listen(address: Address, options: ListenOptions<MessageConnection>): Promise<Listener>
}

/** As {@link Transport}, where one connection carries many streams: QUIC, yamux. */
export interface MultiplexedTransport {
  readonly name: string
  /** Those of each stream. */
  readonly traits: TransportTraits
  connect(address: Address, options?: ConnectOptions): Promise<MultiplexedConnection>
  listen(address: Address, options: ListenOptions<MultiplexedConnection>): Promise<Listener>
}

/** What the conformance kit may expect. */
export interface TransportTraits {
  /** One side can end while the other still writes. */
  readonly halfClose: boolean
  /** Peers are authenticated and bytes are encrypted. */
  readonly secure: boolean
  readonly messageBoundaries: boolean
  /** Nothing overtakes. @default true */
  readonly ordered?: boolean
  /** Everything that was sent arrives, once, while the connection lasts. @default true */
  readonly reliable?: boolean
}

export interface ConnectOptions {
  /** Aborts before and during the attempt; after it the signal has no effect. */
  signal?: AbortSignal
  /** Absolute, a value of the transport's clock. Exceeded: TimeoutError ERR_CONNECT_TIMEOUT. */
  deadline?: number
  /** Name for SNI and certificate checks when the address is not it. */
  serverName?: string
}

/** `Accepted` is what a listener of this kind of transport accepts. */
export interface ListenOptions<Accepted = Connection> {
  /**
   * Called for each accepted connection, which reads nothing until it is opened. The callee owns it.
   */
  onConnection(connection: Accepted): void
  /**
   * Looks at a newcomer before a byte of it is read, that of a TLS handshake included. An error
   * refuses it: it is closed, and neither `onConnection` nor `onError` hears of it.
   */
  admitAddress?(remote: Address): Error | undefined
  /**
   * Something went wrong that concerns no connection yet (EMFILE, a TLS handshake that failed).
   * The listener goes on.
   */
  onError?(error: Error): void
  /** Length of the kernel's accept queue. @default 511, as Node and nginx */
  backlog?: number
  /**
   * Application protocols that whoever listens speaks, preferred first (RFC 7301). TLS offers them
   * where its own options say nothing; others have no use for them.
   */
  alpn?: readonly string[]
  /** Take over an inherited listening descriptor (systemd LISTEN_FDS) instead of binding. */
  descriptor?: number
}

export interface Listener extends AsyncDisposable {
  /** Where it listens; port 0 already replaced. */
  readonly address: Address
  /** Connections accepted and not yet closed. */
  readonly connectionCount: number
  /** Stops accepting; the kernel's queue holds newcomers. Accepted connections go on. */
  pause(): void
  resume(): void
  /**
   * Stops accepting at once, then resolves when the last accepted connection has closed. When
   * `signal` aborts, connections that are left are destroyed.
   */
  close(options?: { signal?: AbortSignal }): Promise<void>
  ref(): void
  unref(): void
}

/** What every transport factory takes. */
export interface TransportBaseOptions {
  /** @default the system clock */
  clock?: Clock
}
