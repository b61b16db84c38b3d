import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../core/byte-writer.ts'
import { formatIpv6, parseIpv4, parseIpv6 } from '../../core/ip-text.ts'
import { decoderConformance } from '../../testing/decoder-conformance.ts'
import { crc32c } from './crc32c.ts'
import { ProxyHeaderDecoder } from './decoder.ts'
import { encodeProxyHeader } from './encoder.ts'
import type { ProxyHeader } from './proxy-header.ts'

const hex = (text: string) => new Uint8Array(Buffer.from(text.replace(/\s/g, ''), 'hex'))
const ascii = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))
/** signature */
const V2 = '0d0a0d0a000d0a515549540a'

const V1_TCP4: ProxyHeader = {
  version: 1,
  command: 'proxy',
  addresses: {
    family: 'ipv4',
    transport: 'stream',
    source: { host: '192.0.2.1', port: 56324 },
    destination: { host: '198.51.100.1', port: 443 },
  },
  extensions: [],
}
const V1_UNKNOWN: ProxyHeader = {
  version: 1,
  command: 'proxy',
  addresses: undefined,
  extensions: [],
}
const V2_TCP6: ProxyHeader = {
  version: 2,
  command: 'proxy',
  addresses: {
    family: 'ipv6',
    transport: 'stream',
    source: { host: '2001:db8::1', port: 1 },
    destination: { host: '::ffff:10.0.0.1', port: 65535 },
  },
  extensions: [
    { type: 0x02, value: ascii('a.example') },
    { type: 0xe0, value: new Uint8Array(0) },
  ],
}
const MAX = 256

decoderConformance(
  'PROXY protocol',
  {
    create: () => new ProxyHeaderDecoder({ maxHeaderBytes: MAX }),
    encode: encodeProxyHeader,
    samples: [
      V1_TCP4,
      V1_UNKNOWN,
      V2_TCP6,
      { version: 2, command: 'local', addresses: undefined, extensions: [] },
      {
        version: 2,
        command: 'proxy',
        addresses: { family: 'unix', transport: 'datagram', source: '/a', destination: '' },
        extensions: [],
      },
      { ...V1_UNKNOWN, version: 2, extensions: [{ type: 5, value: new Uint8Array(MAX - 19) }] },
    ],
    malformed: {
      'another protocol': ascii('GET / HTTP/1.1\r\n'),
      'another word that begins with P': ascii('POST / HTTP/1.1\r\n'),
      'a v2 signature that is not one': hex('0d0a0d0a000d0a515549540b'),
      'a v1 line that never ends': ascii(`PROXY UNKNOWN${' '.repeat(94)}`),
      'a v1 line without CR': ascii('PROXY UNKNOWN\n'),
      'an IPv4 address with leading zeros': ascii('PROXY TCP4 10.0.0.01 10.0.0.2 1 2\r\n'),
      'an IPv4 address above 255': ascii('PROXY TCP4 10.0.0.256 10.0.0.2 1 2\r\n'),
      'IPv6 in TCP4': ascii('PROXY TCP4 ::1 ::1 1 2\r\n'),
      'a port above 65535': ascii('PROXY TCP4 10.0.0.1 10.0.0.2 65536 2\r\n'),
      'a port with a sign': ascii('PROXY TCP4 10.0.0.1 10.0.0.2 +1 2\r\n'),
      'two spaces': ascii('PROXY TCP4  10.0.0.1 10.0.0.2 1 2\r\n'),
      'too many words': ascii('PROXY TCP4 10.0.0.1 10.0.0.2 1 2 3\r\n'),
      'a v1 family': ascii('PROXY UDP4 10.0.0.1 10.0.0.2 1 2\r\n'),
      // signature, version 3
      'another version': hex(`${V2} 31`),
      'another command': hex(`${V2} 22`),
      'another family': hex(`${V2} 21 41`),
      'another transport': hex(`${V2} 21 13`),
      // length 241: one byte over the limit, with nothing of it there
      'a header one byte too long': hex(`${V2} 21 00 00f1`),
      'addresses that are too short': hex(`${V2} 21 11 000b ${'00'.repeat(11)}`),
      'a cut extension': hex(`${V2} 20 00 0002 0400`),
      'an extension longer than the header': hex(`${V2} 20 00 0003 040001`),
      // extension 3, length 4
      'a wrong checksum': hex(`${V2} 20 00 0007 030004 00000000`),
      'a checksum of the wrong size': hex(`${V2} 20 00 0006 030003 000000`),
    },
    accepted: {
      'the longest line of version 1': {
        bytes: ascii(
          `PROXY UNKNOWN ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`,
        ),
        messages: [V1_UNKNOWN],
      },
      'padding and a correct checksum': {
        bytes: withChecksum(`${V2} 20 00 000b 040001 00`),
        messages: [{ version: 2, command: 'local', addresses: undefined, extensions: [] }],
      },
      'AF_UNSPEC with bytes to skip as extensions': {
        bytes: hex(`${V2} 21 00 0003 040000`),
        messages: [{ ...V1_UNKNOWN, version: 2 }],
      },
      'LOCAL with addresses, which are skipped': {
        bytes: hex(`${V2} 20 11 000c ${'01'.repeat(12)}`),
        messages: [{ version: 2, command: 'local', addresses: undefined, extensions: [] }],
      },
    },
  },
  { test, ok: assert.ok },
)

