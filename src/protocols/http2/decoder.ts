/**
 * Finds frames in what arrives, in place: `next` says where the payload stands, and nothing is made
 * of it. A frame that spans chunks is carried, each byte copied once; the payload of DATA is not: it
 * is handed out in the pieces in which it arrives.
 *
 *     chunk (borrowed)  | ... | length type flags stream | payload | ...
 *                                                        ^ start   ^ end
 *
 * A length over `maxFrameBytes` is refused when the header is there; nothing is allocated for what
 * a header announces.
 */
import { DEFAULT_FRAME_BYTES, FRAME_HEADER_BYTES, FrameFlag, FrameType } from './messages.ts'

/** What `next` found. */
export type Found = 0 | 1 | 2 | 3
/** More input is needed. */
export const NOTHING = 0
/** A whole frame that is not DATA. */
export const FRAME = 1
/** A part of the payload of a DATA frame. */
export const PIECE = 2
/** See `problem`. Sticky. */
export const BROKEN = 3

export class FrameDecoder {
  // Of the frame found.
  type = 0
  flags = 0
  stream = 0
  /** Of the whole payload, padding included. */
  length = 0
  /** Where the payload is, or the piece of DATA without padding. Borrowed. */
  bytes: Uint8Array = EMPTY
  start = 0
  end = 0
  /** DATA: this is the first piece of the frame, and the last one. */
  first = false
  last = false
  /** DATA: bytes of the frame that are padding, with their length. Known with the first piece. */
  padding = 0
  /** What is wrong: a frame over the limit, or padding longer than its frame. */
  problem: 'too-large' | 'padding' | undefined

  readonly #maxFrameBytes: number
  #chunk: Uint8Array = EMPTY
  #at = 0
  #carry: Uint8Array = EMPTY
  #carried = 0
  /** Left of the DATA frame that arrives. */
  #dataLeft = 0
  #paddingLeft = 0
  #inData = false
  /** No piece of it was handed out. */
  #begun = false

  constructor(maxFrameBytes: number = DEFAULT_FRAME_BYTES) {
    this.#maxFrameBytes = maxFrameBytes
  }

  /** Bytes held that no frame has used yet. */
  get buffered(): number {
    return this.#carried + this.#chunk.length - this.#at
  }

  /** Whether a frame has begun that is not complete. */
  get inFrame(): boolean {
    return this.#carried > 0 || this.#inData || this.#paddingLeft > 0
  }

  /** Borrowed until `hold`. What `next` left was held. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk
    this.#at = 0
  }

  /** Keeps what is incomplete: the chunk may be reused. */
  hold(): void {
    const rest = this.#chunk.length - this.#at
    if (rest > 0) this.#take(rest)
    this.#chunk = EMPTY
    this.#at = 0
    this.bytes = EMPTY
  }

  clear(): void {
    this.#chunk = EMPTY
    this.#at = 0
    this.#carry = EMPTY
    this.#carried = 0
    this.bytes = EMPTY
  }

