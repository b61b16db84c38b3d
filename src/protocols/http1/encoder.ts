/**
 * HTTP/1.1 messages to bytes, in place: heads, chunks, trailers.
 *
 * A head is measured first and then written in one go, so that there is one bounds check for all of
 * it. Names and values come checked, from `HttpFields`. The fields that frame a message are ours:
 * what the caller says about `Content-Length` and `Transfer-Encoding` is compared, never sent on.
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import { UsageError } from '../../core/errors.ts'
import type { TextCodec } from '../../core/host.ts'
import { type HttpFields, listElements } from '../http/fields.ts'
import { reasonOf } from '../http/status.ts'
import { HeadCache } from './head-cache.ts'
import { ascii, COLON, CR, LF, SP, ZERO } from './head-syntax.ts'

/** Framing of a head: a length of 0 or more, or one of these. */
export const CHUNKED = -1
/** Neither length nor coding: no content follows, or it ends with the connection. */
export const UNFRAMED = -2
/** As {@link UNFRAMED}, but the `Content-Length` of the fields is sent: HEAD and 304. */
export const DESCRIBED = -3
export type Framing = number

/** What is said in `Connection`. */
export const CONNECTION_DEFAULT = 0
export const CONNECTION_CLOSE = 1
export const CONNECTION_KEEP_ALIVE = 2
/** What the fields say is sent as it is: upgrades, and requests. */
export const CONNECTION_GIVEN = 3
export type ConnectionOption = 0 | 1 | 2 | 3

/** Bits of {@link survey}. */
export const HAS_DATE = 1
export const HAS_CONNECTION = 2
export const HAS_LENGTH = 4
export const HAS_CODING = 8
export const HAS_HOST = 16
export const HAS_EXPECT = 32
const FLAGS = 64
const MANAGED = HAS_CONNECTION | HAS_LENGTH | HAS_CODING

/** Size of the field lines times 64, plus a bit for each field that concerns the encoder. */
export function survey(fields: HttpFields): number {
  let bytes = 0
  let flags = 0
  const count = fields.size
  for (let index = 0; index < count; index++) {
    const name = fields.nameAt(index)
    bytes += name.length + fields.valueAt(index).length + 4
    flags |= managedBit(name)
  }
  return bytes * FLAGS + flags
}

/**
 * `date` is sent unless undefined or given in the fields.
 * @throws UsageError when the fields contradict the framing; nothing was encoded then
 */
export function encodeResponseHead(
  out: ByteWriter,
  status: number,
  reason: string | undefined,
  fields: HttpFields,
  framing: Framing,
  connection: ConnectionOption,
  date: string | undefined,
): void {
  const kind = framing < 0 ? framing : 0
  if (reason === undefined) {
    const known = cache.find(status, kind, connection, date, fields)
    if (known !== undefined) {
      out.reserve(known.length + MAX_END_BYTES)
      out.bytes.set(known, out.length)
      return endHead(out, out.length + known.length, framing)
    }
  }
  const surveyed = survey(fields)
  if ((surveyed & (HAS_LENGTH | HAS_CODING)) !== 0) checkGivenFraming(fields, surveyed, framing)
  out.reserve(Math.floor(surveyed / FLAGS) + (reason ?? '').length + MAX_OWN_BYTES)
  const { bytes, text } = out
  const start = out.length
  let at: number
  if (reason === undefined) at = putBytes(bytes, start, statusLine(status))
  else {
    at = putText(bytes, start, `HTTP/1.1 ${status} `, text)
    at = putCrlf(bytes, putText(bytes, at, reason, text))
  }
  at = putFields(bytes, at, fields, surveyed, framing, connection, text)
  if (date !== undefined && (surveyed & HAS_DATE) === 0) {
    at = putBytes(bytes, at, DATE)
    at = putCrlf(bytes, putText(bytes, at, date, text))
  }
  if (connection === CONNECTION_CLOSE) at = putBytes(bytes, at, CLOSE)
  else if (connection === CONNECTION_KEEP_ALIVE) at = putBytes(bytes, at, KEEP_ALIVE)
  at = putFraming(bytes, at, framing)
  if (reason === undefined && (surveyed & MANAGED) === 0) {
    cache.learn(status, kind, connection, date, fields, bytes, start, at)
  }
  endHead(out, at, framing)
}

/** The content length, where there is one, and the empty line. */
function endHead(out: ByteWriter, at: number, framing: Framing): void {
  const { bytes } = out
  const end = framing < 0 ? at : putCrlf(bytes, putDecimal(bytes, at, framing))
  out.length = putCrlf(bytes, end)
}

