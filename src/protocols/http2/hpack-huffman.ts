/**
 * The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B), both ways.
 *
 * It is read four bits at a time by a table of states (16 KiB): each is a node of the code's tree,
 * and says for every nibble which node is next and which byte was completed on the way. No code is
 * shorter than five bits, so that a nibble completes at most one.
 */
import { HUFFMAN_LENGTHS } from './hpack-tables.ts'

/** Bytes that `text` (latin-1) takes. */
export function huffmanLength(text: string): number {
  let bits = 0
  for (let index = 0; index < text.length; index++) {
    bits += HUFFMAN_LENGTHS[text.charCodeAt(index) & 0xff] as number
  }
  return (bits + 7) >>> 3
}

/** Writes `text` (latin-1) at `at`. @returns the end */
export function encodeHuffman(text: string, out: Uint8Array, at: number): number {
  let held = 0
  let bits = 0
  for (let index = 0; index < text.length; index++) {
    const byte = text.charCodeAt(index) & 0xff
    const length = HUFFMAN_LENGTHS[byte] as number
    // In two parts: what is held and a code may be longer than a number of 32 bits.
    const code = CODES[byte] as number
    if (length > 16) {
      held = ((held << (length - 16)) | (code >>> 16)) >>> 0
      bits += length - 16
      while (bits >= 8) {
        bits -= 8
        out[at++] = held >>> bits
      }
      held = ((held << 16) | (code & 0xffff)) >>> 0
      bits += 16
    } else {
      held = ((held << length) | code) >>> 0
      bits += length
    }
    while (bits >= 8) {
      bits -= 8
      out[at++] = held >>> bits
    }
  }
  // Padded with the most significant bits of the end-of-string symbol, which are ones.
  if (bits > 0) out[at++] = (held << (8 - bits)) | (0xff >>> bits)
  return at
}

/**
 * Decodes `bytes[start, end)` into `out`, which has room for `huffmanRoom` bytes.
 *
 * @returns how many bytes came out; -1 for padding that is too long or not of ones, or a code that
 * ends the text
 */
export function decodeHuffman(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
): number {
  const steps = STEPS
  let count = 0
  let state = 0
  for (let index = start; index < end; index++) {
    const byte = bytes[index] as number
    // Written whether or not it is a whole byte: no branch, which nothing could predict.
    const first = steps[(state << 4) | (byte >>> 4)] as number
    out[count] = first
    count += (first >>> 8) & 1
    const second = steps[((first >>> 9) << 4) | (byte & 15)] as number
    out[count] = second
    count += (second >>> 8) & 1
    state = second >>> 9
  }
  return PADDING[state] === 1 ? count : -1
}

/** Most bytes that `count` bytes decode to, and one that is written ahead. Five bits are least. */
export function huffmanRoom(count: number): number {
  return Math.ceil((count * 8) / 5) + 1
}

/** The canonical code: among codes of one length those of lower bytes are lower. */
function assignCodes(): Uint32Array {
  const codes = new Uint32Array(HUFFMAN_LENGTHS.length)
  let code = 0
  for (let length = 1; length <= MAX_LENGTH; length++) {
    for (let symbol = 0; symbol < HUFFMAN_LENGTHS.length; symbol++) {
      if (HUFFMAN_LENGTHS[symbol] === length) codes[symbol] = code++
    }
    code <<= 1
  }
  return codes
}

/**
 * One entry a state and nibble: next state << 9 | a byte was completed << 8 | that byte. The last
 * state is that of an error, and stays.
 */
function buildSteps(codes: Uint32Array): { steps: Int32Array; padding: Uint8Array } {
  const nodes: [number, number][] = [[0, 0]]
  // A leaf is the complement of its symbol: below zero.
  for (let symbol = 0; symbol < codes.length; symbol++) {
    let node = 0
    for (let bit = (HUFFMAN_LENGTHS[symbol] as number) - 1; bit >= 0; bit--) {
      const side = ((codes[symbol] as number) >>> bit) & 1
      const pair = nodes[node] as [number, number]
      if (bit === 0) pair[side] = ~symbol
      else {
        if (pair[side] === 0) pair[side] = nodes.push([0, 0]) - 1
        node = pair[side] as number
      }
    }
  }
  const failed = nodes.length
  const steps = new Int32Array((failed + 1) * 16).fill(failed << 9)
  for (let from = 0; from < failed; from++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      steps[from * 16 + nibble] = step(nodes, from, nibble)
    }
  }
  const padding = new Uint8Array(failed + 1)
  // Fewer than eight ones from a whole code on.
  for (let node = 0, ones = 0; ones < 8; ones++) {
    padding[node] = 1
    node = (nodes[node] as [number, number])[1]
  }
  return { steps, padding }
}

function step(nodes: readonly [number, number][], from: number, nibble: number): number {
  let node = from
  let completed = 0
  for (let bit = 3; bit >= 0; bit--) {
    const next = (nodes[node] as [number, number])[(nibble >>> bit) & 1] as number
    if (next >= 0) node = next
    else {
      if (~next === END_OF_STRING) return nodes.length << 9
      completed = COMPLETES | ~next
      node = 0
    }
  }
  return (node << 9) | completed
}

const MAX_LENGTH = 30
const END_OF_STRING = 256
const COMPLETES = 0x100
const CODES = /* @__PURE__ */ assignCodes()
const { steps: STEPS, padding: PADDING } = /* @__PURE__ */ buildSteps(CODES)
