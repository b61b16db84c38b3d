/**
 * Bytes to whole messages and control frames (RFC 6455 5.2 to 5.6).
 *
 *     chunk ─ header ─ payload all there? ─ yes ─► a view: of the chunk, or unmasked into a region
 *                            └─ no ─► collected in a region that grows with what has arrived
 *
 * A header is judged as soon as it is there, so nothing waits for a payload that will be refused.
 * Regions come from a pool that all connections share, and go back when the message has been looked
 * at: a connection in the middle of nothing holds no memory.
 */
import type { Decoder } from '../../core/codec.ts'
import type { ChunkLease } from '../../core/connection.ts'
import type { CodeOf } from '../../core/error-codes.ts'
import { ProtocolError } from '../../core/errors.ts'
import { giveRegionBack, takeRegion } from '../../core/region-pool.ts'
import { maskInto } from './mask.ts'
import { CloseCode, MAX_CONTROL_BYTES, Opcode, type WebSocketItem } from './messages.ts'
import { isUtf8 as isUtf8Portable, wholeCodePoints } from './utf8.ts'

export interface WebSocketDecoderOptions {
  /** A server refuses frames without a mask, a client those with one (RFC 6455 5.1). */
  readonly masked: boolean
  readonly maxFrameBytes: number
  readonly maxMessageBytes: number
  /** Whether permessage-deflate was agreed: RSV1 is legal. */
  readonly compressed: boolean
  /** @default checked in plain JavaScript */
  readonly isUtf8?: ((bytes: Uint8Array, start: number, end: number) => boolean) | undefined
}

export class WebSocketDecoder implements Decoder<WebSocketItem> {
  readonly #masked: boolean
  readonly #maxFrameBytes: number
  readonly #maxMessageBytes: number
  readonly #compression: boolean
  readonly #isUtf8: (bytes: Uint8Array, start: number, end: number) => boolean
  #failure: ProtocolError | undefined
  #chunk: Uint8Array = EMPTY
  #at = 0
  /** True: the chunk is a copy of our own, made by `hold`. */
  #chunkIsOurs = false

  /** A header that arrived in parts. */
  #header: Uint8Array = EMPTY
  #headerBytes = 0

  // The frame under way.
  #inFrame = false
  #opcode = 0
  #final = false
  #length = 0
  #left = 0
  #key = 0

  // The message under way: 0 is none.
  #messageOpcode = 0
  #messageCompressed = false
  #message: Uint8Array | undefined
  #messageBytes = 0
  /** Where text that has been found to be UTF-8 ends. */
  #checkedBytes = 0

  /** A control frame that arrived in parts, possibly between two parts of a message. */
  #control: Uint8Array = EMPTY
  #controlBytes = 0

