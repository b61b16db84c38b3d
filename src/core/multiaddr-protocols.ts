/**
 * The protocols that multiaddrs are made of (multiformats/multiaddr, `protocols.csv`), each with its
 * value between text and bytes. Both ways give what they were given, or refuse it: a value that has
 * two spellings has one here.
 */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from './ip-text.ts'
import {
  decodeBase32,
  decodeBase58,
  decodeMultibase,
  encodeBase32,
  encodeBase58,
  encodeBase64Url,
} from './multibase.ts'

export interface MultiaddrProtocol {
  readonly code: number
  readonly name: string
  /** Undefined: it has no value. */
  readonly value: ValueCodec | undefined
}

export interface ValueCodec {
  /** Undefined: the length stands before the value. */
  readonly bytes: number | undefined
  /** For errors: what it should have been. */
  readonly expected: string
  /** In the text of a multiaddr the value is percent-encoded, because it may hold slashes. */
  readonly escaped?: boolean
  /** Undefined: it is none. */
  encode(value: string): Uint8Array | undefined
  decode(bytes: Uint8Array): string | undefined
}

/** Text without slashes and control characters. */
const name: ValueCodec = {
  bytes: undefined,
  expected: 'a name',
  encode: (value) => (value.includes('/') ? undefined : encodeText(value)),
  decode(bytes) {
    const value = decodeText(bytes)
    return value?.includes('/') ? undefined : value
  },
}

const port: ValueCodec = {
  bytes: 2,
  expected: 'a port of 0 to 65535',
  encode(value) {
    const number = DECIMAL.test(value) ? Number(value) : 65_536
    return number > 65_535 ? undefined : Uint8Array.of(number >> 8, number & 0xff)
  },
  decode: (bytes) => String(((bytes[0] as number) << 8) | (bytes[1] as number)),
}

const ip4: ValueCodec = {
  bytes: 4,
  expected: 'an IPv4 address',
  encode: parseIpv4,
  decode: formatIpv4,
}

const ip6: ValueCodec = {
  bytes: 16,
  expected: 'an IPv6 address',
  encode: parseIpv6,
  decode: formatIpv6,
}

const prefixLength: ValueCodec = {
  bytes: 1,
  expected: 'a prefix length of 0 to 255',
  encode(value) {
    const number = DECIMAL.test(value) ? Number(value) : 256
    return number > 255 ? undefined : Uint8Array.of(number)
  },
  decode: (bytes) => String(bytes[0]),
}

/** Absolute: a relative one would be another as text, where Go's form has no leading slash. */
const path: ValueCodec = {
  bytes: undefined,
  expected: 'an absolute path',
  escaped: true,
  encode: (value) => (value.startsWith('/') ? encodeText(value) : undefined),
  decode(bytes) {
    const value = decodeText(bytes)
    return value?.startsWith('/') ? value : undefined
  },
}

/** Without the slash in front, which the text has before it anyway. */
const httpPath: ValueCodec = {
  bytes: undefined,
  expected: 'a path',
  escaped: true,
  encode: encodeText,
  decode: decodeText,
}

/** A multihash of the peer's key: base58btc, or a CID of version 1 that says it is a key. */
const peer: ValueCodec = {
  bytes: undefined,
  expected: 'a peer id (Qm…, 1…, or a CID that begins with b or z)',
  encode(value) {
    if (value.startsWith('Q') || value.startsWith('1')) {
      return checkPeer(value.length > MAX_PEER_CHARACTERS ? undefined : decodeBase58(value))
    }
    const cid = value.length > 2 * MAX_PEER_CHARACTERS ? undefined : decodeMultibase(value)
    const isKey = cid?.[0] === CID_V1 && cid[1] === LIBP2P_KEY
    return isKey ? checkPeer(cid.slice(2)) : undefined
  },
  decode: (bytes) => (checkPeer(bytes) === undefined ? undefined : encodeBase58(bytes)),
}

/** A multihash in any base that says which it is; written in base64url. */
const certificateHash: ValueCodec = {
  bytes: undefined,
  expected: 'the multibase text of a multihash',
  encode: (value) =>
    value.length > MAX_HASH_CHARACTERS ? undefined : checkMultihash(decodeMultibase(value)),
  decode: (bytes) =>
    checkMultihash(bytes) === undefined ? undefined : `u${encodeBase64Url(bytes)}`,
}

