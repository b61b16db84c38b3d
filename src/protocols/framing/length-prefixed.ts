/**
 * Length-prefixed framing: a 4-byte big-endian length, then that many bytes of payload.
 *
 *     | length | payload ... | length | payload ... |
 *
 * The length counts the payload only. An empty payload is a valid frame.
 */
import { ByteQueue } from '../../core/byte-queue.ts'
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Decoder } from '../../core/codec.ts'
import { checkInteger, ProtocolError } from '../../core/errors.ts'

export interface LengthPrefixedOptions {
  /**
   * Longest payload accepted, in bytes. Bounds what one peer can make a connection hold.
   *
   * @default 16_777_216
   */
  maxFrameBytes?: number
}

export const lengthPrefixedDefaults: Readonly<Required<LengthPrefixedOptions>> = Object.freeze({
  maxFrameBytes: 16 * 1024 * 1024, // larger than messages usually are, small beside a heap
})

/** A payload is valid until `next` has returned undefined: it is a view where that is possible. */
export class LengthPrefixedDecoder implements Decoder<Uint8Array> {
  readonly #maxFrameBytes: number
  readonly #queue = new ByteQueue()
  #payloadBytes: number | undefined // set between a frame's header and its last byte
  #failure: ProtocolError | undefined

  constructor(options: LengthPrefixedOptions = {}) {
    const { maxFrameBytes = lengthPrefixedDefaults.maxFrameBytes } = options
    this.#maxFrameBytes = checkInteger('maxFrameBytes', maxFrameBytes, 0, UINT32_MAX)
  }

  get buffered(): number {
    return this.#queue.length
  }

  push(chunk: Uint8Array): void {
    if (this.#failure === undefined) this.#queue.push(chunk)
  }

  next(): Uint8Array | undefined {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#payloadBytes === undefined) {
      if (this.#queue.length < HEADER_BYTES) return this.#needMore()
      const length = this.#queue.readUint32()
      if (length > this.#maxFrameBytes) {
        const message = `frame of ${length} bytes is over maxFrameBytes ${this.#maxFrameBytes}`
        throw this.#fail(new ProtocolError('ERR_FRAME_TOO_LARGE', message))
      }
      // Only remember the length. Allocating here would let 4 received bytes reserve 16 MiB.
      this.#payloadBytes = length
    }
    if (this.#queue.length < this.#payloadBytes) return this.#needMore()
    const payload = this.#queue.read(this.#payloadBytes)
    this.#payloadBytes = undefined
    return payload
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#payloadBytes === undefined && this.#queue.length === 0) return
    throw this.#fail(new ProtocolError('ERR_TRUNCATED', 'input ended inside a frame'))
  }

  #needMore(): undefined {
    this.#queue.copyBorrowed()
    return undefined
  }

  #fail(failure: ProtocolError): ProtocolError {
    this.#failure = failure
    this.#queue.clear()
    return failure
  }
}

/** Takes the payload: when it is large it is not copied. */
export function encodeLengthPrefixed(payload: Uint8Array, out: ByteWriter): void {
  ByteWriter.checkLength('payload', payload.length, UINT32_MAX)
  out.uint32(payload.length)
  out.give(payload)
}

const HEADER_BYTES = 4
const UINT32_MAX = 0xffff_ffff
