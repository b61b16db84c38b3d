/** Bytes of a message as its decoder reads them. What is not well formed makes it `bad`. */
import type { TextCodec } from '../../core/host.ts'
import { copyToKeep } from '../../core/small-copies.ts'

export class CodecReader {
  bytes: Uint8Array = EMPTY
  at = 0
  /** Nothing that was read counts: the library will say what is wrong. */
  bad = false
  depth = 0
  /** The bytes will be others soon: what a message keeps of them is copied. */
  borrowed = false
  readonly #text: TextCodec
  #view: DataView | undefined

  constructor(text: TextCodec) {
    this.#text = text
    this.#view = undefined
  }

  begin(bytes: Uint8Array, borrowed: boolean = false): void {
    this.bytes = bytes
    this.borrowed = borrowed
    this.at = 0
    this.bad = false
    this.depth = 0
    this.#view = undefined
  }

  /** An unsigned number of at most 5 bytes. */
  varint(end: number): number {
    const { bytes } = this
    let { at } = this
    if (at >= end) return this.fail()
    let byte = bytes[at++] as number
    if (byte < 0x80) {
      this.at = at
      return byte
    }
    let value = byte & 0x7f
    for (let shift = 7; shift < 35; shift += 7) {
      if (at >= end) return this.fail()
      byte = bytes[at++] as number
      // What does not fit into 32 bits is rare enough for the library.
      if (shift === 28 && byte > 0x0f) return this.fail()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        this.at = at
        return value >>> 0
      }
    }
    return this.fail()
  }

  /** A number of 32 bits with a sign: negative ones have 10 bytes. */
  int32(end: number): number {
    const { bytes, at } = this
    if (at + 10 <= end && (bytes[at + 8] as number) >= 0x80 && bytes[at + 9] === 1) {
      let isLong = true
      for (let index = 0; index < 8; index++)
        if ((bytes[at + index] as number) < 0x80) isLong = false
      if (isLong) return Number(BigInt.asIntN(32, this.varint64(end)))
    }
    return this.varint(end) | 0
  }

  /** As 64 bits without a sign. */
  varint64(end: number): bigint {
    const { bytes } = this
    let { at } = this
    let low = 0
    let high = 0
    for (let index = 0; index < 10; index++) {
      if (at >= end) break
      const byte = bytes[at++] as number
      const bits = byte & 0x7f
      if (index < 4) low |= bits << (7 * index)
      else if (index === 4) {
        low |= bits << 28
        high |= bits >> 4
      } else high |= bits << (7 * index - 32)
      if (byte < 0x80) {
        if (index === 9 && byte > 1) break
        this.at = at
        return high === 0 ? BigInt(low >>> 0) : (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
      }
    }
    this.fail()
    return 0n
  }

  bool(end: number): boolean {
    const { at, bytes } = this
    const byte = at < end ? (bytes[at] as number) : 2
    if (byte > 1) {
      this.fail()
      return false
    }
    this.at = at + 1
    return byte === 1
  }

  /** Where so many bytes begin; they are taken. */
  take(count: number, end: number): number {
    const { at } = this
    if (count > end - at) return this.fail()
    this.at = at + count
    return at
  }

  string(end: number): string {
    const length = this.varint(end)
    const start = this.take(length, end)
    if (this.bad || length === 0) return ''
    const value = this.#text.utf8(this.bytes, start, start + length)
    // Where it is no mistake, the library reads it the same.
    if (value.includes('\ufffd')) this.fail()
    return value
  }

  bytesField(end: number): Uint8Array {
    const length = this.varint(end)
    const start = this.take(length, end)
    return this.bad ? EMPTY : this.keep(start, start + length)
  }

  /** A part of the bytes that becomes one of the message. */
  keep(start: number, end: number): Uint8Array {
    const { bytes } = this
    return this.borrowed ? copyToKeep(bytes, start, end) : bytes.subarray(start, end)
  }

  fixed32(end: number): number {
    const start = this.take(4, end)
    return this.bad ? 0 : this.#dataView.getUint32(start, true)
  }

  fixed64(end: number): bigint {
    const start = this.take(8, end)
    return this.bad ? 0n : this.#dataView.getBigUint64(start, true)
  }

  float(end: number): number {
    const start = this.take(4, end)
    return this.bad ? 0 : this.#dataView.getFloat32(start, true)
  }

  double(end: number): number {
    const start = this.take(8, end)
    return this.bad ? 0 : this.#dataView.getFloat64(start, true)
  }

  fail(): number {
    this.bad = true
    this.at = this.bytes.length
    return 0
  }

  get #dataView(): DataView {
    const { bytes } = this
    this.#view ??= new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return this.#view
  }
}

const EMPTY = new Uint8Array(0)
