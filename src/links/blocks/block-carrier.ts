/**
 * What carries the messages of a `BlockConnection`. There are few kinds: a byte stream with frames, a
 * connection of messages, WebSocket with its text, a data channel with its fragments.
 */
import type { ConnectionFacts } from '../../core/connection.ts'
import type { Block } from '../../protocols/olocus/block.ts'

export interface BlockCarrier {
  readonly id: number
  readonly facts: ConnectionFacts
  /** Longest message that `send` takes; blocks may be longer where they are cut. */
  readonly maxMessageBytes: number
  readonly writableLength: number
  /** A message has begun to arrive and is not whole; false where that cannot be known. */
  readonly partial: boolean
  open(handler: BlockCarrierHandler): void
  /**
   * @param message given: nobody changes it any more
   * @returns false: stop until `onDrain`
   * @throws ProtocolError ERR_FRAME_TOO_LARGE
   */
  send(message: OutgoingMessage): boolean
  pause(): void
  resume(): void
  end(): void
  destroy(reason?: Error): void
}

export interface OutgoingMessage {
  readonly bytes: Uint8Array
  /** The block that the bytes are, and its hash; undefined for raw bytes. */
  readonly block: Block | undefined
  readonly blockHash: Uint8Array | undefined
  /** The bytes are JSON. */
  readonly text: boolean
}

export interface ReceivedMessage {
  /** The receiver's to keep. */
  readonly bytes: Uint8Array
  /** Whether it came as text or as bytes, where the carrier tells. */
  readonly kind: 'text' | 'binary' | 'message'
  /** What the block must have as its hash, where the carrier was told. */
  readonly blockHash: Uint8Array | undefined
}

export interface BlockCarrierHandler {
  onMessage(message: ReceivedMessage): void
  /** Something arrived, of whatever kind: the peer lives. */
  onProgress(): void
  /** A message was given up without harm to the others: fragments that do not fit together. */
  onLost(error: Error): void
  onDrain(): void
  onEnd(): void
  onClose(reason: Error | undefined): void
}
