import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assembleBlock, Block, type BlockFields } from '../block.ts'
import {
  type BlockEncoding,
  decodeBlock,
  ENCODING_IDS,
  encodeBlock,
  maxEncodedBytes,
  sniffEncoding,
} from './encodings.ts'

const ENCODINGS = Object.keys(ENCODING_IDS) as BlockEncoding[]
const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const fields: fc.Arbitrary<BlockFields> = fc.record({
  version: fc.integer({ min: 0, max: 0xffff }),
  index: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  timestamp: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  previous: bytesOf(32),
  payloadHash: bytesOf(32),
  payloadType: fc.integer({ min: 0, max: 0xffff_ffff }),
  payload: fc.uint8Array({ maxLength: 400 }),
  publicKey: bytesOf(32),
  signature: bytesOf(64),
})
const some: BlockFields = {
  version: 0x0105,
  index: 0n,
  timestamp: 1_640_995_200n,
  previous: new Uint8Array(32),
  payloadHash: new Uint8Array(32).fill(1),
  payloadType: 0x8000,
  payload: Uint8Array.of(1, 2, 3, 250),
  publicKey: new Uint8Array(32).fill(2),
  signature: new Uint8Array(64).fill(3),
}
const blockOf = (changes: Partial<BlockFields> = {}): Block =>
  new Block(assembleBlock({ ...some, ...changes }))
const json = (block = blockOf()): string => new TextDecoder().decode(encodeBlock(block, 'json'))
const fromJson = (text: string): Block => decodeBlock(new TextEncoder().encode(text), 'json')
const refusal = (name: string) => (error: { detail?: { block?: string } }) => {
  assert.equal(error.detail?.block, name, String(error))
  return true
}

test('every encoding says the same canonical bytes again', () => {
  fc.assert(
    fc.property(fields, (drawn) => {
      const block = blockOf(drawn)
      for (const encoding of ENCODINGS) {
        const encoded = encodeBlock(block, encoding)
        assert.deepEqual(decodeBlock(encoded, encoding).bytes, block.bytes, encoding)
        assert.ok(encoded.length <= maxEncodedBytes(encoding, block.payloadSize))
      }
    }),
    { numRuns: 60 },
  )
})

test('an encoding cut short or with a byte more is refused, everywhere', () => {
  for (const encoding of ENCODINGS) {
    const encoded = encodeBlock(blockOf(), encoding)
    const isSsz = encoding === 'ssz' // its payload is the rest: shorter is another block
    for (let length = 0; length < (isSsz ? 186 : encoded.length); length++) {
      assert.throws(() => decodeBlock(encoded.subarray(0, length), encoding), {
        name: 'ProtocolError',
      })
    }
    if (isSsz) continue
    const longer = new Uint8Array([...encoded, 0])
    assert.throws(() => decodeBlock(longer, encoding), { code: 'ERR_MALFORMED' }, encoding)
  }
})

test('index 2^53+1, the largest, and the earliest time survive JSON exactly', () => {
  for (const index of [2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 64n - 1n]) {
    const text = json(blockOf({ index }))
    assert.equal(fromJson(text).index, index)
    const quoted = text.includes(`"index":"${index}"`)
    assert.equal(quoted, index >= 2n ** 53n)
    // serde writes the digits without quotes; a reader of doubles would round them.
    assert.equal(fromJson(text.replace(`"${index}"`, `${index}`)).index, index)
  }
  const timestamp = -(2n ** 63n)
  assert.equal(fromJson(json(blockOf({ timestamp }))).timestamp, timestamp)
})

