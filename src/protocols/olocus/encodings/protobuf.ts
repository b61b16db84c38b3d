/**
 * Protobuf (id 3), by this schema:
 *
 *     message OlocusBlock { BlockHeader header = 1; bytes payload = 2; bytes signature = 3;
 *                           bytes public_key = 4; }
 *     message BlockHeader { uint32 version = 1; uint64 index = 2; int64 timestamp = 3;
 *                           bytes previous = 4; bytes payload_hash = 5; uint32 payload_type = 6; }
 *
 * Written as proto3 writes it: in order, without what is zero or empty. Read in any order; a field
 * that is there twice, or that the schema does not have, would be dropped by a lenient reader and is
 * refused here.
 */
import { assembleBlock, type Block, type BlockFields } from '../block.ts'
import { blockError } from '../block-codes.ts'
import { checkPayloadSize } from './binary.ts'

export function encodeProtobuf(block: Block): Uint8Array {
  const header = new Output(MAX_HEADER_BYTES)
  header.integer(1, BigInt(block.version))
  header.integer(2, block.index)
  header.integer(3, BigInt.asUintN(64, block.timestamp))
  header.bytes(4, block.previous)
  header.bytes(5, block.payloadHash)
  header.integer(6, BigInt(block.payloadType))
  const out = new Output(MAX_HEADER_BYTES + MAX_OVERHEAD_BYTES + block.payloadSize)
  out.bytes(1, header.taken())
  out.bytes(2, block.payloadBytes)
  out.bytes(3, block.signature)
  out.bytes(4, block.publicKey)
  return out.taken()
}

export function readProtobuf(bytes: Uint8Array, maxPayloadBytes: number): Uint8Array {
  const draft: Draft = {
    version: 0,
    index: 0n,
    timestamp: 0n,
    previous: EMPTY,
    payloadHash: EMPTY,
    payloadType: 0,
    payload: EMPTY,
    signature: EMPTY,
    publicKey: EMPTY,
  }
  const reader = new Input(bytes, 0, bytes.length)
  reader.message((field) => {
    if (field === 1) readHeader(reader.nested(field), draft)
    else if (field === 2) {
      draft.payload = reader.bytes(field)
      checkPayloadSize(draft.payload.length, maxPayloadBytes)
    } else if (field === 3) draft.signature = reader.bytes(field)
    else if (field === 4) draft.publicKey = reader.bytes(field)
    else throw reader.unknown(field)
  })
  return assembleBlock(draft)
}

type Draft = { -readonly [Name in keyof BlockFields]: BlockFields[Name] }

function readHeader(reader: Input, draft: Draft): void {
  reader.message((field) => {
    if (field === 1) draft.version = reader.number(field, 0xffff)
    else if (field === 2) draft.index = reader.integer(field)
    else if (field === 3) draft.timestamp = BigInt.asIntN(64, reader.integer(field))
    else if (field === 4) draft.previous = reader.bytes(field)
    else if (field === 5) draft.payloadHash = reader.bytes(field)
    else if (field === 6) draft.payloadType = reader.number(field, 0xffff_ffff)
    else throw reader.unknown(field)
  })
}

class Output {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(size: number) {
    this.#bytes = new Uint8Array(size)
  }

  integer(field: number, value: bigint): void {
    if (value === 0n) return
    this.#bytes[this.#at++] = field << 3
    this.#varint(value)
  }

  bytes(field: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#bytes[this.#at++] = (field << 3) | 2
    this.#varint(BigInt(bytes.length))
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  taken(): Uint8Array {
    return this.#bytes.subarray(0, this.#at)
  }

  #varint(value: bigint): void {
    let rest = value
    while (rest >= 0x80n) {
      this.#bytes[this.#at++] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    this.#bytes[this.#at++] = Number(rest)
  }
}

class Input {
  readonly #bytes: Uint8Array
  readonly #end: number
  #at: number
  #wireType = 0

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  /** Calls `read` for each field, which takes its value. */
  message(read: (field: number) => void): void {
    let seen = 0
    while (this.#at < this.#end) {
      const tag = this.#varint()
      const field = Number(tag >> 3n)
      this.#wireType = Number(tag & 7n)
      if (field >= 1 && field <= MAX_FIELD) {
        if ((seen & (1 << field)) !== 0) throw this.#wrong(`field ${field} is there twice`)
        seen |= 1 << field
      }
      read(field)
    }
  }

  bytes(field: number): Uint8Array {
    this.#expect(field, 2)
    const length = this.#varint()
    const rest = this.#end - this.#at
    if (length > BigInt(rest)) throw this.#wrong(`${length} bytes announced, ${rest} are there`)
    const start = this.#at
    this.#at += Number(length)
    return this.#bytes.subarray(start, this.#at)
  }

  nested(field: number): Input {
    const { length } = this.bytes(field)
    return new Input(this.#bytes, this.#at - length, this.#at)
  }

  integer(field: number): bigint {
    this.#expect(field, 0)
    return this.#varint()
  }

  number(field: number, max: number): number {
    const value = this.integer(field)
    if (value > BigInt(max)) {
      throw blockError('MalformedBlock', `${value} is not within 0 to ${max}`)
    }
    return Number(value)
  }

  unknown(field: number): Error {
    return this.#wrong(`the schema has no field ${field}`)
  }

  #expect(field: number, wireType: number): void {
    if (this.#wireType === wireType) return
    throw this.#wrong(`field ${field} has wire type ${this.#wireType}, not ${wireType}`)
  }

  #varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.#at >= this.#end) throw this.#wrong('a number has no end')
      const byte = this.#bytes[this.#at++] as number
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        if (value >= 1n << 64n) throw this.#wrong('a number of more than 64 bits')
        return value
      }
    }
    throw this.#wrong('a number of more than 10 bytes')
  }

  #wrong(what: string): Error {
    return blockError('SerializationError', `Protobuf at byte ${this.#at}: ${what}`)
  }
}

const EMPTY = new Uint8Array(0)
const MAX_FIELD = 6
/** 3 + 11 + 11 + 34 + 34 + 6, of which the first byte is the field. */
const MAX_HEADER_BYTES = 104
/** Header 2, payload 6, signature 66, key 34. */
const MAX_OVERHEAD_BYTES = 112
