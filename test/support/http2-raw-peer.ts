/**
 * The other side of an HTTP/2 session, byte by byte: frames that no session of ours would send, and
 * what is said to them.
 */
import type { ByteWriter } from '../../src/core/byte-writer.ts'
import { FrameFlag, FrameType, HTTP2_PREFACE } from '../../src/protocols/http2/messages.ts'

export const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE } = FrameType
export const { PING, GOAWAY, WINDOW_UPDATE, CONTINUATION, PRIORITY_UPDATE } = FrameType
export const { END_STREAM, END_HEADERS, PADDED, ACK } = FrameFlag
export const PRIORITY_FLAG = FrameFlag.PRIORITY
/** HEADERS that are a whole message. */
export const WHOLE = END_STREAM | END_HEADERS

export const PREFACE: Uint8Array = Buffer.from(HTTP2_PREFACE, 'latin1')

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array | readonly number[] = [],
): Uint8Array {
  const { length } = payload
  const header = [length >>> 16, length >>> 8, length, type, flags, ...uint32(stream)]
  const bytes = new Uint8Array(header.length + length)
  bytes.set(header)
  bytes.set(payload, header.length)
  return bytes
}

export function uint32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]
}

/** SETTINGS of id, value, id, value … */
export function settings(...values: readonly number[]): Uint8Array {
  const payload: number[] = []
  for (let at = 0; at < values.length; at += 2) {
    payload.push(0, values[at] as number, ...uint32(values[at + 1] as number))
  }
  return frame(SETTINGS, 0, 0, payload)
}

/** Literals without indexing and without Huffman: nothing that a table remembers. */
export function block(...fields: readonly string[]): number[] {
  const bytes: number[] = []
  for (let at = 0; at < fields.length; at += 2) {
    bytes.push(0, ...text(fields[at] as string), ...text(fields[at + 1] as string))
  }
  return bytes
}

function text(value: string): number[] {
  const bytes = [...Buffer.from(value, 'latin1')]
  if (bytes.length < 127) return [bytes.length, ...bytes]
  let rest = bytes.length - 127
  const length = [127]
  for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128)
  return [...length, rest, ...bytes]
}

export const GET_FIELDS: readonly string[] = [
  ...[':method', 'GET', ':scheme', 'http', ':authority', 'a.example', ':path', '/'],
]
export const POST_FIELDS: readonly string[] = [
  ...[':method', 'POST', ':scheme', 'http', ':authority', 'a.example', ':path', '/'],
]
export const get = (stream: number): Uint8Array =>
  frame(HEADERS, WHOLE, stream, block(...GET_FIELDS))
/** Its body may follow. */
export const post = (stream: number): Uint8Array =>
  frame(HEADERS, END_HEADERS, stream, block(...POST_FIELDS))
export const ok = (stream: number, flags: number = END_HEADERS): Uint8Array =>
  frame(HEADERS, flags, stream, block(':status', '200'))

export interface SentFrame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Uint8Array
}

/** What a session had to say. */
export function framesOf(bytes: Uint8Array): SentFrame[] {
  const frames: SentFrame[] = []
  let at = 0
  if (Buffer.from(bytes.subarray(0, PREFACE.length)).equals(Buffer.from(PREFACE))) {
    at = PREFACE.length
  }
  while (at + 9 <= bytes.length) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at)
    const length = view.getUint32(0) >>> 8
    frames.push({
      type: view.getUint8(3),
      flags: view.getUint8(4),
      stream: view.getUint32(5) & 0x7fff_ffff,
      payload: Uint8Array.prototype.slice.call(bytes, at + 9, at + 9 + length),
    })
    at += 9 + length
  }
  return frames
}

/** What the tests need of a session of either role. */
export interface AnySession {
  readonly state: string
  readonly failure: { readonly code: string; readonly message: string } | undefined
  receive(chunk: Uint8Array, now: number): void
  pollEvent(): { readonly type: string; readonly exchange?: number } | undefined
  pollTransmit(maxBytes: number): ByteWriter
}

/** Gives `chunks` to a session, as a driver does. @returns what it said meanwhile, and heard */
export function converse(
  session: AnySession,
  chunks: Iterable<Uint8Array>,
  now = 0,
  onEvent: (event: { readonly type: string; readonly exchange?: number }) => void = () => {},
): { readonly sent: SentFrame[]; readonly events: string[] } {
  const events: string[] = []
  const said: Uint8Array[] = [session.pollTransmit(0x10_0000).take()]
  for (const chunk of chunks) {
    session.receive(chunk, now)
    for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
      events.push(event.type)
      onEvent(event)
    }
    said.push(session.pollTransmit(0x10_0000).take())
  }
  return { sent: framesOf(Buffer.concat(said)), events }
}
