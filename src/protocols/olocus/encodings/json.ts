/**
 * JSON (id 1). Hashes, key and signature are hexadecimal, the payload base64:
 *
 *     {"header":{"version":261,"index":0,"timestamp":1640995200,"previous":"00…","payload_hash":"…",
 *      "payload_type":32768},"payload":"eyJo…","signature":"…","public_key":"…"}
 *
 * Numbers up to 2^53−1 are JSON numbers, larger ones decimal strings; both are read exactly. The
 * reader is of this one form: a key that is not known, or is there twice, makes it another text, and
 * everything in a block is ASCII.
 */
import { assembleBlock, type Block, type BlockFields } from '../block.ts'
import { blockError } from '../block-codes.ts'
import { decodeBase64, decodeHex, writeBase64, writeHex } from '../byte-text.ts'
import { checkPayloadSize } from './binary.ts'

export function encodeJson(block: Block): Uint8Array {
  const head =
    `{"header":{"version":${block.version},"index":${numberText(block.index)},` +
    `"timestamp":${numberText(block.timestamp)},"previous":"`
  const base64Bytes = 4 * Math.ceil(block.payloadSize / 3)
  const out = new Uint8Array(head.length + base64Bytes + FIXED_BYTES)
  let at = writeAscii(head, out, 0)
  at = writeHex(block.previous, out, at)
  at = writeAscii('","payload_hash":"', out, at)
  at = writeHex(block.payloadHash, out, at)
  at = writeAscii(`","payload_type":${block.payloadType}},"payload":"`, out, at)
  at = writeBase64(block.payloadBytes, out, at)
  at = writeAscii('","signature":"', out, at)
  at = writeHex(block.signature, out, at)
  at = writeAscii('","public_key":"', out, at)
  at = writeHex(block.publicKey, out, at)
  at = writeAscii('"}', out, at)
  return out.subarray(0, at)
}

export function readJson(bytes: Uint8Array, maxPayloadBytes: number): Uint8Array {
  const reader = new JsonBlockReader(bytes, maxPayloadBytes)
  const fields = reader.readBlock()
  return assembleBlock(fields)
}

type Draft = { -readonly [Name in keyof BlockFields]?: BlockFields[Name] }

class JsonBlockReader {
  readonly #bytes: Uint8Array
  readonly #maxPayloadBytes: number
  #at = 0

  constructor(bytes: Uint8Array, maxPayloadBytes: number) {
    this.#bytes = bytes
    this.#maxPayloadBytes = maxPayloadBytes
  }

