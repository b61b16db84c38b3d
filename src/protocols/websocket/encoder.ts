/**
 * Frames to bytes (RFC 6455 5.2), in place. What a server sends is handed over or copied as it is;
 * what a client sends is copied into the writer's region and masked there.
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import { maskInto } from './mask.ts'
import { Opcode } from './messages.ts'

/** One frame to encode. */
export interface FrameHead {
  readonly opcode: number
  readonly final: boolean
  readonly compressed: boolean
}

/**
 * One frame. `key` is the masking key as a little-endian word; undefined: not masked. `given`: the
 * payload is handed over, not copied, where it is long.
 */
export function encodeFrame(
  out: ByteWriter,
  head: FrameHead,
  payload: Uint8Array,
  key: number | undefined,
  given: boolean,
): void {
  const first = (head.final ? FIN : 0) | (head.compressed ? RSV1 : 0) | head.opcode
  encodeRawFrame(out, first, payload, key, given)
}

/** As {@link encodeFrame}, with the first byte of the header as it is. */
export function encodeRawFrame(
  out: ByteWriter,
  first: number,
  payload: Uint8Array,
  key: number | undefined,
  given: boolean,
): void {
  const { length } = payload
  if (key === undefined) {
    out.reserve(length < COPIED ? length + MAX_HEADER_BYTES : MAX_HEADER_BYTES)
    encodeHeader(out, first, length, undefined)
    if (given) out.give(payload)
    else out.copy(payload)
    return
  }
  if (length <= PIECE_BYTES) {
    // Header and payload in one region: one write.
    out.reserve(length + MAX_HEADER_BYTES)
    encodeHeader(out, first, length, key)
    return copyMasked(out, payload, key)
  }
  encodeHeader(out, first, length, key)
  // In pieces that the pool has regions for; each begins at the same byte of the key.
  for (let at = 0; at < length; at += PIECE_BYTES) {
    copyMasked(out, payload.subarray(at, at + PIECE_BYTES), key)
  }
}

export function encodeHeader(
  out: ByteWriter,
  first: number,
  length: number,
  key: number | undefined,
): void {
  out.reserve(MAX_HEADER_BYTES)
  const { bytes } = out
  const mask = key === undefined ? 0 : MASK
  let at = out.length
  bytes[at++] = first
  if (length < 126) bytes[at++] = mask | length
  else if (length < 0x1_0000) {
    bytes[at++] = mask | 126
    bytes[at++] = length >>> 8
    bytes[at++] = length
  } else {
    bytes[at++] = mask | 127
    // A payload is shorter than 2^32: the upper half is 0, but for lengths that no array has.
    const high = Math.floor(length / 0x1_0000_0000)
    for (let shift = 24; shift >= 0; shift -= 8) bytes[at++] = high >>> shift
    for (let shift = 24; shift >= 0; shift -= 8) bytes[at++] = length >>> shift
  }
  if (key !== undefined) {
    bytes[at++] = key
    bytes[at++] = key >>> 8
    bytes[at++] = key >>> 16
    bytes[at++] = key >>> 24
  }
  out.length = at
}

/** The payload of a close frame (RFC 6455 5.5.1); none for a code of 1005. */
export function closePayload(code: number, reason: Uint8Array): Uint8Array {
  if (code === NO_STATUS) return EMPTY
  const payload = new Uint8Array(2 + reason.length)
  payload[0] = code >>> 8
  payload[1] = code
  payload.set(reason, 2)
  return payload
}

function copyMasked(out: ByteWriter, payload: Uint8Array, key: number): void {
  const { length } = payload
  out.reserve(length)
  maskInto(payload, 0, out.bytes, out.length, length, key, 0)
  out.length += length
}

export const FIN = 0x80
export const RSV1 = 0x40
/** First bytes of whole messages. */
export const FINAL_TEXT: number = FIN | Opcode.TEXT
export const FINAL_BINARY: number = FIN | Opcode.BINARY
export const MAX_HEADER_BYTES = 14
const MASK = 0x80
const NO_STATUS = 1005
/** Up to here a payload is copied behind its header; the writer hands over what is longer. */
const COPIED = 4_096
/** A multiple of four, so that a piece starts at the first byte of the key. */
const PIECE_BYTES = 65_536
const EMPTY = new Uint8Array(0)
