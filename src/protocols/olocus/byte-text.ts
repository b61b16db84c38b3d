/**
 * Bytes as hexadecimal and base64, read and written as bytes of ASCII: no text in between, so that a
 * payload of megabytes is no string of megabytes.
 */

/** Small letters. */
export function writeHex(bytes: Uint8Array, out: Uint8Array, at: number): number {
  let end = at
  for (const byte of bytes) {
    out[end] = HEX[byte >> 4] as number
    out[end + 1] = HEX[byte & 15] as number
    end += 2
  }
  return end
}

export function hexText(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

/** Letters of either case. Undefined: something else is in it, or half a byte. */
export function decodeHex(text: Uint8Array, start: number, end: number): Uint8Array | undefined {
  if ((end - start) % 2 !== 0) return undefined
  const bytes = new Uint8Array((end - start) / 2)
  for (let at = start, index = 0; at < end; at += 2, index++) {
    const high = HEX_VALUES[text[at] as number] as number
    const low = HEX_VALUES[text[at + 1] as number] as number
    if ((high | low) > 15) return undefined
    bytes[index] = (high << 4) | low
  }
  return bytes
}

/** Undefined: not hexadecimal. */
export function parseHex(text: string): Uint8Array | undefined {
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) return undefined
  const bytes = new Uint8Array(text.length / 2)
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16)
  }
  return bytes
}

/** Standard alphabet, with padding (RFC 4648, section 4). */
export function writeBase64(bytes: Uint8Array, out: Uint8Array, at: number): number {
  const whole = bytes.length - (bytes.length % 3)
  let end = at
  for (let index = 0; index < whole; index += 3) {
    const a = bytes[index] as number
    const b = bytes[index + 1] as number
    const c = bytes[index + 2] as number
    out[end] = BASE64[a >> 2] as number
    out[end + 1] = BASE64[((a & 3) << 4) | (b >> 4)] as number
    out[end + 2] = BASE64[((b & 15) << 2) | (c >> 6)] as number
    out[end + 3] = BASE64[c & 63] as number
    end += 4
  }
  const rest = bytes.length - whole
  if (rest === 0) return end
  const a = bytes[whole] as number
  const b = rest === 2 ? (bytes[whole + 1] as number) : 0
  out[end] = BASE64[a >> 2] as number
  out[end + 1] = BASE64[((a & 3) << 4) | (b >> 4)] as number
  out[end + 2] = rest === 2 ? (BASE64[(b & 15) << 2] as number) : PAD
  out[end + 3] = PAD
  return end + 4
}

/** Undefined: not padded, another character, or bits that nobody would have written. */
export function decodeBase64(text: Uint8Array, start: number, end: number): Uint8Array | undefined {
  const length = end - start
  if (length % 4 !== 0) return undefined
  const padding = length === 0 || text[end - 1] !== PAD ? 0 : text[end - 2] === PAD ? 2 : 1
  const bytes = new Uint8Array((length / 4) * 3 - padding)
  const wholeEnd = padding === 0 ? end : end - 4
  let index = 0
  for (let at = start; at < wholeEnd; at += 4) {
    const a = BASE64_VALUES[text[at] as number] as number
    const b = BASE64_VALUES[text[at + 1] as number] as number
    const c = BASE64_VALUES[text[at + 2] as number] as number
    const d = BASE64_VALUES[text[at + 3] as number] as number
    if ((a | b | c | d) > 63) return undefined
    bytes[index] = (a << 2) | (b >> 4)
    bytes[index + 1] = (b << 4) | (c >> 2)
    bytes[index + 2] = (c << 6) | d
    index += 3
  }
  if (padding === 0) return bytes
  const a = BASE64_VALUES[text[end - 4] as number] as number
  const b = BASE64_VALUES[text[end - 3] as number] as number
  const c = padding === 2 ? 0 : (BASE64_VALUES[text[end - 2] as number] as number)
  if ((a | b | c) > 63) return undefined
  if (padding === 2 ? (b & 15) !== 0 : (c & 3) !== 0) return undefined
  bytes[index] = (a << 2) | (b >> 4)
  if (padding === 1) bytes[index + 1] = (b << 4) | (c >> 2)
  return bytes
}

const PAD = 0x3d
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const HEX = codes('0123456789abcdef')
const BASE64 = codes(ALPHABET)
const BASE64_VALUES = values(ALPHABET)
const HEX_VALUES = values('0123456789abcdef', 'ABCDEF', 10)

function codes(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0))
}

/** What each byte stands for; 0xff: nothing. */
function values(text: string, more: string = '', from: number = 0): Uint8Array {
  const table = new Uint8Array(256).fill(0xff)
  for (let index = 0; index < text.length; index++) table[text.charCodeAt(index)] = index
  for (let index = 0; index < more.length; index++) table[more.charCodeAt(index)] = from + index
  return table
}
