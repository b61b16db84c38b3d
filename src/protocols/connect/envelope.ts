/**
 * Envelopes: how messages stand in the bodies of Connect streams, gRPC-Web and gRPC.
 *
 *     | flags (1) | length (4, big-endian) | payload ... |
 *
 * | flag | Connect                         | gRPC-Web                       |
 * |------|---------------------------------|--------------------------------|
 * | 0x01 | the payload is compressed       | the same                       |
 * | 0x02 | the end of the stream, as JSON  | –                              |
 * | 0x80 | –                               | the trailers, as a field block |
 *
 * Any other flag is refused: a reader cannot know whether it may ignore it.
 */
import { ByteQueue } from '../../core/byte-queue.ts'
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Decoder } from '../../core/codec.ts'
import { checkInteger, ProtocolError } from '../../core/errors.ts'

export interface Envelope {
  readonly flags: number
  /** Borrowed until `next` has returned undefined. */
  readonly payload: Uint8Array
}

export interface EnvelopeOptions {
  /**
   * Longest payload accepted, as it stands in the envelope, in bytes.
   *
   * @default 4_194_304
   */
  maxMessageBytes?: number
  /**
   * Flags that may be set.
   *
   * @default COMPRESSED | END_STREAM, those of Connect
   */
  flags?: number
  /**
   * With one of these flags an envelope is the last: anything behind it is refused.
   *
   * @default END_STREAM | TRAILERS
   */
  lastFlags?: number
}

export const COMPRESSED = 0x01
export const END_STREAM = 0x02
export const TRAILERS = 0x80

export const envelopeDefaults: Readonly<Required<EnvelopeOptions>> = Object.freeze({
  maxMessageBytes: 4 * 1024 * 1024, // gRPC's limit in every implementation
  flags: COMPRESSED | END_STREAM,
  lastFlags: END_STREAM | TRAILERS,
})

export class EnvelopeDecoder implements Decoder<Envelope> {
  readonly #maxMessageBytes: number
  readonly #flags: number
  readonly #lastFlags: number
  readonly #queue = new ByteQueue()
  /** Set between a head and its last byte. */
  #head: { flags: number; length: number } | undefined
  #last = false
  #failure: ProtocolError | undefined

  constructor(options: EnvelopeOptions = {}) {
    const {
      maxMessageBytes = envelopeDefaults.maxMessageBytes,
      flags = envelopeDefaults.flags,
      lastFlags = envelopeDefaults.lastFlags,
    } = options
    this.#maxMessageBytes = checkInteger('maxMessageBytes', maxMessageBytes, 0, UINT32_MAX)
    this.#flags = checkInteger('flags', flags, 0, 255)
    this.#lastFlags = checkInteger('lastFlags', lastFlags, 0, 255)
  }

  get buffered(): number {
    return this.#queue.length
  }

  /** The last envelope was given out. */
  get done(): boolean {
    return this.#last
  }

  push(chunk: Uint8Array): void {
    if (this.#failure === undefined) this.#queue.push(chunk)
  }

  next(): Envelope | undefined {
    if (this.#failure !== undefined) throw this.#failure
    const queue = this.#queue
    if (this.#last && queue.length > 0) {
      throw this.#fail(
        new ProtocolError('ERR_MALFORMED', `${queue.length} bytes after the end of the stream`),
      )
    }
    const head = (this.#head ??= this.#readHead())
    if (head === undefined || queue.length < head.length) {
      queue.copyBorrowed()
      return undefined
    }
    this.#head = undefined
    this.#last = (head.flags & this.#lastFlags) !== 0
    return { flags: head.flags, payload: queue.read(head.length) }
  }

  /** Stops in the middle of a chunk: copies the rest, because the chunk is only borrowed. */
  copyBorrowed(): void {
    this.#queue.copyBorrowed()
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#head === undefined && this.#queue.length === 0) return
    throw this.#fail(new ProtocolError('ERR_TRUNCATED', 'input ended inside an envelope'))
  }

  #readHead(): { flags: number; length: number } | undefined {
    const queue = this.#queue
    if (queue.length === 0) return undefined
    const unknown = queue.byteAt(0) & ~this.#flags
    if (unknown !== 0) {
      const message = `envelope with unknown flags 0x${unknown.toString(16)}`
      throw this.#fail(new ProtocolError('ERR_MALFORMED', message))
    }
    if (queue.length < ENVELOPE_HEAD_BYTES) return undefined
    const flags = queue.readUint8()
    const length = queue.readUint32()
    if (length > this.#maxMessageBytes) {
      const message = `message of ${length} bytes is over maxMessageBytes ${this.#maxMessageBytes}`
      throw this.#fail(new ProtocolError('ERR_FRAME_TOO_LARGE', message))
    }
    return { flags, length }
  }

  #fail(failure: ProtocolError): ProtocolError {
    this.#failure = failure
    this.#queue.clear()
    return failure
  }
}

/** Takes the payload: when it is large it is not copied. */
export function encodeEnvelope(envelope: Envelope, out: ByteWriter): void {
  const { flags, payload } = envelope
  ByteWriter.checkLength('payload', payload.length, UINT32_MAX)
  out.uint8(flags)
  out.uint32(payload.length)
  out.give(payload)
}

/** One envelope as bytes of its own. */
export function envelopeBytes(flags: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  ByteWriter.checkLength('payload', payload.length, UINT32_MAX)
  const bytes = new Uint8Array(ENVELOPE_HEAD_BYTES + payload.length)
  const { length } = payload
  bytes[0] = flags
  bytes[1] = length >>> 24
  bytes[2] = length >>> 16
  bytes[3] = length >>> 8
  bytes[4] = length
  bytes.set(payload, ENVELOPE_HEAD_BYTES)
  return bytes
}

export const ENVELOPE_HEAD_BYTES = 5
const UINT32_MAX = 0xffff_ffff
