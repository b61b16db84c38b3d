/**
 * Blocks over channels that take small messages (data channels of WebRTC): cut on one side, put
 * together on the other.
 *
 *     | off | size | field                          |
 *     |   0 |   32 | hash of the block              |
 *     |  32 |    2 | fragment id from 0, little-endian |
 *     |  34 |    2 | total, little-endian           |
 *     |  36 |    8 | length n, little-endian        |
 *     |  44 |    n | data                           |
 *
 * Nothing marks a fragment but that its length says so twice: a message is one when its 64-bit length
 * is what follows, there are two in all at least, and its id is one of them.
 */
import { checkInteger, ProtocolError } from '../../core/errors.ts'
import { hexText } from './byte-text.ts'

export interface BlockFragment {
  readonly blockHash: Uint8Array
  readonly fragmentId: number
  readonly totalFragments: number
  readonly data: Uint8Array
}

/**
 * Cuts an encoded block. One message of up to `chunkBytes` stays whole.
 *
 * @throws ProtocolError ERR_FRAME_TOO_LARGE when it takes more than 65,535 pieces
 */
export function* fragmentBlock(
  blockHash: Uint8Array,
  encoded: Uint8Array,
  chunkBytes: number = MAX_CHUNK_BYTES,
): Generator<Uint8Array> {
  checkInteger('chunkBytes', chunkBytes, 1, MAX_CHUNK_BYTES)
  if (encoded.length <= chunkBytes) {
    yield encoded
    return
  }
  const totalFragments = Math.ceil(encoded.length / chunkBytes)
  if (totalFragments > MAX_FRAGMENTS) {
    const message = `${encoded.length} bytes make ${totalFragments} fragments, over ${MAX_FRAGMENTS}`
    throw new ProtocolError('ERR_FRAME_TOO_LARGE', message)
  }
  for (let fragmentId = 0; fragmentId < totalFragments; fragmentId++) {
    const start = fragmentId * chunkBytes
    const data = encoded.subarray(start, start + chunkBytes)
    yield encodeFragment({ blockHash, fragmentId, totalFragments, data })
  }
}

export function encodeFragment(fragment: BlockFragment): Uint8Array {
  const { blockHash, fragmentId, totalFragments, data } = fragment
  const bytes = new Uint8Array(FRAGMENT_HEADER_BYTES + data.length)
  const view = new DataView(bytes.buffer)
  bytes.set(blockHash)
  view.setUint16(32, fragmentId, true)
  view.setUint16(34, totalFragments, true)
  view.setBigUint64(36, BigInt(data.length), true)
  bytes.set(data, FRAGMENT_HEADER_BYTES)
  return bytes
}

/** Undefined: a whole message. Parts are views of `message`. */
export function readFragment(message: Uint8Array): BlockFragment | undefined {
  if (message.length <= FRAGMENT_HEADER_BYTES) return undefined
  const view = new DataView(message.buffer, message.byteOffset, FRAGMENT_HEADER_BYTES)
  const length = view.getBigUint64(36, true)
  if (length !== BigInt(message.length - FRAGMENT_HEADER_BYTES)) return undefined
  const fragmentId = view.getUint16(32, true)
  const totalFragments = view.getUint16(34, true)
  if (totalFragments < 2 || fragmentId >= totalFragments) return undefined
  return {
    blockHash: message.subarray(0, 32),
    fragmentId,
    totalFragments,
    data: message.subarray(FRAGMENT_HEADER_BYTES),
  }
}

export interface ReassemblyOptions {
  /**
   * Length of every fragment but the last.
   *
   * @default 15_360, what fits into a message of 16 KiB with its header
   */
  chunkBytes?: number
  /** Blocks that may be incomplete at a time. @default 8, one sender interleaves few */
  maxIncomplete?: number
  /** Bytes held of incomplete blocks in all. @default 33_554_432, two of the largest */
  maxBufferedBytes?: number
  /** Time after the last fragment until an incomplete block is given up. @default 10_000 */
  fragmentTimeoutMs?: number
}

export const reassemblyDefaults: Readonly<Required<ReassemblyOptions>> = Object.freeze({
  chunkBytes: 15_360,
  maxIncomplete: 8,
  maxBufferedBytes: 33_554_432,
  fragmentTimeoutMs: 10_000, // fragments of a block follow each other; this one has lost some
})

interface Incomplete {
  readonly blockHash: Uint8Array
  readonly total: number
  /** By fragment id: what is announced takes no memory. */
  readonly chunks: Map<number, Uint8Array>
  bytes: number
  lastAt: number
}

export interface ReassembledBlock {
  /** What the decoded block must have as its hash. */
  readonly blockHash: Uint8Array
  readonly encoded: Uint8Array
}

/** Puts together what one connection sends. Time is an argument, in milliseconds. */
export class FragmentReassembler {
  readonly #options: Readonly<Required<ReassemblyOptions>>
  /** By hash, the one heard of longest ago first. */
  readonly #incomplete = new Map<string, Incomplete>()
  #bufferedBytes = 0

