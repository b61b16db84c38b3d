/**
 * Integers of variable length.
 *
 * - **LEB128** (protobuf, Thrift, MQTT, WebAssembly): 7 bits a byte, low first, top bit: more follow.
 * - **Zigzag**: signed as unsigned, 0 −1 1 −2 … → 0 1 2 3 …, so that small stays short.
 * - **QUIC** (RFC 9000 section 16): two bits say 1, 2, 4 or 8 bytes, big-endian.
 *
 * A `try…` function returns undefined and takes nothing while the number is incomplete. Each has a
 * limit of bytes and of value, so a peer cannot send a number that never ends or does not fit.
 */
import type { ByteWriter } from './byte-writer.ts'
import { checkInteger, ProtocolError, UsageError } from './errors.ts'

/** What numbers are read from: `ByteQueue` and `ByteReader` both are one. */
export interface ByteSource {
  readonly length: number
  byteAt(offset: number): number
  skip(count: number): void
}

/** LEB128 of up to 32 bits: at most 5 bytes. @throws ProtocolError ERR_MALFORMED */
export function tryVarint32(source: ByteSource): number | undefined {
  let value = 0
  for (let index = 0; index < source.length; index++) {
    const byte = source.byteAt(index)
    if (index === 4 && byte > 0x0f) throw tooLarge('32')
    value |= (byte & 0x7f) << (index * 7)
    if (byte < 0x80) {
      source.skip(index + 1)
      return value >>> 0
    }
  }
  return undefined
}

/** LEB128 as a number, up to 2^53 − 1: at most 8 bytes. @throws ProtocolError ERR_MALFORMED */
export function tryVarint53(source: ByteSource): number | undefined {
  let value = 0
  let scale = 1
  for (let index = 0; index < source.length; index++) {
    const byte = source.byteAt(index)
    // The eighth byte holds the bits from 49 on: four of them fit.
    if (index === 7 && byte > 0x0f) throw tooLarge('53')
    value += (byte & 0x7f) * scale
    scale *= 0x80
    if (byte < 0x80) {
      source.skip(index + 1)
      return value
    }
  }
  return undefined
}

/** LEB128 of up to 64 bits: at most 10 bytes. @throws ProtocolError ERR_MALFORMED */
export function tryVarint64(source: ByteSource): bigint | undefined {
  let low = 0
  let middle = 0
  let high = 0
  for (let index = 0; index < source.length; index++) {
    const byte = source.byteAt(index)
    if (index === 9 && byte > 1) throw tooLarge('64')
    const bits = byte & 0x7f
    // Three parts of 28, 28 and 8 bits, so that nothing but the last step needs a bigint.
    if (index < 4) low |= bits << (index * 7)
    else if (index < 8) middle |= bits << ((index - 4) * 7)
    else high |= bits << ((index - 8) * 7)
    if (byte < 0x80) {
      source.skip(index + 1)
      return BigInt(low) | (BigInt(middle) << 28n) | (BigInt(high) << 56n)
    }
  }
  return undefined
}

/** A whole number from 0 to 2^53 − 1. */
export function writeVarint(value: number, out: ByteWriter): void {
  let rest = checkInteger('value', value, 0, Number.MAX_SAFE_INTEGER)
  out.reserve(8)
  while (rest >= 0x80) {
    out.bytes[out.length++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  out.bytes[out.length++] = rest
}

/** From 0 to 2^64 − 1. */
export function writeVarint64(value: bigint, out: ByteWriter): void {
  if (value < 0n || value > UINT64_MAX) {
    throw new UsageError('ERR_OPTION_RANGE', `value is ${value}, must be 0 to ${UINT64_MAX}`)
  }
  let rest = value
  out.reserve(10)
  while (rest >= 0x80n) {
    out.bytes[out.length++] = Number(rest & 0x7fn) | 0x80
    rest >>= 7n
  }
  out.bytes[out.length++] = Number(rest)
}

/** Bytes that `writeVarint` writes. */
export function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length += 1
  return length
}

/** A signed 32-bit number as an unsigned one. */
export function zigzag32(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0
}
export function unzigzag32(value: number): number {
  return (value >>> 1) ^ -(value & 1)
}
/** A signed 64-bit number as an unsigned one. */
export function zigzag64(value: bigint): bigint {
  return BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
}
export function unzigzag64(value: bigint): bigint {
  return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
}

/**
 * A QUIC variable-length integer as a number.
 * @throws ProtocolError ERR_LIMIT above 2^53 − 1, which the format allows and no length can be
 */
export function tryQuicVarint(source: ByteSource): number | undefined {
  const length = quicLengthOf(source)
  if (length === undefined) return undefined
  let value = source.byteAt(0) & 0x3f
  for (let index = 1; index < length; index++) value = value * 0x100 + source.byteAt(index)
  if (!Number.isSafeInteger(value)) {
    throw new ProtocolError('ERR_LIMIT', 'a variable-length integer is over 2^53 - 1')
  }
  source.skip(length)
  return value
}

/** The whole range, up to 2^62 − 1. */
export function tryQuicVarint64(source: ByteSource): bigint | undefined {
  const length = quicLengthOf(source)
  if (length === undefined) return undefined
  let value = BigInt(source.byteAt(0) & 0x3f)
  for (let index = 1; index < length; index++) value = (value << 8n) | BigInt(source.byteAt(index))
  source.skip(length)
  return value
}

/** From 0 to 2^53 − 1, in the shortest form. */
export function writeQuicVarint(value: number, out: ByteWriter): void {
  checkInteger('value', value, 0, Number.MAX_SAFE_INTEGER)
  if (value < 0x40) return out.uint8(value)
  if (value < 0x4000) return out.uint16(value | 0x4000)
  if (value < 0x4000_0000) return out.uint32((value | 0x8000_0000) >>> 0)
  out.uint64(BigInt(value) | 0xc000_0000_0000_0000n)
}

/** Undefined: not all of its bytes are there. */
function quicLengthOf(source: ByteSource): number | undefined {
  if (source.length === 0) return undefined
  const length = 1 << (source.byteAt(0) >> 6)
  return source.length < length ? undefined : length
}

function tooLarge(bits: string): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', `a variable-length integer does not fit ${bits} bits`)
}

const UINT64_MAX = 0xffff_ffff_ffff_ffffn