/** `Host` is sent first, unless the fields have one. Method and target come checked. */
export function encodeRequestHead(
  out: ByteWriter,
  method: string,
  target: string,
  authority: string,
  fields: HttpFields,
  surveyed: number,
  framing: Framing,
): void {
  const strings = method.length + target.length + authority.length
  out.reserve(Math.floor(surveyed / FLAGS) + strings + MAX_OWN_BYTES)
  const { bytes, text } = out
  let at = putText(bytes, out.length, method, text)
  bytes[at++] = SP
  at = putText(bytes, at, target, text)
  at = putBytes(bytes, at, REQUEST_VERSION)
  if ((surveyed & HAS_HOST) === 0) {
    at = putBytes(bytes, at, HOST)
    at = putText(bytes, at, authority, text)
    at = putCrlf(bytes, at)
  }
  at = putFields(bytes, at, fields, surveyed, framing, CONNECTION_GIVEN, text)
  endHead(out, putFraming(bytes, at, framing), framing)
}

/** One chunk. An empty one is not sent: it would end the body. */
export function encodeChunk(out: ByteWriter, chunk: Uint8Array, owned: boolean): void {
  if (chunk.length === 0) return
  encodeChunkSize(out, chunk.length)
  if (owned) out.give(chunk)
  else out.copy(chunk)
  encodeCrlf(out)
}

export function encodeChunkSize(out: ByteWriter, size: number): void {
  out.reserve(MAX_SIZE_LINE_BYTES)
  const { bytes } = out
  let digits = 1
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 16)) digits++
  let rest = size
  for (let at = out.length + digits - 1; at >= out.length; at--) {
    bytes[at] = HEX_DIGITS[rest % 16] as number
    rest = Math.floor(rest / 16)
  }
  out.length = putCrlf(bytes, out.length + digits)
}

export function encodeCrlf(out: ByteWriter): void {
  out.reserve(2)
  out.length = putCrlf(out.bytes, out.length)
}

/** The last chunk and the trailer section. */
export function encodeLastChunk(out: ByteWriter, trailers: HttpFields | undefined): void {
  if (trailers === undefined) return out.copy(LAST_CHUNK)
  const surveyed = survey(trailers)
  out.reserve(Math.floor(surveyed / FLAGS) + MAX_OWN_BYTES)
  const { bytes, text } = out
  bytes[out.length] = ZERO
  let at = putCrlf(bytes, out.length + 1)
  at = putFields(bytes, at, trailers, 0, UNFRAMED, CONNECTION_GIVEN, text)
  out.length = putCrlf(bytes, at)
}

/** @throws UsageError for trailers that would change how the message is framed or routed */
export function checkTrailers(trailers: HttpFields): void {
  const flags = survey(trailers) % FLAGS
  if ((flags & (MANAGED | HAS_HOST | HAS_EXPECT)) === 0) return
  throw new UsageError('ERR_ARGUMENT', 'a field that frames or routes a message in its trailers')
}

/** Bytes that `text` takes in UTF-8. */
export function textLength(text: string, codec: TextCodec): number {
  return isShortAscii(text) ? text.length : codec.utf8Length(text)
}

/** UTF-8 text of `length` bytes, as {@link textLength} measured it. */
export function encodeText(out: ByteWriter, text: string, length: number): void {
  if (length > MAX_REGION_TEXT) {
    // A region of this size would stay with the connection.
    const own = new Uint8Array(length)
    out.text.writeUtf8(text, own, 0)
    return out.give(own)
  }
  out.reserve(length)
  if (text.length === length) out.length = putText(out.bytes, out.length, text, out.text)
  else out.length += out.text.writeUtf8(text, out.bytes, out.length)
}

/**
 * Compares what the fields say about framing with what will be sent.
 * @throws UsageError when they contradict
 */
export function checkGivenFraming(fields: HttpFields, surveyed: number, framing: Framing): void {
  if ((surveyed & HAS_CODING) !== 0) {
    const coding = fields.get('transfer-encoding')
    if (coding?.toLowerCase() !== 'chunked') {
      throw new UsageError('ERR_ARGUMENT', `transfer-encoding '${coding}' cannot be sent`)
    }
  }
  if ((surveyed & HAS_LENGTH) === 0) return
  const given = fields.get('content-length') as string
  if (!/^\d{1,15}$/.test(given)) {
    throw new UsageError('ERR_ARGUMENT', `content-length '${given}' is not a length`)
  }
  if (framing >= 0 && Number(given) !== framing) {
    const message = `content-length says ${given}, the body has ${framing} bytes`
    throw new UsageError('ERR_ARGUMENT', message)
  }
}

