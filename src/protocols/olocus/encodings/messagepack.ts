/**
 * MessagePack (id 2): the names of the JSON form in maps, bytes as `bin`, integers as short as they
 * go. Written that way, always; read also as the arrays that serde makes of structs, and with bytes
 * as arrays of integers. A key that is not known or is there twice, and bytes behind the block, are
 * refused.
 */
import { assembleBlock, type Block, type BlockFields } from '../block.ts'
import { blockError } from '../block-codes.ts'
import { checkPayloadSize } from './binary.ts'

export function encodeMessagepack(block: Block): Uint8Array {
  const out = new Output(MAX_OVERHEAD_BYTES + block.payloadSize)
  out.byte(0x84)
  out.text('header')
  out.byte(0x86)
  out.text('version')
  out.integer(BigInt(block.version))
  out.text('index')
  out.integer(block.index)
  out.text('timestamp')
  out.integer(block.timestamp)
  out.text('previous')
  out.binary(block.previous)
  out.text('payload_hash')
  out.binary(block.payloadHash)
  out.text('payload_type')
  out.integer(BigInt(block.payloadType))
  out.text('payload')
  out.binary(block.payloadBytes)
  out.text('signature')
  out.binary(block.signature)
  out.text('public_key')
  out.binary(block.publicKey)
  return out.taken()
}

export function readMessagepack(bytes: Uint8Array, maxPayloadBytes: number): Uint8Array {
  const reader = new Input(bytes)
  const draft: Draft = {}
  reader.struct(BLOCK_KEYS, (key) => {
    if (key === 'header') readHeader(reader, draft)
    else if (key === 'payload') draft.payload = reader.bytes(maxPayloadBytes)
    else if (key === 'signature') draft.signature = reader.bytes(64)
    else draft.publicKey = reader.bytes(32)
  })
  if (reader.rest > 0) {
    throw blockError('SerializationError', `MessagePack: ${reader.rest} bytes behind the block`)
  }
  return assembleBlock(draft as BlockFields) // `struct` sees to it that no key is missing
}

type Draft = { -readonly [Name in keyof BlockFields]?: BlockFields[Name] }

function readHeader(reader: Input, draft: Draft): void {
  reader.struct(HEADER_KEYS, (key) => {
    if (key === 'version') draft.version = reader.number(0xffff)
    else if (key === 'index') draft.index = reader.integer()
    else if (key === 'timestamp') draft.timestamp = reader.integer()
    else if (key === 'previous') draft.previous = reader.bytes(32)
    else if (key === 'payload_hash') draft.payloadHash = reader.bytes(32)
    else draft.payloadType = reader.number(0xffff_ffff)
  })
}

class Output {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(size: number) {
    this.#bytes = new Uint8Array(size)
    this.#view = new DataView(this.#bytes.buffer)
  }

  byte(value: number): void {
    this.#bytes[this.#at++] = value
  }

  /** A key: shorter than 32 letters, all of ASCII. */
  text(text: string): void {
    this.byte(0xa0 | text.length)
    for (let index = 0; index < text.length; index++) this.byte(text.charCodeAt(index))
  }

  binary(bytes: Uint8Array): void {
    if (bytes.length <= 0xff) {
      this.byte(0xc4)
      this.byte(bytes.length)
    } else if (bytes.length <= 0xffff) {
      this.byte(0xc5)
      this.#view.setUint16(this.#at, bytes.length)
      this.#at += 2
    } else {
      this.byte(0xc6)
      this.#view.setUint32(this.#at, bytes.length)
      this.#at += 4
    }
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  integer(value: bigint): void {
    const at = this.#at + 1
    if (value >= 0n) {
      if (value < 0x80n) this.byte(Number(value))
      else if (value <= 0xffn) this.#number(0xcc, 1, () => this.#view.setUint8(at, Number(value)))
      else if (value <= 0xffffn) {
        this.#number(0xcd, 2, () => this.#view.setUint16(at, Number(value)))
      } else if (value <= 0xffff_ffffn) {
        this.#number(0xce, 4, () => this.#view.setUint32(at, Number(value)))
      } else this.#number(0xcf, 8, () => this.#view.setBigUint64(at, value))
    } else if (value >= -32n) this.byte(Number(value) & 0xff)
    else if (value >= -0x80n) this.#number(0xd0, 1, () => this.#view.setInt8(at, Number(value)))
    else if (value >= -0x8000n) {
      this.#number(0xd1, 2, () => this.#view.setInt16(at, Number(value)))
    } else if (value >= -0x8000_0000n) {
      this.#number(0xd2, 4, () => this.#view.setInt32(at, Number(value)))
    } else this.#number(0xd3, 8, () => this.#view.setBigInt64(at, value))
  }

  taken(): Uint8Array {
    return this.#bytes.subarray(0, this.#at)
  }

  #number(marker: number, size: number, write: () => void): void {
    this.byte(marker)
    write()
    this.#at += size
  }
}

class Input {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get rest(): number {
    return this.#bytes.length - this.#at
  }

  /** A map with these keys in any order, or an array with their values in this order. */
  struct(keys: readonly string[], read: (key: string) => void): void {
    const marker = this.#uint8()
    const [kind, count] = this.#structHead(marker)
    if (count !== keys.length) throw this.#wrong(`${count} fields, not ${keys.length}`)
    if (kind === 'array') {
      for (const key of keys) read(key)
      return
    }
    const seen: string[] = []
    while (seen.length < count) {
      const key = this.#key()
      if (!keys.includes(key)) throw this.#wrong(`unknown key '${key}'`)
      if (seen.includes(key)) throw this.#wrong(`'${key}' is there twice`)
      seen.push(key)
      read(key)
    }
  }

