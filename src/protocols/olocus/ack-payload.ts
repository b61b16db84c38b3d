/**
 * The payload of an acknowledgement, over transports that lose messages:
 *
 *     | hash of the block, 32 | its index, u64 big-endian | code of the verdict, u8 |
 *
 * It travels in a block of a private type, signed like any other.
 */
import type { Block } from './block.ts'
import { type BlockCode, blockCodeName } from './block-codes.ts'
import type { BlockPayload } from './payload.ts'

export interface BlockAck {
  readonly blockHash: Uint8Array
  readonly index: bigint
  /** 0: taken. Anything else: why not. */
  readonly code: BlockCode
}

export function ackPayload(ack: BlockAck): BlockPayload {
  const bytes = new Uint8Array(ACK_BYTES)
  bytes.set(ack.blockHash)
  new DataView(bytes.buffer).setBigUint64(32, ack.index)
  bytes[40] = ack.code
  return { payloadType: ACK_PAYLOAD_TYPE, toBytes: () => bytes }
}

/** Undefined: the block is no acknowledgement. */
export function readAck(block: Block): BlockAck | undefined {
  const { payloadType, payloadBytes } = block
  if (payloadType !== ACK_PAYLOAD_TYPE || payloadBytes.length !== ACK_BYTES) return undefined
  const code = payloadBytes[40] as number
  if (blockCodeName(code) === undefined) return undefined
  const view = new DataView(payloadBytes.buffer, payloadBytes.byteOffset, ACK_BYTES)
  return {
    blockHash: payloadBytes.subarray(0, 32),
    index: view.getBigUint64(32),
    code: code as BlockCode,
  }
}

/** Of the private range: 0x0a07 and above are reserved upstream. */
export const ACK_PAYLOAD_TYPE = 0x8a01
const ACK_BYTES = 41
