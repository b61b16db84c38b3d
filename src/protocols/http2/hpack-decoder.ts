/**
 * Decodes field blocks (RFC 7541). One for each direction of a connection: the dynamic table lives
 * from block to block, so that every block is decoded to its end, also one that is over a limit.
 */
import { checkInteger } from '../../core/errors.ts'
import { decodeHuffman, latin1 } from './hpack-huffman.ts'
import { ENTRY_OVERHEAD, STATIC_COUNT, STATIC_TABLE } from './hpack-tables.ts'

export interface HpackDecoderOptions {
  /**
   * Most octets of the dynamic table, as SETTINGS_HEADER_TABLE_SIZE announced it.
   *
   * @default 4_096, which holds until a peer has acknowledged another
   */
  maxTableBytes?: number
  /**
   * Most octets of a field list, counted as SETTINGS_MAX_HEADER_LIST_SIZE does: those of names and
   * values and 32 for each field (RFC 9113, section 6.5.2).
   *
   * @default 65_536
   */
  maxListBytes?: number
}

export const hpackDecoderDefaults: Readonly<Required<HpackDecoderOptions>> = Object.freeze({
  maxTableBytes: 4_096,
  // Four times what a head of HTTP/1.1 may take, for a list that counts 32 for each field.
  maxListBytes: 65_536,
})

/** `too-large`: the list is incomplete, the table is in step. `broken`: `problem` says why. */
export type HpackResult = 'ok' | 'too-large' | 'broken'

export class HpackDecoder {
  /** What was wrong with a block that is `broken`: a COMPRESSION_ERROR of the connection. */
  problem: string | undefined
  readonly #limit: number
  readonly #maxListBytes: number
  #tableLimit: number
  #tableBytes = 0
  /** Names and values, newest entry last; entries before `#oldest` have been evicted. */
  #names: string[] = []
  #values: string[] = []
  #oldest = 0
  // The block being decoded.
  #block: Uint8Array = EMPTY
  #at = 0

  /** @throws UsageError ERR_OPTION_RANGE */
  constructor(options: HpackDecoderOptions = {}) {
    const { maxTableBytes, maxListBytes } = { ...hpackDecoderDefaults, ...options }
    this.problem = undefined
    this.#limit = checkInteger('maxTableBytes', maxTableBytes, 0, 0x4000_0000)
    this.#maxListBytes = checkInteger('maxListBytes', maxListBytes, 0, 0x4000_0000)
    this.#tableLimit = maxTableBytes
  }

  /** Octets of the dynamic table, as RFC 7541 counts them. */
  get tableBytes(): number {
    return this.#tableBytes
  }

