/**
 * Base64 (RFC 4648 section 4), strict: with padding, no other character, no bits left over. What a
 * lenient decoder skips would give two texts of one meaning.
 */
export function encodeBase64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 3) {
    const a = bytes[at] as number
    const b = bytes[at + 1]
    const c = bytes[at + 2]
    const group = (a << 16) | ((b ?? 0) << 8) | (c ?? 0)
    text += ALPHABET.charAt(group >> 18) + ALPHABET.charAt((group >> 12) & 63)
    text += b === undefined ? '=' : ALPHABET.charAt((group >> 6) & 63)
    text += c === undefined ? '=' : ALPHABET.charAt(group & 63)
  }
  return text
}

/** Undefined: not base64. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const length = text.length - padding
  const bytes = new Uint8Array((text.length / 4) * 3 - padding)
  let bits = 0
  let held = 0
  let at = 0
  for (let index = 0; index < length; index++) {
    const value = ALPHABET.indexOf(text.charAt(index))
    if (value < 0) return undefined
    bits = (bits << 6) | value
    held += 6
    if (held >= 8) {
      held -= 8
      bytes[at++] = (bits >> held) & 0xff
      bits &= (1 << held) - 1
    }
  }
  return bits === 0 ? bytes : undefined
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
