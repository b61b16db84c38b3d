/**
 * DATA frames. Short pieces of one body that are written behind each other, such as the messages of
 * a stream, become one frame as long as it has not left: fewer for the peer to look at.
 *
 *     region  ... | header | piece | piece | ◂── the next one of the same stream goes here
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import { encodeData, writeFrameHeader } from './encoder.ts'
import { FRAME_HEADER_BYTES, FrameFlag, FrameType } from './messages.ts'

export class DataWriter {
  readonly #out: ByteWriter
  /** Of the frame that may grow; 0: none may. */
  #stream = 0
  /** The region it is in, and where it begins and ends. */
  #region: Uint8Array | undefined
  #start = 0
  #end = 0

  constructor(out: ByteWriter) {
    this.#out = out
    this.#region = undefined
  }

  /** What was written is taken. */
  flushed(): void {
    this.#stream = 0
    this.#region = undefined
  }

  write(stream: number, chunk: Uint8Array, end: boolean, owned: boolean): void {
    const out = this.#out
    encodeData(out, stream, chunk, end, owned)
    const { length } = chunk
    const start = out.length - length - FRAME_HEADER_BYTES
    // Where the payload was handed over, or has a region of its own, the frame is not in one place.
    if (end || length > MAX_SHORT || start < 0) return this.flushed()
    this.#stream = stream
    this.#region = out.bytes
    this.#start = start
    this.#end = out.length
  }

  /** Adds to the frame before. @returns false: it must be one of its own */
  append(stream: number, chunk: Uint8Array, end: boolean, maxFrameBytes: number): boolean {
    const out = this.#out
    const { bytes } = out
    const at = out.length
    if (stream !== this.#stream || at !== this.#end || bytes !== this.#region) return false
    const { length } = chunk
    const whole = at - this.#start - FRAME_HEADER_BYTES + length
    if (length > MAX_SHORT || whole > maxFrameBytes || bytes.length - at < length) return false
    bytes.set(chunk, at)
    out.length = at + length
    this.#end = out.length
    const flags = end ? FrameFlag.END_STREAM : 0
    writeFrameHeader(bytes, this.#start, whole, FrameType.DATA, flags, stream)
    if (end) this.flushed()
    return true
  }
}

/** Longer pieces are handed over rather than copied, by whoever owns them. */
const MAX_SHORT = 2_048
