/**
 * Encodes field blocks (RFC 7541) in place. What is found in a table is an index; what may come
 * again is put into the dynamic table; what is secret or changes every time is not.
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import { checkInteger } from '../../core/errors.ts'
import { encodeHuffman, huffmanLength } from './hpack-huffman.ts'
import { ENTRY_OVERHEAD, STATIC_COUNT, STATIC_TABLE } from './hpack-tables.ts'

export interface HpackEncoderOptions {
  /**
   * Most octets of the dynamic table that are used, however many the peer allows.
   *
   * @default 4_096, which every peer has to allow at first
   */
  maxTableBytes?: number
}

export const hpackEncoderDefaults: Readonly<Required<HpackEncoderOptions>> = Object.freeze({
  maxTableBytes: 4_096,
})

/**
 * - `index`: goes into the dynamic table.
 * - `skip`: changes every time, and would only push others out.
 * - `never`: a secret that no intermediary may put into a table either (RFC 7541, section 7.1.3).
 */
export type HowToIndex = 'index' | 'skip' | 'never'

export class HpackEncoder {
  /** Where the last field stands that was written by `field`, for `again`; 0: in no table. */
  place = 0
  readonly #most: number
  #tableLimit: number
  #tableBytes = 0
  /** Entries ever inserted, and evicted; the difference is what the table holds. */
  #inserted = 0
  #evicted = 0
  /** Number of the newest entry of each name, and of each name and value. */
  readonly #byName = new Map<string, Map<string, number>>()
  /** Entries from `#evicted` on. */
  #entries: Entry[] = []
  #head = 0
  /** What size updates are due: the smallest size since the last block, and the one that holds. */
  #leastUpdate = -1
  #update = -1