function onion(keyBytes: number, characters: number): ValueCodec {
  return {
    bytes: keyBytes + 2,
    expected: `${characters} characters of base32, a colon and a port of 1 to 65535`,
    encode(value) {
      const [key = '', portText = '', ...rest] = value.split(':')
      const decoded = key.length === characters ? decodeBase32(key) : undefined
      const at = port.encode(portText)
      if (decoded === undefined || at === undefined || rest.length > 0) return undefined
      return portText === '0' ? undefined : Uint8Array.of(...decoded, ...at)
    },
    decode(bytes) {
      const at = port.decode(bytes.subarray(keyBytes))
      return at === '0' ? undefined : `${encodeBase32(bytes.subarray(0, keyBytes))}:${at}`
    },
  }
}

/** The table. Names that others use for the same code are in `ALIASES`. */
const TABLE: readonly (readonly [code: number, name: string, value?: ValueCodec])[] = [
  [4, 'ip4', ip4],
  [6, 'tcp', port],
  [33, 'dccp', port],
  [41, 'ip6', ip6],
  [42, 'ip6zone', name],
  [43, 'ipcidr', prefixLength],
  [53, 'dns', name],
  [54, 'dns4', name],
  [55, 'dns6', name],
  [56, 'dnsaddr', name],
  [132, 'sctp', port],
  [273, 'udp', port],
  [275, 'p2p-webrtc-star'],
  [276, 'p2p-webrtc-direct'],
  [277, 'p2p-stardust'],
  [280, 'webrtc-direct'],
  [281, 'webrtc'],
  [290, 'p2p-circuit'],
  [301, 'udt'],
  [302, 'utp'],
  [400, 'unix', path],
  [421, 'p2p', peer],
  [443, 'https'],
  [444, 'onion', onion(10, 16)],
  [445, 'onion3', onion(35, 56)],
  [448, 'tls'],
  [449, 'sni', name],
  [454, 'noise'],
  [460, 'quic'],
  [461, 'quic-v1'],
  [465, 'webtransport'],
  [466, 'certhash', certificateHash],
  [477, 'ws'],
  [478, 'wss'],
  [479, 'p2p-websocket-star'],
  [480, 'http'],
  [481, 'http-path', httpPath],
  [777, 'memory', name],
]
const ALIASES: Readonly<Record<string, string>> = { ipfs: 'p2p' }

const byCode = new Map<number, MultiaddrProtocol>()
const byName = new Map<string, MultiaddrProtocol>()
for (const [code, protocolName, value] of TABLE) {
  const protocol = Object.freeze({ code, name: protocolName, value })
  byCode.set(code, protocol)
  byName.set(protocolName, protocol)
}

export const multiaddrProtocols: readonly MultiaddrProtocol[] = [...byCode.values()]

export function protocolOfCode(code: number): MultiaddrProtocol | undefined {
  return byCode.get(code)
}

export function protocolOfName(name: string): MultiaddrProtocol | undefined {
  return byName.get(ALIASES[name] ?? name)
}

function encodeText(value: string): Uint8Array | undefined {
  const bytes = encoder.encode(value)
  // Not empty, and no half of a surrogate pair, which would come back as another character.
  return decodeText(bytes) === value ? bytes : undefined
}

function decodeText(bytes: Uint8Array): string | undefined {
  try {
    const value = decoder.decode(bytes)
    return value === '' || CONTROL.test(value) ? undefined : value
  } catch {
    return undefined
  }
}

/** libp2p: the key itself when it is short, otherwise its SHA-256. */
function checkPeer(bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (checkMultihash(bytes) === undefined || bytes === undefined) return undefined
  const isKey = bytes[0] === IDENTITY && bytes.length <= 2 + 42
  const isHash = bytes[0] === SHA_256 && bytes.length === 2 + 32
  return isKey || isHash ? bytes : undefined
}

/** `code varint | length varint | digest`, with lengths and codes that fit one or two bytes. */
function checkMultihash(bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (bytes === undefined) return undefined
  let at = 0
  while (at < 4 && (bytes[at] ?? 0) >= 0x80) at += 1
  const length = bytes[at + 1]
  if (length === undefined || length >= 0x80 || length === 0) return undefined
  return bytes.length === at + 2 + length ? bytes : undefined
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const DECIMAL = /^(?:0|[1-9]\d{0,5})$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/
const CID_V1 = 1
const LIBP2P_KEY = 0x72
const IDENTITY = 0
const SHA_256 = 0x12
const MAX_PEER_CHARACTERS = 64
const MAX_HASH_CHARACTERS = 256