  /**
   * Appends name, value, name, value … to `into`. The block is borrowed. Past `maxListBytes`
   * nothing more is appended.
   */
  decode(block: Uint8Array, into: string[]): HpackResult {
    this.#block = block
    this.#at = 0
    let left = this.#maxListBytes
    let mayUpdate = true
    while (this.#at < block.length) {
      const first = block[this.#at] as number
      if ((first & 0xe0) === 0x20) {
        if (!mayUpdate) return this.#broken('a table size update is not at the start of its block')
        if (!this.#updateSize()) return 'broken'
        continue
      }
      mayUpdate = false
      let name: string | undefined
      let value: string | undefined
      if ((first & 0x80) !== 0) {
        const index = this.#integer(7)
        if (index <= 0 || !this.#has(index)) return this.#broken(noEntry(index))
        name = this.#nameOf(index)
        value = this.#valueOf(index)
      } else {
        const indexed = (first & 0x40) !== 0
        const index = this.#integer(indexed ? 6 : 4)
        if (index < 0 || !(index === 0 || this.#has(index))) return this.#broken(noEntry(index))
        name = index === 0 ? this.#string() : this.#nameOf(index)
        if (name === undefined) return 'broken'
        value = this.#string()
        if (value === undefined) return 'broken'
        if (indexed) this.#insert(name, value)
      }
      left -= name.length + value.length + ENTRY_OVERHEAD
      if (left >= 0) into.push(name, value)
    }
    this.#block = EMPTY
    return left >= 0 ? 'ok' : 'too-large'
  }

  #has(index: number): boolean {
    return index <= STATIC_COUNT || index - STATIC_COUNT <= this.#names.length - this.#oldest
  }

  #nameOf(index: number): string {
    if (index <= STATIC_COUNT) return STATIC_TABLE[index * 2 - 2] as string
    return this.#names[this.#names.length - (index - STATIC_COUNT)] as string
  }

  #valueOf(index: number): string {
    if (index <= STATIC_COUNT) return STATIC_TABLE[index * 2 - 1] as string
    return this.#values[this.#values.length - (index - STATIC_COUNT)] as string
  }

  #insert(name: string, value: string): void {
    const bytes = name.length + value.length + ENTRY_OVERHEAD
    this.#evict(this.#tableLimit - bytes)
    // One that is larger than the table empties it (RFC 7541, section 4.4).
    if (bytes > this.#tableLimit) return
    this.#names.push(name)
    this.#values.push(value)
    this.#tableBytes += bytes
  }

  #evict(room: number): void {
    while (this.#tableBytes > room && this.#oldest < this.#names.length) {
      const name = this.#names[this.#oldest] as string
      const value = this.#values[this.#oldest] as string
      this.#tableBytes -= name.length + value.length + ENTRY_OVERHEAD
      // The strings are let go at once, their places a few at a time.
      this.#names[this.#oldest] = ''
      this.#values[this.#oldest] = ''
      this.#oldest++
    }
    if (this.#oldest < COMPACT_FROM || this.#oldest * 2 < this.#names.length) return
    this.#names.splice(0, this.#oldest)
    this.#values.splice(0, this.#oldest)
    this.#oldest = 0
  }

  #updateSize(): boolean {
    const bytes = this.#integer(5)
    if (bytes < 0 || bytes > this.#limit) {
      this.#broken(`a table of ${bytes} octets was asked for, ${this.#limit} were announced`)
      return false
    }
    this.#tableLimit = bytes
    this.#evict(bytes)
    return true
  }

  /** RFC 7541, section 5.1; -1: cut off, or above 2³¹. */
  #integer(prefix: number): number {
    const block = this.#block
    const mask = (1 << prefix) - 1
    let value = (block[this.#at++] as number) & mask
    if (value < mask) return value
    for (let shift = 0; shift <= MAX_SHIFT; shift += 7) {
      if (this.#at >= block.length) return -1
      const byte = block[this.#at++] as number
      value += (byte & 0x7f) * 2 ** shift
      if ((byte & 0x80) === 0) return value > MAX_INTEGER ? -1 : value
    }
    return -1
  }

  #string(): string | undefined {
    const block = this.#block
    if (this.#at >= block.length) return this.#cut()
    const huffman = ((block[this.#at] as number) & 0x80) !== 0
    const length = this.#integer(7)
    const start = this.#at
    if (length < 0 || length > block.length - start) return this.#cut()
    this.#at = start + length
    if (!huffman) return latin1(block, start, this.#at)
    const text = decodeHuffman(block, start, this.#at)
    if (text === undefined) this.#broken('text is not encoded as the Huffman code says')
    return text
  }

  #cut(): undefined {
    this.#broken('a field ends after its block, or its length is out of range')
  }

  #broken(problem: string): 'broken' {
    this.#block = EMPTY
    this.problem = problem
    return 'broken'
  }
}

function noEntry(index: number): string {
  return index < 0 ? 'an index is out of range' : `there is no entry ${index}`
}

const EMPTY = new Uint8Array(0)
const MAX_INTEGER = 0x7fff_ffff
/** Five octets hold more than 2³¹. */
const MAX_SHIFT = 28
const COMPACT_FROM = 64
