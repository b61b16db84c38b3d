import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteReader } from './byte-reader.ts'

const BYTES = Uint8Array.of(0xff, 0xfe, 0x80, 0x01, 0xbf, 0xf0, 0x7f, 0x02)

type Read = (reader: ByteReader) => number | bigint | boolean

function numbers(view: DataView): Readonly<Record<string, readonly [number, Read, unknown]>> {
  return {
    uint8: [1, (reader) => reader.uint8(), view.getUint8(0)],
    int8: [1, (reader) => reader.int8(), view.getInt8(0)],
    bool: [1, (reader) => reader.bool(), true],
    uint16: [2, (reader) => reader.uint16(), view.getUint16(0)],
    int16: [2, (reader) => reader.int16(), view.getInt16(0)],
    uint24: [3, (reader) => reader.uint24(), 0xfffe80],
    uint32: [4, (reader) => reader.uint32(), view.getUint32(0)],
    int32: [4, (reader) => reader.int32(), view.getInt32(0)],
    uint64: [8, (reader) => reader.uint64(), view.getBigUint64(0)],
    int64: [8, (reader) => reader.int64(), view.getBigInt64(0)],
    float32: [4, (reader) => reader.float32(), view.getFloat32(0)],
    float64: [8, (reader) => reader.float64(), view.getFloat64(0)],
    uint16le: [2, (reader) => reader.uint16le(), view.getUint16(0, true)],
    int16le: [2, (reader) => reader.int16le(), view.getInt16(0, true)],
    uint24le: [3, (reader) => reader.uint24le(), 0x80feff],
    uint32le: [4, (reader) => reader.uint32le(), view.getUint32(0, true)],
    int32le: [4, (reader) => reader.int32le(), view.getInt32(0, true)],
    uint64le: [8, (reader) => reader.uint64le(), view.getBigUint64(0, true)],
    int64le: [8, (reader) => reader.int64le(), view.getBigInt64(0, true)],
    float32le: [4, (reader) => reader.float32le(), view.getFloat32(0, true)],
    float64le: [8, (reader) => reader.float64le(), view.getFloat64(0, true)],
  }
}

test('ByteReader reads every kind of number as a DataView does, in a view at an odd offset', () => {
  const memory = new Uint8Array(BYTES.length + 3)
  memory.set(BYTES, 3)
  const bytes = memory.subarray(3)
  const view = new DataView(memory.buffer, 3)
  for (const [name, [size, read, expected]] of Object.entries(numbers(view))) {
    const reader = new ByteReader(bytes)
    assert.deepEqual(read(reader), expected, name)
    assert.equal(reader.position, size, name)
    assert.equal(reader.length, BYTES.length - size, name)
  }
})

test('ByteReader refuses every number that is a byte short, and takes nothing', () => {
  for (const [name, [size, read]] of Object.entries(numbers(new DataView(BYTES.buffer)))) {
    const reader = new ByteReader().reset(BYTES, 0, size - 1)
    const message = `${size} bytes wanted at 0, ${size - 1} remain`
    assert.throws(() => read(reader), { code: 'ERR_TRUNCATED', message }, name)
    assert.equal(reader.length, size - 1, name)
  }
})

test('ByteReader keeps within its part of the bytes', () => {
  const reader = new ByteReader().reset(BYTES, 2, 5)
  assert.deepEqual([...reader.bytes(3)], [0x80, 0x01, 0xbf])
  assert.throws(() => reader.uint8(), { code: 'ERR_TRUNCATED' })
  assert.throws(() => reader.byteAt(0), { code: 'ERR_TRUNCATED' })
  for (const [start, end] of [
    [-1, 2],
    [3, 2],
    [0, 9],
  ] as const) {
    assert.throws(() => reader.reset(BYTES, start, end), { code: 'ERR_TRUNCATED' })
  }
})

test('ByteReader refuses counts that arithmetic made negative or NaN', () => {
  const reader = new ByteReader(BYTES)
  for (const count of [-1, Number.NaN, 9, Number.POSITIVE_INFINITY]) {
    assert.throws(() => reader.bytes(count), { code: 'ERR_TRUNCATED' })
    assert.throws(() => reader.skip(count), { code: 'ERR_TRUNCATED' })
    assert.throws(() => reader.utf8(count), { code: 'ERR_TRUNCATED' })
  }
  assert.equal(reader.length, 8)
})

test('ByteReader.bytes is a view, copy is not', () => {
  const bytes = Uint8Array.of(1, 2, 3, 4)
  const reader = new ByteReader(bytes)
  const view = reader.bytes(2)
  const copy = reader.copy(1)
  bytes.fill(9)
  assert.deepEqual([...view, ...copy], [9, 9, 3])
  assert.deepEqual([...reader.rest()], [9])
  assert.deepEqual([...reader.rest()], [])
})

test('ByteReader reads text in UTF-8 and Latin-1, by length and to a zero', () => {
  const bytes = new TextEncoder().encode('né€\0abc\0')
  const reader = new ByteReader(bytes)
  assert.equal(reader.utf8z(), 'né€')
  assert.equal(reader.utf8(3), 'abc')
  assert.equal(reader.latin1(1), '\0')
  assert.equal(new ByteReader(Uint8Array.of(0xe9)).latin1(1), 'é')
  assert.equal(new ByteReader(Uint8Array.of(0xe9)).utf8(1), '\ufffd')
})

test('ByteReader.utf8z does not look for its zero beyond the message', () => {
  const reader = new ByteReader().reset(Uint8Array.of(0x61, 0x62, 0), 0, 2)
  assert.throws(() => reader.utf8z(), { code: 'ERR_TRUNCATED' })
})

test('ByteReader.expectEnd names what was left', () => {
  const reader = new ByteReader(BYTES)
  reader.skip(6)
  assert.throws(() => reader.expectEnd('the header'), {
    code: 'ERR_MALFORMED',
    message: '2 bytes left after the header',
  })
  reader.skip(2)
  reader.expectEnd('the header')
})

test('ByteReader.reset follows to other memory', () => {
  const reader = new ByteReader(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1))
  assert.equal(reader.uint64(), 1n)
  assert.equal(reader.reset(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 2)).uint64(), 2n)
  const memory = Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 3)
  assert.equal(reader.reset(memory.subarray(1)).uint64(), 3n)
  assert.equal(reader.reset(memory, 1).uint64(), 3n)
})
