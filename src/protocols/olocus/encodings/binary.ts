/**
 * The canonical binary encoding (id 0), and the reader of its little-endian predecessor:
 *
 *     header 86, little-endian | payload n | signature 64 | public key 32      n = length − 182
 *
 * Neither has a magic number; the length is what a block is known by.
 */
import { assembleBlock, type Block, ENVELOPE_BYTES } from '../block.ts'
import { blockError } from '../block-codes.ts'

/** Without a copy: the bytes are those of the block. */
export function encodeBinary(block: Block): Uint8Array {
  return block.bytes
}

/** @returns `bytes` themselves, when they have the length they say */
export function readBinary(bytes: Uint8Array, maxPayloadBytes: number): Uint8Array {
  if (bytes.length < ENVELOPE_BYTES) {
    const message = `${bytes.length} bytes are less than the ${ENVELOPE_BYTES} of an envelope`
    throw blockError('MalformedBlock', message)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const size = view.getUint32(86)
  checkPayloadSize(size, maxPayloadBytes)
  if (bytes.length !== ENVELOPE_BYTES + size) {
    const message = `a payload of ${size} bytes makes ${ENVELOPE_BYTES + size}, not ${bytes.length}`
    throw blockError('MalformedBlock', message)
  }
  return bytes
}

export function readBinaryLe(bytes: Uint8Array, maxPayloadBytes: number): Uint8Array {
  const size = bytes.length - LE_OVERHEAD_BYTES
  if (size < 0) {
    const message = `${bytes.length} bytes are less than the ${LE_OVERHEAD_BYTES} of an empty block`
    throw blockError('MalformedBlock', message)
  }
  checkPayloadSize(size, maxPayloadBytes)
  const payloadEnd = LE_HEADER_BYTES + size
  return assembleBlock({
    ...readHeaderLe(bytes),
    payload: bytes.subarray(LE_HEADER_BYTES, payloadEnd),
    signature: bytes.subarray(payloadEnd, payloadEnd + 64),
    publicKey: bytes.subarray(payloadEnd + 64),
  })
}

/** The 86 bytes that `binary-le` and SSZ share. */
export function readHeaderLe(bytes: Uint8Array): {
  version: number
  index: bigint
  timestamp: bigint
  previous: Uint8Array
  payloadHash: Uint8Array
  payloadType: number
} {
  const view = new DataView(bytes.buffer, bytes.byteOffset, LE_HEADER_BYTES)
  return {
    version: view.getUint16(0, true),
    index: view.getBigUint64(2, true),
    timestamp: view.getBigInt64(10, true),
    previous: bytes.subarray(18, 50),
    payloadHash: bytes.subarray(50, 82),
    payloadType: view.getUint32(82, true),
  }
}

/** Before anything is allocated for it. */
export function checkPayloadSize(size: number, maxPayloadBytes: number): void {
  if (size <= maxPayloadBytes) return
  const message = `a payload of ${size} bytes is over the limit of ${maxPayloadBytes}`
  throw blockError('PayloadTooLarge', message)
}

export const LE_HEADER_BYTES = 86
const LE_OVERHEAD_BYTES = 182
