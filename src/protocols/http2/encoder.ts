/**
 * Writes frames in place. Each function writes a whole frame, or the header of one whose payload
 * follows.
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import { FRAME_HEADER_BYTES, FrameFlag, FrameType, HTTP2_PREFACE } from './messages.ts'

export function encodeFrameHeader(
  out: ByteWriter,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  out.reserve(FRAME_HEADER_BYTES)
  writeFrameHeader(out.bytes, out.length, length, type, flags, stream)
  out.length += FRAME_HEADER_BYTES
}

/** As `encodeFrameHeader`, at a place of which there is room. */
export function writeFrameHeader(
  bytes: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  bytes[at] = length >>> 16
  bytes[at + 1] = length >>> 8
  bytes[at + 2] = length
  bytes[at + 3] = type
  bytes[at + 4] = flags
  bytes[at + 5] = stream >>> 24
  bytes[at + 6] = stream >>> 16
  bytes[at + 7] = stream >>> 8
  bytes[at + 8] = stream
}

/** A frame whose payload is small or shared: copied when small, handed over when not. */
export function encodeData(
  out: ByteWriter,
  stream: number,
  payload: Uint8Array,
  end: boolean,
  owned: boolean,
): void {
  const { length } = payload
  encodeFrameHeader(out, length, FrameType.DATA, end ? FrameFlag.END_STREAM : 0, stream)
  if (owned) out.give(payload)
  else out.copy(payload)
}

export function encodePreface(out: ByteWriter): void {
  out.latin1(HTTP2_PREFACE)
}

/** `settings`: id, value, id, value … */
export function encodeSettings(out: ByteWriter, settings: readonly number[]): void {
  encodeFrameHeader(out, settings.length * 3, FrameType.SETTINGS, 0, 0)
  encodeSettingsPayload(out, settings)
}

export function encodeSettingsPayload(out: ByteWriter, settings: readonly number[]): void {
  for (let index = 0; index < settings.length; index += 2) {
    out.uint16(settings[index] as number)
    out.uint32(settings[index + 1] as number)
  }
}

export function encodeSettingsAck(out: ByteWriter): void {
  encodeFrameHeader(out, 0, FrameType.SETTINGS, FrameFlag.ACK, 0)
}

/** `high` and `low` are the two halves of the eight opaque bytes. */
export function encodePing(out: ByteWriter, ack: boolean, high: number, low: number): void {
  encodeFrameHeader(out, 8, FrameType.PING, ack ? FrameFlag.ACK : 0, 0)
  out.uint32(high)
  out.uint32(low)
}

export function encodeWindowUpdate(out: ByteWriter, stream: number, bytes: number): void {
  encodeFrameHeader(out, 4, FrameType.WINDOW_UPDATE, 0, stream)
  out.uint32(bytes)
}

export function encodeReset(out: ByteWriter, stream: number, code: number): void {
  encodeFrameHeader(out, 4, FrameType.RST_STREAM, 0, stream)
  out.uint32(code)
}

/** `text` is for people: it is cut to what fits a line, and holds ASCII only. */
export function encodeGoAway(
  out: ByteWriter,
  lastStream: number,
  code: number,
  text: string,
): void {
  const debug = text.slice(0, MAX_DEBUG).replace(/[^\x20-\x7e]/g, '?')
  encodeFrameHeader(out, 8 + debug.length, FrameType.GOAWAY, 0, 0)
  out.uint32(lastStream)
  out.uint32(code)
  out.latin1(debug)
}

export function encodePriorityUpdate(out: ByteWriter, stream: number, value: string): void {
  encodeFrameHeader(out, 4 + value.length, FrameType.PRIORITY_UPDATE, 0, 0)
  out.uint32(stream)
  out.latin1(value)
}

const MAX_DEBUG = 128
