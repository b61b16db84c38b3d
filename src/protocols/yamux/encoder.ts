/** yamux frames to bytes. */
import type { ByteWriter } from '../../core/byte-writer.ts'
import type { YamuxFrame } from './messages.ts'

/** Writes one header in place. `length` bytes of payload follow if it is of a data frame. */
export function encodeYamuxHeader(
  type: number,
  flags: number,
  stream: number,
  length: number,
  out: ByteWriter,
): void {
  out.reserve(YAMUX_HEADER_BYTES)
  out.uint8(0) // version
  out.uint8(type)
  out.uint16(flags)
  out.uint32(stream)
  out.uint32(length)
}

/** Writes one frame in place. A large payload is handed over, not copied. */
export function encodeYamux(frame: YamuxFrame, out: ByteWriter): void {
  const { type, flags, stream, payload } = frame
  encodeYamuxHeader(type, flags, stream, payload?.length ?? frame.length, out)
  if (payload !== undefined) out.give(payload)
}

export const YAMUX_HEADER_BYTES = 12
