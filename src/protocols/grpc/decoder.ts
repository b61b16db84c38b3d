/**
 * The frames of gRPC bodies (PROTOCOL-HTTP2, "Length-Prefixed-Message"):
 *
 *     | flags (1) | length (4, big-endian) | message ... |
 *
 * Bit 0 of the flags: the message is compressed as `grpc-encoding` says. Others are not defined.
 */
import { ByteQueue } from '../../core/byte-queue.ts'
import type { Decoder } from '../../core/codec.ts'
import { checkInteger, ProtocolError } from '../../core/errors.ts'
import { grpcMessageDefaults } from './options.ts'

export interface GrpcFrame {
  readonly compressed: boolean
  /** The caller's to keep, of `next`. */
  readonly payload: Uint8Array
}

export interface GrpcDecoderOptions {
  /** Longest frame, as it arrives. @default 4_194_304, see `GrpcMessageLimits` */
  maxMessageBytes?: number
}

export class GrpcDecoder implements Decoder<GrpcFrame> {
  readonly #maxMessageBytes: number
  readonly #queue = new ByteQueue(KEPT_BYTES)
  #flags = 0
  /** Set between the prefix of a frame and its last byte. */
  #length = -1
  #failure: ProtocolError | undefined

  constructor(options: GrpcDecoderOptions = {}) {
    const { maxMessageBytes = grpcMessageDefaults.maxReceiveMessageBytes } = options
    this.#maxMessageBytes = checkInteger('maxMessageBytes', maxMessageBytes, 0, 0xffff_ffff)
  }

  get buffered(): number {
    return this.#queue.length + (this.#length < 0 ? 0 : GRPC_PREFIX_BYTES)
  }

  push(chunk: Uint8Array): void {
    this.#queue.push(chunk)
  }

  /**
   * @throws ProtocolError ERR_FRAME_TOO_LARGE (RESOURCE_EXHAUSTED), ERR_MALFORMED (INTERNAL) for
   * flags that do not exist
   */
  next(): GrpcFrame | undefined {
    return this.#next(false)
  }

  /** As `next`, but the payload is borrowed until the next call of any method. */
  nextBorrowed(): GrpcFrame | undefined {
    return this.#next(true)
  }

  #next(borrow: boolean): GrpcFrame | undefined {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#length < 0 && !this.#readPrefix()) return undefined
    if (this.#queue.length < this.#length) {
      this.#queue.copyBorrowed()
      return undefined
    }
    const queue = this.#queue
    const payload = borrow ? queue.read(this.#length) : queue.readCopy(this.#length)
    this.#length = -1
    return { compressed: this.#flags === COMPRESSED, payload }
  }

  /** Keeps what is not read yet as a copy: the chunk may be reused. For who stops before the end. */
  hold(): void {
    this.#queue.copyBorrowed()
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#length < 0 && this.#queue.length === 0) return
    const message = `the body ended ${this.buffered} bytes into a message`
    throw (this.#failure = new ProtocolError('ERR_TRUNCATED', message))
  }

  #readPrefix(): boolean {
    const queue = this.#queue
    if (queue.length < GRPC_PREFIX_BYTES) {
      queue.copyBorrowed()
      return false
    }
    const prefix = queue.read(GRPC_PREFIX_BYTES)
    const flags = prefix[0] as number
    if (flags > COMPRESSED) {
      const message = `a message has flags 0x${flags.toString(16)}, which gRPC does not define`
      throw (this.#failure = new ProtocolError('ERR_MALFORMED', message))
    }
    const length = readLength(prefix)
    if (length > this.#maxMessageBytes) {
      const message = `a message of ${length} bytes is over the limit of ${this.#maxMessageBytes}`
      throw (this.#failure = new ProtocolError('ERR_FRAME_TOO_LARGE', message))
    }
    this.#flags = flags
    this.#length = length
    return true
  }
}

/**
 * The message of a body that is exactly one frame that is not compressed, which is what nearly every
 * unary body is: a view, no copy. Undefined: it is something else, for the decoder to say.
 */
export function onlyMessage(body: Uint8Array): Uint8Array | undefined {
  if (body.length < GRPC_PREFIX_BYTES || body[0] !== 0) return undefined
  const length = readLength(body)
  return length === body.length - GRPC_PREFIX_BYTES ? body.subarray(GRPC_PREFIX_BYTES) : undefined
}

function readLength(prefix: Uint8Array): number {
  const high = prefix[1] as number
  const low = ((prefix[2] as number) << 16) | ((prefix[3] as number) << 8) | (prefix[4] as number)
  return high * 0x100_0000 + low
}

export const GRPC_PREFIX_BYTES = 5
const COMPRESSED = 1
/** A message of usual length that was cut in two: a stream that goes on has the next one soon. */
const KEPT_BYTES = 8_192