function putFields(
  bytes: Uint8Array,
  start: number,
  fields: HttpFields,
  surveyed: number,
  framing: Framing,
  connection: ConnectionOption,
  text: TextCodec,
): number {
  const count = fields.size
  const anyManaged = (surveyed & MANAGED) !== 0
  let at = start
  for (let index = 0; index < count; index++) {
    const name = fields.nameAt(index)
    let value = fields.valueAt(index)
    if (anyManaged) {
      const bit = managedBit(name)
      if (bit === HAS_CODING || (bit === HAS_LENGTH && framing !== DESCRIBED)) continue
      if (bit === HAS_CONNECTION && connection !== CONNECTION_GIVEN) {
        value = withoutOwnOptions(value)
        if (value === '') continue
      }
    }
    at = putText(bytes, at, name, text)
    bytes[at++] = COLON
    bytes[at++] = SP
    at = putText(bytes, at, value, text)
    at = putCrlf(bytes, at)
  }
  return at
}

/** Up to the digits of a length, which `endHead` writes. */
function putFraming(bytes: Uint8Array, start: number, framing: Framing): number {
  if (framing === CHUNKED) return putBytes(bytes, start, TRANSFER_ENCODING_CHUNKED)
  return framing < 0 ? start : putBytes(bytes, start, CONTENT_LENGTH)
}

function putDecimal(bytes: Uint8Array, start: number, value: number): number {
  let digits = 1
  for (let bound = 10; bound <= value; bound *= 10) digits++
  let rest = value
  for (let at = start + digits - 1; at >= start; at--) {
    const tenth = Math.floor(rest / 10)
    bytes[at] = ZERO + rest - tenth * 10
    rest = tenth
  }
  return start + digits
}

function putText(bytes: Uint8Array, start: number, value: string, text: TextCodec): number {
  const { length } = value
  if (length > SHORT_TEXT) return start + text.writeLatin1(value, bytes, start)
  for (let index = 0; index < length; index++) bytes[start + index] = value.charCodeAt(index)
  return start + length
}

function putBytes(bytes: Uint8Array, start: number, piece: Uint8Array): number {
  bytes.set(piece, start)
  return start + piece.length
}

function putCrlf(bytes: Uint8Array, at: number): number {
  bytes[at] = CR
  bytes[at + 1] = LF
  return at + 2
}

/** Options that the session decides itself are taken out of a `Connection` value. */
function withoutOwnOptions(value: string): string {
  return listElements(value)
    .filter((option) => !OWN_OPTIONS.has(option))
    .join(', ')
}

function managedBit(name: string): number {
  switch (name.length) {
    case 4:
      if (isName(name, 'date')) return HAS_DATE
      return isName(name, 'host') ? HAS_HOST : 0
    case 6:
      return isName(name, 'expect') ? HAS_EXPECT : 0
    case 10:
      return isName(name, 'connection') ? HAS_CONNECTION : 0
    case 14:
      return isName(name, 'content-length') ? HAS_LENGTH : 0
    case 17:
      return isName(name, 'transfer-encoding') ? HAS_CODING : 0
    default:
      return 0
  }
}

function isName(name: string, lower: string): boolean {
  if (name === lower) return true
  // Bit 5 makes capitals small; no other token byte becomes a letter by it.
  for (let index = 0; index < lower.length; index++) {
    if ((name.charCodeAt(index) | 0x20) !== lower.charCodeAt(index)) return false
  }
  return true
}

function isShortAscii(text: string): boolean {
  if (text.length > SHORT_BODY) return false
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) return false
  }
  return true
}

/** Prepared once per status. */
function statusLine(status: number): Uint8Array {
  const known = STATUS_LINES[status]
  if (known !== undefined) return known
  const line = ascii(`HTTP/1.1 ${status} ${reasonOf(status)}\r\n`)
  STATUS_LINES[status] = line
  return line
}

const HEX_DIGITS = ascii('0123456789abcdef')
const DATE = ascii('date: ')
const HOST = ascii('host: ')
const CLOSE = ascii('connection: close\r\n')
const KEEP_ALIVE = ascii('connection: keep-alive\r\n')
const CONTENT_LENGTH = ascii('content-length: ')
const TRANSFER_ENCODING_CHUNKED = ascii('transfer-encoding: chunked\r\n')
const REQUEST_VERSION = ascii(' HTTP/1.1\r\n')
const LAST_CHUNK = ascii('0\r\n\r\n')
/** One for the whole thread: what services say does not depend on the connection. */
const cache = new HeadCache()
const OWN_OPTIONS: ReadonlySet<string> = new Set(['close', 'keep-alive', ''])
/** Indexed by status; a thousand at most, since statuses have three digits. */
const STATUS_LINES: (Uint8Array | undefined)[] = []
/** Room for everything in a head that is not a field of the caller, with the longest phrase. */
const MAX_OWN_BYTES = 256
const MAX_SIZE_LINE_BYTES = 16
/** 16 digits and two line ends. */
const MAX_END_BYTES = 20
/** Up to here a loop over `charCodeAt` beats a native call (Node 26: 30 ns whatever the length). */
const SHORT_TEXT = 12
/** Up to here text is looked at here to see whether it is ASCII. */
const SHORT_BODY = 64
/** Longer text is encoded into memory of its own. */
const MAX_REGION_TEXT = 16_384
