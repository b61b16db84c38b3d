/**
 * Where a session encodes: one region, filled in place, written once per tick.
 *
 *     region  | given to the connection | pending | free ...            |
 *                                       ^ start   ^ length
 *
 * Small things are packed into the region; a piece of at least `pieceBytes` is handed over as it is,
 * in order, without a copy. `flushTo` gives everything pending to a connection in one write. A part
 * given away belongs to the connection until its `writableLength` is 0; only the rest of the region
 * is written to meanwhile, and when it runs out there is a new region.
 */
import { checkInteger, ProtocolError } from './errors.ts'
import type { TextCodec } from './host.ts'
import { portableText } from './portable-text.ts'
import { giveRegionBack, REGION_BYTES, takeRegion } from './region-pool.ts'

export interface ByteWriterOptions {
  /**
   * Size of a region in bytes. 16 KiB holds the answers of a whole input batch of usual size.
   *
   * @default 16_384
   */
  regionBytes?: number
  /**
   * From this size a piece is handed over instead of copied. Below it, a copy is cheaper than one
   * more element in a vectored write (specs/kernel-transports.md 2b, measured).
   *
   * @default 4_096
   */
  pieceBytes?: number
  /** @default portable, in plain JavaScript */
  text?: TextCodec
}

export const byteWriterDefaults: Readonly<{ regionBytes: number; pieceBytes: number }> =
  Object.freeze({ regionBytes: REGION_BYTES, pieceBytes: 4_096 })

/** What `flushTo` needs of a connection. */
export interface WriteTarget {
  readonly writableLength: number
  write(chunk: Uint8Array): boolean
  writeAll(chunks: readonly Uint8Array[]): boolean
}

export class ByteWriter {
  /** The region. Encoders may write at `length` after `reserve`, then add to `length`. */
  bytes: Uint8Array
  /** End of what is filled. */
  length = 0
  readonly text: TextCodec
  readonly #regionBytes: number
  readonly #pieceBytes: number
  #start = 0
  #pieces: Uint8Array[] = []
  #piecesLength = 0
  /** Regions that were filled since the connection last had nothing left. */
  #full: Uint8Array[] | undefined
  #view: DataView | undefined

  constructor(options: ByteWriterOptions = {}) {
    const {
      regionBytes = byteWriterDefaults.regionBytes,
      pieceBytes = byteWriterDefaults.pieceBytes,
      text = portableText,
    } = options
    this.#regionBytes = checkInteger('regionBytes', regionBytes, 64, 0x4000_0000)
    this.#pieceBytes = checkInteger('pieceBytes', pieceBytes, 1, 0x4000_0000)
    this.text = text
    this.bytes = EMPTY // the region is made by the first write: an idle connection holds none
  }

  /** Bytes not yet flushed. */
  get pending(): number {
    return this.#piecesLength + this.length - this.#start
  }

  /** Makes room for `count` bytes in a row at `length`. */
  reserve(count: number): void {
    if (this.bytes.length - this.length < count) this.#newRegion(count)
  }

  uint8(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }

  uint16(value: number): void {
    this.reserve(2)
    this.bytes[this.length++] = value >>> 8
    this.bytes[this.length++] = value
  }

  uint24(value: number): void {
    this.reserve(3)
    this.bytes[this.length++] = value >>> 16
    this.bytes[this.length++] = value >>> 8
    this.bytes[this.length++] = value
  }

  uint32(value: number): void {
    this.reserve(4)
    const { bytes } = this
    const at = this.length
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
    this.length = at + 4
  }

  uint64(value: bigint): void {
    this.reserve(8)
    this.view.setBigUint64(this.length, value)
    this.length += 8
  }

  uint16le(value: number): void {
    this.reserve(2)
    this.bytes[this.length++] = value
    this.bytes[this.length++] = value >>> 8
  }

  uint32le(value: number): void {
    this.reserve(4)
    const { bytes } = this
    const at = this.length
    bytes[at] = value
    bytes[at + 1] = value >>> 8
    bytes[at + 2] = value >>> 16
    bytes[at + 3] = value >>> 24
    this.length = at + 4
  }

  uint64le(value: bigint): void {
    this.reserve(8)
    this.view.setBigUint64(this.length, value, true)
    this.length += 8
  }