function withChecksum(start: string): Uint8Array {
  const header = hex(`${start} 030004 00000000`)
  new DataView(header.buffer).setUint32(header.length - 4, crc32c(header))
  return header
}

test('ProxyHeaderDecoder gives back what came behind the header', () => {
  const decoder = new ProxyHeaderDecoder()
  decoder.push(ascii('PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n'))
  assert.deepEqual(decoder.next(), V1_UNKNOWN)
  assert.deepEqual(decoder.takeUnread(), ascii('GET / HTTP/1.1\r\n'))
  assert.equal(decoder.buffered, 0)
})

test('encodeProxyHeader refuses addresses of another family', () => {
  const { addresses } = V1_TCP4
  assert.ok(addresses !== undefined && addresses.family === 'ipv4')
  for (const version of [1, 2] as const) {
    const header: ProxyHeader = {
      ...V1_TCP4,
      version,
      addresses: { ...addresses, source: { host: '::1', port: 1 } },
    }
    assert.throws(() => encodeProxyHeader(header, new ByteWriter()), { code: 'ERR_ARGUMENT' })
  }
})

test('encodeProxyHeader says UNKNOWN for what version 1 cannot say', () => {
  const writer = new ByteWriter()
  encodeProxyHeader({ ...V1_TCP4, command: 'local' }, writer)
  assert.deepEqual(writer.take(), ascii('PROXY UNKNOWN\r\n'))
})

test('crc32c agrees with the check value of the catalogue', () => {
  assert.equal(crc32c(ascii('123456789')), 0xe3069283)
})

test('parseIpv6 and formatIpv6 agree with RFC 5952', () => {
  const cases: [string, string | undefined][] = [
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:0:3:4:5:6:7:8', '1:0:3:4:5:6:7:8'],
    ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['1:2:3:4:5:6:7:8:9', undefined],
    ['1:2:3', undefined],
    [':::', undefined],
    ['1::2::3', undefined],
    ['1:2:3:4:5:6:7:1.2.3.4', undefined],
    ['::1.2.3', undefined],
    ['1.2.3.4', undefined],
    ['12345::', undefined],
    ['::g', undefined],
    ['fe80::1%eth0', undefined],
    ['', undefined],
    [':1', undefined],
    ['1:', undefined],
    ['1:2:3:4:5:6:7:8::', undefined],
  ]
  for (const [text, expected] of cases) {
    const bytes = parseIpv6(text)
    assert.equal(bytes === undefined ? undefined : formatIpv6(bytes), expected, text)
  }
  assert.equal(parseIpv4('1.2.3'), undefined)
  assert.equal(parseIpv4('1.2.3.4.5'), undefined)
})
