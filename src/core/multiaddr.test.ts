import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { samples } from './multiaddr.fuzz.ts'
import {
  decodeMultiaddr,
  encodeMultiaddr,
  formatMultiaddr,
  type Multiaddr,
  type MultiaddrComponent,
  parseMultiaddr,
} from './multiaddr.ts'
import { type MultiaddrProtocol, multiaddrProtocols } from './multiaddr-protocols.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const unhex = (text: string): Uint8Array =>
  new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

// From the test vectors of go-multiaddr and js-multiaddr, and by hand from protocols.csv.
const VECTORS: readonly (readonly [text: string, binary: string])[] = [
  ['/ip4/127.0.0.1/udp/1234', '04 7f000001 9102 04d2'],
  ['/ip4/127.0.0.1/tcp/4321/ws', '04 7f000001 06 10e1 dd03'],
  [
    '/ip6/2601:9:4f81:9700:803e:ca65:66e8:c21/tcp/80',
    '29 260100094f819700803eca6566e80c21 06 0050',
  ],
  [
    '/ip6zone/x/ip6/fe80::1/udp/1234/quic-v1',
    '2a 01 78 29 fe800000000000000000000000000001 9102 04d2 cd03',
  ],
  ['/dns4/example.com/tcp/443/tls/ws', '36 0b 6578616d706c652e636f6d 06 01bb c003 dd03'],
  [
    '/dnsaddr/sjc-1.bootstrap.libp2p.io',
    '38 19 736a632d312e626f6f7473747261702e6c69627032702e696f',
  ],
  [
    '/dns/example.com/tcp/1/tls/sni/a.b',
    '35 0b 6578616d706c652e636f6d 06 0001 c003 c103 03 612e62',
  ],
  ['/unix/%2Ftmp%2Fp2p.sock', '9003 0d 2f746d702f7032702e736f636b'],
  ['/memory/test', '8906 04 74657374'],
  ['/ip4/10.0.0.0/ipcidr/8', '04 0a000000 2b 08'],
  [
    '/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC',
    'a503 22 1220d52ebb89d85b02a284948203a62ff28389c57c9f42beec4ec20db76a68911c0b',
  ],
  ['/onion/timaq4ygg2iegci7:1234', 'bc03 9a18087306369043091f 04d2'],
  ['/ip4/1.2.3.4/tcp/80/http/http-path/a%2Fb', '04 01020304 06 0050 e003 e103 03 612f62'],
  [
    '/ip4/1.2.3.4/udp/1/webrtc-direct/certhash/uEgNmb28',
    '04 01020304 9102 0001 9802 d203 05 1203666f6f',
  ],
]

for (const [text, binary] of VECTORS) {
  test(`multiaddr ${text} between text and bytes`, () => {
    assert.equal(hex(encodeMultiaddr(parseMultiaddr(text))), binary.replaceAll(' ', ''))
    assert.equal(formatMultiaddr(decodeMultiaddr(unhex(binary))), text)
    assert.equal(formatMultiaddr(parseMultiaddr(text)), text)
  })
}

test('parseMultiaddr gives other spellings the usual one', () => {
  for (const [given, usual] of [
    ['/ip6/0:0::0001/tcp/1', '/ip6/::1/tcp/1'],
    ['/ip4/1.2.3.4/tcp/80/', '/ip4/1.2.3.4/tcp/80'],
    ['/unix/tmp/p2p.sock', '/unix/%2Ftmp%2Fp2p.sock'],
    [
      '/ipfs/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC',
      '/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC',
    ],
    [
      '/p2p/bafzbeigvf25ytwc3akrijfecaotc74udrhcxzh2cx3we5qqnw5vgrei4bm',
      '/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC',
    ],
    ['/certhash/f1203666f6f', '/certhash/uEgNmb28'],
    ['/certhash/bcibwm33p', '/certhash/uEgNmb28'],
    ['/', '/'],
  ] as const) {
    assert.equal(formatMultiaddr(parseMultiaddr(given)), usual, given)
  }
})

