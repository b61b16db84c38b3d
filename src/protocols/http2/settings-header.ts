/**
 * `HTTP2-Settings` of an upgrade from HTTP/1.1 (RFC 7540 3.2.1): the payload of SETTINGS in base64url
 * without padding.
 */

/** Undefined: it is not base64url. */
export function decodeSettingsHeader(text: string): Uint8Array | undefined {
  const length = Math.floor((text.length * 3) / 4)
  if (text.length % 4 === 1 || text.length > MAX_LENGTH) return undefined
  const bytes = new Uint8Array(length)
  let bits = 0
  let value = 0
  let at = 0
  for (let index = 0; index < text.length; index++) {
    const digit = ALPHABET.indexOf(text[index] as string)
    if (digit < 0) return undefined
    value = ((value << 6) | digit) & 0xfff
    bits += 6
    if (bits < 8) continue
    bits -= 8
    bytes[at++] = value >>> bits
  }
  return bytes
}

/** `settings`: id, value, id, value … */
export function encodeSettingsHeader(settings: readonly number[]): string {
  const bytes: number[] = []
  for (let index = 0; index < settings.length; index += 2) {
    const id = settings[index] as number
    const value = settings[index + 1] as number
    bytes.push(id >>> 8, id & 0xff, value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff)
    bytes.push(value & 0xff)
  }
  let text = ''
  for (let at = 0; at < bytes.length; at += 3) {
    const group = ((bytes[at] as number) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    const digits = Math.min(4, bytes.length - at + 1)
    for (let digit = 0; digit < digits; digit++) {
      text += ALPHABET[(group >>> (18 - digit * 6)) & 63]
    }
  }
  return text
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
/** More settings than anybody knows. */
const MAX_LENGTH = 1_024