test('JSON is read with spaces, in any order, with escapes and capital hexadecimal', () => {
  const value = JSON.parse(json()) as Record<string, unknown>
  const { bytes } = blockOf()
  const reversed = Object.fromEntries(Object.entries(value).reverse())
  assert.deepEqual(fromJson(JSON.stringify(reversed, undefined, 2)).bytes, bytes)
  assert.deepEqual(fromJson(` \r\n\t${json()} \n`).bytes, bytes)
  assert.deepEqual(fromJson(json().replace('"version"', '"\\u0076ersion"')).bytes, bytes)
  const hash = '01'.repeat(32)
  const capital = json(blockOf({ payloadHash: new Uint8Array(32).fill(0xab) }))
  assert.equal(fromJson(capital.replaceAll('ab', 'AB')).payloadHash[0], 0xab)
  assert.ok(json().includes(hash))
  // PHP and old Rubies escape the slash of base64.
  const slashes = json(blockOf({ payload: Uint8Array.of(255, 255, 255) }))
  assert.ok(slashes.includes('"payload":"////"'))
  const escaped = slashes.replace('////', '\\/\\/\\/\\/')
  assert.deepEqual(fromJson(escaped).payloadBytes, Uint8Array.of(255, 255, 255))
})

test('JSON that is another text is refused with SerializationError', () => {
  const good = json()
  const cases: Record<string, string> = {
    'an unknown key': good.replace('"payload":', '"extra":1,"payload":'),
    'a key twice': good.replace('"payload":', '"payload":"","payload":'),
    'a key of the header twice': good.replace('"index":0', '"index":0,"index":0'),
    'a missing key': good.replace(/"payload":"[^"]*",/, ''),
    'a missing key of the header': good.replace('"index":0,', ''),
    'a fraction': good.replace('"index":0', '"index":0.0'),
    'an exponent': good.replace('"index":0', '"index":1e3'),
    'a leading zero': good.replace('"index":0', '"index":01'),
    'minus zero': good.replace('"index":0', '"index":-0'),
    'a plus': good.replace('"index":0', '"index":+1'),
    'a number of a hundred digits': good.replace('"index":0', `"index":${'9'.repeat(100)}`),
    'an empty string for a number': good.replace('"index":0', '"index":""'),
    'null for a number': good.replace('"index":0', '"index":null'),
    'a byte order mark': `\ufeff${good}`,
    'letters outside ASCII': good.replace('"payload":"', '"payload":"é'),
    'base64 without padding': good.replace('AQID+g==', 'AQID+g'),
    'base64 with bits left over': good.replace('AQID+g==', 'AQID+h=='),
    'base64 of URLs': good.replace('AQID+g==', 'AQID-g=='),
    'half a byte of hexadecimal': good.replace('"01', '"1'),
    'a letter that is no digit': good.replace('"01', '"g1'),
    'a comma too many': good.replace('}', ',}'),
    'another block behind it': `${good}${good}`,
    'an array': `[${good}]`,
    'an escape that JSON does not have': good.replace('"version"', '"\\x76ersion"'),
    'a key of a hundred letters': good.replace('"version"', `"${'v'.repeat(100)}"`),
    'a string without an end': '{"header',
    nothing: '',
  }
  for (const [what, text] of Object.entries(cases)) {
    assert.throws(() => fromJson(text), refusal('SerializationError'), what)
  }
  const invalid = new Uint8Array([...new TextEncoder().encode('{"'), 0xff, 0x22])
  assert.throws(() => decodeBlock(invalid, 'json'), refusal('SerializationError'))
})

test('what is well formed and no block is refused with MalformedBlock', () => {
  const good = json()
  const cases: Record<string, string> = {
    'an index below 0': good.replace('"index":0', '"index":-1'),
    'an index of 2^64': good.replace('"index":0', '"index":18446744073709551616'),
    'a version of 2^16': good.replace('"version":261', '"version":65536'),
    'a time of 2^63': good.replace('1640995200', '9223372036854775808'),
    'a hash of 31 bytes': good.replace('"01', '"'),
    'a key of 33 bytes': good.replace('"02', '"0202'),
  }
  for (const [what, text] of Object.entries(cases)) {
    assert.throws(() => fromJson(text), refusal('MalformedBlock'), what)
  }
})

