/**
 * UTF-8 of a text message (RFC 6455 8.1), checked as it arrives: a code point may stand over two
 * fragments, and a message that is wrong already is refused before its end has come.
 */

/** Where what is whole ends: at most three bytes of a code point that has only begun stay behind. */
export function wholeCodePoints(bytes: Uint8Array, start: number, end: number): number {
  for (let at = end - 1; at >= start && at >= end - 3; at--) {
    const byte = bytes[at] as number
    if (byte < 0x80) return end
    if (byte < 0xc0) continue // a continuation: its first byte stands before it
    const length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
    return at + length > end ? at : end
  }
  return end
}

/** In plain JavaScript, for hosts without a native check: RFC 3629, no surrogates, nothing overlong. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start
  while (at < end) {
    const first = bytes[at] as number
    if (first < 0x80) {
      at += 1
      continue
    }
    const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
    if (first < 0xc2 || first > 0xf4 || at + length > end) return false
    const second = bytes[at + 1] as number
    // The second byte is where overlong forms, surrogates and what is above U+10FFFF show.
    const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
    const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
    if (second < low || second > high) return false
    for (let more = 2; more < length; more++) {
      if (((bytes[at + more] as number) & 0xc0) !== 0x80) return false
    }
    at += length
  }
  return true
}
