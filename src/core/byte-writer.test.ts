import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from './byte-writer.ts'

/** A connection that takes everything at once, or keeps it. */
class Target {
  writableLength = 0
  readonly written: Uint8Array[] = []
  readonly keeps: boolean
  constructor(keeps: boolean) {
    this.keeps = keeps
  }
  write(chunk: Uint8Array): boolean {
    this.written.push(chunk)
    if (this.keeps) this.writableLength += chunk.length
    return !this.keeps
  }
  writeAll(chunks: readonly Uint8Array[]): boolean {
    for (const chunk of chunks) this.write(chunk)
    return !this.keeps
  }
  get text(): string {
    return Buffer.concat(this.written).toString('latin1')
  }
}

test('ByteWriter holds no region after everything has left', () => {
  const writer = new ByteWriter()
  assert.equal(writer.bytes.length, 0)
  writer.latin1('hello')
  const { bytes } = writer
  writer.flushTo(new Target(false))
  assert.equal(writer.bytes.length, 0)
  const other = new ByteWriter()
  other.uint8(1)
  assert.equal(other.bytes, bytes, 'the region serves the next writer')
})

test('ByteWriter keeps a region that the connection has not let go', () => {
  const writer = new ByteWriter()
  const stuck = new Target(true)
  writer.latin1('first')
  assert.equal(writer.flushTo(stuck), false)
  const other = new ByteWriter()
  other.latin1('XXXXXXXXXXXXXXXXXXXX')
  writer.latin1(' and a second that is longer than a short text')
  writer.flushTo(stuck)
  assert.equal(stuck.text, 'first and a second that is longer than a short text')
})

test('ByteWriter packs small pieces, hands over large ones, in order', () => {
  const writer = new ByteWriter({ pieceBytes: 8 })
  const large = new Uint8Array(8).fill(0x62)
  const target = new Target(false)
  writer.latin1('a')
  writer.give(large)
  writer.give(new Uint8Array(7).fill(0x63))
  assert.equal(writer.pending, 16)
  writer.flushTo(target)
  assert.equal(target.text, 'abbbbbbbbccccccc')
  assert.equal(target.written[1], large)
  assert.equal(writer.pending, 0)
})

test('ByteWriter goes on in a new region when one is full', () => {
  const writer = new ByteWriter({ regionBytes: 64 })
  const text = 'x'.repeat(40)
  for (let at = 0; at < 5; at++) writer.latin1(text)
  assert.equal(Buffer.from(writer.take()).toString(), text.repeat(5))
})

test('ByteWriter gives full regions back once everything has left, and not before', () => {
  const writer = new ByteWriter()
  const stuck = new Target(true)
  writer.copy(new Uint8Array(60_000).fill(1))
  const { bytes: first } = writer
  writer.copy(new Uint8Array(60_000).fill(2))
  const { bytes: second } = writer
  writer.flushTo(stuck)
  const other = new ByteWriter()
  other.copy(new Uint8Array(60_000))
  assert.ok(other.bytes !== first && other.bytes !== second, 'they are still the connection’s')
  assert.deepEqual(
    stuck.written.map((chunk) => [chunk.length, chunk[0]]),
    [
      [60_000, 1],
      [60_000, 2],
    ],
  )
  stuck.writableLength = 0
  writer.recycle()
  const reused = [new ByteWriter(), new ByteWriter()]
  for (const next of reused) next.copy(new Uint8Array(60_000))
  assert.deepEqual(new Set(reused.map(({ bytes }) => bytes)), new Set([first, second]))
})

test('ByteWriter writes numbers and text', () => {
  const writer = new ByteWriter()
  writer.uint8(1)
  writer.uint16(0x0203)
  writer.uint24(0x040506)
  writer.uint32(0x0708090a)
  writer.uint16le(0x0c0b)
  writer.uint32le(0x100f0e0d)
  writer.decimal(7)
  writer.decimal(1234)
  writer.utf8('ü')
  writer.uint64(0x11n)
  writer.uint64le(0x12n)
  writer.float64(1)
  assert.equal(
    Buffer.from(writer.take()).toString('hex'),
    '0102030405060708090a0b0c0d0e0f1037' +
      '31323334c3bc' +
      '0000000000000011' +
      '1200000000000000' +
      '3ff0000000000000',
  )
})
