/**
 * What a block carries. Bytes are opaque to the protocol; their meaning is that of their type.
 *
 *     0x0000–0x00ff core · 0x0100–0x7fff standard · 0x8000–0xffff private
 */
import { UsageError } from '../../core/errors.ts'
import { BLOCK_CODES } from './block-codes.ts'

/** What becomes the payload of a new block. */
export interface BlockPayload {
  /** 0 to 0xffff_ffff; above 0xffff the registry of types defines none. */
  readonly payloadType: number
  /** Must give the same bytes each time: they are what is signed. */
  toBytes(): Uint8Array
}

export const EMPTY_PAYLOAD: BlockPayload = Object.freeze({
  payloadType: 0,
  toBytes: () => new Uint8Array(0),
})

/** @param payloadType @default 0x8000, the first private type */
export function bytesPayload(bytes: Uint8Array, payloadType: number = PRIVATE_TYPE): BlockPayload {
  return { payloadType, toBytes: () => bytes }
}

/** A value as JSON: what is signed is this text, never a later rendering of the value. */
export function jsonPayload(value: unknown, payloadType: number = PRIVATE_TYPE): BlockPayload {
  const text = JSON.stringify(value)
  if (text === undefined) throw new UsageError('ERR_ARGUMENT', 'this value has no JSON')
  const bytes = new TextEncoder().encode(text)
  return { payloadType, toBytes: () => bytes }
}

export type PayloadDecoder<Payload = unknown> = (bytes: Uint8Array) => Payload

/** What a block asks for its payload. */
export interface PayloadReader {
  /** Undefined: the bytes are not what their type says. */
  decode(payloadType: number, bytes: Uint8Array): unknown
}

/**
 * How the payload of each type is read. A type that nobody has registered is read as JSON in UTF-8.
 * What cannot be read is undefined and no error: a block is valid or not by its bytes alone.
 */
export class PayloadRegistry implements PayloadReader {
  readonly #decoders = new Map<number, PayloadDecoder>()

  /** @throws UsageError ERR_ARGUMENT when the type has a decoder already: PayloadTypeConflict */
  register(payloadType: number, decode: PayloadDecoder): this {
    if (!Number.isInteger(payloadType) || payloadType < 0 || payloadType > 0xffff_ffff) {
      throw new UsageError('ERR_OPTION_RANGE', `payload type ${payloadType} is not a u32`)
    }
    if (this.#decoders.has(payloadType)) {
      const message = `payload type 0x${payloadType.toString(16)} has a decoder already`
      throw new UsageError('ERR_ARGUMENT', message, {
        status: BLOCK_CODES.PayloadTypeConflict,
        detail: { block: 'PayloadTypeConflict' },
      })
    }
    this.#decoders.set(payloadType, decode)
    return this
  }

  decode(payloadType: number, bytes: Uint8Array): unknown {
    try {
      return (this.#decoders.get(payloadType) ?? decodeJson)(bytes)
    } catch {
      return undefined
    }
  }
}

/** Knows no type. */
export const defaultRegistry: PayloadReader = new PayloadRegistry()

/** Which part of the registry of types a type belongs to. */
export function payloadRange(payloadType: number): 'core' | 'standard' | 'private' | 'undefined' {
  if (payloadType > 0xffff) return 'undefined'
  if (payloadType >= PRIVATE_TYPE) return 'private'
  return payloadType < 0x100 ? 'core' : 'standard'
}

function decodeJson(bytes: Uint8Array): unknown {
  return JSON.parse(STRICT_UTF8.decode(bytes))
}

export const PRIVATE_TYPE = 0x8000
const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
