/**
 * Multiaddrs against the implementation of js-libp2p, `@multiformats/multiaddr`: the same bytes for the
 * same text, and the same address back, where the two do not differ for a reason that is named here.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import {
  decodeMultiaddr,
  encodeMultiaddr,
  formatMultiaddr,
  parseMultiaddr,
} from '../src/core/multiaddr.ts'
import { SeededRandom } from '../src/testing/seeded-random.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const PEER_ID = 'QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC'
const KEY_ID = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'

const TEXTS: readonly string[] = [
  '/ip4/127.0.0.1/tcp/4321',
  '/ip4/192.0.2.1/udp/65535/quic-v1',
  '/ip6/2001:db8::1/tcp/80/ws',
  '/ip6zone/eth0/ip6/fe80::1/udp/1/quic-v1/webtransport',
  '/dns/example.com/tcp/443/tls/sni/example.com/ws',
  '/dns4/example.com/tcp/443/wss',
  '/dns6/example.com/tcp/443',
  `/dnsaddr/bootstrap.libp2p.io/p2p/${PEER_ID}`,
  `/ip4/1.2.3.4/tcp/1/p2p/${KEY_ID}/p2p-circuit/p2p/${PEER_ID}`,
  '/ip4/1.2.3.4/udp/1/webrtc-direct/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ',
  '/ip4/10.0.0.0/ipcidr/8',
  '/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234',
  '/unix/%2Frun%2Fapp.sock',
  '/memory/name',
  '/ip4/1.2.3.4/dccp/1',
  '/ip4/1.2.3.4/sctp/2',
  '/ip4/1.2.3.4/udp/1/utp',
  '/ip4/1.2.3.4/tcp/80/http',
  '/ip4/1.2.3.4/tcp/443/https',
  '/ip4/1.2.3.4/tcp/1/noise',
]

test('multiaddrs of js-libp2p are ours, as text and as bytes', () => {
  for (const text of TEXTS) {
    const theirs = multiaddr(text)
    assert.equal(hex(encodeMultiaddr(parseMultiaddr(text))), hex(theirs.bytes), text)
    assert.equal(formatMultiaddr(decodeMultiaddr(theirs.bytes)), theirs.toString())
    assert.equal(multiaddr(encodeMultiaddr(parseMultiaddr(text))).toString(), text)
  }
})

test('peer ids as CIDs and hashes in other bases are the same address in both', () => {
  for (const text of [
    '/p2p/bafzbeigvf25ytwc3akrijfecaotc74udrhcxzh2cx3we5qqnw5vgrei4bm',
    '/certhash/f1203666f6f',
    '/certhash/bcibwm33p',
    `/ipfs/${PEER_ID}`,
  ]) {
    assert.equal(hex(encodeMultiaddr(parseMultiaddr(text))), hex(multiaddr(text).bytes), text)
  }
})

test('500 random addresses are the same in both', () => {
  const random = new SeededRandom(1)
  for (let count = 0; count < 500; count++) {
    const groups = Array.from({ length: 8 }, () =>
      random.chance(0.4) ? 0 : random.integer(0, 0xffff),
    )
    const six = groups.map((group) => group.toString(16)).join(':')
    const four = Array.from({ length: 4 }, () => random.integer(0, 255)).join('.')
    const host = random.pick([`/ip4/${four}`, `/ip6/${six}`, `/dns4/h${count}.example`])
    const port = random.integer(0, 65_535)
    const layers = random.pick([`/tcp/${port}/ws`, `/udp/${port}/quic-v1`, `/tcp/${port}/tls`])
    const text = `${host}${layers}`
    const theirs = multiaddr(text)
    assert.equal(hex(encodeMultiaddr(parseMultiaddr(text))), hex(theirs.bytes), text)
    assert.equal(hex(encodeMultiaddr(decodeMultiaddr(theirs.bytes))), hex(theirs.bytes), text)
  }
})

test('the differences are these', () => {
  // IPv4 in IPv6 has a dotted end (RFC 5952, section 5), which they do not print. The bytes are the same.
  const mapped = '/ip6/::ffff:192.0.2.1/tcp/1'
  assert.equal(formatMultiaddr(parseMultiaddr(mapped)), mapped)
  assert.equal(multiaddr(mapped).toString(), '/ip6/::ffff:c000:201/tcp/1')
  assert.equal(hex(encodeMultiaddr(parseMultiaddr(mapped))), hex(multiaddr(mapped).bytes))
  // They keep a slash in front of a path in bytes, where go-multiaddr and the specification do not.
  const path = '/ip4/1.2.3.4/tcp/80/http/http-path/a%2Fb'
  assert.equal(hex(encodeMultiaddr(parseMultiaddr(path))).slice(-6), hex(Buffer.from('a/b')))
  assert.equal(hex(multiaddr(path).bytes).slice(-8), hex(Buffer.from('/a/b')))
  // They take a name that is cut off; it is refused here.
  assert.equal(multiaddr(Uint8Array.of(0x35, 5, 0x61)).toString(), '/dns/a')
  assert.throws(() => decodeMultiaddr(Uint8Array.of(0x06, 0x00)), { code: 'ERR_TRUNCATED' })
  assert.throws(() => decodeMultiaddr(Uint8Array.of(0x35, 5, 0x61)), { code: 'ERR_TRUNCATED' })
})
