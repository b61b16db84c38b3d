/**
 * Decodes field blocks (RFC 7541). One for each direction of a connection: the dynamic table lives
 * from block to block, so that every block is decoded to its end, also one that is over a limit.
 *
 *     1xxxxxxx  a field of a table      001xxxxx  the table gets another size
 *     01xxxxxx  a literal, to the table 000Nxxxx  a literal; N: never for a table
 *
 * The table is a ring that grows with what is in it; a field of it is the same two strings each time.
 */
import { checkInteger } from '../../core/errors.ts'
import type { TextCodec } from '../../core/host.ts'
import { portableText } from '../../core/portable-text.ts'
import { decodeHuffman, huffmanRoom } from './hpack-huffman.ts'
import { LiteralCache } from './hpack-literals.ts'
import { ENTRY_OVERHEAD, INITIAL_TABLE_BYTES, STATIC_COUNT, STATIC_TABLE } from './hpack-tables.ts'

export interface HpackDecoderOptions {
  /**
   * Most octets of the dynamic table, as SETTINGS_HEADER_TABLE_SIZE announced it. A peer that has not
   * acknowledged the setting yet may use 4,096 all the same; see `acknowledge`.
   *
   * @default 4_096, which needs no setting: heads of one application fit, and a connection stays small
   */
  maxTableBytes?: number
  /**
   * Most octets of a field list, counted as SETTINGS_MAX_HEADER_LIST_SIZE does: those of names and
   * values and 32 for each field (RFC 9113, section 6.5.2).
   *
   * @default 65_536, four times what a head of HTTP/1.1 may take, as each field counts 32 more
   */
  maxListBytes?: number
  /** @default portable, in plain JavaScript */
  text?: TextCodec
}

export const hpackDecoderDefaults: Readonly<{ maxTableBytes: number; maxListBytes: number }> =
  Object.freeze({ maxTableBytes: INITIAL_TABLE_BYTES, maxListBytes: 65_536 })

/** `too-large`: the list is incomplete, the table is in step. `broken`: `problem` says why. */
export type HpackResult = 'ok' | 'too-large' | 'broken'

export class HpackDecoder {
  /** What was wrong with a block that is `broken`: a COMPRESSION_ERROR of the connection. */
  problem: string | undefined
  /** Changes of the table so far: while it stays the same, a block of indices means the same. */
  changes = 0
  readonly #text: TextCodec
  readonly #announced: number
  readonly #maxListBytes: number
  /** What a size update may ask for. */
  #limit: number
  /** The next block must begin with a size update: the table is larger than was acknowledged. */
  #mustShrink = false
  #tableLimit = INITIAL_TABLE_BYTES
  #tableBytes = 0
  /** Names and values in turn; a power of two of them. The newest is before `#next`. */
  #ring: string[] = []
  #next = 0
  #count = 0
  readonly #literals = new LiteralCache()
  // The block being decoded.
  #block: Uint8Array = EMPTY
  #at = 0
  #name = ''
  #value = ''

  /** @throws UsageError ERR_OPTION_RANGE */
  constructor(options: HpackDecoderOptions = {}) {
    const {
      maxTableBytes = hpackDecoderDefaults.maxTableBytes,
      maxListBytes = hpackDecoderDefaults.maxListBytes,
      text = portableText,
    } = options
    this.problem = undefined
    this.#text = text
    this.#announced = checkInteger('maxTableBytes', maxTableBytes, 0, 0x4000_0000)
    this.#maxListBytes = checkInteger('maxListBytes', maxListBytes, 0, 0x4000_0000)
    this.#limit = Math.max(maxTableBytes, INITIAL_TABLE_BYTES)
  }

  /** Octets of the dynamic table, as RFC 7541 counts them. */
  get tableBytes(): number {
    return this.#tableBytes
  }

  /**
   * The peer has acknowledged our settings: `maxTableBytes` holds from its next block on, which must
   * begin with a size update where the table is larger (RFC 9113, section 4.3.1).
   */
  acknowledge(): void {
    this.#limit = this.#announced
    this.#mustShrink = this.#tableLimit > this.#announced
  }

