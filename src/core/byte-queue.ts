/**
 * Bytes in by chunk, out by count: what incremental decoders read from.
 *
 *     carry (owned)  | read | unread ... | free |     chunk (borrowed)  | read | unread ... |
 *
 * A chunk is borrowed and read in place. Only what spans two chunks is copied, into the carry:
 * usually the incomplete tail of a batch. Each byte is copied at most once on its way in, and the
 * carry doubles, so all operations are O(1) amortised per byte.
 *
 * **Rule.** A decoder calls `copyBorrowed()` before its `next` returns undefined: after that the
 * queue holds nothing of the chunk. What `read` returned is valid until the next `push` or
 * `copyBorrowed`; what must live longer is taken with `readCopy`.
 */
import { InternalError } from './errors.ts'

export class ByteQueue {
  readonly #keptBytes: number
  #carry: Uint8Array = EMPTY
  #carryStart = 0
  #carryEnd = 0
  #chunk: Uint8Array = EMPTY
  #at = 0

  /** @param keptBytes an empty carry up to this size is kept for the next tail. @default 1_024 */
  constructor(keptBytes: number = KEPT_CARRY_BYTES) {
    this.#keptBytes = keptBytes
  }

  /** Bytes that can be read. */
  get length(): number {
    return this.#carryEnd - this.#carryStart + this.#chunk.length - this.#at
  }

  /** Takes a chunk, borrowed until `copyBorrowed`. */
  push(chunk: Uint8Array): void {
    this.copyBorrowed()
    this.#chunk = chunk
    this.#at = 0
  }

  /** Copies what is unread of the borrowed chunk: its memory may be reused afterwards. */
  copyBorrowed(): void {
    // No view given out by `read` has to stay valid from here on, so the carry may start over.
    if (this.#carryStart === this.#carryEnd) {
      this.#carryStart = 0
      this.#carryEnd = 0
      if (this.#carry.length > this.#keptBytes) this.#carry = EMPTY
    }
    const rest = this.#chunk.length - this.#at
    if (rest > 0) this.#append(rest)
    this.#chunk = EMPTY
    this.#at = 0
  }

  /** The next `count` bytes in one piece. Borrowed: see the rule above. */
  read(count: number): Uint8Array {
    const view = this.peek(count)
    this.skip(count)
    return view
  }

  /** As `read`, as a copy that is the caller's. */
  readCopy(count: number): Uint8Array {
    const copy = new Uint8Array(this.#check(count))
    const carried = Math.min(count, this.#carryEnd - this.#carryStart)
    copy.set(this.#carry.subarray(this.#carryStart, this.#carryStart + carried))
    copy.set(this.#chunk.subarray(this.#at, this.#at + count - carried), carried)
    this.skip(count)
    return copy
  }

  /** As `read`, without taking them. */
  peek(count: number): Uint8Array {
    this.#check(count)
    const carried = this.#carryEnd - this.#carryStart
    if (carried === 0) return this.#chunk.subarray(this.#at, this.#at + count)
    if (carried < count) this.#append(count - carried)
    return this.#carry.subarray(this.#carryStart, this.#carryStart + count)
  }

  skip(count: number): void {
    this.#check(count)
    const carried = Math.min(count, this.#carryEnd - this.#carryStart)
    this.#carryStart += carried
    this.#at += count - carried
  }

  /** The byte at `offset` from the front, without taking it. */
  byteAt(offset: number): number {
    const index = this.#carryStart + offset
    if (index < this.#carryEnd) return this.#carry[index] as number
    const byte = this.#chunk[this.#at + index - this.#carryEnd]
    if (byte === undefined) this.#check(offset + 1)
    return byte as number
  }

  /**
   * Offset of the first `byte` at or after `from`, or -1. A decoder that remembers how far it has
   * looked never scans a byte twice.
   */
  indexOf(byte: number, from: number = 0): number {
    const carried = this.#carryEnd - this.#carryStart
    if (from < carried) {
      const found = this.#carry.subarray(0, this.#carryEnd).indexOf(byte, this.#carryStart + from)
      if (found >= 0) return found - this.#carryStart
    }
    const start = this.#at + Math.max(0, from - carried)
    const found = this.#chunk.indexOf(byte, start)
    return found < 0 ? -1 : found - this.#at + carried
  }

  readUint8(): number {
    const byte = this.byteAt(0)
    this.skip(1)
    return byte
  }

  readUint16(): number {
    const value = (this.byteAt(0) << 8) | this.byteAt(1)
    this.skip(2)
    return value
  }

  readUint24(): number {
    const value = (this.byteAt(0) << 16) | (this.byteAt(1) << 8) | this.byteAt(2)
    this.skip(3)
    return value
  }

  readUint32(): number {
    const high = (this.byteAt(0) << 8) | this.byteAt(1)
    const value = high * 0x1_0000 + ((this.byteAt(2) << 8) | this.byteAt(3))
    this.skip(4)
    return value
  }

  readUint16le(): number {
    const value = this.byteAt(0) | (this.byteAt(1) << 8)
    this.skip(2)
    return value
  }

  readUint32le(): number {
    const high = this.byteAt(2) | (this.byteAt(3) << 8)
    const value = high * 0x1_0000 + (this.byteAt(0) | (this.byteAt(1) << 8))
    this.skip(4)
    return value
  }

  readUint64(): bigint {
    const high = this.readUint32()
    return (BigInt(high) << 32n) | BigInt(this.readUint32())
  }

  readUint64le(): bigint {
    const low = this.readUint32le()
    return (BigInt(this.readUint32le()) << 32n) | BigInt(low)
  }

  /** Drops everything and the memory with it. */
  clear(): void {
    this.#carry = EMPTY
    this.#carryStart = 0
    this.#carryEnd = 0
    this.#chunk = EMPTY
    this.#at = 0
  }

  /** Reading more than there is, is a mistake of the decoder, not of the peer. */
  #check(count: number): number {
    if (count < 0 || count > this.length) {
      throw new InternalError('ERR_INVARIANT', `${count} bytes read of ${this.length} there are`)
    }
    return count
  }

  /** Moves `count` bytes of the chunk to the end of the carry. */
  #append(count: number): void {
    if (this.#carry.length - this.#carryEnd < count) this.#grow(count)
    this.#carry.set(this.#chunk.subarray(this.#at, this.#at + count), this.#carryEnd)
    this.#carryEnd += count
    this.#at += count
  }

  /** New memory, never moved within the old: views of the old one stay what they were. */
  #grow(count: number): void {
    const carried = this.#carryEnd - this.#carryStart
    const size = Math.max(FIRST_CARRY_BYTES, carried + count, carried * 2)
    const grown = new Uint8Array(size)
    grown.set(this.#carry.subarray(this.#carryStart, this.#carryEnd))
    this.#carry = grown
    this.#carryStart = 0
    this.#carryEnd = carried
  }
}

const EMPTY = new Uint8Array(0)
const FIRST_CARRY_BYTES = 64
/** More is not held by an idle queue. */
const KEPT_CARRY_BYTES = 1_024
