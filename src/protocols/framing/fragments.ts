/**
 * Messages longer than their carrier takes, in pieces: for data channels and datagrams, where
 * messages keep their boundaries and may be lost, doubled and reordered.
 *
 *     | 0 | message ...                                    |   whole
 *     | 1 | id 4 | index 2 | total 2 | length 4 | data ... |   one piece of `total`, from 0
 *
 * Numbers are big-endian. `id` counts the messages of one sender, `length` is that of the whole
 * message. All pieces but the last are equally long, and there are two at least.
 *
 * What a sender announces takes no memory: only what has arrived does.
 */
import { checkInteger, ProtocolError } from '../../core/errors.ts'

export interface FragmentOptions {
  /** Longest message, put together. @default 16_777_216 */
  maxMessageBytes?: number
  /** Messages that may be incomplete at a time; the one heard of longest ago is given up. @default 8 */
  maxIncomplete?: number
  /** Bytes held of incomplete messages; over it the oldest are given up. @default 33_554_432 */
  maxBufferedBytes?: number
  /** Time after its last piece until an incomplete message is given up. @default 10_000 */
  fragmentTimeoutMs?: number
}

export const fragmentDefaults: Readonly<Required<FragmentOptions>> = Object.freeze({
  maxMessageBytes: 16_777_216, // as for length-prefixed messages
  maxIncomplete: 8, // one sender interleaves few
  maxBufferedBytes: 33_554_432, // two of the longest
  fragmentTimeoutMs: 10_000, // pieces follow each other; this message has lost some
})

/** Least carrier message that makes sense: the header, and a little data. */
export const MIN_PIECE_BYTES = 64

/**
 * What to send for one message, each part at most `maxPieceBytes` long and the caller's to keep.
 *
 * @param id counts the messages of this sender; 32 bits are used
 * @throws ProtocolError ERR_FRAME_TOO_LARGE when it takes more than 65,535 pieces
 */
export function* fragmentMessage(
  id: number,
  message: Uint8Array,
  maxPieceBytes: number,
): Generator<Uint8Array> {
  if (message.length + 1 <= maxPieceBytes) {
    const whole = new Uint8Array(message.length + 1)
    whole.set(message, 1)
    yield whole
    return
  }
  const dataBytes = maxPieceBytes - HEADER_BYTES
  const total = Math.ceil(message.length / dataBytes)
  if (total > MAX_TOTAL) {
    const text = `message of ${message.length} bytes makes ${total} pieces, over ${MAX_TOTAL}`
    throw new ProtocolError('ERR_FRAME_TOO_LARGE', text)
  }
  for (let index = 0; index < total; index++) {
    const start = index * dataBytes
    const data = message.subarray(start, start + dataBytes)
    const piece = new Uint8Array(HEADER_BYTES + data.length)
    const view = new DataView(piece.buffer)
    piece[0] = PIECE
    view.setUint32(1, id >>> 0)
    view.setUint16(5, index)
    view.setUint16(7, total)
    view.setUint32(9, message.length)
    piece.set(data, HEADER_BYTES)
    yield piece
  }
}

/** Puts together what one sender cut. Time is an argument, in milliseconds. */
export class MessageReassembler {
  readonly #options: Readonly<Required<FragmentOptions>>
  /** By id, the one heard of longest ago first. */
  readonly #incomplete = new Map<number, Incomplete>()
  /** Ids of messages that were handed out lately: a piece that comes again begins nothing. */
  readonly #complete = new Set<number>()
  #bufferedBytes = 0
  #droppedCount = 0

