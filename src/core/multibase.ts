/**
 * Bytes as text, in the bases that multiaddrs use. Each has one spelling for given bytes: what a
 * decoder would not write itself (padding bits that are set, capitals) it does not read either.
 */

/** Bitcoin's alphabet: no 0, O, I, l. Time grows with the square of the length: bound it. */
export function encodeBase58(bytes: Uint8Array): string {
  let zeros = 0
  while (zeros < bytes.length && bytes[zeros] === 0) zeros += 1
  const digits: number[] = []
  for (let index = zeros; index < bytes.length; index++) {
    let carry = bytes[index] as number
    for (let at = 0; at < digits.length; at++) {
      carry += (digits[at] as number) * 0x100
      digits[at] = carry % 58
      carry = Math.floor(carry / 58)
    }
    for (; carry > 0; carry = Math.floor(carry / 58)) digits.push(carry % 58)
  }
  let text = '1'.repeat(zeros)
  for (let at = digits.length - 1; at >= 0; at--) text += BASE58[digits[at] as number]
  return text
}

export function decodeBase58(text: string): Uint8Array | undefined {
  let zeros = 0
  while (zeros < text.length && text[zeros] === '1') zeros += 1
  const bytes: number[] = []
  for (let index = zeros; index < text.length; index++) {
    let carry = BASE58.indexOf(text[index] as string)
    if (carry < 0) return undefined
    for (let at = 0; at < bytes.length; at++) {
      carry += (bytes[at] as number) * 58
      bytes[at] = carry & 0xff
      carry >>= 8
    }
    for (; carry > 0; carry >>= 8) bytes.push(carry & 0xff)
  }
  const decoded = new Uint8Array(zeros + bytes.length)
  for (const [at, byte] of bytes.entries()) decoded[decoded.length - 1 - at] = byte
  return decoded
}

/** RFC 4648, section 6, in small letters and without padding. */
export function encodeBase32(bytes: Uint8Array): string {
  return encodeBits(bytes, 5, BASE32)
}
export function decodeBase32(text: string): Uint8Array | undefined {
  return decodeBits(text, 5, BASE32)
}

/** RFC 4648, section 5, without padding. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return encodeBits(bytes, 6, BASE64URL)
}
export function decodeBase64Url(text: string): Uint8Array | undefined {
  return decodeBits(text, 6, BASE64URL)
}

export function encodeHex(bytes: Uint8Array): string {
  return encodeBits(bytes, 4, HEX)
}
export function decodeHex(text: string): Uint8Array | undefined {
  return decodeBits(text, 4, HEX)
}

/** A text that says its base by its first character: `z` base58btc, `b` base32, `u` base64url, `f` hex. */
export function decodeMultibase(text: string): Uint8Array | undefined {
  const body = text.slice(1)
  switch (text[0]) {
    case 'z':
      return decodeBase58(body)
    case 'b':
      return decodeBase32(body)
    case 'u':
      return decodeBase64Url(body)
    case 'f':
      return decodeHex(body)
    default:
      return undefined
  }
}

function encodeBits(bytes: Uint8Array, width: number, alphabet: string): string {
  let text = ''
  let held = 0
  let bits = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= width) {
      bits -= width
      text += alphabet[held >> bits]
      held &= (1 << bits) - 1
    }
  }
  return bits === 0 ? text : text + alphabet[held << (width - bits)]
}

function decodeBits(text: string, width: number, alphabet: string): Uint8Array | undefined {
  const decoded = new Uint8Array(Math.floor((text.length * width) / 8))
  let at = 0
  let held = 0
  let bits = 0
  for (const character of text) {
    const digit = alphabet.indexOf(character)
    if (digit < 0) return undefined
    held = (held << width) | digit
    bits += width
    if (bits < 8) continue
    bits -= 8
    decoded[at++] = held >> bits
    held &= (1 << bits) - 1
  }
  // What is left over are the zeros that fill the last character, less than one character of them.
  return held === 0 && bits < width ? decoded : undefined
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const HEX = '0123456789abcdef'
