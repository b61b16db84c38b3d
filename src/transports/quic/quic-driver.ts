/**
 * What a QUIC stack must do to stand under these transports: OpenSSL inside Node (openssl/), and
 * quiche in an addon (quiche/).
 */
import type { Address } from '../../core/address.ts'
import type { ConnectionRole } from '../../core/connection.ts'
import type { OpenStreamOptions } from '../../core/multiplexed-connection.ts'
import type { ConnectionKeeper } from '../node-stream/node-connection.ts'
import type { PeerCertificates } from './peer-check.ts'
import type { QuicCode, QuicConnection, QuicStream } from './quic-types.ts'

export interface QuicDriver {
  readonly name: string
  /** A socket that connections are dialled from. */
  openClient(family: CarrierFamily): Promise<QuicEndpoint>
  /**
   * Sockets at an address, among which clients are spread.
   *
   * @throws TransportError when the address cannot be had, UsageError for bad certificates
   */
  openServer(address: Address, server: QuicServer): Promise<readonly QuicEndpoint[]>
}

/** Which kind of socket reaches an address. */
export type CarrierFamily = 'ipv4' | 'ipv6' | 'other'

export interface QuicServer {
  /**
   * A client has begun a handshake.
   *
   * @returns how to go on, or why not
   */
  onIncoming(remote: Address): DrivenSettings | Error
  /** The connection for which `onIncoming` gave these settings. */
  onCreated(connection: DrivenConnection, settings: DrivenSettings): void
  /** The socket broke; its connections have been told. */
  onFailed(error: Error): void
}

export interface QuicEndpoint {
  readonly local: Address
  readonly isClosed: boolean
  /** Those that are closing included. */
  readonly connectionCount: number
  /** @throws HeddleError when the peer cannot be dialled */
  dial(session: Uint8Array | undefined, settings: DrivenSettings): DrivenConnection
  /** Keeps the process alive until `release`. */
  hold(): void
  release(): void
  /** Connections that are left hear `reason`. */
  close(reason: Error): Promise<void>
}

export interface DrivenSettings {
  /** `facts.transport`. */
  readonly transport: string
  readonly role: ConnectionRole
  readonly remote: Address
  readonly serverName: string | undefined
  /** A protocol of ours that says nothing about what streams carry: no fact of the connection. */
  readonly ownAlpn: string | undefined
  readonly idleTimeoutMs: number
  readonly highWaterMarkBytes: number
  /** Streams of the peer that are open at a time; the next ones wait. */
  readonly maxConcurrentStreams: number
  /** Streams that the peer may open over the whole life of the connection. */
  readonly maxAcceptedStreams: number
  codeOf(reason: Error | undefined): QuicCode
  /** The handshake is over: checks of our own, whose error refuses the peer. */
  check?(peer: PeerCertificates): Error | undefined
  /** Once, when the handshake is over. */
  onSettled(error: Error | undefined): void
  /** Once, before the handler hears of the end; not after a handshake that failed. */
  onClosed?(connection: DrivenConnection): void
  /** A stream has closed, while the connection is open. */
  onStreamClosed?(): void
  /** A ticket that resumes this session. */
  onSession?(session: Uint8Array): void
}

/** A stream that can be counted: its keeper hears of its end, opened or not. */
export interface DrivenStream extends QuicStream {
  keeper: ConnectionKeeper | undefined
}

export interface DrivenConnection extends QuicConnection {
  openStream(options?: OpenStreamOptions): DrivenStream | undefined
  readonly isOpen: boolean
  /** Whether the connection, apart from its streams, keeps the process alive. */
  referenced: boolean
  /** Ends it with an error of ours, during the handshake too. */
  fail(error: Error): void
}
