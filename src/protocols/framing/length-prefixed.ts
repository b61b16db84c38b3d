/**
 * Length-prefixed framing: a length, then that many bytes of payload.
 *
 *     | length | payload ... | length | payload ... |
 *
 * The length is a 4-byte big-endian number unless `prefix` says otherwise: 1, 2 or 4 bytes in either
 * order, or a varint (LEB128, as Protobuf has it). It counts the payload only,
 * or with `includesPrefix` itself as well. An empty payload is a valid frame unless `empty` says
 * otherwise.
 */
import { ByteQueue } from '../../core/byte-queue.ts'
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Decoder, Encode } from '../../core/codec.ts'
import { checkInteger, ProtocolError, UsageError } from '../../core/errors.ts'
import { tryVarint32, writeVarint } from '../../core/varint.ts'

export interface LengthPrefixedOptions extends LengthPrefixOptions {
  /**
   * Longest payload accepted, in bytes. Bounds what one peer can make a connection hold.
   *
   * @default 16_777_216
   */
  maxFrameBytes?: number
}

/** What both sides must agree on. */
export interface LengthPrefixOptions {
  /**
   * How the length is written.
   *
   * @default 'u32', which most protocols with a length have, big-endian
   */
  prefix?: LengthPrefix
  /**
   * The length counts its own bytes too, as in PostgreSQL and many bank protocols. Not with `varint`.
   *
   * @default false
   */
  includesPrefix?: boolean
  /**
   * What a frame of length 0 is: a message, nothing (a sign of life, which some protocols send), or
   * a mistake of the peer (ERR_MALFORMED).
   *
   * @default 'message', which is what it says
   */
  empty?: 'message' | 'skip' | 'refuse'
}

export type LengthPrefix = 'u8' | 'u16' | 'u16le' | 'u32' | 'u32le' | 'varint'

export const lengthPrefixedDefaults: Readonly<Required<LengthPrefixedOptions>> = Object.freeze({
  maxFrameBytes: 16 * 1024 * 1024, // larger than messages usually are, small beside a heap
  prefix: 'u32',
  includesPrefix: false,
  empty: 'message',
})

/** A payload is valid until `next` has returned undefined: it is a view where that is possible. */
export class LengthPrefixedDecoder implements Decoder<Uint8Array> {
  readonly #maxFrameBytes: number
  readonly #prefix: LengthPrefix
  /** Bytes of the prefix that the length counts. */
  readonly #counted: number
  readonly #empty: 'message' | 'skip' | 'refuse'
  readonly #queue = new ByteQueue()
  #payloadBytes = NONE // set between a frame's header and its last byte
  #failure: ProtocolError | undefined

  constructor(options: LengthPrefixedOptions = {}) {
    const {
      maxFrameBytes = lengthPrefixedDefaults.maxFrameBytes,
      empty = lengthPrefixedDefaults.empty,
    } = options
    const { prefix, counted } = checkPrefix(options)
    this.#maxFrameBytes = checkInteger('maxFrameBytes', maxFrameBytes, 0, UINT32_MAX)
    this.#prefix = prefix
    this.#counted = counted
    this.#empty = empty
  }

  get buffered(): number {
    return this.#queue.length
  }

