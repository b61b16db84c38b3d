/**
 * Any bytes as a multiaddr, binary and text: an address that comes back the same both ways, or the
 * error that was promised.
 */
import { ProtocolError, UsageError } from './errors.ts'
import {
  decodeMultiaddr,
  encodeMultiaddr,
  formatMultiaddr,
  type Multiaddr,
  parseMultiaddr,
} from './multiaddr.ts'

const TEXTS = [
  '/ip4/192.0.2.1/tcp/443/tls/sni/example.com/ws/http-path/chat%2Froom',
  '/ip6zone/eth0/ip6/fe80::1/udp/4001/quic-v1',
  '/dns4/example.com/udp/9090/webrtc-direct/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ',
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN',
  '/unix/%2Frun%2Fapp.sock',
  '/memory/name',
  '/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234',
]

/** Valid inputs to start from, both forms. */
export const samples: readonly Uint8Array[] = TEXTS.flatMap((text) => [
  encodeMultiaddr(parseMultiaddr(text)),
  Uint8Array.from(text, (character) => character.charCodeAt(0)),
])

export function fuzz(_seed: number, bytes: Uint8Array): void {
  const decoded = attempt(() => decodeMultiaddr(bytes), ProtocolError)
  if (decoded !== undefined) {
    same(decoded, parseMultiaddr(formatMultiaddr(decoded)))
    const again = encodeMultiaddr(decoded)
    if (again.length !== bytes.length || again.some((byte, index) => byte !== bytes[index])) {
      throw new Error(`${formatMultiaddr(decoded)} has a second binary form`)
    }
  }
  const text = String.fromCharCode(...bytes.subarray(0, 5_000))
  const parsed = attempt(() => parseMultiaddr(text), UsageError)
  if (parsed === undefined) return
  same(parsed, parseMultiaddr(formatMultiaddr(parsed)))
  same(parsed, decodeMultiaddr(encodeMultiaddr(parsed)))
}

function attempt(
  parse: () => Multiaddr,
  Expected: typeof ProtocolError | typeof UsageError,
): Multiaddr | undefined {
  try {
    return parse()
  } catch (error) {
    if (error instanceof Expected) return undefined
    throw error
  }
}

function same(a: Multiaddr, b: Multiaddr): void {
  const [first, second] = [JSON.stringify(a), JSON.stringify(b)]
  if (first !== second) throw new Error(`${first} became ${second}`)
}
