/**
 * Base64 as Connect and gRPC-Web have it: written plainly, read in either alphabet and with or
 * without padding (both specifications ask readers for that), and as a stream of bytes for
 * `application/grpc-web-text`, where padded pieces follow one another.
 */
import type { Decoder } from '../../core/codec.ts'
import { ProtocolError } from '../../core/errors.ts'

export interface Base64Form {
  /** `-` and `_` instead of `+` and `/`, as in a query. @default false */
  readonly url?: boolean
  /** @default true */
  readonly padding?: boolean
}

export function encodeBase64(bytes: Uint8Array, form: Base64Form = {}): string {
  const { url = false, padding = true } = form
  const text = DECODER.decode(encodeBase64Bytes(bytes, url ? URL_ALPHABET : ALPHABET))
  const spare = padding ? 0 : (3 - (bytes.length % 3)) % 3
  return spare === 0 ? text : text.slice(0, -spare)
}

/** Undefined: not base64. */
export function decodeBase64(text: string): Uint8Array | undefined {
  let length = text.length
  for (let spare = 0; spare < 2 && text.charCodeAt(length - 1) === PAD; spare++) length--
  if (length !== text.length && text.length % 4 !== 0) return undefined
  if (length % 4 === 1) return undefined
  const bytes = new Uint8Array(Math.floor((length * 3) / 4))
  let held = 0
  let bits = 0
  let at = 0
  for (let index = 0; index < length; index++) {
    const value = VALUES[text.charCodeAt(index)] ?? NONE
    if (value === NONE) return undefined
    held = ((held << 6) | value) & 0xffffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes[at++] = held >>> bits
    }
  }
  // Bits left over that are set would give two texts of one meaning.
  return (held & ((1 << bits) - 1)) === 0 ? bytes : undefined
}

/** The text's bytes: each call is a piece of its own, padded, as a frame of `grpc-web-text`. */
export function encodeBase64Bytes(
  bytes: Uint8Array,
  alphabet: Uint8Array = ALPHABET,
): Uint8Array<ArrayBuffer> {
  const text = new Uint8Array(Math.ceil(bytes.length / 3) * 4)
  let to = 0
  let from = 0
  for (; from + 2 < bytes.length; from += 3) {
    const group =
      ((bytes[from] as number) << 16) |
      ((bytes[from + 1] as number) << 8) |
      (bytes[from + 2] as number)
    text[to++] = alphabet[group >>> 18] as number
    text[to++] = alphabet[(group >>> 12) & 63] as number
    text[to++] = alphabet[(group >>> 6) & 63] as number
    text[to++] = alphabet[group & 63] as number
  }
  if (from === bytes.length) return text
  const second = bytes[from + 1]
  const group = ((bytes[from] as number) << 16) | ((second ?? 0) << 8)
  text[to++] = alphabet[group >>> 18] as number
  text[to++] = alphabet[(group >>> 12) & 63] as number
  text[to++] = second === undefined ? PAD : (alphabet[(group >>> 6) & 63] as number)
  text[to] = PAD
  return text
}

/**
 * A stream of base64 in any chunks, decoded as it comes. Padding may stand wherever a group of four
 * ends, because a sender may pad each of its writes; nothing else but the alphabet is taken.
 */
export class Base64Decoder implements Decoder<Uint8Array> {
  #chunk: Uint8Array | undefined
  #held = 0
  /** Characters of the group that is under way: 0 to 3, padding included. */
  #count = 0
  #padding = 0
  #beforeFailure: Uint8Array | undefined
  #failure: ProtocolError | undefined

  get buffered(): number {
    return (this.#chunk?.length ?? 0) + this.#count
  }

  push(chunk: Uint8Array): void {
    if (this.#failure === undefined && chunk.length > 0) this.#chunk = chunk
  }

  /**
   * What the last chunk completes, in one piece that is the caller's.
   *
   * @throws ProtocolError ERR_ENCODING for anything that is not base64; see `takeBeforeFailure`
   */
  next(): Uint8Array | undefined {
    if (this.#failure !== undefined) throw this.#failure
    const chunk = this.#chunk
    this.#chunk = undefined
    if (chunk === undefined) return undefined
    const bytes = new Uint8Array(((this.#count + chunk.length) >>> 2) * 3)
    let at = 0
    for (const char of chunk) {
      at = this.#take(char, bytes, at)
      if (at < 0) throw this.#failure
    }
    return at === 0 ? undefined : bytes.subarray(0, at)
  }

  /** What stood before the byte that failed, in the same chunk. Once. */
  takeBeforeFailure(): Uint8Array | undefined {
    const bytes = this.#beforeFailure
    this.#beforeFailure = undefined
    return bytes
  }

  /** The chunk is only borrowed: copies what has not been decoded. */
  hold(): void {
    this.#chunk = this.#chunk?.slice()
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#count === 0) return
    throw (this.#failure = new ProtocolError('ERR_TRUNCATED', 'base64 ended inside a group'))
  }

  /** Where the next byte goes, or -1: it failed. */
  #take(char: number, bytes: Uint8Array, at: number): number {
    if (char === PAD && this.#count >= 2) {
      this.#padding++
    } else {
      const value = VALUES[char] ?? NONE
      if (value === NONE || this.#padding > 0) return this.#fail(char, bytes, at)
      this.#held = (this.#held << 6) | value
    }
    if (++this.#count < 4) return at
    return this.#group(char, bytes, at)
  }

  #group(char: number, bytes: Uint8Array, at: number): number {
    const padding = this.#padding
    const group = this.#held << (6 * padding)
    if (padding > 0 && (group & (padding === 1 ? 0xff : 0xffff)) !== 0) {
      return this.#fail(char, bytes, at)
    }
    this.#held = 0
    this.#count = 0
    this.#padding = 0
    bytes[at++] = group >>> 16
    if (padding < 2) bytes[at++] = group >>> 8
    if (padding < 1) bytes[at++] = group
    return at
  }

  #fail(char: number, bytes: Uint8Array, at: number): number {
    if (at > 0) this.#beforeFailure = bytes.subarray(0, at)
    const message = `byte 0x${char.toString(16)} cannot stand here in base64`
    this.#failure = new ProtocolError('ERR_ENCODING', message)
    return -1
  }
}

const PAD = 0x3d
const NONE = 255
const DECODER = new TextDecoder()
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const ALPHABET: Uint8Array = /* @__PURE__ */ new TextEncoder().encode(`${LETTERS}+/`)
const URL_ALPHABET: Uint8Array = /* @__PURE__ */ new TextEncoder().encode(`${LETTERS}-_`)
const VALUES: Uint8Array = /* @__PURE__ */ (() => {
  const table = new Uint8Array(128).fill(NONE)
  for (let value = 0; value < 64; value++) {
    table[ALPHABET[value] as number] = value
    table[URL_ALPHABET[value] as number] = value
  }
  return table
})()
