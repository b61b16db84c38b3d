/**
 * The percent-encoding of `grpc-message` (PROTOCOL-HTTP2): UTF-8, where everything but visible ASCII
 * and space is `%XX`, and `%` itself. Lenient to read: what is no escape stands for itself, because
 * a message is for people and a broken one still helps.
 */

export function encodeGrpcMessage(message: string): string {
  if (isPlain(message)) return message
  let text = ''
  for (const byte of ENCODER.encode(message)) {
    text +=
      byte >= 0x20 && byte <= 0x7e && byte !== PERCENT
        ? String.fromCharCode(byte)
        : `%${HEX[byte >> 4]}${HEX[byte & 15]}`
  }
  return text
}

export function decodeGrpcMessage(text: string): string {
  if (!text.includes('%')) return text
  const bytes = new Uint8Array(text.length)
  let length = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    const escaped = unit === PERCENT ? hexPair(text, at + 1) : -1
    if (escaped < 0) bytes[length++] = unit
    else {
      bytes[length++] = escaped
      at += 2
    }
  }
  return DECODER.decode(bytes.subarray(0, length))
}

function isPlain(message: string): boolean {
  for (let at = 0; at < message.length; at++) {
    const unit = message.charCodeAt(at)
    if (unit < 0x20 || unit > 0x7e || unit === PERCENT) return false
  }
  return true
}

/** -1: not two hex digits. */
function hexPair(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at))
  const low = hexDigit(text.charCodeAt(at + 1))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexDigit(unit: number): number {
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30
  const folded = unit | 0x20
  return folded >= 0x61 && folded <= 0x66 ? folded - 0x57 : -1
}

const PERCENT = 0x25
const HEX = '0123456789ABCDEF'
const ENCODER = new TextEncoder()
const DECODER = new TextDecoder()