  push(chunk: Uint8Array): void {
    if (this.#failure === undefined) this.#queue.push(chunk)
  }

  next(): Uint8Array | undefined {
    if (this.#failure !== undefined) throw this.#failure
    const queue = this.#queue
    for (;;) {
      if (this.#payloadBytes === NONE) {
        // Only remember the length. Allocating here would let 4 received bytes reserve 16 MiB.
        this.#payloadBytes = this.#prefix === 'u32' ? this.#readUint32() : this.#readLength()
        if (this.#payloadBytes === NONE) return this.#needMore()
        this.#checkLength(this.#payloadBytes)
      }
      const length = this.#payloadBytes
      if (queue.length < length) return this.#needMore()
      this.#payloadBytes = NONE
      if (length > 0 || this.#empty === 'message') return queue.read(length)
      if (this.#empty === 'refuse') {
        throw this.#fail(new ProtocolError('ERR_MALFORMED', 'frame of length 0'))
      }
    }
  }

  /** Stops in the middle of a chunk: copies the rest, because the chunk is only borrowed. */
  copyBorrowed(): void {
    this.#queue.copyBorrowed()
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#payloadBytes === NONE && this.#queue.length === 0) return
    throw this.#fail(new ProtocolError('ERR_TRUNCATED', 'input ended inside a frame'))
  }

  /** The usual one, apart so that nothing else is looked at for it. */
  #readUint32(): number {
    if (this.#queue.length < 4) return NONE
    return this.#queue.readUint32() - this.#counted
  }

  #readLength(): number {
    const queue = this.#queue
    if (this.#prefix === 'varint') return this.#readVarint()
    if (queue.length < PREFIX_BYTES[this.#prefix]) return NONE
    switch (this.#prefix) {
      case 'u8':
        return queue.readUint8() - this.#counted
      case 'u16':
        return queue.readUint16() - this.#counted
      case 'u16le':
        return queue.readUint16le() - this.#counted
      case 'u32':
        return queue.readUint32() - this.#counted
      case 'u32le':
        return queue.readUint32le() - this.#counted
    }
  }

  #readVarint(): number {
    try {
      return tryVarint32(this.#queue) ?? NONE
    } catch (error) {
      throw this.#fail(error as ProtocolError)
    }
  }

  #checkLength(length: number): void {
    if (length < 0) {
      const stated = length + this.#counted
      const message = `length ${stated} does not include its own ${this.#counted} bytes`
      throw this.#fail(new ProtocolError('ERR_MALFORMED', message))
    }
    if (length <= this.#maxFrameBytes) return
    const message = `frame of ${length} bytes is over maxFrameBytes ${this.#maxFrameBytes}`
    throw this.#fail(new ProtocolError('ERR_FRAME_TOO_LARGE', message))
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

/**
 * The encoder that goes with the options, which are looked at once.
 *
 * It throws ProtocolError ERR_FRAME_TOO_LARGE for a payload longer than the prefix can say, and with
 * `empty: 'refuse'` UsageError ERR_ARGUMENT for an empty one; with `'skip'` it writes nothing for it.
 */
export function lengthPrefixedEncoder(options: LengthPrefixOptions = {}): Encode<Uint8Array> {
  const { prefix, counted } = checkPrefix(options)
  const { empty = lengthPrefixedDefaults.empty } = options
  if (prefix === 'u32' && counted === 0 && empty === 'message') return encodeLengthPrefixed
  const most = maxPayloadBytes(options)
  return (payload, out) => {
    const { length } = payload
    ByteWriter.checkLength('payload', length, most)
    if (length === 0 && empty === 'skip') return
    if (length === 0 && empty === 'refuse') {
      throw new UsageError('ERR_ARGUMENT', 'an empty payload, which the framing refuses')
    }
    writeLength(prefix, length + counted, out)
    out.give(payload)
  }
}

/** The longest payload whose length the prefix can say. */
export function maxPayloadBytes(options: LengthPrefixOptions = {}): number {
  const { prefix, counted } = checkPrefix(options)
  return prefix === 'varint' ? UINT32_MAX : 2 ** (8 * PREFIX_BYTES[prefix]) - 1 - counted
}

function writeLength(prefix: LengthPrefix, length: number, out: ByteWriter): void {
  switch (prefix) {
    case 'u8':
      return out.uint8(length)
    case 'u16':
      return out.uint16(length)
    case 'u16le':
      return out.uint16le(length)
    case 'u32':
      return out.uint32(length)
    case 'u32le':
      return out.uint32le(length)
    case 'varint':
      return writeVarint(length, out)
  }
}

function checkPrefix(options: LengthPrefixOptions): { prefix: LengthPrefix; counted: number } {
  const {
    prefix = lengthPrefixedDefaults.prefix,
    includesPrefix = lengthPrefixedDefaults.includesPrefix,
    empty = lengthPrefixedDefaults.empty,
  } = options
  if (!Object.hasOwn(PREFIX_BYTES, prefix)) {
    throw new UsageError('ERR_ARGUMENT', `prefix is ${prefix}, must be one of ${PREFIXES}`)
  }
  if (empty !== 'message' && empty !== 'skip' && empty !== 'refuse') {
    throw new UsageError('ERR_ARGUMENT', `empty is ${empty}, must be message, skip or refuse`)
  }
  if (includesPrefix && prefix === 'varint') {
    throw new UsageError('ERR_ARGUMENT', 'a varint length cannot include its own bytes')
  }
  return { prefix, counted: includesPrefix ? PREFIX_BYTES[prefix] : 0 }
}

const PREFIX_BYTES = Object.freeze({ u8: 1, u16: 2, u16le: 2, u32: 4, u32le: 4, varint: 1 })
const PREFIXES = Object.keys(PREFIX_BYTES).join(', ')
const UINT32_MAX = 0xffff_ffff
/** No length yet. Not a length: those that count their prefix are at least -4. */
const NONE = -100