  /** @throws UsageError ERR_OPTION_RANGE */
  constructor(options: HpackEncoderOptions = {}) {
    const { maxTableBytes } = { ...hpackEncoderDefaults, ...options }
    this.#most = checkInteger('maxTableBytes', maxTableBytes, 0, 0x4000_0000)
    this.#tableLimit = Math.min(this.#most, hpackEncoderDefaults.maxTableBytes)
    if (this.#tableLimit < hpackEncoderDefaults.maxTableBytes) this.#resize(this.#tableLimit)
  }

  /**
   * Changes of the table so far: while it stays the same, a field is written the same. -1: the next
   * block begins with a size update.
   */
  get changes(): number {
    return this.#update < 0 ? this.#inserted + this.#evicted : -1
  }

  /** SETTINGS_HEADER_TABLE_SIZE of the peer; the next block says what is made of it. */
  setPeerTableBytes(bytes: number): void {
    const limit = Math.min(bytes, this.#most)
    if (limit !== this.#tableLimit) this.#resize(limit)
  }

  /** Upper bound of a block of these fields in bytes: name, value, name, value … */
  bound(fields: readonly string[]): number {
    let bytes = MAX_UPDATES_BYTES
    for (const text of fields) bytes += text.length + MAX_LENGTH_BYTES
    return bytes + fields.length
  }

  /** First of every block. Room for it must be there, as for each field. */
  begin(out: ByteWriter): void {
    if (this.#update < 0) return
    if (this.#leastUpdate < this.#update) this.#integer(out, 0x20, 5, this.#leastUpdate)
    this.#integer(out, 0x20, 5, this.#update)
    this.#leastUpdate = -1
    this.#update = -1
  }

  /**
   * The field that stood at `place` once more, without looking for it.
   *
   * @returns false: it was evicted, nothing was written
   */
  again(out: ByteWriter, place: number): boolean {
    if (place <= this.#evicted) {
      if (place >= 0) return false
      this.#integer(out, 0x80, 7, -place)
      return true
    }
    this.#integer(out, 0x80, 7, STATIC_COUNT + 1 + this.#inserted - place)
    return true
  }

  /** `name` in lower case; both latin-1. */
  field(
    out: ByteWriter,
    name: string,
    value: string,
    how: HowToIndex = howToIndex(name, value),
  ): void {
    const known = STATIC_INDEX.get(name)
    const fixed = known?.get(value)
    if (fixed !== undefined && how !== 'never') {
      this.place = -fixed
      return this.#integer(out, 0x80, 7, fixed)
    }
    const dynamic = this.#byName.get(name)
    const found = dynamic?.get(value)
    if (found !== undefined && how !== 'never') {
      this.place = found + 1
      return this.#integer(out, 0x80, 7, STATIC_COUNT + this.#inserted - found)
    }
    let index = 0
    if (known !== undefined) index = known.get(FIRST) as number
    else if (dynamic !== undefined) {
      index = STATIC_COUNT + this.#inserted - (dynamic.get(FIRST) as number)
    }
    const bytes = name.length + value.length + ENTRY_OVERHEAD
    if (how === 'index' && bytes <= this.#tableLimit) {
      this.#integer(out, 0x40, 6, index)
      if (index === 0) this.#string(out, name)
      this.#string(out, value)
      this.#insert(name, value, bytes)
      this.place = this.#inserted
      return
    }
    this.place = 0
    this.#integer(out, how === 'never' ? 0x10 : 0x00, 4, index)
    if (index === 0) this.#string(out, name)
    this.#string(out, value)
  }

  #insert(name: string, value: string, bytes: number): void {
    this.#evict(this.#tableLimit - bytes)
    const number = this.#inserted++
    this.#entries.push({ name, value, number })
    this.#tableBytes += bytes
    let values = this.#byName.get(name)
    if (values === undefined) {
      values = new Map()
      this.#byName.set(name, values)
    }
    values.set(value, number)
    values.set(FIRST, number)
  }

  #evict(room: number): void {
    while (this.#tableBytes > room && this.#evicted < this.#inserted) {
      const { name, value, number } = this.#entries[this.#head++] as Entry
      this.#evicted++
      this.#tableBytes -= name.length + value.length + ENTRY_OVERHEAD
      const values = this.#byName.get(name) as Map<string, number>
      if (values.get(value) === number) values.delete(value)
      if (values.get(FIRST) === number) this.#byName.delete(name)
    }
    if (this.#head < COMPACT_FROM) return
    this.#entries = this.#entries.slice(this.#head)
    this.#head = 0
  }

  #resize(bytes: number): void {
    this.#tableLimit = bytes
    this.#evict(bytes)
    this.#leastUpdate = this.#update < 0 ? bytes : Math.min(this.#leastUpdate, bytes)
    this.#update = bytes
  }

  #integer(out: ByteWriter, pattern: number, prefix: number, value: number): void {
    const { bytes } = out
    const mask = (1 << prefix) - 1
    if (value < mask) {
      bytes[out.length++] = pattern | value
      return
    }
    bytes[out.length++] = pattern | mask
    let rest = value - mask
    while (rest >= 0x80) {
      bytes[out.length++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    bytes[out.length++] = rest
  }

  #string(out: ByteWriter, text: string): void {
    const length = huffmanLength(text)
    if (length < text.length) {
      this.#integer(out, 0x80, 7, length)
      out.length = encodeHuffman(text, out.bytes, out.length)
      return
    }
    this.#integer(out, 0x00, 7, text.length)
    const { bytes } = out
    for (let index = 0; index < text.length; index++) {
      bytes[out.length++] = text.charCodeAt(index)
    }
  }
}

interface Entry {
  readonly name: string
  readonly value: string
  readonly number: number
}

/** A short cookie can be guessed by who sees the length of what is sent (RFC 7541, section 7.1). */
function howToIndex(name: string, value: string): HowToIndex {
  if (NEVER.has(name)) return 'never'
  if (name === 'cookie' && value.length < SHORT_COOKIE) return 'never'
  return SKIP.has(name) ? 'skip' : 'index'
}

/** Index of each name and value; under `FIRST` the lowest of the name. */
function indexStatic(): ReadonlyMap<string, ReadonlyMap<string, number>> {
  const names = new Map<string, Map<string, number>>()
  for (let index = 1; index <= STATIC_COUNT; index++) {
    const name = STATIC_TABLE[index * 2 - 2] as string
    let values = names.get(name)
    if (values === undefined) {
      values = new Map([[FIRST, index]])
      names.set(name, values)
    }
    values.set(STATIC_TABLE[index * 2 - 1] as string, index)
  }
  return names
}

/** No value has a line feed in it. */
const FIRST = '\n'
const STATIC_INDEX = /* @__PURE__ */ indexStatic()
const NEVER: ReadonlySet<string> = /* @__PURE__ */ new Set([
  'authorization',
  'proxy-authorization',
  'set-cookie',
])
const SKIP: ReadonlySet<string> = /* @__PURE__ */ new Set([
  ':path',
  'age',
  'content-length',
  'etag',
  'grpc-status-details-bin',
  'grpc-timeout',
  'if-modified-since',
  'if-none-match',
  'last-modified',
  'location',
  'traceparent',
  'tracestate',
  'x-request-id',
])
const SHORT_COOKIE = 20
const COMPACT_FROM = 256
/** Six octets of a length and one bit pattern. */
const MAX_LENGTH_BYTES = 6
const MAX_UPDATES_BYTES = 12