  /** @throws UsageError ERR_OPTION_RANGE */
  constructor(options: FragmentOptions = {}) {
    const check = (name: keyof FragmentOptions, max: number): number =>
      checkInteger(name, options[name] ?? fragmentDefaults[name], 1, max)
    this.#options = {
      maxMessageBytes: check('maxMessageBytes', UINT32_MAX),
      maxIncomplete: check('maxIncomplete', 65_536),
      maxBufferedBytes: check('maxBufferedBytes', 2 ** 40),
      fragmentTimeoutMs: check('fragmentTimeoutMs', 2 ** 31),
    }
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }
  get incompleteCount(): number {
    return this.#incomplete.size
  }
  /** Messages given up for want of a piece, or of room. */
  get droppedCount(): number {
    return this.#droppedCount
  }

  /**
   * Takes one message of the carrier. Pieces are copied; a whole message is a view of it.
   *
   * @returns the message that is complete now
   * @throws ProtocolError ERR_MALFORMED, ERR_FRAME_TOO_LARGE; ERR_PROTOCOL when pieces contradict
   *   each other
   */
  receive(part: Uint8Array, now: number): Uint8Array | undefined {
    this.handleTimeout(now)
    if (part[0] === WHOLE) {
      this.#checkLength(part.length - 1)
      return part.subarray(1)
    }
    const piece = readPiece(part)
    this.#checkLength(piece.length)
    if (this.#complete.has(piece.id)) return undefined
    const entry = this.#incomplete.get(piece.id) ?? this.#begin(piece)
    const isNew = place(entry, piece)
    entry.lastAt = now
    // Put last: the order is by when each was heard of.
    this.#incomplete.delete(piece.id)
    this.#incomplete.set(piece.id, entry)
    if (!isNew) return undefined
    this.#bufferedBytes += piece.data.length
    if (entry.pieces.size === entry.total) return this.#finish(entry)
    this.#makeRoom()
    return undefined
  }

  /** When the next incomplete message is given up. */
  pollTimeout(): number | undefined {
    const oldest = this.#incomplete.values().next().value
    return oldest && oldest.lastAt + this.#options.fragmentTimeoutMs
  }

  handleTimeout(now: number): void {
    for (const entry of this.#incomplete.values()) {
      if (entry.lastAt + this.#options.fragmentTimeoutMs > now) return
      this.#giveUp(entry)
    }
  }

  clear(): void {
    this.#incomplete.clear()
    this.#complete.clear()
    this.#bufferedBytes = 0
  }

  #checkLength(length: number): void {
    const { maxMessageBytes } = this.#options
    if (length <= maxMessageBytes) return
    const text = `message of ${length} bytes is over ${maxMessageBytes}`
    throw new ProtocolError('ERR_FRAME_TOO_LARGE', text)
  }

  #begin({ id, total, length }: Piece): Incomplete {
    const entry: Incomplete = { id, total, length, pieces: new Map(), bytes: 0, lastAt: 0 }
    this.#incomplete.set(id, entry)
    this.#makeRoom()
    return entry
  }

  /** The newest stays, so a message that is larger than all room is still given up by the next. */
  #makeRoom(): void {
    const { maxIncomplete, maxBufferedBytes } = this.#options
    for (const entry of this.#incomplete.values()) {
      const fits = this.#bufferedBytes <= maxBufferedBytes
      if (fits && this.#incomplete.size <= maxIncomplete) return
      this.#giveUp(entry)
    }
  }

  #giveUp(entry: Incomplete): void {
    this.#incomplete.delete(entry.id)
    this.#bufferedBytes -= entry.bytes
    this.#droppedCount += 1
  }

  #finish(entry: Incomplete): Uint8Array {
    this.#incomplete.delete(entry.id)
    this.#bufferedBytes -= entry.bytes
    this.#complete.add(entry.id)
    for (const id of this.#complete) {
      if (this.#complete.size <= REMEMBERED) break
      this.#complete.delete(id)
    }
    const whole = new Uint8Array(entry.bytes)
    const first = entry.pieces.get(0)!.length
    for (const [index, data] of entry.pieces) whole.set(data, index * first)
    return whole
  }
}

interface Piece {
  readonly id: number
  readonly index: number
  readonly total: number
  readonly length: number
  readonly data: Uint8Array
}

interface Incomplete {
  readonly id: number
  readonly total: number
  readonly length: number
  /** By index: a map, so that a `total` alone takes no memory. */
  readonly pieces: Map<number, Uint8Array>
  bytes: number
  lastAt: number
}

function readPiece(part: Uint8Array): Piece {
  if (part.length <= HEADER_BYTES || part[0] !== PIECE) {
    const what = part[0] === PIECE ? `a piece of ${part.length} bytes` : `kind ${part[0] ?? 'none'}`
    throw new ProtocolError('ERR_MALFORMED', `${what} is no part of a message`)
  }
  const view = new DataView(part.buffer, part.byteOffset, HEADER_BYTES)
  const index = view.getUint16(5)
  const total = view.getUint16(7)
  if (total < 2 || index >= total) {
    throw new ProtocolError('ERR_MALFORMED', `piece ${index} of ${total} makes no sense`)
  }
  const data = part.subarray(HEADER_BYTES)
  return { id: view.getUint32(1), index, total, length: view.getUint32(9), data }
}

/** @returns false: it was there already */
function place(entry: Incomplete, { index, total, length, data }: Piece): boolean {
  if (total !== entry.total || length !== entry.length) {
    const text = `${total} pieces of ${length} bytes, after it was ${entry.total} of ${entry.length}`
    throw new ProtocolError('ERR_PROTOCOL', text)
  }
  // The length of one piece gives that of all others, so each is checked by itself.
  const last = index === total - 1
  const others = last ? (length - data.length) / (total - 1) : data.length
  const ofLast = length - others * (total - 1)
  if (!Number.isInteger(others) || ofLast < 1 || ofLast > others) {
    const text = `piece ${index} of ${total} has ${data.length} bytes of ${length}`
    throw new ProtocolError('ERR_PROTOCOL', text)
  }
  const had = entry.pieces.get(index)
  if (had !== undefined) {
    if (isSame(had, data)) return false
    throw new ProtocolError('ERR_PROTOCOL', `piece ${index} is there twice, differently`)
  }
  for (const [otherIndex, other] of entry.pieces) {
    const expected = otherIndex === total - 1 ? ofLast : others
    if (other.length === expected) break
    throw new ProtocolError('ERR_PROTOCOL', `pieces of ${other.length} and ${data.length} bytes`)
  }
  entry.pieces.set(index, data.slice())
  entry.bytes += data.length
  return true
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}

const WHOLE = 0
const PIECE = 1
const HEADER_BYTES = 13
const MAX_TOTAL = 0xffff
const UINT32_MAX = 0xffff_ffff
/** A piece that comes late comes soon. */
const REMEMBERED = 64
