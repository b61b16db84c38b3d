/**
 * Writes field sections as HEADERS (or PUSH_PROMISE) frames, in place: nine bytes are left out for
 * the frame header, which is filled in when the length is known. What is longer than the peer's
 * frames goes on in CONTINUATION.
 *
 * What is put into the HPACK table: values that came before. A name whose value is another one each
 * time (a request id, a trace) would push out what repeats, so a value is indexed when it comes for
 * the second time in a row, and a path when it is among the last ones.
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import type { HttpFields } from '../http/fields.ts'
import { encodeFrameHeader, writeFrameHeader } from './encoder.ts'
import { CONNECTION_FIELDS } from './field-reader.ts'
import { HeadCache } from './head-cache.ts'
import { HpackEncoder } from './hpack-encoder.ts'
import { FRAME_HEADER_BYTES, FrameFlag, FrameType } from './messages.ts'

/** What is known of a name that was sent. */
interface SentName {
  /** In lower case; undefined: not sent. */
  readonly name: string | undefined
  readonly never: boolean
  last: string
  /** Where `last` stands in the tables; 0: in none. */
  place: number
}

export class FieldWriter {
  maxFrameBytes = 16_384
  readonly #out: ByteWriter
  readonly #hpack: HpackEncoder
  readonly #names = new Map<string, SentName>()
  readonly #paths = new Set<string>()
  readonly #status = sentName(':status')
  readonly #method = sentName(':method')
  readonly #scheme = sentName(':scheme')
  readonly #authority = sentName(':authority')
  readonly #path = sentName(':path')
  readonly #heads = new HeadCache()
  /** Those of the table after the last response. */
  #changes = -1
  #start = 0
  #promised = 0

  constructor(out: ByteWriter, tableBytes: number) {
    this.#out = out
    this.#hpack = new HpackEncoder({ maxTableBytes: tableBytes })
  }

  setPeerTableBytes(bytes: number): void {
    this.#hpack.setPeerTableBytes(bytes)
  }

  /** `promised`: the stream that a PUSH_PROMISE names; 0: HEADERS. */
  begin(fields: HttpFields | undefined, promised = 0): void {
    const out = this.#out
    out.reserve(FIRST_ROOM + (fields === undefined ? 0 : sizeOf(fields)))
    this.#start = out.length
    this.#promised = promised
    out.length += promised === 0 ? FRAME_HEADER_BYTES : FRAME_HEADER_BYTES + 4
    this.#hpack.begin(out)
  }

