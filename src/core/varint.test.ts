import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../testing/seeded-random.ts'
import { ByteQueue } from './byte-queue.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import * as varint from './varint.ts'

const { MAX_SAFE_INTEGER } = Number

function written(write: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter()
  write(out)
  return out.take()
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

test('writeVarint writes the examples of the protobuf documentation', () => {
  assert.equal(hex(written((out) => varint.writeVarint(1, out))), '01')
  assert.equal(hex(written((out) => varint.writeVarint(150, out))), '9601')
  assert.equal(hex(written((out) => varint.writeVarint(0, out))), '00')
})

test('LEB128 comes back at every width, and its length is as varintLength says', () => {
  const values = [0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32 - 1, 2 ** 32, MAX_SAFE_INTEGER]
  for (const value of values) {
    const bytes = written((out) => varint.writeVarint(value, out))
    assert.equal(bytes.length, varint.varintLength(value))
    assert.equal(varint.tryVarint53(new ByteReader(bytes)), value)
    assert.equal(varint.tryVarint64(new ByteReader(bytes)), BigInt(value))
    if (value < 2 ** 32) assert.equal(varint.tryVarint32(new ByteReader(bytes)), value)
    else assert.throws(() => varint.tryVarint32(new ByteReader(bytes)), { code: 'ERR_MALFORMED' })
  }
})

test('LEB128 of 64 bits comes back at the ends of its range', () => {
  for (const value of [0n, 1n, 2n ** 28n, 2n ** 56n, 2n ** 63n, 2n ** 64n - 1n]) {
    const bytes = written((out) => varint.writeVarint64(value, out))
    assert.equal(varint.tryVarint64(new ByteReader(bytes)), value)
  }
  for (const value of [-1n, 2n ** 64n]) {
    assert.throws(() => written((out) => varint.writeVarint64(value, out)), {
      code: 'ERR_OPTION_RANGE',
    })
  }
})

test('LEB128 refuses one more than its limit, and a number that does not end', () => {
  const limits: readonly (readonly [(source: ByteReader) => unknown, string, string])[] = [
    [varint.tryVarint32, 'ffffffff0f', 'ffffffff10'],
    [varint.tryVarint53, 'ffffffffffffff0f', 'ffffffffffffff10'],
    [varint.tryVarint64, 'ffffffffffffffffff01', 'ffffffffffffffffff02'],
  ]
  for (const [read, most, tooMuch] of limits) {
    assert.notEqual(read(new ByteReader(Buffer.from(most, 'hex'))), undefined)
    assert.throws(() => read(new ByteReader(Buffer.from(tooMuch, 'hex'))), {
      code: 'ERR_MALFORMED',
    })
    const endless = new Uint8Array(11).fill(0x80)
    assert.throws(() => read(new ByteReader(endless)), { code: 'ERR_MALFORMED' })
  }
})

test('try functions take nothing until the number is complete', () => {
  const bytes = written((out) => {
    varint.writeVarint(300, out)
    varint.writeQuicVarint(15_293, out)
  })
  const queue = new ByteQueue()
  const got: (number | undefined)[] = []
  for (const [index, byte] of bytes.entries()) {
    queue.push(Uint8Array.of(byte))
    got.push(index < 2 ? varint.tryVarint32(queue) : varint.tryQuicVarint(queue))
  }
  assert.deepEqual(got, [undefined, 300, undefined, 15_293])
  assert.equal(queue.length, 0)
  assert.equal(varint.tryQuicVarint(queue), undefined)
  assert.equal(varint.tryQuicVarint64(queue), undefined)
  assert.equal(varint.tryVarint53(queue), undefined)
  assert.equal(varint.tryVarint64(queue), undefined)
})

test('zigzag maps small numbers of both signs to small ones, and back', () => {
  assert.deepEqual([0, -1, 1, -2, 2].map(varint.zigzag32), [0, 1, 2, 3, 4])
  for (const value of [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]) {
    assert.equal(varint.unzigzag32(varint.zigzag32(value)), value)
  }
  assert.equal(varint.zigzag32(-(2 ** 31)), 2 ** 32 - 1)
  for (const value of [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
    assert.equal(varint.unzigzag64(varint.zigzag64(value)), value)
  }
  assert.equal(varint.zigzag64(-(2n ** 63n)), 2n ** 64n - 1n)
})

test('QUIC integers are those of RFC 9000, appendix A.1', () => {
  const examples: readonly (readonly [string, bigint])[] = [
    ['c2197c5eff14e88c', 151_288_809_941_952_652n],
    ['9d7f3e7d', 494_878_333n],
    ['7bbd', 15_293n],
    ['25', 37n],
    ['4025', 37n],
  ]
  for (const [bytes, value] of examples) {
    assert.equal(varint.tryQuicVarint64(new ByteReader(Buffer.from(bytes, 'hex'))), value)
  }
  const tooLarge = new ByteReader(Buffer.from('c2197c5eff14e88c', 'hex'))
  assert.throws(() => varint.tryQuicVarint(tooLarge), { code: 'ERR_LIMIT' })
})

test('writeQuicVarint takes the shortest form at each border', () => {
  const lengths: readonly (readonly [number, number])[] = [
    [63, 1],
    [64, 2],
    [16_383, 2],
    [16_384, 4],
    [2 ** 30 - 1, 4],
    [2 ** 30, 8],
    [MAX_SAFE_INTEGER, 8],
  ]
  for (const [value, length] of lengths) {
    const bytes = written((out) => varint.writeQuicVarint(value, out))
    assert.equal(bytes.length, length, String(value))
    assert.equal(varint.tryQuicVarint(new ByteReader(bytes)), value)
  }
})

test('writers of numbers refuse what is not a whole number in range', () => {
  for (const value of [-1, 0.5, Number.NaN, 2 ** 53]) {
    for (const write of [varint.writeVarint, varint.writeQuicVarint]) {
      assert.throws(() => written((out) => write(value, out)), { code: 'ERR_OPTION_RANGE' })
    }
  }
})

test('varints come back for 500 seeded numbers', () => {
  const random = new SeededRandom(1)
  for (let round = 0; round < 500; round++) {
    const value = Math.floor(random.next() * 2 ** random.integer(1, 53))
    const leb = written((out) => varint.writeVarint(value, out))
    assert.equal(varint.tryVarint53(new ByteReader(leb)), value)
    const quic = written((out) => varint.writeQuicVarint(value, out))
    assert.equal(varint.tryQuicVarint(new ByteReader(quic)), value)
    assert.equal(varint.tryQuicVarint64(new ByteReader(quic)), BigInt(value))
  }
})
