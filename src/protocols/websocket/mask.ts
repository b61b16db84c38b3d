/**
 * Masking (RFC 6455 5.3): byte `i` of a payload is xor-ed with byte `i mod 4` of the key.
 *
 * Long payloads go by vectors (mask-simd.ts), short ones four bytes at a time: while copying where
 * source and target stand alike within a word, in place behind a plain copy where they do not.
 *
 * A key is the four bytes as one little-endian word; `phase` is `i mod 4` of the first byte.
 */
import { loadSimdMask, type SimdMask } from './mask-simd.ts'

/** Copies `length` bytes of a payload and masks or unmasks them. */
export function maskInto(
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  at: number,
  length: number,
  key: number,
  phase: number,
): void {
  if (length < SHORT) return maskBytes(source, from, target, at, length, key, phase)
  if (length >= LONG) {
    const simd = simdMask()
    if (simd !== undefined) return simd(source, from, target, at, length, rotate(key, phase))
  }
  const place = source.byteOffset + from
  if (!LITTLE_ENDIAN || ((place ^ (target.byteOffset + at)) & 3) !== 0) {
    const whole = from === 0 && length === source.length
    target.set(whole ? source : source.subarray(from, from + length), at)
    return maskInPlace(target, at, length, key, phase)
  }
  const head = -place & 3
  maskBytes(source, from, target, at, head, key, phase)
  const words = (length - head) >> 2
  const first = (place + head) >> 2
  const into = (target.byteOffset + at + head) >> 2
  maskWords(
    sourceWords(source.buffer),
    first,
    targetWords(target.buffer),
    into,
    words,
    rotate(key, phase + head),
  )
  const done = head + (words << 2)
  maskBytes(source, from + done, target, at + done, length - done, key, phase + done)
}

/** Masks or unmasks bytes where they are. */
export function maskInPlace(
  bytes: Uint8Array,
  at: number,
  length: number,
  key: number,
  phase: number,
): void {
  if (length < SHORT || !LITTLE_ENDIAN) {
    return maskBytes(bytes, at, bytes, at, length, key, phase)
  }
  if (length >= LONG) {
    const simd = simdMask()
    if (simd !== undefined) return simd(bytes, at, bytes, at, length, rotate(key, phase))
  }
  const place = bytes.byteOffset + at
  const head = -place & 3
  maskBytes(bytes, at, bytes, at, head, key, phase)
  const words = (length - head) >> 2
  const first = (place + head) >> 2
  const all = targetWords(bytes.buffer)
  maskWords(all, first, all, first, words, rotate(key, phase + head))
  const done = head + (words << 2)
  maskBytes(bytes, at + done, bytes, at + done, length - done, key, phase + done)
}

function maskWords(
  source: Int32Array,
  from: number,
  target: Int32Array,
  at: number,
  count: number,
  key: number,
): void {
  let index = 0
  for (const last = count - 3; index < last; index += 4) {
    target[at + index] = (source[from + index] as number) ^ key
    target[at + index + 1] = (source[from + index + 1] as number) ^ key
    target[at + index + 2] = (source[from + index + 2] as number) ^ key
    target[at + index + 3] = (source[from + index + 3] as number) ^ key
  }
  for (; index < count; index++) target[at + index] = (source[from + index] as number) ^ key
}

function maskBytes(
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  at: number,
  length: number,
  key: number,
  phase: number,
): void {
  for (let index = 0; index < length; index++) {
    target[at + index] = (source[from + index] as number) ^ (key >>> (((phase + index) & 3) << 3))
  }
}

/** The key as it stands at another phase. */
function rotate(key: number, phase: number): number {
  const bits = (phase & 3) << 3
  return bits === 0 ? key : (key >>> bits) | (key << (32 - bits))
}

/** Transports read into the same memory again and again, writers fill the same regions. */
function sourceWords(buffer: ArrayBufferLike): Int32Array {
  if (buffer !== lastSource) {
    lastSource = buffer
    lastSourceWords = new Int32Array(buffer, 0, buffer.byteLength >> 2)
  }
  return lastSourceWords
}

function targetWords(buffer: ArrayBufferLike): Int32Array {
  if (buffer !== lastTarget) {
    lastTarget = buffer
    lastTargetWords = new Int32Array(buffer, 0, buffer.byteLength >> 2)
  }
  return lastTargetWords
}

/** Loaded when the first long payload comes. */
function simdMask(): SimdMask | undefined {
  if (!LITTLE_ENDIAN) return undefined
  if (simd === null) simd = loadSimdMask()
  return simd
}

/** Below it, words cost more than they save. */
const SHORT = 24
/** From here on, vectors cost less than words. */
const LONG = 384
let simd: SimdMask | undefined | null = null
const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1
let lastSourceWords: Int32Array = new Int32Array(0)
let lastSource: ArrayBufferLike = lastSourceWords.buffer
let lastTargetWords: Int32Array = new Int32Array(0)
let lastTarget: ArrayBufferLike = lastTargetWords.buffer
