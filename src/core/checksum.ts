/**
 * Checksums that wire formats name. None of them is proof against an attacker.
 *
 * Each takes the value so far, so that bytes in several chunks give what the whole gives:
 * `crc32(second, crc32(first))`. Results are unsigned 32-bit numbers.
 */

/** CRC-32 (IEEE 802.3; gzip, PNG, Kafka message sets v0 and v1). */
export function crc32(bytes: Uint8Array, previous: number = 0): number {
  return updateCrc(CRC32_TABLES, bytes, previous)
}

/** CRC-32C (Castagnoli; iSCSI, SCTP, Kafka record batches). */
export function crc32c(bytes: Uint8Array, previous: number = 0): number {
  return updateCrc(CRC32C_TABLES, bytes, previous)
}

/** Adler-32 (RFC 1950; zlib). Starts at 1. */
export function adler32(bytes: Uint8Array, previous: number = 1): number {
  let low = previous & 0xffff
  let high = previous >>> 16
  let at = 0
  while (at < bytes.length) {
    // So many additions cannot overflow 32 bits; one division for all of them.
    const end = Math.min(at + ADLER_RUN, bytes.length)
    for (; at < end; at++) {
      low += bytes[at] as number
      high += low
    }
    low %= ADLER_BASE
    high %= ADLER_BASE
  }
  return ((high << 16) | low) >>> 0
}

/** xxHash, 32 bits (LZ4 frames). The whole input at once. */
export function xxHash32(bytes: Uint8Array, seed: number = 0): number {
  const { length } = bytes
  let at = 0
  let hash: number
  if (length >= 16) {
    let a = (seed + PRIME_1 + PRIME_2) | 0
    let b = (seed + PRIME_2) | 0
    let c = seed | 0
    let d = (seed - PRIME_1) | 0
    for (; at <= length - 16; at += 16) {
      a = xxRound(a, word(bytes, at))
      b = xxRound(b, word(bytes, at + 4))
      c = xxRound(c, word(bytes, at + 8))
      d = xxRound(d, word(bytes, at + 12))
    }
    hash = (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0
  } else hash = (seed + PRIME_5) | 0
  hash = (hash + length) | 0
  for (; at <= length - 4; at += 4) {
    hash = Math.imul(rotate((hash + Math.imul(word(bytes, at), PRIME_3)) | 0, 17), PRIME_4)
  }
  for (; at < length; at++) {
    hash = Math.imul(rotate((hash + Math.imul(bytes[at] as number, PRIME_5)) | 0, 11), PRIME_1)
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2)
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** Four bytes a step ("slicing by 4"): one table for each distance to the end of the word. */
function updateCrc(tables: Int32Array, bytes: Uint8Array, previous: number): number {
  let crc = ~previous
  let at = 0
  for (const last = bytes.length - 4; at <= last; at += 4) {
    crc ^= word(bytes, at)
    crc =
      (tables[768 + (crc & 0xff)] as number) ^
      (tables[512 + ((crc >>> 8) & 0xff)] as number) ^
      (tables[256 + ((crc >>> 16) & 0xff)] as number) ^
      (tables[crc >>> 24] as number)
  }
  for (; at < bytes.length; at++) {
    crc = (crc >>> 8) ^ (tables[(crc ^ (bytes[at] as number)) & 0xff] as number)
  }
  return ~crc >>> 0
}

function makeTables(polynomial: number): Int32Array {
  const tables = new Int32Array(4 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    tables[byte] = crc
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256] as number
    tables[at] = (before >>> 8) ^ (tables[before & 0xff] as number)
  }
  return tables
}

/** Little-endian. */
function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  )
}

function xxRound(lane: number, input: number): number {
  return Math.imul(rotate((lane + Math.imul(input, PRIME_2)) | 0, 13), PRIME_1)
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

const ADLER_BASE = 65_521
const ADLER_RUN = 5_552
const PRIME_1 = 0x9e37_79b1
const PRIME_2 = 0x85eb_ca77
const PRIME_3 = 0xc2b2_ae3d
const PRIME_4 = 0x27d4_eb2f
const PRIME_5 = 0x1656_67b1
// Polynomials with their bits reversed.
const CRC32_TABLES = makeTables(0xedb8_8320)
const CRC32C_TABLES = makeTables(0x82f6_3b78)