test('parseMultiaddr refuses what is none, and says what was expected', () => {
  for (const [text, reason] of [
    ['', /does not begin with/],
    ['ip4/1.2.3.4', /does not begin with/],
    ['/ip4', /an IPv4 address, and nothing/],
    ['/ip4/', /an IPv4 address/],
    ['/ip4/256.0.0.1', /an IPv4 address/],
    ['/ip4/1.2.3', /an IPv4 address/],
    ['/ip6/::1::', /an IPv6 address/],
    ['/ip6/fe80::1%eth0', /an IPv6 address/],
    ['/ip4/1.2.3.4/tcp/65536', /a port/],
    ['/ip4/1.2.3.4/tcp/080', /a port/],
    ['/ip4/1.2.3.4/tcp/-1', /a port/],
    ['/ip4/1.2.3.4/tcp/1e3', /a port/],
    ['/dns//tcp/1', /a name/],
    ['/dns/a\u0000b', /a name/],
    ['/dns/\ud800', /a name/],
    ['/carrier-pigeon/1', /no protocol that heddle knows/],
    ['/p2p/QmNotBase58!', /a peer id/],
    ['/p2p/12', /a peer id/],
    ['/certhash/x', /multihash/],
    ['/certhash/uEgRmb28', /multihash/],
    ['/http-path/%zz', /percent-encoded/],
    ['/onion/timaq4ygg2iegci7:0', /port/],
    ['/onion/short:1', /base32/],
    ['/tls/tls/', undefined],
  ] as const) {
    if (reason === undefined) parseMultiaddr(text)
    else {
      const expected = { code: 'ERR_ADDRESS_INVALID', message: reason }
      assert.throws(() => parseMultiaddr(text), expected, text)
    }
  }
})

test('encodeMultiaddr and formatMultiaddr refuse components that cannot be', () => {
  for (const address of [
    [{ name: 'tcp', value: '65536' }],
    [{ name: 'tcp', value: undefined }],
    [{ name: 'tls', value: 'x' }],
    [{ name: 'nope', value: undefined }],
    [{ name: 'dns', value: 'a/b' }],
    [{ name: 'unix', value: 'relative' }],
  ] satisfies Multiaddr[]) {
    const invalid = { code: 'ERR_ADDRESS_INVALID' }
    assert.throws(() => encodeMultiaddr(address), invalid)
    assert.throws(() => formatMultiaddr(address), invalid)
  }
})

test('decodeMultiaddr refuses malformed bytes', () => {
  for (const [binary, code] of [
    ['04 7f0000', 'ERR_TRUNCATED'],
    ['06 00', 'ERR_TRUNCATED'],
    ['35 05 6161', 'ERR_TRUNCATED'],
    ['91', 'ERR_TRUNCATED'],
    ['7f', 'ERR_MALFORMED'],
    ['8400 7f000001', 'ERR_MALFORMED'], // 4 in two bytes
    ['ffffffffff0f', 'ERR_MALFORMED'],
    ['35 00', 'ERR_MALFORMED'],
    ['35 03 612f62', 'ERR_MALFORMED'], // a/b
    ['35 02 c328', 'ERR_MALFORMED'], // no UTF-8
    ['a503 02 1200', 'ERR_MALFORMED'],
    ['d203 04 1203666f', 'ERR_MALFORMED'],
    ['9003 01 61', 'ERR_MALFORMED'], // a relative path
    ['35 ffffffff0f 61', 'ERR_TRUNCATED'], // announces 4 GiB
  ] as const) {
    assert.throws(() => decodeMultiaddr(unhex(binary)), { code, name: 'ProtocolError' }, binary)
  }
})