  /** Bytes: `bin`, or an array of integers. More than `max` is refused before it is read. */
  bytes(max: number): Uint8Array {
    const marker = this.#uint8()
    const [kind, length] = this.#bytesHead(marker)
    if (length > max) {
      if (max !== 32 && max !== 64) checkPayloadSize(length, max)
      throw blockError('MalformedBlock', `${length} bytes where there must be ${max}`)
    }
    // An element of an array is a byte at least, so this bounds both kinds.
    if (length > this.rest) throw this.#wrong(`${length} bytes announced, ${this.rest} are there`)
    if (kind === 'bin') return this.#take(length)
    const bytes = new Uint8Array(length)
    for (let index = 0; index < length; index++) bytes[index] = this.number(0xff)
    return bytes
  }

  number(max: number): number {
    const value = this.integer()
    if (value < 0n || value > BigInt(max)) {
      throw blockError('MalformedBlock', `${value} is not within 0 to ${max}`)
    }
    return Number(value)
  }

  integer(): bigint {
    const marker = this.#uint8()
    if (marker < 0x80) return BigInt(marker)
    if (marker >= 0xe0) return BigInt(marker - 0x100)
    const size = INTEGER_BYTES[marker]
    if (size === undefined) throw this.#wrong(`0x${marker.toString(16)} is no integer`)
    this.#need(size)
    const at = this.#at
    this.#at += size
    switch (marker) {
      case 0xcc:
        return BigInt(this.#view.getUint8(at))
      case 0xcd:
        return BigInt(this.#view.getUint16(at))
      case 0xce:
        return BigInt(this.#view.getUint32(at))
      case 0xcf:
        return this.#view.getBigUint64(at)
      case 0xd0:
        return BigInt(this.#view.getInt8(at))
      case 0xd1:
        return BigInt(this.#view.getInt16(at))
      case 0xd2:
        return BigInt(this.#view.getInt32(at))
      default:
        return this.#view.getBigInt64(at)
    }
  }

  #structHead(marker: number): ['map' | 'array', number] {
    if ((marker & 0xf0) === 0x80) return ['map', marker & 0x0f]
    if ((marker & 0xf0) === 0x90) return ['array', marker & 0x0f]
    if (marker === 0xde) return ['map', this.#uint16()]
    if (marker === 0xdc) return ['array', this.#uint16()]
    if (marker === 0xdf) return ['map', this.#uint32()]
    if (marker === 0xdd) return ['array', this.#uint32()]
    throw this.#wrong(`0x${marker.toString(16)} is no map`)
  }

  #bytesHead(marker: number): ['bin' | 'array', number] {
    if (marker === 0xc4) return ['bin', this.#uint8()]
    if (marker === 0xc5) return ['bin', this.#uint16()]
    if (marker === 0xc6) return ['bin', this.#uint32()]
    if ((marker & 0xf0) === 0x90) return ['array', marker & 0x0f]
    if (marker === 0xdc) return ['array', this.#uint16()]
    if (marker === 0xdd) return ['array', this.#uint32()]
    throw this.#wrong(`0x${marker.toString(16)} is not bytes`)
  }

  #key(): string {
    const marker = this.#uint8()
    let length: number
    if ((marker & 0xe0) === 0xa0) length = marker & 0x1f
    else if (marker === 0xd9) length = this.#uint8()
    else if (marker === 0xda) length = this.#uint16()
    else if (marker === 0xdb) length = this.#uint32()
    else throw this.#wrong(`0x${marker.toString(16)} is no key`)
    if (length > MAX_KEY_BYTES) throw this.#wrong(`a key of ${length} bytes`)
    return String.fromCharCode(...this.#take(length))
  }

  #uint8(): number {
    this.#need(1)
    return this.#bytes[this.#at++] as number
  }
  #uint16(): number {
    this.#need(2)
    this.#at += 2
    return this.#view.getUint16(this.#at - 2)
  }
  #uint32(): number {
    this.#need(4)
    this.#at += 4
    return this.#view.getUint32(this.#at - 4)
  }

  #take(count: number): Uint8Array {
    this.#need(count)
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }

  #need(count: number): void {
    if (count > this.rest)
      throw this.#wrong(`${count} bytes more are needed, ${this.rest} are there`)
  }

  #wrong(what: string): Error {
    return blockError('SerializationError', `MessagePack at byte ${this.#at}: ${what}`)
  }
}

const BLOCK_KEYS: readonly string[] = ['header', 'payload', 'signature', 'public_key']
const HEADER_KEYS: readonly string[] = [
  'version',
  'index',
  'timestamp',
  'previous',
  'payload_hash',
  'payload_type',
]
const INTEGER_BYTES: Readonly<Record<number, number>> = Object.freeze({
  204: 1,
  205: 2,
  206: 4,
  207: 8,
  208: 1,
  209: 2,
  210: 4,
  211: 8,
})
const MAX_KEY_BYTES = 32
/** 285 with the largest numbers; the rest of the array is never looked at. */
const MAX_OVERHEAD_BYTES = 320