test('MessagePack is read as serde writes it: structs as arrays, bytes as arrays of integers', () => {
  const { bytes } = blockOf()
  const array = (items: Uint8Array): number[] =>
    items.length < 16
      ? [0x90 | items.length, ...ints(items)]
      : [0xdc, 0, items.length, ...ints(items)]
  const ints = (items: Uint8Array): number[] =>
    [...items].flatMap((byte) => (byte < 0x80 ? [byte] : [0xcc, byte]))
  const header = [
    ...[0x96, 0xcd, 1, 5, 0, 0xce, 0x61, 0xcf, 0x99, 0x80],
    ...array(some.previous),
    ...array(some.payloadHash),
    ...[0xcd, 0x80, 0],
  ]
  const asArrays = Uint8Array.from([
    0x94,
    ...header,
    ...array(some.payload),
    ...array(some.signature),
    ...array(some.publicKey),
  ])
  assert.deepEqual(decodeBlock(asArrays, 'messagepack').bytes, bytes)
  // Numbers wider than they need be, and a map with a length of its own.
  const encoded = encodeBlock(blockOf(), 'messagepack')
  const wide = Uint8Array.from([0xde, 0, 4, ...encoded.subarray(1)])
  assert.deepEqual(decodeBlock(wide, 'messagepack').bytes, bytes)
})

test('MessagePack that says more than one thing is refused', () => {
  const encoded = [...encodeBlock(blockOf(), 'messagepack')]
  const key = (text: string): number[] => [0xa0 | text.length, ...new TextEncoder().encode(text)]
  const cases: Record<string, number[]> = {
    'five keys': [0x85, ...encoded.slice(1), ...key('more'), 0],
    'three keys': [0x83, ...encoded.slice(1)],
    'a key twice': [0x84, ...key('payload'), 0xc4, 0, ...key('payload'), 0xc4, 0],
    'an unknown key': [0x84, ...key('peyload'), 0xc4, 0],
    'a key that is a number': [0x84, 1, 1],
    'a string for bytes': [0x84, ...key('payload'), ...key('abc')],
    'a number for a map': [7],
    'a map that announces 2^32−1': [0xdf, 255, 255, 255, 255],
    'bytes that announce more than there is': [0x84, ...key('payload'), 0xc6, 0, 1, 0, 0, 9],
    'an array that announces more than there is': [0x84, ...key('payload'), 0xdd, 0, 1, 0, 0, 9],
    'a float for a number': [0x84, ...key('header'), 0x86, ...key('index'), 0xcb, 0, 0, 0, 0, 0, 0],
    'a key of a megabyte': [0x84, 0xdb, 0, 16, 0, 0],
    'bytes behind it': [...encoded, 0xc0],
  }
  for (const [what, bytes] of Object.entries(cases)) {
    const decode = () => decodeBlock(Uint8Array.from(bytes), 'messagepack')
    assert.throws(decode, refusal('SerializationError'), what)
  }
  const negative = [0x84, ...key('header'), 0x86, ...key('version'), 0xff]
  assert.throws(
    () => decodeBlock(Uint8Array.from(negative), 'messagepack'),
    refusal('MalformedBlock'),
  )
})

test('Protobuf is read in any order and refused with anything twice, unknown or of another type', () => {
  const encoded = encodeBlock(blockOf(), 'protobuf')
  const headerEnd = 2 + (encoded[1] as number)
  const header = encoded.subarray(0, headerEnd)
  const rest = encoded.subarray(headerEnd)
  const turned = Uint8Array.from([...rest, ...header])
  assert.deepEqual(decodeBlock(turned, 'protobuf').bytes, blockOf().bytes)
  const cases: Record<string, readonly number[]> = {
    'the header twice': [...encoded, ...header],
    'an unknown field': [...encoded, 0x28, 1],
    'field 0': [...encoded, 0, 1],
    'a field of number 2^28': [...encoded, 0x80, 0x80, 0x80, 0x80, 0x08, 1],
    'a group': [...encoded, 0x0b],
    'a number where there are bytes': [...header, 0x10, 1],
    'bytes that announce more than there is': [...header, 0x12, 0xff, 0xff, 0xff, 0xff, 0x0f],
    'a number of 11 bytes': [0x0a, 12, 0x10, ...new Array(10).fill(0x80), 1],
    'a number of 70 bits': [0x0a, 11, 0x10, ...new Array(9).fill(0x80), 0x7f],
    'a number without an end': [...header, 0x80],
  }
  for (const [what, bytes] of Object.entries(cases)) {
    const decode = () => decodeBlock(Uint8Array.from(bytes), 'protobuf')
    assert.throws(decode, refusal('SerializationError'), what)
  }
  assert.throws(() => decodeBlock(rest, 'protobuf'), refusal('MalformedBlock'))
  const version = Uint8Array.from([0x0a, 4, 0x08, 0x80, 0x80, 0x04])
  assert.throws(() => decodeBlock(version, 'protobuf'), refusal('MalformedBlock'))
})