  readBlock(): BlockFields {
    const draft: Draft = {}
    this.#readObject(4, (key) => {
      if (key === 'header') this.#readHeader(draft)
      else if (key === 'payload') draft.payload = this.#readPayload()
      else if (key === 'signature') draft.signature = this.#readHex(key, 64)
      else if (key === 'public_key') draft.publicKey = this.#readHex(key, 32)
      else throw this.#wrong(`unknown key '${key}'`)
    })
    this.#skipSpace()
    if (this.#at !== this.#bytes.length) throw this.#wrong('more text behind the block')
    return draft as BlockFields // every key is there: readObject counts them
  }

  #readHeader(draft: Draft): void {
    this.#readObject(6, (key) => {
      if (key === 'version') draft.version = Number(this.#readInteger(0n, 0xffffn))
      else if (key === 'index') draft.index = this.#readInteger(0n, U64_MAX)
      else if (key === 'timestamp') draft.timestamp = this.#readInteger(I64_MIN, I64_MAX)
      else if (key === 'previous') draft.previous = this.#readHex(key, 32)
      else if (key === 'payload_hash') draft.payloadHash = this.#readHex(key, 32)
      else if (key === 'payload_type') draft.payloadType = Number(this.#readInteger(0n, U32_MAX))
      else throw this.#wrong(`unknown key '${key}'`)
    })
  }

  /** `count` different keys, all of which `read` knows: so none is missing. */
  #readObject(count: number, read: (key: string) => void): void {
    this.#expect(OPEN)
    const seen: string[] = []
    for (;;) {
      const key = this.#readKey()
      if (seen.includes(key)) throw this.#wrong(`'${key}' is there twice`)
      seen.push(key)
      this.#expect(COLON)
      this.#skipSpace()
      read(key)
      this.#skipSpace()
      if (this.#bytes[this.#at] !== COMMA) break
      this.#at += 1
      this.#skipSpace()
    }
    this.#expect(CLOSE)
    if (seen.length !== count) throw this.#wrong(`${seen.length} keys of ${count}`)
  }

  #readKey(): string {
    this.#skipSpace()
    const [start, end, escaped] = this.#scanString()
    if (end - start > MAX_KEY_BYTES) throw this.#wrong('unknown key')
    const text = this.#ascii(start, end)
    return escaped ? this.#unescape(text) : text
  }

  #readHex(name: string, length: number): Uint8Array {
    const [text, start, end] = this.#readText()
    const found = decodeHex(text, start, end)
    if (found === undefined) throw this.#wrong(`${name} is not hexadecimal`)
    if (found.length !== length) {
      const message = `${name} has ${found.length} bytes, must have ${length}`
      throw blockError('MalformedBlock', message)
    }
    return found
  }

  #readPayload(): Uint8Array {
    const [text, start, end] = this.#readText()
    checkPayloadSize(Math.max(0, Math.floor(((end - start) * 3) / 4) - 2), this.#maxPayloadBytes)
    const found = decodeBase64(text, start, end)
    if (found === undefined) throw this.#wrong('payload is not base64 with padding')
    checkPayloadSize(found.length, this.#maxPayloadBytes)
    return found
  }

  /** The text of a string, as it lies in the input unless it has escapes (some write `\/`). */
  #readText(): [bytes: Uint8Array, start: number, end: number] {
    const [start, end, escaped] = this.#scanString()
    if (!escaped) return [this.#bytes, start, end]
    const bytes = new TextEncoder().encode(this.#unescape(this.#ascii(start, end)))
    return [bytes, 0, bytes.length]
  }

  #readInteger(min: bigint, max: bigint): bigint {
    let [start, end] = [this.#at, this.#at]
    if (this.#bytes[this.#at] === QUOTE) [start, end] = this.#scanString()
    else {
      while (isNumberByte(this.#bytes[end])) end += 1
      this.#at = end
    }
    if (end - start > MAX_NUMBER_BYTES) throw this.#wrong('a number of too many digits')
    const text = this.#ascii(start, end)
    // No fraction, no exponent: `1.0` and `1e3` are not how an integer is written.
    if (!/^(?:0|-?[1-9][0-9]*)$/.test(text)) throw this.#wrong(`'${text}' is not an integer`)
    const value = BigInt(text)
    if (value < min || value > max) {
      throw blockError('MalformedBlock', `${text} is not within ${min} to ${max}`)
    }
    return value
  }

  /** From the quote on: where the text of the string is, and whether it has escapes. */
  #scanString(): [start: number, end: number, escaped: boolean] {
    const bytes = this.#bytes
    if (bytes[this.#at] !== QUOTE) throw this.#wrong('a string was expected')
    const start = this.#at + 1
    let escaped = false
    let end = start
    for (; ; end++) {
      const byte = bytes[end]
      if (byte === QUOTE) break
      if (byte === undefined) throw this.#wrong('a string has no end')
      if (byte < 0x20 || byte > 0x7e) {
        throw this.#wrong(`byte 0x${byte.toString(16)} in a string`)
      }
      if (byte === BACKSLASH) {
        escaped = true
        end += 1 // what follows is no end, whatever it is
      }
    }
    this.#at = end + 1
    return [start, end, escaped]
  }

  #unescape(text: string): string {
    try {
      return JSON.parse(`"${text}"`) as string
    } catch (cause) {
      throw blockError('SerializationError', 'an escape that JSON does not have', cause)
    }
  }

  #ascii(start: number, end: number): string {
    let text = ''
    for (let at = start; at < end; at += 1_024) {
      const part = this.#bytes.subarray(at, Math.min(end, at + 1_024))
      text += String.fromCharCode.apply(null, part as unknown as number[])
    }
    return text
  }

  #expect(byte: number): void {
    this.#skipSpace()
    if (this.#bytes[this.#at] !== byte) {
      throw this.#wrong(`'${String.fromCharCode(byte)}' was expected`)
    }
    this.#at += 1
  }

  #skipSpace(): void {
    for (;;) {
      const byte = this.#bytes[this.#at]
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return
      this.#at += 1
    }
  }

  #wrong(what: string): Error {
    return blockError('SerializationError', `JSON at byte ${this.#at}: ${what}`)
  }
}

function numberText(value: bigint): string {
  return value >= -SAFE_MAX && value <= SAFE_MAX ? `${value}` : `"${value}"`
}

function isNumberByte(byte: number | undefined): boolean {
  if (byte === undefined) return false
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x2e || (byte | 0x20) === 0x65
}

function writeAscii(text: string, out: Uint8Array, at: number): number {
  for (let index = 0; index < text.length; index++) out[at + index] = text.charCodeAt(index)
  return at + text.length
}

const [OPEN, CLOSE, COLON, COMMA, QUOTE, BACKSLASH] = [0x7b, 0x7d, 0x3a, 0x2c, 0x22, 0x5c] as const
/** More than everything behind the head that is not the payload: 320 hexadecimal digits and names. */
const FIXED_BYTES = 512
const MAX_KEY_BYTES = 64
const MAX_NUMBER_BYTES = 32
const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER)
const U32_MAX = 0xffff_ffffn
const U64_MAX = (1n << 64n) - 1n
const I64_MAX = (1n << 63n) - 1n
const I64_MIN = -(1n << 63n)