  constructor(options: ReassemblyOptions = {}) {
    const {
      chunkBytes = reassemblyDefaults.chunkBytes,
      maxIncomplete = reassemblyDefaults.maxIncomplete,
      maxBufferedBytes = reassemblyDefaults.maxBufferedBytes,
      fragmentTimeoutMs = reassemblyDefaults.fragmentTimeoutMs,
    } = options
    this.#options = {
      chunkBytes: checkInteger('chunkBytes', chunkBytes, 1, MAX_CHUNK_BYTES),
      maxIncomplete: checkInteger('maxIncomplete', maxIncomplete, 1, 65_536),
      maxBufferedBytes: checkInteger('maxBufferedBytes', maxBufferedBytes, 1, 2 ** 40),
      fragmentTimeoutMs: checkInteger('fragmentTimeoutMs', fragmentTimeoutMs, 1, 2 ** 31),
    }
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }
  get incompleteCount(): number {
    return this.#incomplete.size
  }

  /**
   * Takes a fragment, whose data is copied.
   *
   * @returns the message when this was the last of it
   * @throws ProtocolError ERR_PROTOCOL when fragments contradict each other, ERR_LIMIT when there is
   *   too much of them. The incomplete block is given up; the connection may go on
   */
  receive(fragment: BlockFragment, now: number): ReassembledBlock | undefined {
    this.handleTimeout(now)
    const name = hexText(fragment.blockHash)
    const known = this.#incomplete.get(name)
    const entry = known ?? this.#begin(name, fragment, now)
    try {
      this.#place(entry, fragment)
    } catch (error) {
      this.#drop(name, entry)
      throw error
    }
    entry.lastAt = now
    // Put last: the order is by when each was heard of.
    this.#incomplete.delete(name)
    this.#incomplete.set(name, entry)
    if (entry.chunks.size < entry.total) return undefined
    this.#drop(name, entry)
    return { blockHash: entry.blockHash, encoded: join(entry) }
  }

  /** When the next incomplete block is given up. */
  pollTimeout(): number | undefined {
    const oldest = this.#incomplete.values().next().value
    return oldest === undefined ? undefined : oldest.lastAt + this.#options.fragmentTimeoutMs
  }

  /** @returns how many incomplete blocks were given up */
  handleTimeout(now: number): number {
    let count = 0
    for (const [name, entry] of this.#incomplete) {
      if (entry.lastAt + this.#options.fragmentTimeoutMs > now) break
      this.#drop(name, entry)
      count += 1
    }
    return count
  }

  clear(): void {
    this.#incomplete.clear()
    this.#bufferedBytes = 0
  }

  #begin(name: string, fragment: BlockFragment, now: number): Incomplete {
    const { maxIncomplete } = this.#options
    if (this.#incomplete.size >= maxIncomplete) {
      throw new ProtocolError('ERR_LIMIT', `more than ${maxIncomplete} incomplete blocks`)
    }
    const { blockHash, totalFragments } = fragment
    const entry: Incomplete = {
      blockHash: new Uint8Array(blockHash),
      total: totalFragments,
      chunks: new Map(),
      bytes: 0,
      lastAt: now,
    }
    this.#incomplete.set(name, entry)
    return entry
  }

  #place(entry: Incomplete, fragment: BlockFragment): void {
    const { chunkBytes, maxBufferedBytes } = this.#options
    const { fragmentId, totalFragments, data } = fragment
    if (totalFragments !== entry.total) {
      const message = `${totalFragments} fragments, after it was ${entry.total}`
      throw new ProtocolError('ERR_PROTOCOL', message)
    }
    const last = fragmentId === totalFragments - 1
    if (last ? data.length > chunkBytes : data.length !== chunkBytes) {
      const message = `fragment ${fragmentId} of ${totalFragments} has ${data.length} bytes`
      throw new ProtocolError('ERR_PROTOCOL', `${message}, must have ${chunkBytes}`)
    }
    const had = entry.chunks.get(fragmentId)
    if (had !== undefined) {
      if (sameBytes(had, data)) return // twice is not once more
      throw new ProtocolError('ERR_PROTOCOL', `fragment ${fragmentId} is there twice, differently`)
    }
    if (this.#bufferedBytes + data.length > maxBufferedBytes) {
      const message = `fragments of ${this.#bufferedBytes + data.length} bytes`
      throw new ProtocolError('ERR_LIMIT', `${message} are over the limit of ${maxBufferedBytes}`)
    }
    entry.chunks.set(fragmentId, new Uint8Array(data))
    entry.bytes += data.length
    this.#bufferedBytes += data.length
  }

  #drop(name: string, entry: Incomplete): void {
    if (this.#incomplete.delete(name)) this.#bufferedBytes -= entry.bytes
  }
}

function join(entry: Incomplete): Uint8Array {
  const whole = new Uint8Array(entry.bytes)
  let at = 0
  for (let id = 0; id < entry.total; id++) {
    const chunk = entry.chunks.get(id) as Uint8Array
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}

export const FRAGMENT_HEADER_BYTES = 44
/** With its header, less than the 16 KiB that every implementation takes as one message. */
export const MAX_CHUNK_BYTES = 15_360
const MAX_FRAGMENTS = 0xffff
