import assert from 'node:assert/strict'
import { test } from 'node:test'
import zlib from 'node:zlib'
import { SeededRandom } from '../testing/seeded-random.ts'
import { adler32, crc32, crc32c, xxHash32 } from './checksum.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test('crc32 gives the check value of its definition', () => {
  assert.equal(crc32(bytes('123456789')), 0xcbf4_3926)
  assert.equal(crc32(new Uint8Array(0)), 0)
})

test('crc32 gives what zlib gives, at every length and alignment', () => {
  const random = new SeededRandom(1)
  for (let length = 0; length < 70; length++) {
    const whole = random.bytes(length + 3)
    for (let start = 0; start < 3; start++) {
      const part = whole.subarray(start, start + length)
      assert.equal(crc32(part), zlib.crc32(part))
    }
  }
})

test('crc32c gives the check value and the vectors of RFC 3720, B.4', () => {
  assert.equal(crc32c(bytes('123456789')), 0xe306_9283)
  assert.equal(crc32c(new Uint8Array(32)), 0x8a91_36aa)
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8_ab43)
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index)), 0x46dd_794e)
})

test('adler32 gives the known value, and does not overflow on long runs of 0xff', () => {
  assert.equal(adler32(bytes('Wikipedia')), 0x11e6_0398)
  assert.equal(adler32(new Uint8Array(0)), 1)
  // The last four bytes of a zlib stream are the Adler-32 of what it holds.
  const long = new Uint8Array(100_000).fill(0xff)
  const expected = zlib.deflateSync(long).subarray(-4).readUInt32BE()
  assert.equal(adler32(long), expected)
})

test('xxHash32 gives the known values for short and long input', () => {
  assert.equal(xxHash32(new Uint8Array(0)), 0x02cc_5d05)
  assert.equal(xxHash32(bytes('a')), 0x550d_7456)
  assert.equal(xxHash32(bytes('abc')), 0x32d1_53ff)
  assert.equal(xxHash32(bytes('Nobody inspects the spammish repetition')), 0xe229_3b2f)
})

test('checksums continue over chunks', () => {
  const random = new SeededRandom(2)
  const whole = random.bytes(1_000)
  for (let round = 0; round < 20; round++) {
    const chunks = random.split(whole, 300)
    assert.equal(
      chunks.reduce((sum, chunk) => crc32(chunk, sum), 0),
      crc32(whole),
    )
    assert.equal(
      chunks.reduce((sum, chunk) => crc32c(chunk, sum), 0),
      crc32c(whole),
    )
    assert.equal(
      chunks.reduce((sum, chunk) => adler32(chunk, sum), 1),
      adler32(whole),
    )
  }
})
