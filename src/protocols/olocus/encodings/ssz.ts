/**
 * SSZ (id 4): a container of a fixed header, a list of payload bytes, signature and key.
 *
 *     header 86, little-endian | offset u32 = 186 | signature 64 | public key 32 | payload
 *
 * It has the length of the canonical encoding and another order: the two are told apart only by who
 * says which it is.
 */
import { assembleBlock, type Block, ENVELOPE_BYTES } from '../block.ts'
import { blockError } from '../block-codes.ts'
import { checkPayloadSize, LE_HEADER_BYTES, readHeaderLe } from './binary.ts'

export function encodeSsz(block: Block): Uint8Array {
  const bytes = new Uint8Array(block.bytes.length)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, block.version, true)
  view.setBigUint64(2, block.index, true)
  view.setBigInt64(10, block.timestamp, true)
  bytes.set(block.previous, 18)
  bytes.set(block.payloadHash, 50)
  view.setUint32(82, block.payloadType, true)
  view.setUint32(LE_HEADER_BYTES, ENVELOPE_BYTES, true)
  bytes.set(block.signature, 90)
  bytes.set(block.publicKey, 154)
  bytes.set(block.payloadBytes, ENVELOPE_BYTES)
  return bytes
}

export function readSsz(bytes: Uint8Array, maxPayloadBytes: number): Uint8Array {
  if (bytes.length < ENVELOPE_BYTES) {
    const message = `${bytes.length} bytes are less than the ${ENVELOPE_BYTES} of the fixed part`
    throw blockError('MalformedBlock', message)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, ENVELOPE_BYTES)
  const offset = view.getUint32(LE_HEADER_BYTES, true)
  // Any other first offset would leave bytes that nothing covers.
  if (offset !== ENVELOPE_BYTES) {
    throw blockError('MalformedBlock', `the payload's offset is ${offset}, must be 186`)
  }
  checkPayloadSize(bytes.length - ENVELOPE_BYTES, maxPayloadBytes)
  return assembleBlock({
    ...readHeaderLe(bytes),
    signature: bytes.subarray(90, 154),
    publicKey: bytes.subarray(154, 186),
    payload: bytes.subarray(ENVELOPE_BYTES),
  })
}
