/**
 * Blocks on a byte stream: each message behind its length, as on TCP and on a QUIC stream.
 *
 *     | length, u32 big-endian | message of one wire format | length | …
 *
 * A message is never empty, so a length of 0 is a mistake, and a length over the limit is refused
 * before a byte of it is waited for.
 */
import { ByteQueue } from '../../core/byte-queue.ts'
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Decoder } from '../../core/codec.ts'
import { checkInteger, ProtocolError } from '../../core/errors.ts'

export interface BlockFrameOptions {
  /**
   * Longest message, in bytes. Bounds what one peer makes a connection hold.
   *
   * @default 1_048_576, the seed's max_message_size
   */
  maxMessageBytes?: number
}

export const blockFrameDefaults: Readonly<Required<BlockFrameOptions>> = Object.freeze({
  maxMessageBytes: 1_048_576,
})

/** A message is valid until `next` has returned undefined: it is a view where that is possible. */
export class BlockFrameDecoder implements Decoder<Uint8Array> {
  readonly #maxMessageBytes: number
  readonly #queue = new ByteQueue()
  #messageBytes: number | undefined // set between a length and the last byte of its message
  #failure: ProtocolError | undefined

  constructor(options: BlockFrameOptions = {}) {
    const { maxMessageBytes = blockFrameDefaults.maxMessageBytes } = options
    this.#maxMessageBytes = checkInteger('maxMessageBytes', maxMessageBytes, 1, 0xffff_ffff)
  }

  get buffered(): number {
    return this.#queue.length
  }

  /** Whether a message has begun and is not whole. */
  get partial(): boolean {
    return this.#messageBytes !== undefined || this.#queue.length > 0
  }

  push(chunk: Uint8Array): void {
    if (this.#failure === undefined) this.#queue.push(chunk)
  }

  next(): Uint8Array | undefined {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#messageBytes === undefined) {
      if (this.#queue.length < LENGTH_BYTES) return this.#needMore()
      this.#messageBytes = this.#checkLength(this.#queue.readUint32())
    }
    if (this.#queue.length < this.#messageBytes) return this.#needMore()
    const message = this.#queue.read(this.#messageBytes)
    this.#messageBytes = undefined
    return message
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.partial) throw this.#fail('ERR_TRUNCATED', 'input ended inside a message')
  }

  #checkLength(length: number): number {
    if (length === 0) throw this.#fail('ERR_PROTOCOL', 'a message of length 0')
    if (length > this.#maxMessageBytes) {
      const message = `a message of ${length} bytes is over the limit of ${this.#maxMessageBytes}`
      throw this.#fail('ERR_FRAME_TOO_LARGE', message)
    }
    return length
  }

  #needMore(): undefined {
    this.#queue.copyBorrowed()
    return undefined
  }

  #fail(
    code: 'ERR_FRAME_TOO_LARGE' | 'ERR_PROTOCOL' | 'ERR_TRUNCATED',
    text: string,
  ): ProtocolError {
    this.#failure = new ProtocolError(code, text)
    this.#queue.clear()
    return this.#failure
  }
}

/** Takes the message: when it is large it is not copied. */
export function encodeBlockFrame(message: Uint8Array, out: ByteWriter): void {
  if (message.length === 0) throw new ProtocolError('ERR_PROTOCOL', 'a message of length 0')
  ByteWriter.checkLength('message', message.length, 0xffff_ffff)
  out.uint32(message.length)
  out.give(message)
}

const LENGTH_BYTES = 4