test('SSZ with another offset is refused', () => {
  const encoded = encodeBlock(blockOf(), 'ssz')
  for (const offset of [0, 185, 187, 255]) {
    encoded[86] = offset
    assert.throws(() => decodeBlock(encoded, 'ssz'), refusal('MalformedBlock'))
  }
})

test('a payload at its limit is taken and one past it is refused, before it is allocated', () => {
  for (const encoding of ENCODINGS) {
    const at = encodeBlock(blockOf({ payload: new Uint8Array(300) }), encoding)
    const past = encodeBlock(blockOf({ payload: new Uint8Array(301) }), encoding)
    assert.equal(decodeBlock(at, encoding, { maxPayloadBytes: 300 }).payloadSize, 300)
    const decode = () => decodeBlock(past, encoding, { maxPayloadBytes: 300 })
    assert.throws(decode, refusal('PayloadTooLarge'), encoding)
  }
  // 4 GiB announced by 186 bytes.
  const envelope = blockOf({ payload: new Uint8Array(0) }).bytes.slice()
  envelope.fill(0xff, 86, 90)
  assert.throws(() => decodeBlock(envelope), refusal('PayloadTooLarge'))
})

test('payloads of 0, 1 and 16 MiB travel in every encoding, 16 MiB and 1 byte in none', () => {
  const sizes = [0, 1, 16_777_216]
  for (const payload of sizes.map((size) => new Uint8Array(size).fill(0xa5))) {
    const block = blockOf({ payload })
    for (const encoding of ENCODINGS) {
      const again = decodeBlock(encodeBlock(block, encoding), encoding, { give: true })
      assert.equal(Buffer.compare(again.bytes, block.bytes), 0, encoding)
    }
  }
  const block = blockOf({ payload: new Uint8Array(16_777_217) })
  // JSON, the slow one, has had its limit tested with fewer bytes.
  for (const encoding of ENCODINGS.filter((one) => one !== 'json')) {
    const encoded = encodeBlock(block, encoding)
    assert.throws(() => decodeBlock(encoded, encoding), refusal('PayloadTooLarge'), encoding)
  }
})

test('a decoded block keeps no view of a borrowed chunk', () => {
  for (const encoding of ENCODINGS) {
    const chunk = encodeBlock(blockOf(), encoding).slice()
    const block = decodeBlock(chunk, encoding)
    chunk.fill(0xdb)
    assert.deepEqual(block.bytes, blockOf().bytes, encoding)
  }
})

test('sniffEncoding knows what can be known', () => {
  for (const encoding of ['binary', 'json', 'messagepack', 'protobuf'] as const) {
    assert.equal(sniffEncoding(encodeBlock(blockOf(), encoding)), encoding)
  }
  assert.equal(sniffEncoding(new TextEncoder().encode(' \n{')), 'json')
  assert.throws(() => sniffEncoding(Uint8Array.of(0xff)), refusal('SerializationError'))
})

test('an encoding that does not exist is the caller’s mistake', () => {
  assert.throws(() => encodeBlock(blockOf(), 'cbor' as 'json'), { code: 'ERR_ARGUMENT' })
  assert.throws(() => decodeBlock(blockOf().bytes, 'cbor' as 'json'), { code: 'ERR_ARGUMENT' })
})