  /** Where single frames are unmasked, for as long as one chunk is worked on. */
  #scratch: Uint8Array | undefined
  /** The message that was given out last, if it was collected: its region goes back. */
  #given: Uint8Array | undefined
  #lends: Lends = 'own'
  /** The region of the last item, when somebody keeps it. */
  #kept: KeptRegion | undefined
  readonly #item: { opcode: number; compressed: boolean; payload: Uint8Array } = {
    opcode: 0,
    compressed: false,
    payload: EMPTY,
  }

  constructor(options: WebSocketDecoderOptions) {
    this.#masked = options.masked
    this.#maxFrameBytes = options.maxFrameBytes
    this.#maxMessageBytes = options.maxMessageBytes
    this.#compression = options.compressed
    this.#isUtf8 = options.isUtf8 ?? isUtf8Portable
  }

  get buffered(): number {
    const waiting = this.#chunk.length - this.#at
    return waiting + this.#headerBytes + this.#messageBytes + this.#controlBytes
  }

  push(chunk: Uint8Array): void {
    if (this.#at === this.#chunk.length) {
      this.#chunk = chunk
      this.#chunkIsOurs = false
    } else {
      const rest = this.#chunk.subarray(this.#at)
      const both = new Uint8Array(rest.length + chunk.length)
      both.set(rest)
      both.set(chunk, rest.length)
      this.#chunk = both
      this.#chunkIsOurs = true
    }
    this.#at = 0
  }

  next(): WebSocketItem | undefined {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#given !== undefined) this.#giveBack()
    this.#kept = undefined
    for (;;) {
      if (!this.#inFrame && !this.#readHeader()) break
      const item = this.#readPayload()
      if (item !== undefined) return item
      if (this.#inFrame) break
    }
    this.#chunk = EMPTY
    this.#at = 0
    if (this.#scratch !== undefined) this.#dropScratch()
    return undefined
  }

  /** Copies what has not been looked at: its memory is about to be somebody else's. */
  hold(): void {
    if (this.#given !== undefined) this.#giveBack()
    if (this.#scratch !== undefined) this.#dropScratch()
    if (this.#chunkIsOurs || this.#at === this.#chunk.length) return
    this.#chunk = new Uint8Array(this.#chunk.subarray(this.#at))
    this.#at = 0
    this.#chunkIsOurs = true
  }

  /**
   * Keeps the memory of the last item valid until the lease is released. Undefined: it is in the
   * chunk, which is the connection's to keep.
   */
  keep(): ChunkLease | undefined {
    if (this.#lends === 'chunk') return this.#chunkIsOurs ? NOTHING_TO_RELEASE : undefined
    if (this.#kept !== undefined) return this.#kept.lease()
    let region = this.#given
    if (this.#lends === 'scratch') {
      region = this.#scratch
      this.#scratch = undefined
    } else this.#given = undefined
    if (region === undefined) return NOTHING_TO_RELEASE
    this.#kept = new KeptRegion(region)
    return this.#kept.lease()
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.buffered === 0 && !this.#inFrame && this.#messageOpcode === 0) return
    this.#fail('ERR_TRUNCATED', CloseCode.ABNORMAL, 'input ended inside a message')
  }

  /** Gives everything back: nothing more will come. */
  close(): void {
    if (this.#given !== undefined) this.#giveBack()
    if (this.#scratch !== undefined) this.#dropScratch()
    if (this.#message !== undefined) giveRegionBack(this.#message)
    this.#message = undefined
    this.#chunk = EMPTY
    this.#at = 0
  }

  /** @returns false: more input is needed */
  #readHeader(): boolean {
    const available = this.#chunk.length - this.#at
    if (this.#headerBytes === 0) {
      if (available < 2) return this.#carryHeader(available)
      const needed = this.#headerLength(this.#chunk, this.#at)
      if (available < needed) return this.#carryHeader(available)
      this.#parseHeader(this.#chunk, this.#at, needed)
      this.#at += needed
      return true
    }
    const header = this.#header
    while (this.#at < this.#chunk.length) {
      header[this.#headerBytes++] = this.#chunk[this.#at++] as number
      if (this.#headerBytes < 2) continue
      const needed = this.#headerLength(header, 0)
      if (this.#headerBytes < needed) continue
      this.#headerBytes = 0
      this.#parseHeader(header, 0, needed)
      return true
    }
    return false
  }

  #carryHeader(count: number): boolean {
    if (count === 0) return false
    if (this.#header === EMPTY) this.#header = new Uint8Array(MAX_HEADER_BYTES)
    this.#header.set(this.#chunk.subarray(this.#at, this.#at + count))
    this.#headerBytes = count
    this.#at += count
    return false
  }

  /** Judges the first two bytes. @returns how long the header is */
  #headerLength(bytes: Uint8Array, at: number): number {
    const first = bytes[at] as number
    const second = bytes[at + 1] as number
    const masked = second >= 0x80
    if (masked !== this.#masked) {
      this.#violation(
        masked ? 'a frame from a server is masked' : 'a frame from a client is not masked',
      )
    }
    if ((first & 0x70) !== 0) this.#checkReserved(first)
    const opcode = first & 0x0f
    if (opcode >= Opcode.CLOSE) this.#checkControl(first, opcode, second & 0x7f)
    else if (opcode > Opcode.BINARY) this.#violation(`opcode ${opcode} is reserved`)
    else if (opcode === Opcode.CONTINUATION) {
      if (this.#messageOpcode === 0) this.#violation('a continuation of no message')
    } else if (this.#messageOpcode !== 0) {
      this.#violation('a new message inside a fragmented one')
    }
    const length = second & 0x7f
    return 2 + (masked ? 4 : 0) + (length < 126 ? 0 : length === 126 ? 2 : 8)
  }

  #checkReserved(first: number): void {
    const opcode = first & 0x0f
    const starts = opcode === Opcode.TEXT || opcode === Opcode.BINARY
    if ((first & 0x70) === RSV1 && starts && this.#compression) return
    this.#violation(`reserved bits ${(first >> 4) & 7} are set on a frame of opcode ${opcode}`)
  }

  #checkControl(first: number, opcode: number, length: number): void {
    if (opcode > Opcode.PONG) this.#violation(`opcode ${opcode} is reserved`)
    if ((first & FIN) === 0) this.#violation('a control frame is fragmented')
    if (length > MAX_CONTROL_BYTES) this.#violation('a control frame is over 125 bytes')
  }

  #parseHeader(bytes: Uint8Array, start: number, headerBytes: number): void {
    const first = bytes[start] as number
    let length = (bytes[start + 1] as number) & 0x7f
    if (length === 126) {
      length = ((bytes[start + 2] as number) << 8) | (bytes[start + 3] as number)
      if (length < 126) this.#violation(`length ${length} is not in its shortest form`)
    } else if (length === 127) length = this.#readLength64(bytes, start + 2)
    const opcode = first & 0x0f
    if (length > this.#maxFrameBytes) {
      this.#tooLarge(`a frame of ${length} bytes is over maxFrameBytes ${this.#maxFrameBytes}`)
    }
    if (opcode < Opcode.CLOSE) {
      const whole = this.#messageBytes + length
      if (whole > this.#maxMessageBytes) {
        this.#tooLarge(
          `a message of ${whole} bytes is over maxMessageBytes ${this.#maxMessageBytes}`,
        )
      }
      if (opcode !== Opcode.CONTINUATION) {
        this.#messageOpcode = opcode
        this.#messageCompressed = (first & RSV1) !== 0
      }
    }
    if (this.#masked) {
      const at = start + headerBytes - 4
      this.#key =
        (bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24)
    }
    this.#inFrame = true
    this.#opcode = opcode
    this.#final = (first & FIN) !== 0
    this.#length = length
    this.#left = length
  }

  #readLength64(bytes: Uint8Array, at: number): number {
    let length = 0
    for (let index = 0; index < 8; index++) length = length * 256 + (bytes[at + index] as number)
    if ((bytes[at] as number) >= 0x80) this.#violation('a length has its highest bit set')
    if (length < 0x1_0000) this.#violation(`length ${length} is not in its shortest form`)
    return length
  }

  /** @returns what is whole now; undefined: the frame goes on, or it was a fragment */
  #readPayload(): WebSocketItem | undefined {
    const available = this.#chunk.length - this.#at
    const control = this.#opcode >= Opcode.CLOSE
    if (available >= this.#length && this.#left === this.#length && this.#final) {
      // One frame, whole, in one chunk: nearly every message.
      if (control || this.#message === undefined) return this.#giveFrame(control)
    }
    const count = Math.min(available, this.#left)
    if (control) this.#collectControl(count)
    else if (count > 0) this.#collect(count)
    this.#at += count
    this.#left -= count
    if (this.#left > 0) return undefined
    this.#inFrame = false
    if (control) return this.#giveControl()
    return this.#final ? this.#giveMessage() : undefined
  }

  #giveFrame(control: boolean): WebSocketItem {
    const length = this.#length
    const item = this.#item
    const from = this.#at
    if (this.#masked && length > 0) item.payload = this.#unmask(from, length)
    else {
      item.payload = this.#chunk.subarray(from, from + length)
      this.#lends = 'chunk'
    }
    item.opcode = this.#opcode
    this.#at = from + length
    this.#inFrame = false
    if (control) {
      item.compressed = false
      return item
    }
    item.opcode = this.#messageOpcode
    item.compressed = this.#messageCompressed
    this.#messageOpcode = 0
    if (item.opcode === Opcode.TEXT && !item.compressed) {
      if (!this.#isUtf8(item.payload, 0, length)) this.#notUtf8()
    }
    return item
  }

  /** Into the scratch region, where it stands within a word as in the chunk. */
  #unmask(from: number, length: number): Uint8Array {
    let scratch = this.#scratch
    if (scratch === undefined || scratch.length < length + 4) {
      if (scratch !== undefined) giveRegionBack(scratch)
      scratch = takeRegion(Math.max(length + 4, SCRATCH_BYTES))
      this.#scratch = scratch
    }
    const at = (this.#chunk.byteOffset + from - scratch.byteOffset) & 3
    maskInto(this.#chunk, from, scratch, at, length, this.#key, 0)
    this.#lends = 'scratch'
    return scratch.subarray(at, at + length)
  }

  #collectControl(count: number): void {
    if (this.#control === EMPTY) this.#control = new Uint8Array(MAX_CONTROL_BYTES)
    const into = this.#control
    if (this.#masked) {
      const phase = this.#length - this.#left
      maskInto(this.#chunk, this.#at, into, this.#controlBytes, count, this.#key, phase)
    } else into.set(this.#chunk.subarray(this.#at, this.#at + count), this.#controlBytes)
    this.#controlBytes += count
  }

  #giveControl(): WebSocketItem {
    const item = this.#item
    item.opcode = this.#opcode
    item.compressed = false
    item.payload = this.#control.subarray(0, this.#controlBytes)
    this.#controlBytes = 0
    this.#lends = 'own'
    return item
  }

  #collect(count: number): void {
    const from = this.#at
    const message = this.#room(count)
    const at = this.#messageBytes
    if (this.#masked) {
      maskInto(this.#chunk, from, message, at, count, this.#key, this.#length - this.#left)
    } else message.set(this.#chunk.subarray(from, from + count), at)
    this.#messageBytes += count
    if (this.#messageOpcode === Opcode.TEXT && !this.#messageCompressed) this.#checkText()
  }

  #checkText(): void {
    const message = this.#message as Uint8Array
    const checked = this.#checkedBytes
    const whole = wholeCodePoints(message, checked, this.#messageBytes)
    if (whole > checked && !this.#isUtf8(message, checked, whole)) this.#notUtf8()
    this.#checkedBytes = whole
  }

  /** Room for `count` bytes more. Grows by what has arrived, never by what was announced. */
  #room(count: number): Uint8Array {
    const needed = this.#messageBytes + count
    const had = this.#message
    if (had !== undefined && had.length >= needed) return had
    // No more than the message has if this is its last frame.
    const most = this.#final ? this.#messageBytes + this.#left : this.#maxMessageBytes
    const grown = takeRegion(Math.max(needed, Math.min(most, roomFor(needed))))
    if (had !== undefined) {
      grown.set(had.subarray(0, this.#messageBytes))
      giveRegionBack(had)
    }
    this.#message = grown
    return grown
  }

  #giveMessage(): WebSocketItem {
    const item = this.#item
    const text = this.#messageOpcode === Opcode.TEXT && !this.#messageCompressed
    if (text && this.#checkedBytes < this.#messageBytes) this.#notUtf8()
    item.opcode = this.#messageOpcode
    item.compressed = this.#messageCompressed
    item.payload = this.#message?.subarray(0, this.#messageBytes) ?? EMPTY
    this.#given = this.#message
    this.#lends = 'message'
    this.#message = undefined
    this.#messageBytes = 0
    this.#checkedBytes = 0
    this.#messageOpcode = 0
    return item
  }

  #giveBack(): void {
    giveRegionBack(this.#given as Uint8Array)
    this.#given = undefined
  }

  #dropScratch(): void {
    giveRegionBack(this.#scratch as Uint8Array)
    this.#scratch = undefined
  }

  #violation(message: string): never {
    this.#fail('ERR_PROTOCOL', CloseCode.PROTOCOL_ERROR, message)
  }

  #tooLarge(message: string): never {
    this.#fail('ERR_FRAME_TOO_LARGE', CloseCode.TOO_LARGE, message)
  }

  #notUtf8(): never {
    this.#fail('ERR_ENCODING', CloseCode.INVALID_PAYLOAD, 'a text message is not UTF-8')
  }

  /** `status` is the code of the close frame that says so. */
  #fail(code: CodeOf<'ProtocolError'>, status: number, message: string): never {
    this.#failure = new ProtocolError(code, message, { status })
    this.close()
    throw this.#failure
  }
}

/** In whose memory the last item is. */
type Lends = 'chunk' | 'scratch' | 'message' | 'own'

/** Goes back to the pool when everybody who keeps it has released it. */
class KeptRegion {
  readonly #region: Uint8Array
  #leases = 0

  constructor(region: Uint8Array) {
    this.#region = region
  }

  lease(): ChunkLease {
    this.#leases += 1
    let released = false
    return {
      release: () => {
        if (released) return
        released = true
        this.#leases -= 1
        if (this.#leases === 0) giveRegionBack(this.#region)
      },
    }
  }
}

/** Twice what has arrived, or the smaller region of the pool where that holds it. */
function roomFor(needed: number): number {
  if (needed < MIN_ROOM_BYTES / 2) return MIN_ROOM_BYTES
  return needed > SCRATCH_BYTES / 2 && needed <= SCRATCH_BYTES ? SCRATCH_BYTES : needed * 2
}

const FIN = 0x80
const RSV1 = 0x40
const MAX_HEADER_BYTES = 14
/** A region of the pool: holds a batch of small messages, one after the other. */
const SCRATCH_BYTES = 16_384
const MIN_ROOM_BYTES = 1_024
const EMPTY = new Uint8Array(0)
const NOTHING_TO_RELEASE: ChunkLease = Object.freeze({ release() {} })