  float64(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.length, value)
    this.length += 8
  }

  /** View of the whole region, for numbers with no fast path of their own. */
  get view(): DataView {
    const { bytes } = this
    if (this.#view?.buffer !== bytes.buffer) {
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    return this.#view as DataView
  }

  /** Always copies: for bytes that are borrowed. */
  copy(chunk: Uint8Array): void {
    const count = chunk.length
    this.reserve(count)
    this.bytes.set(chunk, this.length)
    this.length += count
  }

  /**
   * Takes bytes that nobody will change: copied when small, handed over when not. Ownership of a
   * large piece moves to the connection.
   */
  give(piece: Uint8Array): void {
    if (piece.length < this.#pieceBytes) return this.copy(piece)
    this.#closePending()
    this.#pieces.push(piece)
    this.#piecesLength += piece.length
  }

  /** Latin-1 text. The caller has checked that no character is above U+00FF. */
  latin1(text: string): void {
    const count = text.length
    this.reserve(count)
    if (count > SHORT_TEXT) {
      this.length += this.text.writeLatin1(text, this.bytes, this.length)
      return
    }
    const { bytes } = this
    let at = this.length
    for (let index = 0; index < count; index++) bytes[at++] = text.charCodeAt(index)
    this.length = at
  }

  utf8(text: string): void {
    // Three bytes a UTF-16 unit is the worst case; long text is measured first instead.
    const room = text.length > MEASURED_TEXT ? this.text.utf8Length(text) : text.length * 3
    this.reserve(room)
    this.length += this.text.writeUtf8(text, this.bytes, this.length)
  }

  /** A whole number in decimal. */
  decimal(value: number): void {
    if (value >= 0 && value < 10) return this.uint8(0x30 + value)
    this.latin1(String(value))
  }

  /**
   * Gives everything pending to `target` in one write.
   * @returns what the write returned: false asks to wait for `onDrain`
   */
  flushTo(target: WriteTarget): boolean {
    const tail = this.length - this.#start
    let writable: boolean
    if (this.#pieces.length === 0) {
      if (tail === 0) return true
      writable = target.write(viewOf(this.bytes, this.#start, this.length))
      this.#start = this.length
    } else {
      this.#closePending()
      const pieces = this.#pieces
      this.#pieces = []
      this.#piecesLength = 0
      writable = target.writeAll(pieces)
    }
    if (target.writableLength === 0) this.recycle()
    return writable
  }

  /** For tests and datagrams: everything pending, copied into one array. */
  take(): Uint8Array {
    const whole = new Uint8Array(this.pending)
    let at = 0
    for (const piece of this.#pieces) {
      whole.set(piece, at)
      at += piece.length
    }
    whole.set(this.bytes.subarray(this.#start, this.length), at)
    this.#pieces = []
    this.#piecesLength = 0
    this.#start = 0
    this.length = 0
    return whole
  }

  /**
   * The connection says that everything it was given has left: the region goes back to the others,
   * so that an idle connection holds none, and busy ones share few that are warm in the cache.
   */
  recycle(): void {
    if (this.#start !== this.length || this.#pieces.length > 0) return
    giveRegionBack(this.bytes)
    if (this.#full !== undefined) for (const region of this.#full) giveRegionBack(region)
    this.#full = undefined
    this.release()
  }

  /** Lets go of the region. Nothing may be pending. */
  release(): void {
    if (this.pending > 0) return
    this.bytes = EMPTY
    this.length = 0
    this.#start = 0
    this.#view = undefined
  }

  /** Refuses a message that grew over a limit; used by encoders of length-limited formats. */
  static checkLength(what: string, length: number, max: number): void {
    if (length <= max) return
    throw new ProtocolError('ERR_FRAME_TOO_LARGE', `${what} of ${length} bytes is over ${max}`)
  }

  #closePending(): void {
    if (this.length === this.#start) return
    this.#pieces.push(this.bytes.subarray(this.#start, this.length))
    this.#piecesLength += this.length - this.#start
    this.#start = this.length
  }

  #newRegion(count: number): void {
    this.#closePending()
    // What is full goes back with the others, unless the connection is slow and it becomes many.
    if (this.bytes !== EMPTY) {
      this.#full ??= []
      if (this.#full.length < MAX_FULL) this.#full.push(this.bytes)
    }
    this.bytes = takeRegion(Math.max(this.#regionBytes, count))
    this.#start = 0
    this.length = 0
    this.#view = undefined
  }
}

/**
 * A part of a region. Answers repeat themselves and regions are shared, so the last view from the
 * front of one is often right again; making one costs as much as encoding a short answer.
 */
function viewOf(region: Uint8Array, start: number, end: number): Uint8Array {
  if (start !== 0) return region.subarray(start, end)
  if (region !== lastRegion || end !== lastView.length) {
    lastRegion = region
    lastView = region.subarray(0, end)
  }
  return lastView
}

/** Up to here a loop over `charCodeAt` beats a native call: 30 ns whatever the length (Node 26). */
const SHORT_TEXT = 12
/** From here text is measured rather than given the room of its worst case. */
const MEASURED_TEXT = 64
/** Full regions that a writer remembers until everything has left. */
const MAX_FULL = 16
const EMPTY = new Uint8Array(0)
let lastRegion: Uint8Array = EMPTY
let lastView: Uint8Array = EMPTY
