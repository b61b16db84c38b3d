/** HPACK against the examples of RFC 7541, the public story vectors, and itself. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../../scripts/repository.ts'
import { ByteWriter } from '../../core/byte-writer.ts'
import { portableText } from '../../core/portable-text.ts'
import { seededRandom } from '../../testing/seeded-random.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import { type HowToIndex, HpackEncoder } from './hpack-encoder.ts'
import { decodeHuffman, encodeHuffman, huffmanLength, huffmanRoom } from './hpack-huffman.ts'
import { HUFFMAN_LENGTHS, STATIC_COUNT } from './hpack-tables.ts'

interface Story {
  readonly cases: readonly {
    readonly wire: string
    readonly headers: readonly Record<string, string>[]
    readonly header_table_size?: number
  }[]
}

const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))

function encode(encoder: HpackEncoder, fields: readonly string[], how?: HowToIndex): Uint8Array {
  const out = new ByteWriter()
  out.reserve(encoder.bound(fields))
  const { bytes } = out
  encoder.begin(out)
  for (let at = 0; at < fields.length; at += 2) {
    encoder.field(out, fields[at] as string, fields[at + 1] as string, how)
  }
  assert.equal(out.bytes, bytes, 'the bound was too low')
  return out.bytes.slice(0, out.length)
}

/** Undefined: refused. */
function unpack(bytes: Uint8Array): string | undefined {
  const out = new Uint8Array(huffmanRoom(bytes.length))
  const length = decodeHuffman(bytes, 0, bytes.length, out)
  return length < 0 ? undefined : portableText.latin1(out, 0, length)
}

function decode(decoder: HpackDecoder, block: Uint8Array): string[] {
  const fields: string[] = []
  assert.equal(decoder.decode(block, fields), 'ok', decoder.problem ?? '')
  return fields
}

for (const path of globSync('test/vectors/hpack/*/*.json', { cwd: fromRoot('.') }).sort()) {
  test(`${path}: decoded as it says, and encoded so that it decodes to the same`, () => {
    const { cases } = JSON.parse(readFileSync(fromRoot(path), 'utf8')) as Story
    // What others encode may use as large a table as the vector says.
    const decoder = new HpackDecoder({ maxTableBytes: 65_536, maxListBytes: 0x10_0000 })
    const encoder = new HpackEncoder()
    const check = new HpackDecoder({ maxListBytes: 0x10_0000 })
    for (const { wire, headers, header_table_size } of cases) {
      const expected = headers.flatMap((field) => Object.entries(field)[0] ?? [])
      assert.deepEqual(decode(decoder, fromHex(wire)), expected)
      if (header_table_size !== undefined) encoder.setPeerTableBytes(header_table_size)
      assert.deepEqual(decode(check, encode(encoder, expected)), expected)
    }
  })
}

test('requests and responses of RFC 7541, appendix C, with eviction', () => {
  const requests = new HpackDecoder()
  const first = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com']
  assert.deepEqual(decode(requests, fromHex('828684418cf1e3c2e5f23a6ba0ab90f4ff')), first)
  assert.deepEqual(decode(requests, fromHex('828684be5886a8eb10649cbf')), [
    ...first,
    ...['cache-control', 'no-cache'],
  ])
  assert.equal(requests.tableBytes, 110)
  const responses = new HpackDecoder({ maxTableBytes: 256 })
  // The examples say that the table was made 256 octets before.
  decode(responses, fromHex('3fe101'))
  responses.acknowledge()
  decode(
    responses,
    fromHex(
      '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
    ),
  )
  assert.equal(responses.tableBytes, 222)
  assert.deepEqual(decode(responses, fromHex('4883640effc1c0bf')).slice(0, 2), [':status', '307'])
  assert.equal(responses.tableBytes, 222)
})

test('the Huffman code is complete, and reads what it writes', () => {
  assert.equal(
    HUFFMAN_LENGTHS.reduce((sum, length) => sum + 2 ** -length, 0),
    1,
  )
  const random = seededRandom(7541)
  for (let round = 0; round < 300; round++) {
    const units = Array.from({ length: Math.floor(random() * 60) }, () =>
      Math.floor(random() * 256),
    )
    const text = String.fromCharCode(...units)
    const bytes = new Uint8Array(huffmanLength(text))
    assert.equal(encodeHuffman(text, bytes, 0), bytes.length)
    assert.equal(unpack(bytes), text)
  }
})

