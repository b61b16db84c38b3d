/**
 * One connection that carries many streams: QUIC, yamux, HTTP/2 as a carrier.
 *
 * Every stream is a full `Connection`, so that any stream protocol runs over it unchanged.
 */
import type { Connection, ConnectionFacts } from './connection.ts'

export interface MultiplexedConnection {
  readonly id: number
  readonly facts: ConnectionFacts
  /** Streams this side may still open now; Infinity when the peer sets no limit. */
  readonly openableStreams: number
  readonly streamCount: number
  open(handler: MultiplexedHandler): void
  /**
   * Opens a stream at once; nothing need have been sent.
   * @returns undefined when the peer's limit is reached: wait for `onStreamsAvailable`
   */
  openStream(options?: OpenStreamOptions): Connection | undefined
  /** Tells the peer that no new stream is accepted, waits for the streams that are open. */
  close(options?: { signal?: AbortSignal }): Promise<void>
  destroy(reason?: Error): void
}

export interface OpenStreamOptions {
  /** A stream that only this side writes to. @default 'bidirectional' */
  direction?: 'bidirectional' | 'unidirectional'
  /** 0 (most urgent) to 7, as RFC 9218. @default 3 */
  urgency?: number
}

export interface MultiplexedHandler {
  /** A stream the peer opened; it reads nothing until it is opened. The callee owns it. */
  onStream(stream: Connection): void
  /** `openableStreams` became positive again. */
  onStreamsAvailable(): void
  /** Exactly once and last; every stream has had its own `onClose` before. */
  onClose(reason: Error | undefined): void
}
