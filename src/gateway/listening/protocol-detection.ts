/**
 * Which protocol a client speaks, from its first bytes.
 *
 *     0x16 …                TLS: the hello is read to the end, for its server name
 *     "PRI * HTTP/2.0\r\n"  HTTP/2 with prior knowledge (RFC 9113 3.4)
 *     token SP              HTTP/1
 *     anything else         raw
 */
import { TOKEN } from '../../protocols/http/fields.ts'
import { type TlsHello, TlsHelloDecoder } from '../../protocols/tls-hello/tls-hello-decoder.ts'

export type Detected =
  | { readonly protocol: 'tls'; readonly hello: TlsHello }
  | { readonly protocol: 'http1' }
  | { readonly protocol: 'http2' }
  | { readonly protocol: 'raw' }

/**
 * @returns undefined: more bytes are needed
 * @throws ProtocolError for TLS that is none after all
 */
export function detectProtocol(bytes: Uint8Array, ended: boolean = false): Detected | undefined {
  const first = bytes[0]
  if (first === undefined) return ended ? RAW : undefined
  if (first === TLS_HANDSHAKE) return detectTls(bytes)
  if (startsAlike(bytes, HTTP2_PREFACE)) {
    if (bytes.length >= HTTP2_PREFACE.length) return HTTP2
    return ended ? RAW : undefined
  }
  for (let at = 0; at < Math.min(bytes.length, MAX_METHOD + 1); at++) {
    const byte = bytes[at] as number
    if (byte === SPACE && at > 0) return HTTP1
    if (TOKEN[byte] !== 1) return RAW
  }
  return ended || bytes.length > MAX_METHOD ? RAW : undefined
}

function detectTls(bytes: Uint8Array): Detected | undefined {
  // Starts over with each chunk; a hello comes in one or two.
  const decoder = new TlsHelloDecoder()
  decoder.push(bytes)
  const hello = decoder.next()
  return hello === undefined ? undefined : { protocol: 'tls', hello }
}

/** The server name and protocols of a hello at the start of `bytes`; undefined: more, or no TLS. */
export function peekHello(bytes: Uint8Array): TlsHello | undefined | 'not-tls' {
  if (bytes.length > 0 && bytes[0] !== TLS_HANDSHAKE) return 'not-tls'
  const detected = detectTls(bytes)
  return detected?.protocol === 'tls' ? detected.hello : undefined
}

function startsAlike(bytes: Uint8Array, pattern: Uint8Array): boolean {
  const count = Math.min(bytes.length, pattern.length)
  for (let at = 0; at < count; at++) if (bytes[at] !== pattern[at]) return false
  return true
}

/** Tells an HTTP/2 client in its own protocol to come back with HTTP/1.1. */
export function http2Refusal(): Uint8Array {
  const text = new TextEncoder().encode('HTTP/2 is not spoken here: use HTTP/1.1')
  const length = 8 + text.length
  return Uint8Array.from([
    ...[0, 0, 0, 4, 0, 0, 0, 0, 0], // SETTINGS, empty: the server's preface
    ...[0, length >>> 8, length & 255, 7, 0, 0, 0, 0, 0], // GOAWAY
    ...[0, 0, 0, 0], // last stream: none
    ...[0, 0, 0, 0x0d], // HTTP_1_1_REQUIRED
    ...text,
  ])
}

const TLS_HANDSHAKE = 0x16
const SPACE = 0x20
/** Longer than any registered method. */
const MAX_METHOD = 32
const HTTP2_PREFACE = new TextEncoder().encode('PRI * HTTP/2.0\r\n')
const RAW: Detected = Object.freeze({ protocol: 'raw' })
const HTTP1: Detected = Object.freeze({ protocol: 'http1' })
const HTTP2: Detected = Object.freeze({ protocol: 'http2' })
