/**
 * Who owns a region when: `ByteWriter` against a connection that takes what it is given later.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../testing/seeded-random.ts'
import { ByteWriter, type WriteTarget } from './byte-writer.ts'

/** Keeps regions by reference, as a connection does, and checks them when they leave. */
class SlowTarget implements WriteTarget {
  readonly received: number[] = []
  #held: { readonly region: Uint8Array; readonly snapshot: Uint8Array }[] = []

  get writableLength(): number {
    return this.#held.reduce((sum, { region }) => sum + region.length, 0)
  }

  write(chunk: Uint8Array): boolean {
    this.#held.push({ region: chunk, snapshot: chunk.slice() })
    return this.writableLength < 10_000
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    for (const chunk of chunks) this.write(chunk)
    return this.writableLength < 10_000
  }

  /** Everything leaves. */
  take(): void {
    for (const { region, snapshot } of this.#held) {
      assert.deepEqual(region, snapshot, 'a region was changed before it had left')
      this.received.push(...region)
    }
    this.#held = []
  }
}

test('ByteWriter never touches what it gave away until writableLength is 0, for 300 seeds', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new SeededRandom(seed)
    const regionBytes = random.pick([64, 200, 16_384])
    const writer = new ByteWriter({ regionBytes, pieceBytes: random.pick([1, 50, 1_000]) })
    const target = new SlowTarget()
    const expected: number[] = []
    for (let step = 0; step < 60; step++) {
      const bytes = random.bytes(random.integer(0, 120))
      const kind = random.integer(1, 5)
      if (kind === 1) writer.copy(bytes)
      else if (kind === 2) writer.give(bytes)
      else if (kind === 3) {
        writer.uint32(step)
        expected.push(0, 0, 0, step)
      } else if (kind === 4) writer.flushTo(target)
      else if (random.chance(0.5)) {
        target.take()
        writer.recycle()
      }
      if (kind <= 2) expected.push(...bytes)
      assert.equal(
        writer.pending + target.writableLength + target.received.length,
        expected.length,
        `seed ${seed}`,
      )
    }
    writer.flushTo(target)
    target.take()
    assert.deepEqual(target.received, expected, `seed ${seed}`)
  }
})

test('ByteWriter shares a region that has left, and never one that is in use', () => {
  const first = new ByteWriter()
  const slow = new SlowTarget()
  first.latin1('first')
  const region = first.bytes
  first.flushTo(slow) // held by the target: not free
  const second = new ByteWriter()
  second.latin1('second')
  assert.notEqual(second.bytes.buffer, region.buffer)
  slow.take()
  first.recycle()
  const third = new ByteWriter()
  third.latin1('third')
  const fourth = new ByteWriter()
  fourth.latin1('fourth')
  const regions = new Set([second, third, fourth].map((writer) => writer.bytes.buffer))
  assert.equal(regions.size, 3)
  assert.ok(regions.has(region.buffer), 'the free region was not used again')
})

test('ByteWriter refuses options one past their range', () => {
  for (const options of [{ regionBytes: 63 }, { pieceBytes: 0 }, { regionBytes: 0x4000_0001 }]) {
    assert.throws(() => new ByteWriter(options), { code: 'ERR_OPTION_RANGE' })
  }
  new ByteWriter({ regionBytes: 64, pieceBytes: 1 })
})

test('ByteWriter.checkLength accepts the limit and names both numbers one past it', () => {
  ByteWriter.checkLength('frame', 5, 5)
  assert.throws(() => ByteWriter.checkLength('frame', 6, 5), {
    code: 'ERR_FRAME_TOO_LARGE',
    message: 'frame of 6 bytes is over 5',
  })
})

test('ByteWriter writes every kind of number where a DataView puts it', () => {
  const writer = new ByteWriter()
  writer.uint8(0xfe)
  writer.uint16(0xfedc)
  writer.uint24(0xfedcba)
  writer.uint32(0xfedcba98)
  writer.uint64(0xfedcba9876543210n)
  writer.uint16le(0xfedc)
  writer.uint32le(0xfedcba98)
  writer.uint64le(0xfedcba9876543210n)
  writer.float64(-1.5)
  const expected =
    'fe fedc fedcba fedcba98 fedcba9876543210 dcfe 98badcfe 1032547698badcfe bff8000000000000'
  assert.equal(Buffer.from(writer.take()).toString('hex'), expected.replaceAll(' ', ''))
})

test('ByteWriter writes text of every length and script', () => {
  for (const text of ['', 'a', 'é', '€', '😀', 'x'.repeat(100), '漢'.repeat(60), 'é'.repeat(70)]) {
    const writer = new ByteWriter({ regionBytes: 64 })
    writer.utf8(text)
    assert.equal(Buffer.from(writer.take()).toString('utf8'), text)
  }
  for (const text of ['', 'short', 'é'.repeat(200)]) {
    const writer = new ByteWriter({ regionBytes: 64 })
    writer.latin1(text)
    assert.equal(Buffer.from(writer.take()).toString('latin1'), text)
  }
  const writer = new ByteWriter()
  for (const value of [0, 9, 10, 12_345, -7]) writer.decimal(value)
  assert.equal(Buffer.from(writer.take()).toString(), '091012345-7')
})
