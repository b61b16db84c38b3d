/**
 * LZ4 blocks, in plain JavaScript: fast compression of what travels, and a strict decoder.
 *
 *     block     | sequence | sequence | … | last literals |
 *     sequence  | token | more literal length | literals | offset u16 LE | more match length |
 *
 * The token's high half is the number of literals, its low half the length of the match less 4; 15
 * means that bytes follow which are added, the last of them not 255. A match may overlap what it
 * writes. The last five bytes are literals, and no match begins in the last twelve.
 *
 * `compressLz4` and `decompressLz4` have the size in front (u32 LE), as lz4_flex' "prepend size" and
 * Python's `lz4.block` do. A block says nothing of its size itself, so one without cannot be bounded.
 *
 * Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
 */
import { ProtocolError, UsageError } from './errors.ts'
import type { DecompressOptions } from './host.ts'

/** The input behind its size. */
export function compressLz4(input: Uint8Array): Uint8Array {
  const room = new Uint8Array(SIZE_BYTES + lz4BlockBound(input.length))
  writeSize(room, input.length)
  const length = compressLz4Block(input, room, SIZE_BYTES)
  // The room for the worst case is not kept by what is much smaller.
  return length * 2 < room.length ? room.slice(0, length) : room.subarray(0, length)
}

/**
 * The other way. The size is believed only as far as what has arrived can become it, and nothing is
 * made before the limits were looked at.
 *
 * @throws ProtocolError ERR_EXPANSION over a limit, ERR_ENCODING when the block is corrupt
 */
export function decompressLz4(input: Uint8Array, limits: DecompressOptions = {}): Uint8Array {
  if (input.length < SIZE_BYTES) throw corrupt(`${input.length} bytes, the size alone has 4`)
  const size = readSize(input)
  checkExpansion(size, input.length, limits)
  const block = input.subarray(SIZE_BYTES)
  // A byte of a block becomes 255 at most: a size beyond that is a lie, and is not allocated.
  if (size > block.length * 255) throw corrupt(`${block.length} bytes cannot become ${size}`)
  const output = new Uint8Array(size)
  decompressLz4Block(block, output)
  return output
}

/** The size that a compressed input says it has. Undefined while the four bytes are not there. */
export function lz4Size(input: Uint8Array): number | undefined {
  return input.length < SIZE_BYTES ? undefined : readSize(input)
}

/** The most that a block of `length` bytes of input can have. */
export function lz4BlockBound(length: number): number {
  return length + Math.floor(length / 255) + 16
}

/** Refuses an output size over its limits. `inputBytes` is all that arrived for it. */
export function checkExpansion(
  outputBytes: number,
  inputBytes: number,
  limits: DecompressOptions,
): void {
  const { maxOutputBytes, maxRatio, ratioFreeBytes = 0 } = limits
  if (maxOutputBytes !== undefined && outputBytes > maxOutputBytes) {
    const message = `${outputBytes} bytes decompressed, over the limit of ${maxOutputBytes}`
    throw new ProtocolError('ERR_EXPANSION', message)
  }
  if (maxRatio === undefined || outputBytes - ratioFreeBytes <= inputBytes * maxRatio) return
  const message = `${inputBytes} bytes become ${outputBytes}, over the ratio of ${maxRatio}`
  throw new ProtocolError('ERR_EXPANSION', message)
}

/**
 * Compresses into `into` from `at`, where there must be `lz4BlockBound(input.length)` bytes of room.
 * @returns the end of the block
 */
export function compressLz4Block(input: Uint8Array, into: Uint8Array, at: number): number {
  if (into.length - at < lz4BlockBound(input.length)) {
    throw new UsageError('ERR_ARGUMENT', `${into.length - at} bytes are too few for the worst case`)
  }
  const { length } = input
  const lastStart = length - MATCH_MARGIN
  // A table as large as the input needs: clearing it costs as much as compressing a small message.
  const bits = length < 4_096 ? SMALL_BITS : LARGE_BITS
  const table = bits === SMALL_BITS ? smallTable : largeTable
  table.fill(-1)
  let out = at
  let anchor = 0 // what is before it was written
  let position = 0
  let misses = 0
  while (position <= lastStart) {
    const word = read32(input, position)
    const slot = Math.imul(word, 0x9e37_79b1) >>> (32 - bits)
    const candidate = table[slot] as number
    table[slot] = position
    const near = candidate >= 0 && position - candidate <= MAX_OFFSET
    if (!near || read32(input, candidate) !== word) {
      // What does not compress is passed over faster and faster.
      position += 1 + (misses++ >> SKIP_SHIFT)
      continue
    }
    misses = 0
    let start = position
    let from = candidate
    while (start > anchor && from > 0 && input[start - 1] === input[from - 1]) {
      start -= 1
      from -= 1
    }
    const end = matchEnd(input, position + MIN_MATCH, candidate + MIN_MATCH)
    out = writeSequence(input, anchor, start, into, out, start - from, end - start)
    anchor = end
    position = end
  }
  return writeLast(input, anchor, into, out)
}