test('padding that is not of ones, or longer than seven bits, is refused', () => {
  // 'a' is 00011, padded with ones: 0001 1111.
  assert.equal(unpack(fromHex('1f')), 'a')
  assert.equal(unpack(fromHex('18')), undefined)
  assert.equal(unpack(fromHex('1fff')), undefined)
  // The end-of-string symbol.
  assert.equal(unpack(fromHex('fffffffc')), undefined)
})

test('what is broken says why', () => {
  const broken: Record<string, string> = {
    'index 0': '80',
    'an index behind the tables': 'be',
    'an index that is cut off': 'ff',
    'an index above 2³¹': 'ffffffffff7f',
    'an integer of more than five octets': 'ff80808080808001',
    'a length behind the block': '400161',
    'a literal without value': '4001',
    'a name index behind the tables': '7f8001',
    'text that no code begins': '4081ff00',
    'a size update behind a field': '823fe11f',
    'a size update above what was announced': '3fe21f',
  }
  for (const [what, hex] of Object.entries(broken)) {
    const decoder = new HpackDecoder()
    assert.equal(decoder.decode(fromHex(hex), []), 'broken', what)
    assert.notEqual(decoder.problem, undefined, what)
  }
})

test('HpackDecoder lets a peer use 4,096 octets until it has acknowledged less, then not', () => {
  const decoder = new HpackDecoder({ maxTableBytes: 256 })
  const long = ['x', 'y'.repeat(300)]
  decode(decoder, encode(new HpackEncoder(), long))
  assert.equal(decoder.tableBytes, 333)
  assert.deepEqual(decode(decoder, fromHex('be')), long)
  decoder.acknowledge()
  assert.equal(decoder.decode(fromHex('be'), []), 'broken')
  assert.match(decoder.problem ?? '', /4096 octets, 256 were announced/)
  assert.equal(decoder.decode(fromHex('3fe201'), []), 'broken', '257')
  decode(decoder, fromHex('3fe101'))
  assert.equal(decoder.tableBytes, 0)
  // From now on no update is due.
  decode(decoder, fromHex('82'))
})

test('HpackDecoder lets a peer use more than 4,096 octets when more was announced', () => {
  const more = fromHex('3fe13f')
  assert.equal(new HpackDecoder({ maxTableBytes: 8_192 }).decode(more, []), 'ok')
  assert.equal(new HpackDecoder({ maxTableBytes: 8_191 }).decode(more, []), 'broken')
})

test('HpackDecoder takes integers of five octets up to 2³¹ - 1, and none above', () => {
  const decoder = new HpackDecoder()
  assert.equal(decoder.decode(fromHex('ff80ffffff07'), []), 'broken')
  assert.equal(decoder.problem, 'there is no entry 2147483647')
  assert.equal(decoder.decode(fromHex('ff81ffffff07'), []), 'broken')
  assert.equal(decoder.problem, 'an index is out of range')
  assert.equal(decoder.decode(fromHex('ff808080808000'), []), 'broken')
  assert.equal(decoder.problem, 'an index is out of range')
})

test('HpackDecoder gives the same text for literals that come again, Huffman or not', () => {
  const decoder = new HpackDecoder()
  const texts = Array.from(
    { length: 200 },
    (_, index) => `/a/${index % 50}/${'b'.repeat(index % 70)}`,
  )
  for (const text of [...texts, ...texts]) {
    const fields = [':path', text, 'X\u00ff!', text.toUpperCase()]
    assert.deepEqual(
      decode(decoder, encode(new HpackEncoder({ maxTableBytes: 0 }), fields)),
      fields,
    )
    const raw = [0x04, text.length % 128, ...Buffer.from(text.slice(0, text.length % 128))]
    if (text.length < 127) assert.deepEqual(decode(decoder, Uint8Array.from(raw)), [':path', text])
  }
})

test('a block is decoded over its limit too, so that the table stays in step', () => {
  const encoder = new HpackEncoder()
  const long = ['a', 'b'.repeat(100), 'c', 'd']
  const decoder = new HpackDecoder({ maxListBytes: 133 + 34 })
  assert.deepEqual(decode(decoder, encode(encoder, long)), long)
  const tight = new HpackDecoder({ maxListBytes: 133 + 33 })
  const kept: string[] = []
  const other = new HpackEncoder()
  assert.equal(tight.decode(encode(other, long), kept), 'too-large')
  assert.deepEqual(kept, long.slice(0, 2))
  assert.deepEqual(decode(tight, encode(other, ['c', 'd'])), ['c', 'd'])
})