  /**
   * All of a response's head but for what is in its frame header. `length` and `date` are added where
   * there are any, as fields behind the others.
   */
  response(
    status: number,
    fields: HttpFields | undefined,
    length: number | undefined,
    date: string | undefined,
  ): void {
    const out = this.#out
    const list = fields === undefined ? NO_FIELDS : fields.list
    const { changes } = this.#hpack
    const start = out.length
    if (list !== undefined && changes === this.#changes) {
      if (this.#heads.write(out, status, list, length, date, changes)) return
    }
    if (status !== TRAILERS) this.status(status)
    if (fields !== undefined) this.fields(fields)
    if (length !== undefined) this.field('content-length', String(length))
    if (date !== undefined) this.field('date', date)
    // A head with something new changes the table.
    if (list !== undefined && changes === this.#changes && changes === this.#hpack.changes) {
      this.#heads.keep(out, start, status, list, length, date, changes)
    }
    this.#changes = this.#hpack.changes
  }

  /** All of a section of trailers, which repeat as heads do. */
  trailers(fields: HttpFields): void {
    this.response(TRAILERS, fields, undefined, undefined)
  }

  status(status: number): void {
    this.#send(this.#status, STATUS_TEXTS[status] ?? String(status), true)
  }

  method(method: string): void {
    this.#send(this.#method, method, true)
  }

  scheme(scheme: string): void {
    this.#send(this.#scheme, scheme, true)
  }

  authority(authority: string): void {
    this.#room(authority)
    this.#send(this.#authority, authority, true)
  }

  path(path: string): void {
    this.#room(path)
    const sent = this.#path
    if (sent.last === path) return this.#send(sent, path, true)
    const paths = this.#paths
    const known = paths.has(path)
    if (!known) {
      if (paths.size >= MAX_PATHS) paths.clear()
      paths.add(path)
    }
    this.#send(sent, path, known)
  }

  protocol(protocol: string): void {
    this.#room(protocol)
    this.#hpack.field(this.#out, ':protocol', protocol, 'index')
  }

  field(name: string, value: string): void {
    const sent = this.#names.get(name) ?? this.#addName(name)
    if (sent.name === undefined) return
    if (sent !== UNKNOWN) return this.#send(sent, value, false)
    this.#hpack.field(this.#out, name.toLowerCase(), value, 'skip')
  }

  /** `repeats`: it is indexed the first time already. */
  #send(sent: SentName, value: string, repeats: boolean): void {
    const isSame = sent.last === value
    if (isSame && sent.place !== 0 && this.#hpack.again(this.#out, sent.place)) return
    sent.last = value
    const how = sent.never ? 'never' : isSame || repeats ? 'index' : 'skip'
    this.#hpack.field(this.#out, sent.name as string, value, how)
    sent.place = this.#hpack.place
  }

  /** All but those of a connection, and `skipped`. */
  fields(fields: HttpFields, skipped?: string): void {
    const { list } = fields
    if (list !== undefined) {
      for (let at = 0; at < list.length; at += 2) {
        const name = list[at] as string
        if (name !== skipped) this.field(name, list[at + 1] as string)
      }
      return
    }
    for (let at = 0; at < fields.size; at++) {
      const name = fields.nameAt(at).toLowerCase()
      if (name !== skipped) this.field(name, fields.valueAt(at))
    }
  }

  /** Fills the frame header in. `flags` without END_HEADERS. */
  finish(stream: number, flags: number): void {
    const out = this.#out
    const { bytes } = out
    const start = this.#start
    const length = out.length - start - FRAME_HEADER_BYTES
    const type = this.#promised === 0 ? FrameType.HEADERS : FrameType.PUSH_PROMISE
    if (this.#promised !== 0) {
      const at = start + FRAME_HEADER_BYTES
      bytes[at] = this.#promised >>> 24
      bytes[at + 1] = this.#promised >>> 16
      bytes[at + 2] = this.#promised >>> 8
      bytes[at + 3] = this.#promised
    }
    if (length <= this.maxFrameBytes) {
      return writeFrameHeader(bytes, start, length, type, flags | FrameFlag.END_HEADERS, stream)
    }
    this.#split(type, flags, stream, length)
  }

  #split(type: number, flags: number, stream: number, length: number): void {
    const out = this.#out
    const max = this.maxFrameBytes
    const first = this.#start + FRAME_HEADER_BYTES
    const rest = out.bytes.slice(first + max, first + length)
    writeFrameHeader(out.bytes, this.#start, max, type, flags, stream)
    out.length = first + max
    for (let at = 0; at < rest.length; at += max) {
      const part = rest.subarray(at, at + max)
      const last = at + max >= rest.length ? FrameFlag.END_HEADERS : 0
      encodeFrameHeader(out, part.length, FrameType.CONTINUATION, last, stream)
      out.copy(part)
    }
  }

  /** The frame is in one region: room is made for all of it before it begins, or it moves. */
  #room(text: string): void {
    const out = this.#out
    const needed = text.length + FIELD_ROOM
    if (out.bytes.length - out.length >= needed) return
    const written = out.bytes.slice(this.#start, out.length)
    out.length = this.#start
    out.reserve(written.length + needed + FIRST_ROOM)
    this.#start = out.length
    out.copy(written)
  }

  #addName(name: string): SentName {
    const lower = name.toLowerCase()
    const dropped = CONNECTION_FIELDS.has(lower) || lower === 'http2-settings'
    const sent = sentName(dropped ? undefined : lower, NEVER.has(lower))
    if (this.#names.size >= MAX_NAMES) return dropped || sent.never ? sent : UNKNOWN
    this.#names.set(name, sent)
    return sent
  }
}

function sentName(name: string | undefined, never = false): SentName {
  return { name, never, last: NOTHING, place: 0 }
}

/** More than what the fields can take: no code is longer than the text it stands for. */
function sizeOf(fields: HttpFields): number {
  const { list } = fields
  let size = 0
  if (list !== undefined) {
    for (let at = 0; at < list.length; at++) size += (list[at] as string).length
    return size + list.length * (FIELD_ROOM / 2)
  }
  for (let at = 0; at < fields.size; at++) {
    size += fields.nameAt(at).length + fields.valueAt(at).length + FIELD_ROOM
  }
  return size
}

/** Table sizes, pseudo-header fields but paths and the like, and what we add. */
const FIRST_ROOM = 256
/** Two lengths and an index of the longest form. */
const FIELD_ROOM = 16
/** No value. */
const NOTHING = '\n'
const MAX_NAMES = 128
/** In place of a status, and beside those of heads. */
const TRAILERS = 2
const NO_FIELDS: readonly string[] = Object.freeze([])
const MAX_PATHS = 32
/** Names beyond those that are remembered. */
const UNKNOWN: SentName = /* @__PURE__ */ sentName('')
/** RFC 7541 7.1.3: what an intermediary must not put into a table either. */
const NEVER: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'set-cookie'])
const STATUS_TEXTS: Readonly<Record<number, string>> = Object.freeze({
  200: '200',
  204: '204',
  206: '206',
  304: '304',
  400: '400',
  404: '404',
  500: '500',
})