test('multiaddrs are cut off at every byte with an error, or are the beginning of the address', () => {
  for (const sample of samples) {
    let whole: string
    try {
      whole = formatMultiaddr(decodeMultiaddr(sample))
    } catch {
      continue // a text
    }
    for (let length = 0; length < sample.length; length++) {
      try {
        const part = formatMultiaddr(decodeMultiaddr(sample.subarray(0, length)))
        assert.ok(part === '/' || whole.startsWith(part), `${part} of ${whole}`)
      } catch (error) {
        assert.match((error as { code: string }).code, /^ERR_(TRUNCATED|MALFORMED)$/)
      }
    }
  }
})

test('multiaddrs of maxComponents and maxBytes are taken, and one more is refused', () => {
  const limits = { maxComponents: 3, maxBytes: 30 }
  assert.equal(parseMultiaddr('/tls/tls/tls', limits).length, 3)
  assert.throws(() => parseMultiaddr('/tls/tls/tls/tls', limits), /more than 3 components/)
  assert.equal(parseMultiaddr(`/dns/${'a'.repeat(25)}`, limits).length, 1)
  assert.throws(() => parseMultiaddr(`/dns/${'a'.repeat(26)}`, limits), /31 characters are over 30/)
  assert.equal(decodeMultiaddr(unhex('c003c003c003'), limits).length, 3)
  assert.throws(() => decodeMultiaddr(unhex('c003c003c003c003'), limits), { code: 'ERR_LIMIT' })
  const name = (length: number) => Uint8Array.of(0x35, length, ...new Array(length).fill(0x61))
  assert.equal(decodeMultiaddr(name(28), limits).length, 1)
  assert.throws(() => decodeMultiaddr(name(29), limits), { code: 'ERR_LIMIT' })
  assert.throws(() => parseMultiaddr('/', { maxBytes: 0 }), { code: 'ERR_OPTION_RANGE' })
})

const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter(
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is left out
  (value) => !/[\u0000-\u001f\u007f/]/.test(value) && value.isWellFormed(),
)
const port = fc.integer({ min: 0, max: 65_535 }).map(String)
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const VALUES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  ip4: fc.ipV4(),
  ip6: fc.ipV6(),
  ipcidr: fc.integer({ min: 0, max: 255 }).map(String),
  tcp: port,
  udp: port,
  dccp: port,
  sctp: port,
  unix: text.map((value) => `/run/${value}`),
  'http-path': text.map((value) => `${value}/${value}?x`),
}
const component = fc.constantFrom(...multiaddrProtocols).chain(componentOf)

function componentOf(protocol: MultiaddrProtocol): fc.Arbitrary<MultiaddrComponent> {
  const { name, value } = protocol
  if (value === undefined) return fc.constant({ name, value: undefined })
  if (value.bytes === undefined && value.escaped !== true && !['p2p', 'certhash'].includes(name)) {
    return text.map((one) => ({ name, value: one }))
  }
  const arbitrary =
    VALUES[name] ??
    bytes(value.bytes ?? 32).map((raw) => {
      const prefix = value.bytes === undefined ? [0x12, 32] : []
      const one = Uint8Array.of(...prefix, ...raw)
      if (name.startsWith('onion')) one[one.length - 1] = 1
      return value.decode(one) as string
    })
  return arbitrary.map((one) => ({ name, value: one }))
}

test('any multiaddr comes back from text and from bytes as it was', () => {
  fc.assert(
    fc.property(fc.array(component, { maxLength: 8 }), (address) => {
      const usual = decodeMultiaddr(encodeMultiaddr(address), { maxBytes: 10_000 })
      const limits = { maxBytes: 10_000 }
      assert.deepEqual(parseMultiaddr(formatMultiaddr(address), limits), usual)
      assert.deepEqual(decodeMultiaddr(encodeMultiaddr(usual), limits), usual)
      assert.equal(formatMultiaddr(usual), formatMultiaddr(address))
      for (const [index, { name, value }] of address.entries()) {
        assert.equal(usual[index]?.name, name)
        if (!['ip6'].includes(name)) assert.equal(usual[index]?.value, value)
      }
    }),
    { numRuns: 100 },
  )
})