  /**
   * Appends name, value, name, value … to `into`. The block is borrowed. Past `maxListBytes`
   * nothing more is appended.
   */
  decode(block: Uint8Array, into: string[]): HpackResult {
    this.#block = block
    this.#at = 0
    let left = this.#maxListBytes
    if (!this.#updateSize()) return 'broken'
    while (this.#at < block.length) {
      const first = block[this.#at] as number
      if (first >= 0x80) {
        if (!this.#lookUp(this.#integer(7))) return 'broken'
      } else if (first >= 0x40) {
        if (!this.#literal(6, true)) return 'broken'
        this.#insert(this.#name, this.#value)
      } else if (first < 0x20) {
        // Never-indexed ones are secrets: they are in no cache, whose hits could be timed.
        if (!this.#literal(4, first < 0x10)) return 'broken'
      } else {
        return this.#broken('a table size update is not at the start of its block')
      }
      left -= this.#name.length + this.#value.length + ENTRY_OVERHEAD
      if (left >= 0) into.push(this.#name, this.#value)
    }
    this.#block = EMPTY
    return left >= 0 ? 'ok' : 'too-large'
  }

  /** Size updates, which are first in a block. */
  #updateSize(): boolean {
    const block = this.#block
    while (this.#at < block.length && ((block[this.#at] as number) & 0xe0) === 0x20) {
      const bytes = this.#integer(5)
      if (bytes < 0 || bytes > this.#limit) {
        const size = bytes < 0 ? 'a size out of range' : `${bytes} octets`
        this.#broken(`a table of ${size} was asked for, ${this.#limit} were announced`)
        return false
      }
      this.changes++
      this.#tableLimit = bytes
      this.#evict(bytes)
      this.#mustShrink = false
    }
    if (!this.#mustShrink) return true
    this.#broken(`the table stayed at ${this.#tableLimit} octets, ${this.#limit} were announced`)
    return false
  }

  /** A field of a table, into `#name` and `#value`. */
  #lookUp(index: number): boolean {
    if (index <= 0 || index - STATIC_COUNT > this.#count) {
      this.#broken(index < 0 ? 'an index is out of range' : `there is no entry ${index}`)
      return false
    }
    const isStatic = index <= STATIC_COUNT
    const from = isStatic ? STATIC_TABLE : this.#ring
    const at = isStatic
      ? index * 2 - 2
      : (this.#next - (index - STATIC_COUNT) * 2) & (this.#ring.length - 1)
    this.#name = from[at] as string
    this.#value = from[at + 1] as string
    return true
  }

  #literal(prefix: number, cached: boolean): boolean {
    const index = this.#integer(prefix)
    if (index === 0) {
      const name = this.#string(true)
      if (name === undefined) return false
      this.#name = name
    } else if (!this.#lookUp(index)) return false
    const value = this.#string(cached)
    if (value === undefined) return false
    this.#value = value
    return true
  }

  #insert(name: string, value: string): void {
    this.changes++
    const bytes = name.length + value.length + ENTRY_OVERHEAD
    this.#evict(this.#tableLimit - bytes)
    // One that is larger than the table empties it (RFC 7541, section 4.4).
    if (bytes > this.#tableLimit) return
    if (this.#count * 2 === this.#ring.length) this.#grow()
    this.#ring[this.#next] = name
    this.#ring[this.#next + 1] = value
    this.#next = (this.#next + 2) & (this.#ring.length - 1)
    this.#count++
    this.#tableBytes += bytes
  }

  #grow(): void {
    const old = this.#ring
    const oldest = this.#next
    this.#next = old.length
    // Oldest first. The ring is full: `#next` was where the oldest is.
    this.#ring = [...old.slice(oldest), ...old.slice(0, oldest)]
    const length = Math.max(MIN_RING, old.length * 2)
    while (this.#ring.length < length) this.#ring.push('')
  }

  #evict(room: number): void {
    const ring = this.#ring
    while (this.#tableBytes > room && this.#count > 0) {
      const at = (this.#next - this.#count * 2) & (ring.length - 1)
      const bytes = (ring[at] as string).length + (ring[at + 1] as string).length
      this.#tableBytes -= bytes + ENTRY_OVERHEAD
      ring[at] = ''
      ring[at + 1] = ''
      this.#count--
    }
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

  #string(cached: boolean): string | undefined {
    const block = this.#block
    if (this.#at >= block.length) return this.#cut()
    const huffman = (block[this.#at] as number) >= 0x80
    const length = this.#integer(7)
    const start = this.#at
    if (length < 0 || length > block.length - start) return this.#cut()
    const end = start + length
    this.#at = end
    if (length === 0) return ''
    const seen = cached ? this.#literals.find(block, start, end, huffman) : undefined
    if (seen !== undefined) return seen
    const text = huffman ? this.#unpack(start, end) : this.#text.latin1(block, start, end)
    if (text === undefined) this.#broken('text is not encoded as the Huffman code says')
    else if (cached) this.#literals.learn(block, start, end, huffman, text)
    return text
  }

  #unpack(start: number, end: number): string | undefined {
    const room = huffmanRoom(end - start)
    // Of the bytes that have arrived; fields are usually shorter than what all share.
    const scratch = room <= SCRATCH.length ? SCRATCH : new Uint8Array(room)
    const length = decodeHuffman(this.#block, start, end, scratch)
    return length < 0 ? undefined : this.#text.latin1(scratch, 0, length)
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

const EMPTY = new Uint8Array(0)
/** Used within one call only, by the decoders of all connections. */
const SCRATCH = /* @__PURE__ */ new Uint8Array(4_096)
/** Names and values of eight fields. */
const MIN_RING = 16
const MAX_INTEGER = 0x7fff_ffff
/** Five octets hold more than 2³¹. */
const MAX_SHIFT = 28
