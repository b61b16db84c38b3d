/** Frames of gRPC bodies; decoder.ts has the format. */
import type { ByteWriter } from '../../core/byte-writer.ts'
import { GRPC_PREFIX_BYTES, type GrpcFrame } from './decoder.ts'

export function encodeGrpcFrame({ compressed, payload }: GrpcFrame, out: ByteWriter): void {
  out.uint8(compressed ? 1 : 0)
  out.uint32(payload.length)
  out.give(payload)
}

/** One frame in one piece. */
export function grpcFrame(payload: Uint8Array, compressed: boolean = false): Uint8Array {
  const frame = new Uint8Array(GRPC_PREFIX_BYTES + payload.length)
  frame.set(payload, GRPC_PREFIX_BYTES)
  setGrpcPrefix(frame, payload.length, compressed)
  return frame
}

/** Fills in the first five bytes of a frame whose message is written already. */
export function setGrpcPrefix(frame: Uint8Array, length: number, compressed: boolean): void {
  frame[0] = compressed ? 1 : 0
  frame[1] = length >>> 24
  frame[2] = length >>> 16
  frame[3] = length >>> 8
  frame[4] = length
}
