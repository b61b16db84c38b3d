import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Address, ip, memory, unix } from './address.ts'
import { formatMultiaddr, parseMultiaddr } from './multiaddr.ts'
import { fromMultiaddr, readTransportUrl, toMultiaddr } from './multiaddr-url.ts'
import { formatTransportUrl, parseTransportUrl, type TransportUrl } from './transport-url.ts'

function url(transport: string, address: Address, more: Partial<TransportUrl> = {}): TransportUrl {
  return { transport, address, backend: undefined, resource: undefined, options: {}, ...more }
}
const abstract = (path: string): Address => ({ kind: 'unix', path, abstract: true })
const other = (text: string): Address => ({ kind: 'url', url: text })

const URLS: readonly (readonly [text: string, TransportUrl])[] = [
  ['tcp://db.example:5432', url('tcp', ip('db.example', 5_432))],
  ['udp://[::1]:53', url('udp', ip('::1', 53))],
  ['tcp://[fe80::1%25eth0]:80', url('tcp', ip('fe80::1%eth0', 80))],
  [
    'tls://h:443?alpn=h2,http%2F1.1&sni=a.example',
    url('tls', ip('h', 443), { options: { alpn: 'h2,http/1.1', sni: 'a.example' } }),
  ],
  ['quic://h:443?alpn=olocus%2F1', url('quic', ip('h', 443), { options: { alpn: 'olocus/1' } })],
  ['unix:/run/a:b?c#d%20.sock', url('unix', unix('/run/a:b?c#d%20.sock'))],
  ['unix://run/x', url('unix', unix('//run/x'))],
  ['unix://///run/x', url('unix', unix('///run/x'))],
  ['unix-abstract:app', url('unix', abstract('app'))],
  ['unix+seqpacket:/run/x', url('unix-seqpacket', unix('/run/x'))],
  ['mem:app', url('memory', memory('app'))],
  ['ws://h/', url('ws', ip('h', 80), { resource: '/' })],
  ['ws://h:443/', url('ws', ip('h', 443), { resource: '/' })],
  ['wss://h:80/', url('wss', ip('h', 80), { resource: '/' })],
  [
    'wss://h/chat?room=1#sni=a',
    url('wss', ip('h', 443), { resource: '/chat?room=1', options: { sni: 'a' } }),
  ],
  ['ws+unix:/run/app.sock:/chat', url('ws', unix('/run/app.sock'), { resource: '/chat' })],
  ['ws+unix:/run/a%3Ab%25.sock:/', url('ws', unix('/run/a:b%.sock'), { resource: '/' })],
  ['webrtc:wss://h/signalling', url('webrtc', other('webrtc:wss://h/signalling'))],
  ['webrtc://name', url('webrtc', other('webrtc://name'))],
  [
    'webrtc-direct://h:1?certhash=uEgNmb28',
    url('webrtc-direct', ip('h', 1), { options: { certhash: 'uEgNmb28' } }),
  ],
  ['io_uring+tcp://h:80', url('tcp', ip('h', 80), { backend: 'io_uring' })],
  ['vsock://3:80', url('vsock', other('vsock://3:80'))],
  ['shm:name', url('shm', other('shm:name'))],
  ['redis://h:1/0', url('redis', other('redis://h:1/0'))],
  ['dnsaddr:bootstrap.libp2p.io', url('dnsaddr', other('dnsaddr:bootstrap.libp2p.io'))],
]

test('parseTransportUrl reads what formatTransportUrl writes', () => {
  for (const [text, expected] of URLS) {
    const parsed = parseTransportUrl(text)
    assert.deepEqual(parsed, expected, text)
    assert.equal(formatTransportUrl(parsed), text)
  }
})

test('parseTransportUrl gives other spellings the usual one', () => {
  for (const [given, usual] of [
    ['TCP://h:1/', 'tcp://h:1'],
    ['ws://h:80', 'ws://h/'],
    ['wss://h:443?x', 'wss://h/?x'],
    ['unix:///run/x', 'unix:/run/x'],
    ['unix:////run/x', 'unix://run/x'],
    ['ws+unix:///run/x:/y', 'ws+unix:/run/x:/y'],
    ['ws+unix:/run/x', 'ws+unix:/run/x:/'],
    ['tls://h:1?sni=%61&alpn=h2%2Ch3', 'tls://h:1?alpn=h2,h3&sni=a'],
    ['tcp://[fe80::1%eth0]:80', 'tcp://[fe80::1%25eth0]:80'],
  ] as const) {
    assert.equal(formatTransportUrl(parseTransportUrl(given)), usual, given)
  }
})

test('parseTransportUrl refuses what it cannot understand, and keeps passwords out of the error', () => {
  for (const text of [
    '',
    'h:80',
    'localhost:80',
    'tcp:h:80',
    'tcp://',
    'tcp://:80',
    'tcp://h',
    'tcp://h:65536',
    'tcp://h:1:2',
    'tcp://::1:80',
    'tcp://h:1/path',
    'tcp://h:1#x',
    'tcp://u:secret@h:1',
    'ws://u:secret@h/',
    'tls://h:1?alpn',
    'tls://h:1?=x',
    'tls://h:1?sni=a&sni=b',
    'tls://h:1?sni=%zz',
    'tls://h:1?__proto__=x',
    'ws://h/a b',
    'ws://h/\u00e9',
    'unix:',
    'mem:',
    'ws+unix::/x',
    'webrtc:',
  ]) {
    assert.throws(
      () => parseTransportUrl(text),
      (error: Error & { code?: string }) =>
        error.code === 'ERR_ADDRESS_INVALID' && !error.message.includes('secret'),
      text,
    )
  }
})

