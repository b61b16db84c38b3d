/**
 * Where messages are encoded: a region that is filled in place, message after message. What a message
 * has taken of it is its owner's; when the rest is too short for the next one there is a new region.
 *
 *     region  | message | message | room, message being written ... | free |
 */
import type { TextCodec } from '../../core/host.ts'

export class CodecWriter {
  bytes: Uint8Array = EMPTY
  at = 0
  readonly #text: TextCodec
  #start = 0
  #view: DataView | undefined

  constructor(text: TextCodec) {
    this.#text = text
    this.#view = undefined
  }

  begin(room: number): void {
    if (this.bytes.length - this.at < room + LEAST_FREE) {
      this.bytes = new Uint8Array(REGION_BYTES)
      this.at = 0
      this.#view = undefined
    }
    this.#start = this.at
    this.at += room
  }

  finish(): Uint8Array {
    const message = this.bytes.subarray(this.#start, this.at)
    // A message that had a region for itself keeps nothing else alive.
    if (this.bytes.length > REGION_BYTES) this.drop()
    return message
  }

  /** A message is of no use any more: the next one takes its place, if none has followed it. */
  release(message: Uint8Array): void {
    const { bytes } = this
    if (message.buffer === bytes.buffer && message.byteOffset + message.length === this.at) {
      this.at = message.byteOffset
    }
  }

  /** Nothing becomes of what was written. */
  drop(): void {
    if (this.bytes.length <= REGION_BYTES) this.at = this.#start
    else {
      this.bytes = EMPTY
      this.at = 0
      this.#view = undefined
    }
  }

  reserve(count: number): void {
    if (this.bytes.length - this.at >= count) return
    const length = this.at - this.#start
    const grown = new Uint8Array(Math.max(REGION_BYTES, length * 2, length + count))
    grown.set(this.bytes.subarray(this.#start, this.at))
    this.bytes = grown
    this.#start = 0
    this.at = length
    this.#view = undefined
  }

  /** An unsigned number of 32 bits. */
  varint(value: number): void {
    this.reserve(5)
    const { bytes } = this
    let { at } = this
    while (value > 0x7f) {
      bytes[at++] = (value & 0x7f) | 0x80
      value >>>= 7
    }
    bytes[at++] = value
    this.at = at
  }

  int32(value: number): void {
    if (value >= 0) this.varint(value)
    else this.varint64(BigInt(value))
  }

  varint64(value: bigint): void {
    let low = Number(BigInt.asUintN(32, value))
    let high = Number(BigInt.asUintN(32, value >> 32n))
    this.reserve(10)
    const { bytes } = this
    let { at } = this
    while (high > 0) {
      bytes[at++] = (low & 0x7f) | 0x80
      low = ((low >>> 7) | (high << 25)) >>> 0
      high >>>= 7
    }
    this.at = at
    this.varint(low)
  }

  fixed32(value: number): void {
    this.reserve(4)
    this.view.setUint32(this.at, value, true)
    this.at += 4
  }

  fixed64(value: bigint): void {
    this.reserve(8)
    this.view.setBigUint64(this.at, BigInt.asUintN(64, value), true)
    this.at += 8
  }

  float(value: number): void {
    this.reserve(4)
    this.view.setFloat32(this.at, value, true)
    this.at += 4
  }

  double(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.at, value, true)
    this.at += 8
  }

  bytesField(value: Uint8Array): void {
    const { length } = value
    this.reserve(length + 5)
    this.varint(length)
    this.bytes.set(value, this.at)
    this.at += length
  }

  string(value: string): void {
    const { length } = value
    this.reserve(length * 3 + 5)
    if (length <= SHORT_TEXT && this.#ascii(value)) return
    const start = this.at
    const guessed = sizeOfVarint(length) // as if all of it were ASCII
    const written = this.#text.writeUtf8(value, this.bytes, start + guessed)
    const needed = sizeOfVarint(written)
    if (needed !== guessed) {
      const begin = start + guessed
      this.bytes.copyWithin(start + needed, begin, begin + written)
    }
    this.at = this.#setVarint(start, written) + written
  }

  /**
   * Leaves room for the length of what follows, which `close` fills in.
   *
   * @returns where that begins, counted from the message's start: the region may be another by then
   */
  open(): number {
    this.reserve(1)
    this.at++
    return this.at - this.#start
  }

  /** Writes the length of what has been written since `open`; moves that, where it needs more room. */
  close(offset: number): void {
    const length = this.at - this.#start - offset
    const more = sizeOfVarint(length) - 1
    if (more > 0) {
      this.reserve(more)
      const begin = this.#start + offset
      this.bytes.copyWithin(begin + more, begin, this.at)
    }
    this.#setVarint(this.#start + offset - 1, length)
    this.at += more
  }

  get view(): DataView {
    const { bytes } = this
    this.#view ??= new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return this.#view
  }

  /** Where there is room for it already. */
  #setVarint(at: number, value: number): number {
    const { bytes } = this
    while (value > 0x7f) {
      bytes[at++] = (value & 0x7f) | 0x80
      value >>>= 7
    }
    bytes[at++] = value
    return at
  }

  #ascii(value: string): boolean {
    const { bytes } = this
    const { length } = value
    const start = this.at + 1
    for (let index = 0; index < length; index++) {
      const unit = value.charCodeAt(index)
      if (unit > 0x7f) return false
      bytes[start + index] = unit
    }
    bytes[this.at] = length
    this.at = start + length
    return true
  }
}

function sizeOfVarint(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  return value < 0x1000_0000 ? 4 : 5
}

const EMPTY = new Uint8Array(0)
/** Some hundred small messages; most are copied into what is sent and forgotten soon. */
const REGION_BYTES = 16_384
/** Less is not worth beginning a message in. */
const LEAST_FREE = 256
/** Up to here a loop over the characters beats a call of the host. */
const SHORT_TEXT = 24
