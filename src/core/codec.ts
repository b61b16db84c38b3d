/**
 * Bytes to messages and back, without I/O.
 */
import type { ByteWriter } from './byte-writer.ts'

/**
 * Incremental decoder. `push` then `next` until it returns undefined.
 *
 * A decoder allocates by what has *arrived*, never by a length that a peer announced. A failure is
 * a `ProtocolError` and sticky: every later `next` throws the same one.
 */
export interface Decoder<Message> {
  /** Bytes held that no message has used yet. */
  readonly buffered: number
  /** The chunk is borrowed until `next` has returned undefined. */
  push(chunk: Uint8Array): void
  /** The next whole message, or undefined: more input is needed. */
  next(): Message | undefined
  /** Input ended. @throws ProtocolError ERR_TRUNCATED inside a message */
  end(): void
}

/** Writes one message in place. Large payloads are handed over as pieces, not copied. */
export type Encode<Message> = (message: Message, out: ByteWriter) => void