/**
 * Decompresses a block that becomes exactly `output.length` bytes.
 * @throws ProtocolError ERR_ENCODING for anything else
 */
export function decompressLz4Block(block: Uint8Array, output: Uint8Array): void {
  let at = 0
  let out = 0
  for (;;) {
    if (at >= block.length) throw corrupt('the block ends before its last literals')
    const token = block[at++] as number
    let literals = token >>> 4
    if (literals === 15) {
      let more: number
      do {
        if (at >= block.length) throw corrupt('the block ends inside a length')
        more = block[at++] as number
        literals += more
      } while (more === 255)
    }
    if (literals > block.length - at) throw corrupt('the block ends inside its literals')
    if (literals > output.length - out) throw corrupt(`it is more than ${output.length} bytes`)
    if (literals < SHORT_COPY) {
      for (const end = at + literals; at < end; ) output[out++] = block[at++] as number
    } else {
      output.set(block.subarray(at, at + literals), out)
      at += literals
      out += literals
    }
    if (at === block.length) {
      if (out === output.length) return
      throw corrupt(`it is ${out} bytes, not ${output.length}`)
    }
    if (block.length - at < 2) throw corrupt('the block ends inside an offset')
    const offset = (block[at] as number) | ((block[at + 1] as number) << 8)
    at += 2
    if (offset === 0 || offset > out) throw corrupt(`offset ${offset} after ${out} bytes`)
    let length = (token & 15) + MIN_MATCH
    if (length === 15 + MIN_MATCH) {
      let more: number
      do {
        if (at >= block.length) throw corrupt('the block ends inside a length')
        more = block[at++] as number
        length += more
      } while (more === 255)
    }
    if (length > output.length - out) throw corrupt(`it is more than ${output.length} bytes`)
    if (offset >= length && length >= SHORT_COPY) {
      output.copyWithin(out, out - offset, out - offset + length)
      out += length
    } else {
      // Byte by byte: what was just written may be read again.
      for (const end = out + length; out < end; out++) output[out] = output[out - offset] as number
    }
  }
}

function matchEnd(input: Uint8Array, start: number, from: number): number {
  const most = input.length - LAST_LITERALS
  let end = start
  let other = from
  while (end < most && input[end] === input[other]) {
    end += 1
    other += 1
  }
  return end
}

function writeSequence(
  input: Uint8Array,
  anchor: number,
  start: number,
  into: Uint8Array,
  at: number,
  offset: number,
  matchLength: number,
): number {
  const more = matchLength - MIN_MATCH
  let out = writeLiterals(input, anchor, start, into, at, Math.min(more, 15))
  into[out++] = offset
  into[out++] = offset >>> 8
  return more < 15 ? out : writeLength(more - 15, into, out)
}

function writeLast(input: Uint8Array, anchor: number, into: Uint8Array, at: number): number {
  return writeLiterals(input, anchor, input.length, into, at, 0)
}

function writeLiterals(
  input: Uint8Array,
  start: number,
  end: number,
  into: Uint8Array,
  at: number,
  low: number,
): number {
  const count = end - start
  let out = at
  into[out++] = (Math.min(count, 15) << 4) | low
  if (count >= 15) out = writeLength(count - 15, into, out)
  if (count < SHORT_COPY) {
    for (let index = start; index < end; index++) into[out++] = input[index] as number
    return out
  }
  into.set(input.subarray(start, end), out)
  return out + count
}

function writeLength(length: number, into: Uint8Array, at: number): number {
  let out = at
  let rest = length
  for (; rest >= 255; rest -= 255) into[out++] = 255
  into[out++] = rest
  return out
}

function read32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  )
}

function writeSize(into: Uint8Array, size: number): void {
  if (size > 0xffff_ffff) throw new UsageError('ERR_ARGUMENT', `${size} bytes are over 32 bits`)
  for (let index = 0; index < SIZE_BYTES; index++) into[index] = size >>> (8 * index)
}

function readSize(input: Uint8Array): number {
  return read32(input, 0) >>> 0
}

function corrupt(what: string): ProtocolError {
  return new ProtocolError('ERR_ENCODING', `LZ4 block is corrupt: ${what}`)
}

const SIZE_BYTES = 4
const MIN_MATCH = 4
const MAX_OFFSET = 65_535
/** The last bytes are always literals, and a match begins so far before the end at least. */
const LAST_LITERALS = 5
const MATCH_MARGIN = 12
/** Up to here a loop beats a native copy. */
const SHORT_COPY = 24
const SKIP_SHIFT = 6
const SMALL_BITS = 10
const LARGE_BITS = 14
/** Shared: compression is synchronous, so only one runs at a time in a thread. */
const smallTable = new Int32Array(1 << SMALL_BITS)
const largeTable = new Int32Array(1 << LARGE_BITS)
