/**
 * Peers that exchange whole messages: WebSocket, framed TCP, SCTP data channels, seqpacket sockets.
 *
 * The same contract as `Connection`, with messages instead of chunks: a message given to
 * `onMessage` is borrowed until the call returns, unless `ownsMessages` says otherwise.
 */
import type { ChunkLease, ConnectionFacts } from './connection.ts'

export interface MessageConnection {
  readonly id: number
  readonly facts: ConnectionFacts
  /** Largest message that can be sent, in bytes. */
  readonly maxMessageBytes: number
  readonly writableLength: number
  /** True: messages given to `onMessage` are the handler's to keep. */
  readonly ownsMessages: boolean
  open(handler: MessageHandler): void
  /**
   * Sends one message. The bytes belong to the connection until `writableLength` is 0.
   * @returns false when more than the high-water mark waits: stop until `onDrain`
   * @throws ProtocolError ERR_FRAME_TOO_LARGE over `maxMessageBytes`
   */
  send(message: Uint8Array): boolean
  pause(): void
  resume(): void
  end(): void
  destroy(reason?: Error): void
  /**
   * Only inside `onMessage`, where messages are lent: keeps the memory of that message valid after
   * the call, until `release`. Where it is missing, whoever keeps a message copies it.
   */
  leaseMessage?(): ChunkLease
  /** Whether this connection keeps the process alive. */
  ref?(): void
  unref?(): void
}

export interface MessageHandler {
  onMessage(message: Uint8Array): void
  onDrain(): void
  onEnd(): void
  onClose(reason: Error | undefined): void
}
