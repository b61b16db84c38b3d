/**
 * The shapes of QUIC: a multiplexed connection and its streams, with what QUIC adds to them: codes
 * of errors that reach the peer, and reasons in words.
 */
import type { Connection, ConnectionFacts } from '../../core/connection.ts'
import type { DatagramSocket } from '../../core/datagram-socket.ts'
import type { MultiplexedConnection, OpenStreamOptions } from '../../core/multiplexed-connection.ts'

/** An application's error code (RFC 9000, 20.2): below 2^62, its meaning is the protocol's. */
export type QuicCode = number | bigint

export interface QuicConnection extends MultiplexedConnection {
  readonly facts: ConnectionFacts
  openStream(options?: OpenStreamOptions): QuicStream | undefined
  /**
   * Accepts no new stream, waits for those that are open and until the peer has what was written,
   * then closes with a code and a reason that the peer reads.
   */
  close(options?: QuicCloseOptions): Promise<void>
  /** Closes now. The code is that of the reason, see `codeOf` of the transport's options. */
  destroy(reason?: Error): void
  /**
   * Unreliable datagrams beside the streams (RFC 9221), as a socket whose only peer is that of the
   * connection; always the same. It ends with the connection; closing it only stops listening. What
   * comes before it is opened, or while it is paused, is kept up to `maxPausedDatagrams`.
   *
   * Where the peer does not take datagrams, `send` gives false.
   *
   * @throws UsageError ERR_OPTION_UNSUPPORTED without `unreliableDatagrams` in the options, and on
   *   driver `openssl`, which has none
   */
  datagrams(): DatagramSocket
}

export interface QuicCloseOptions {
  signal?: AbortSignal
  /** @default 0 */
  code?: QuicCode
  /** For people. @default '' */
  reason?: string
}

export interface QuicStream extends Connection {
  /** RFC 9000, 2.1. The two low bits say who opened it, and whether it has two directions. */
  readonly streamId: number
  readonly direction: 'bidirectional' | 'unidirectional'
  /**
   * Gives the stream up with a code that the peer reads: what is queued is lost. `destroy` does the
   * same with the code of its reason.
   */
  reset(code: QuicCode): void
}
