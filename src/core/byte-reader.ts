/**
 * Reads the fields of one message that is there in full.
 *
 *     bytes  | before | read | remaining ...   | after |
 *                     ^ start ^ at             ^ end
 *
 * Every read is checked against the end of the message, so a length that lies inside it cannot reach
 * beyond it: `ERR_TRUNCATED` names what was wanted and what there was. Byte views are borrowed from
 * the message; text and numbers are the caller's.
 */
import { ProtocolError } from './errors.ts'
import type { TextCodec } from './host.ts'
import { portableText } from './portable-text.ts'

export class ByteReader {
  #bytes: Uint8Array
  #at: number
  #end: number
  #view: DataView | undefined
  readonly #text: TextCodec

  /** @param text portable, in plain JavaScript, unless given */
  constructor(bytes: Uint8Array = EMPTY, text: TextCodec = portableText) {
    this.#bytes = bytes
    this.#at = 0
    this.#end = bytes.length
    this.#text = text
  }

  /** Starts over on another message, or on a part of one: one reader serves a connection. */
  reset(bytes: Uint8Array, start: number = 0, end: number = bytes.length): this {
    if (!(start >= 0 && start <= end && end <= bytes.length)) {
      throw new ProtocolError('ERR_TRUNCATED', `${start} to ${end} is not within ${bytes.length}`)
    }
    if (this.#bytes.buffer !== bytes.buffer || this.#bytes.byteOffset !== bytes.byteOffset) {
      this.#view = undefined
    }
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    return this
  }

  /** Bytes that remain. */
  get length(): number {
    return this.#end - this.#at
  }

  /** Where the next read begins, within the bytes given. */
  get position(): number {
    return this.#at
  }

  /** The byte at `offset` from the next one, without taking it. */
  byteAt(offset: number): number {
    if (!(offset >= 0 && offset < this.length)) this.#fail(offset + 1)
    return this.#bytes[this.#at + offset] as number
  }

  skip(count: number): void {
    this.#advance(count)
  }

  uint8(): number {
    return this.#bytes[this.#advance(1)] as number
  }
  int8(): number {
    return (this.uint8() << 24) >> 24
  }
  bool(): boolean {
    return this.uint8() !== 0
  }

  uint16(): number {
    const at = this.#advance(2)
    const bytes = this.#bytes
    return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
  }
  int16(): number {
    return (this.uint16() << 16) >> 16
  }
  uint24(): number {
    const at = this.#advance(3)
    const bytes = this.#bytes
    return (
      ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
    )
  }
  uint32(): number {
    return this.int32() >>> 0
  }
  int32(): number {
    const at = this.#advance(4)
    const bytes = this.#bytes
    return (
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)
    )
  }
  uint64(): bigint {
    return this.#dataView.getBigUint64(this.#advance(8))
  }
  int64(): bigint {
    return this.#dataView.getBigInt64(this.#advance(8))
  }
  float32(): number {
    return this.#dataView.getFloat32(this.#advance(4))
  }
  float64(): number {
    return this.#dataView.getFloat64(this.#advance(8))
  }

  uint16le(): number {
    const at = this.#advance(2)
    const bytes = this.#bytes
    return (bytes[at] as number) | ((bytes[at + 1] as number) << 8)
  }
  int16le(): number {
    return (this.uint16le() << 16) >> 16
  }
  uint24le(): number {
    const at = this.#advance(3)
    const bytes = this.#bytes
    return (
      (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16)
    )
  }
  uint32le(): number {
    return this.int32le() >>> 0
  }
  int32le(): number {
    const at = this.#advance(4)
    const bytes = this.#bytes
    return (
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    )
  }
  uint64le(): bigint {
    return this.#dataView.getBigUint64(this.#advance(8), true)
  }
  int64le(): bigint {
    return this.#dataView.getBigInt64(this.#advance(8), true)
  }
  float32le(): number {
    return this.#dataView.getFloat32(this.#advance(4), true)
  }
  float64le(): number {
    return this.#dataView.getFloat64(this.#advance(8), true)
  }

  /** The next `count` bytes as a view, valid as long as the message is. */
  bytes(count: number): Uint8Array {
    const at = this.#advance(count)
    return this.#bytes.subarray(at, at + count)
  }

  /** As `bytes`, as a copy that is the caller's. */
  copy(count: number): Uint8Array {
    return this.bytes(count).slice()
  }

  /** Everything that remains, as a view. */
  rest(): Uint8Array {
    return this.bytes(this.length)
  }

  /** `count` bytes of UTF-8; invalid sequences become U+FFFD. */
  utf8(count: number): string {
    const at = this.#advance(count)
    return this.#text.utf8(this.#bytes, at, at + count)
  }

  /** `count` bytes of Latin-1, which is also ASCII. */
  latin1(count: number): string {
    const at = this.#advance(count)
    return this.#text.latin1(this.#bytes, at, at + count)
  }

  /** Text up to a zero byte, which is taken too. */
  utf8z(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end < 0 || end >= this.#end) {
      throw new ProtocolError('ERR_TRUNCATED', `no zero byte ends the text at ${this.#at}`)
    }
    const text = this.#text.utf8(this.#bytes, this.#at, end)
    this.#at = end + 1
    return text
  }

  /** Call after the last field. @throws ProtocolError ERR_MALFORMED when bytes are left */
  expectEnd(what: string): void {
    if (this.length === 0) return
    throw new ProtocolError('ERR_MALFORMED', `${this.length} bytes left after ${what}`)
  }

  get #dataView(): DataView {
    const { buffer, byteOffset, byteLength } = this.#bytes
    this.#view ??= new DataView(buffer, byteOffset, byteLength)
    return this.#view
  }

  #advance(count: number): number {
    const at = this.#at
    // The comparison also refuses NaN and negative counts, which come from arithmetic on lengths.
    if (!(count >= 0 && count <= this.#end - at)) this.#fail(count)
    this.#at = at + count
    return at
  }

  #fail(count: number): never {
    const message = `${count} bytes wanted at ${this.#at}, ${this.length} remain`
    throw new ProtocolError('ERR_TRUNCATED', message)
  }
}

const EMPTY = new Uint8Array(0)