const BOTH: readonly (readonly [url: string, multiaddr: string])[] = [
  ['tcp://192.0.2.1:80', '/ip4/192.0.2.1/tcp/80'],
  ['tcp://h:80', '/dns/h/tcp/80'],
  ['tcp://h:80?family=6', '/dns6/h/tcp/80'],
  ['udp://[fe80::1%25eth0]:53', '/ip6zone/eth0/ip6/fe80::1/udp/53'],
  ['tls://h:443?family=4&sni=a', '/dns4/h/tcp/443/tls/sni/a'],
  ['ws://[::1]:8080/', '/ip6/::1/tcp/8080/ws'],
  ['ws://h/chat', '/dns/h/tcp/80/ws/http-path/chat'],
  ['wss://h/a/b?c=d#sni=x', '/dns/h/tcp/443/tls/sni/x/ws/http-path/a%2Fb%3Fc%3Dd'],
  ['ws+unix:/run/app.sock:/chat', '/unix/%2Frun%2Fapp.sock/ws/http-path/chat'],
  ['unix:/run/app.sock', '/unix/%2Frun%2Fapp.sock'],
  ['mem:name', '/memory/name'],
  ['quic://h:443?certhash=uEgNmb28', '/dns/h/udp/443/quic-v1/certhash/uEgNmb28'],
  [
    'webtransport://h:443?certhash=uEgNmb28,uEgNmb28',
    '/dns/h/udp/443/quic-v1/webtransport/certhash/uEgNmb28/certhash/uEgNmb28',
  ],
  [
    'webrtc-direct://192.0.2.1:9090?certhash=uEgNmb28&p2p=QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC',
    '/ip4/192.0.2.1/udp/9090/webrtc-direct/certhash/uEgNmb28/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC',
  ],
  ['dnsaddr:bootstrap.libp2p.io', '/dnsaddr/bootstrap.libp2p.io'],
]

test('URLs and multiaddrs are the same both ways', () => {
  for (const [text, multiaddr] of BOTH) {
    const parsed = parseTransportUrl(text)
    assert.equal(formatMultiaddr(toMultiaddr(parsed)), multiaddr)
    assert.deepEqual(fromMultiaddr(parseMultiaddr(multiaddr)), parsed)
    assert.equal(formatTransportUrl(readTransportUrl(multiaddr)), text)
  }
})

test('toMultiaddr refuses what a multiaddr has no place for', () => {
  for (const text of [
    'unix-abstract:x',
    'unix+seqpacket:/run/x',
    'unix:relative',
    'vsock://1:2',
    'redis://h:1',
    'webrtc:wss://h/',
    'io_uring+tcp://h:1',
    'tls://h:1?alpn=h2',
    'tcp://192.0.2.1:1?family=4',
    'tcp://h:1?sni=x',
    'wss+unix:/run/x:/',
  ]) {
    const error = { code: 'ERR_ADDRESS_INVALID' }
    assert.throws(() => toMultiaddr(parseTransportUrl(text)), error, text)
  }
})

test('fromMultiaddr refuses layers that no transport URL has a place for', () => {
  for (const text of [
    '/',
    '/tcp/1',
    '/ip4/1.2.3.4',
    '/ip6zone/eth0',
    '/ip4/1.2.3.4/tcp/1/p2p-circuit',
    '/ip4/1.2.3.4/tcp/1/noise',
    '/ip4/1.2.3.4/udp/1/quic',
    '/ip4/1.2.3.4/tcp/1/ws/ws',
    '/ip4/1.2.3.4/tcp/1/http',
    '/dns/1.2.3.4/tcp/1',
    '/dns/a:b/tcp/1',
    '/memory/x/tcp/1',
    '/ip4/1.2.3.4/tcp/1/ws/http-path/a%20b',
  ]) {
    assert.throws(() => fromMultiaddr(parseMultiaddr(text)), { code: 'ERR_ADDRESS_INVALID' }, text)
  }
})

test('any URL comes back as it was, and so does its multiaddr', () => {
  const host = fc.oneof(
    fc.ipV4(),
    fc.domain(),
    fc.constantFrom('::1', 'fe80::1%eth0', '2001:db8::2'),
  )
  const address = fc.tuple(host, fc.integer({ min: 0, max: 65_535 })).map(([h, p]) => ip(h, p))
  const value = fc.string({ minLength: 1 }).filter((text) => text.isWellFormed())
  const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,5}$/)
  const resource = fc.stringMatching(/^\/[!-"$-~]{0,12}$/)
  const urls = fc.oneof(
    fc
      .tuple(fc.constantFrom('tcp', 'tls', 'udp', 'quic'), address, fc.dictionary(name, value))
      .map(([transport, at, options]) => url(transport, at, { options: { ...options } })),
    fc
      .tuple(fc.constantFrom('ws', 'wss'), address, resource, fc.dictionary(name, value))
      .map(([transport, at, path, options]) =>
        url(transport, at, { resource: path, options: { ...options } }),
      ),
    fc.string({ minLength: 1 }).map((path) => url('unix', unix(`/${path}`))),
    fc.string({ minLength: 1 }).map((path) => url('ws', unix(`/${path}`), { resource: '/' })),
  )
  fc.assert(
    fc.property(urls, (one) => {
      const text = formatTransportUrl(one)
      assert.deepEqual(parseTransportUrl(text), one, text)
      const plain = { ...one, options: {} }
      let multiaddr: string
      try {
        multiaddr = formatMultiaddr(toMultiaddr(plain))
      } catch (error) {
        assert.match(String(error), /ERR_ADDRESS_INVALID|no place|needs/)
        return
      }
      assert.deepEqual(readTransportUrl(multiaddr), plain, multiaddr)
    }),
    { numRuns: 150 },
  )
})