  next(): Found {
    if (this.problem !== undefined) return BROKEN
    if (this.#inData) return this.#nextPiece()
    if (this.#paddingLeft > 0 && !this.#skipPadding()) return NOTHING
    if (this.#carried > 0) return this.#nextCarried()
    const bytes = this.#chunk
    const at = this.#at
    const available = bytes.length - at
    if (available < FRAME_HEADER_BYTES) return NOTHING
    const length = this.#readHeader(bytes, at)
    if (length < 0) return BROKEN
    if (this.type === FrameType.DATA) return this.#beginData(bytes, at, available)
    if (available < FRAME_HEADER_BYTES + length) return NOTHING
    this.bytes = bytes
    this.start = at + FRAME_HEADER_BYTES
    this.#at = this.end = this.start + length
    return FRAME
  }

  #readHeader(bytes: Uint8Array, at: number): number {
    const length =
      ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
    this.length = length
    this.type = bytes[at + 3] as number
    this.flags = bytes[at + 4] as number
    this.stream =
      (((bytes[at + 5] as number) & 0x7f) << 24) |
      ((bytes[at + 6] as number) << 16) |
      ((bytes[at + 7] as number) << 8) |
      (bytes[at + 8] as number)
    if (length <= this.#maxFrameBytes) return length
    this.problem = 'too-large'
    return -1
  }

  /** The header of a DATA frame is at `at`, of which `available` bytes are there. */
  #beginData(bytes: Uint8Array, at: number, available: number): Found {
    let { length } = this
    let start = at + FRAME_HEADER_BYTES
    this.padding = 0
    if ((this.flags & FrameFlag.PADDED) !== 0) {
      if (length === 0) return this.#badPadding()
      if (available === FRAME_HEADER_BYTES) return NOTHING
      const padding = bytes[start] as number
      start += 1
      this.padding = padding + 1
      this.#paddingLeft = padding
      length -= padding + 1
      if (length < 0) return this.#badPadding()
    }
    this.#dataLeft = length
    this.#inData = true
    this.#begun = true
    if (bytes === this.#chunk) this.#at = start
    else this.#carried = 0
    return this.#nextPiece()
  }

  #badPadding(): Found {
    this.problem = 'padding'
    return BROKEN
  }

  #nextPiece(): Found {
    const available = this.#chunk.length - this.#at
    const left = this.#dataLeft
    if (available === 0 && left > 0) return NOTHING
    const count = Math.min(available, left)
    this.bytes = this.#chunk
    this.start = this.#at
    this.#at = this.end = this.#at + count
    this.#dataLeft = left - count
    this.first = this.#begun
    this.#begun = false
    this.last = count === left
    if (this.last) this.#inData = false
    return PIECE
  }

  #skipPadding(): boolean {
    const available = this.#chunk.length - this.#at
    const count = Math.min(available, this.#paddingLeft)
    this.#at += count
    this.#paddingLeft -= count
    return this.#paddingLeft === 0
  }

  /** The front of a frame is in the carry. */
  #nextCarried(): Found {
    if (!this.#fill(FRAME_HEADER_BYTES)) return NOTHING
    const length = this.#readHeader(this.#carry, 0)
    if (length < 0) return BROKEN
    if (this.type === FrameType.DATA) {
      const padded = (this.flags & FrameFlag.PADDED) !== 0 && length > 0
      const wanted = padded ? FRAME_HEADER_BYTES + 1 : FRAME_HEADER_BYTES
      if (!this.#fill(wanted)) return NOTHING
      return this.#beginData(this.#carry, 0, wanted)
    }
    if (!this.#fill(FRAME_HEADER_BYTES + length)) return NOTHING
    this.bytes = this.#carry
    this.start = FRAME_HEADER_BYTES
    this.end = FRAME_HEADER_BYTES + length
    this.#carried = 0
    // The frame is read before anything is carried again; a large carry is not kept.
    if (this.#carry.length > KEPT_CARRY_BYTES) this.#carry = EMPTY
    return FRAME
  }

  /** Whether the carry has `count` bytes, taken from the chunk as needed. */
  #fill(count: number): boolean {
    const wanted = count - this.#carried
    if (wanted <= 0) return true
    const available = this.#chunk.length - this.#at
    this.#take(Math.min(wanted, available))
    return available >= wanted
  }

  #take(count: number): void {
    if (this.#carry.length - this.#carried < count) {
      const size = Math.max(FIRST_CARRY_BYTES, this.#carried + count, this.#carry.length * 2)
      const grown = new Uint8Array(size)
      grown.set(this.#carry.subarray(0, this.#carried))
      this.#carry = grown
    }
    this.#carry.set(this.#chunk.subarray(this.#at, this.#at + count), this.#carried)
    this.#carried += count
    this.#at += count
  }
}

const EMPTY = new Uint8Array(0)
const FIRST_CARRY_BYTES = 64
const KEPT_CARRY_BYTES = 1_024
