/**
 * Bytes, tables and names of HTTP/1.1 syntax (RFC 9112), and comparing with them.
 */

export const HT = 0x09
export const LF = 0x0a
export const CR = 0x0d
export const SP = 0x20
export const HASH = 0x23
export const DOT = 0x2e
export const ZERO = 0x30
export const ONE = 0x31
export const NINE = 0x39
export const COLON = 0x3a

/** RFC 9110 5.5: visible characters, space, tab and obs-text. */
export const VALUE_BYTES: Uint8Array = table((byte) => byte === HT || (byte >= SP && byte !== 0x7f))
/** Visible ASCII but `#`: a fragment never belongs in a request (RFC 9110 4.2.5). */
export const TARGET_BYTES: Uint8Array = table((byte) => byte > SP && byte < 0x7f && byte !== HASH)

export const HTTP_SLASH: Uint8Array = ascii('HTTP/')
/** What nearly every request line ends with. */
export const VERSION_1_1: Uint8Array = ascii('HTTP/1.1\r\n')
export const HOST: Uint8Array = ascii('host')
export const EXPECT: Uint8Array = ascii('expect')
export const UPGRADE: Uint8Array = ascii('upgrade')
export const CONNECTION: Uint8Array = ascii('connection')
export const KEEP_ALIVE: Uint8Array = ascii('keep-alive')
export const CONTENT_LENGTH: Uint8Array = ascii('content-length')
export const TRANSFER_ENCODING: Uint8Array = ascii('transfer-encoding')

/** Method at `bytes[at]`, or `head[start, end)`: the common ones are compared, not sliced. */
export function methodOf(
  bytes: Uint8Array,
  at: number,
  head: string,
  start: number,
  end: number,
): string {
  const first = bytes[at] as number
  switch (end - start) {
    case 3:
      if (first === 0x47 && sameBytes(bytes, at, GET)) return 'GET'
      if (first === 0x50 && sameBytes(bytes, at, PUT)) return 'PUT'
      break
    case 4:
      if (first === 0x50 && sameBytes(bytes, at, POST)) return 'POST'
      if (first === 0x48 && sameBytes(bytes, at, HEAD)) return 'HEAD'
  }
  return head.slice(start, end)
}

/** Whether `bytes` holds the lower-case `name` at `at`, in any case. The length fits already. */
export function sameName(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let index = 0; index < name.length; index++) {
    // Setting bit 5 maps no other token byte than the capital onto a letter; '-' has it already.
    if (((bytes[at + index] as number) | 0x20) !== name[index]) return false
  }
  return true
}

/** Optional white space of a field line: space or tab. */
export function isBlank(byte: number): boolean {
  return byte === SP || byte === HT
}

/** Text as bytes; every character below U+0080. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0))
}

function sameBytes(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let index = 0; index < expected.length; index++) {
    if (bytes[at + index] !== expected[index]) return false
  }
  return true
}

function table(allowed: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (allowed(byte) ? 1 : 0))
}

const GET = ascii('GET')
const PUT = ascii('PUT')
const POST = ascii('POST')
const HEAD = ascii('HEAD')
