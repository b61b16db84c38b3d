/**
 * Base64 of `-bin` metadata (PROTOCOL-HTTP2): written without padding, read with and without it.
 */

export function encodeBinaryValue(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at
    const group = ((bytes[at] as number) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    text += ALPHABET.charAt(group >> 18) + ALPHABET.charAt((group >> 12) & 63)
    if (left > 1) text += ALPHABET.charAt((group >> 6) & 63)
    if (left > 2) text += ALPHABET.charAt(group & 63)
  }
  return text
}

/** Undefined: not base64. */
export function decodeBinaryValue(text: string): Uint8Array | undefined {
  let length = text.length
  // Padding is there as a whole or not at all.
  if (length % 4 === 0 && text.endsWith('=')) length -= text.endsWith('==') ? 2 : 1
  if (length % 4 === 1) return undefined
  const bytes = new Uint8Array((length * 3) >> 2)
  let bits = 0
  let held = 0
  let at = 0
  for (let index = 0; index < length; index++) {
    const unit = text.charCodeAt(index)
    const value = unit < 128 ? (VALUES[unit] as number) : NONE
    if (value === NONE) return undefined
    bits = ((bits << 6) | value) & 0xffff
    held += 6
    if (held < 8) continue
    held -= 8
    bytes[at++] = bits >> held
  }
  return bytes
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const NONE = 255
const VALUES: Uint8Array = /* @__PURE__ */ (() => {
  const values = new Uint8Array(128).fill(NONE)
  for (let value = 0; value < 64; value++) values[ALPHABET.charCodeAt(value)] = value
  return values
})()
