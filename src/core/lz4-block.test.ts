import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../testing/seeded-random.ts'
import { ProtocolError } from './errors.ts'
import { compressLz4, compressLz4Block, decompressLz4, lz4BlockBound } from './lz4-block.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const hex = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

test('decompressLz4 reads blocks as other libraries write them', () => {
  // size, then: token, literals, offset, … Made with lz4 1.9.4.
  const repeated = hex('64000000 1f 61 01 00 4b 50 61 61 61 61 61')
  assert.deepEqual(decompressLz4(repeated), bytes('a'.repeat(100)))
  assert.deepEqual(decompressLz4(hex('03000000 30 616263')), bytes('abc'))
  assert.deepEqual(decompressLz4(hex('00000000 00')), new Uint8Array(0))
})

test('compressLz4 gives back what it was given, of every size and kind', () => {
  const random = new SeededRandom(5)
  const kinds: readonly ((size: number) => Uint8Array)[] = [
    (size) => new Uint8Array(size),
    (size) => random.bytes(size),
    (size) => bytes('{"id":12345,"name":"heddle"},'.repeat(Math.ceil(size / 29)).slice(0, size)),
    (size) => Uint8Array.from({ length: size }, (_, at) => (at % 300) & random.integer(0, 255)),
  ]
  const sizes = [
    0, 1, 4, 5, 11, 12, 13, 14, 17, 100, 255, 270, 4_095, 4_096, 65_535, 65_536, 80_000,
  ]
  for (const make of kinds) {
    for (const size of sizes) {
      const input = make(size)
      const compressed = compressLz4(input)
      assert.ok(compressed.length <= 4 + lz4BlockBound(size), `${size} became ${compressed.length}`)
      assert.deepEqual(decompressLz4(compressed), input)
    }
  }
  const text = kinds[2]?.(4_000) as Uint8Array
  assert.ok(compressLz4(text).length < 100, 'text that repeats is not smaller')
})

test('compressLz4Block keeps the rules for the end of a block', () => {
  // Other decoders copy eight bytes at a time and rely on them: five last literals at least.
  for (let size = 13; size < 60; size++) {
    const input = new Uint8Array(size)
    const into = new Uint8Array(lz4BlockBound(size))
    const block = into.subarray(0, compressLz4Block(input, into, 0))
    assert.ok((block[block.length - 6] as number) >>> 4 >= 5 || block.length > size, `${size}`)
    assert.deepEqual([...block.subarray(-5)], [0, 0, 0, 0, 0])
  }
  assert.throws(() => compressLz4Block(new Uint8Array(9), new Uint8Array(24), 0), {
    code: 'ERR_ARGUMENT',
  })
})

const CORRUPT: Readonly<Record<string, string>> = {
  'no size': '030000',
  'nothing behind the size': '03000000',
  'literals that are cut': '03000000 30 6162',
  'a length that is cut': '40000000 f0 ff',
  'an offset that is cut': '10000000 10 61 01',
  'offset 0': '10000000 10 61 0000 00',
  'an offset before the beginning': '10000000 10 61 0200 00',
  'more literals than its size': '02000000 30 616263',
  'a match longer than its size': '05000000 14 61 0100 00',
  'fewer bytes than its size': '04000000 30 616263',
  'a match at its end, without last literals': '06000000 11 61 0100',
  'a size that no such block can have': 'ffffffff 30 616263',
}

for (const [what, input] of Object.entries(CORRUPT)) {
  test(`decompressLz4 refuses ${what}: ERR_ENCODING`, () => {
    assert.throws(() => decompressLz4(hex(input)), { code: 'ERR_ENCODING' })
  })
}

test('decompressLz4 takes an output at its limit, and refuses one byte more before it is made', () => {
  const compressed = compressLz4(new Uint8Array(1_000))
  assert.equal(decompressLz4(compressed, { maxOutputBytes: 1_000 }).length, 1_000)
  assert.throws(() => decompressLz4(compressed, { maxOutputBytes: 999 }), {
    code: 'ERR_EXPANSION',
    message: '1000 bytes decompressed, over the limit of 999',
  })
})

test('decompressLz4 takes a ratio at its limit, and refuses a bomb beyond it', () => {
  const bomb = compressLz4(new Uint8Array(1_000_000))
  const ratio = 1_000_000 / bomb.length
  assert.ok(ratio > 200)
  assert.throws(() => decompressLz4(bomb, { maxRatio: 100 }), { code: 'ERR_EXPANSION' })
  assert.equal(decompressLz4(bomb, { maxRatio: Math.ceil(ratio) }).length, 1_000_000)
  const small = compressLz4(new Uint8Array(60_000))
  const limits = { maxRatio: 100, ratioFreeBytes: 65_536 }
  assert.equal(decompressLz4(small, limits).length, 60_000)
})

test('decompressLz4 answers noise with bytes or ERR_ENCODING, nothing else', () => {
  const random = new SeededRandom(9)
  for (let round = 0; round < 2_000; round++) {
    const input = random.bytes(random.integer(4, 60))
    input.set([random.integer(0, 120), 0, 0, 0])
    try {
      decompressLz4(input)
    } catch (error) {
      assert.ok(error instanceof ProtocolError && error.code === 'ERR_ENCODING', String(error))
    }
  }
})