test('a bomb of indexes costs what the list may cost', () => {
  const encoder = new HpackEncoder()
  const decoder = new HpackDecoder({ maxListBytes: 65_536 })
  decode(decoder, encode(encoder, ['x', 'y'.repeat(4_000)]))
  const kept: string[] = []
  const bomb = new Uint8Array(10_000).fill(0x80 | (STATIC_COUNT + 1))
  assert.equal(decoder.decode(bomb, kept), 'too-large')
  assert.equal(kept.length / 2, 16)
})

test('the table shrinks and grows by the settings of the peer', () => {
  const encoder = new HpackEncoder({ maxTableBytes: 256 })
  const decoder = new HpackDecoder()
  const fields = ['one', 'first', 'two', 'second']
  assert.deepEqual(decode(decoder, encode(encoder, fields)), fields)
  assert.equal(encode(encoder, fields).length, 2)
  encoder.setPeerTableBytes(0)
  encoder.setPeerTableBytes(100)
  const block = encode(encoder, fields)
  // Both sizes are told, the smallest first (RFC 7541, section 4.2).
  assert.deepEqual([...block.subarray(0, 3)], [0x20, 0x3f, 0x45])
  assert.deepEqual(decode(decoder, block), fields)
  assert.ok(decoder.tableBytes <= 100)
})

test('secrets are never indexed, what changes every time is not put into the table', () => {
  const encoder = new HpackEncoder()
  const secret = encode(encoder, ['authorization', 'Bearer x'])
  assert.equal((secret[0] as number) & 0xf0, 0x10)
  assert.deepEqual(encode(encoder, ['authorization', 'Bearer x']), secret)
  const path = encode(encoder, [':path', '/some/where'])
  assert.equal((path[0] as number) & 0xf0, 0x00)
  assert.equal((encode(encoder, ['x', 'y'], 'never')[0] as number) & 0xf0, 0x10)
})

test('a block that is cut anywhere is broken or shorter, and never more', () => {
  const fields = [
    ':method',
    'PUT',
    'x-long',
    'v'.repeat(200),
    'cookie',
    'a=b',
    ':path',
    '/q?é'.replace('é', '\u00e9'),
  ]
  const block = encode(new HpackEncoder(), fields)
  for (let length = 0; length < block.length; length++) {
    const kept: string[] = []
    const result = new HpackDecoder().decode(block.subarray(0, length), kept)
    assert.ok(result === 'broken' || kept.length < fields.length)
    assert.deepEqual(kept, fields.slice(0, kept.length))
  }
})

test('random lists survive tables of every size', () => {
  const random = seededRandom(9113)
  const pick = (count: number): number => Math.floor(random() * count)
  for (let round = 0; round < 40; round++) {
    const encoder = new HpackEncoder({ maxTableBytes: pick(600) })
    const decoder = new HpackDecoder()
    for (let block = 0; block < 20; block++) {
      if (pick(5) === 0) encoder.setPeerTableBytes(pick(4_097))
      const fields = Array.from({ length: pick(8) }, () => [
        `n${pick(12)}`,
        'v'.repeat(pick(90)),
      ]).flat()
      assert.deepEqual(decode(decoder, encode(encoder, fields)), fields)
    }
  }
})

test('HpackEncoder writes a field again by its place, until that was evicted', () => {
  const encoder = new HpackEncoder()
  const decoder = new HpackDecoder()
  const out = new ByteWriter()
  const block = (write: () => void): string[] => {
    out.reserve(8_192)
    encoder.begin(out)
    write()
    return decode(decoder, out.take())
  }
  assert.deepEqual(
    block(() => encoder.field(out, 'a', 'b', 'index')),
    ['a', 'b'],
  )
  const { place } = encoder
  assert.deepEqual(
    block(() => encoder.field(out, ':method', 'GET', 'index')),
    [':method', 'GET'],
  )
  const fixed = encoder.place
  for (let others = 0; others < 3; others++) {
    block(() => encoder.field(out, `other-${others}`, 'x'.repeat(1_000), 'index'))
    assert.deepEqual(
      block(() => assert.equal(encoder.again(out, place) && encoder.again(out, fixed), true)),
      ['a', 'b', ':method', 'GET'],
    )
  }
  block(() => encoder.field(out, 'last', 'x'.repeat(1_000), 'index'))
  assert.deepEqual(
    block(() => assert.equal(encoder.again(out, place), false)),
    [],
  )
  block(() => encoder.field(out, 'secret', 's', 'never'))
  assert.equal(encoder.place, 0)
})
