import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../core/byte-writer.ts'
import { decoderConformance } from '../../testing/decoder-conformance.ts'
import { encodeLengthPrefixed, LengthPrefixedDecoder } from './length-prefixed.ts'

const MAX = 1_024

decoderConformance(
  'length-prefixed',
  {
    create: () => new LengthPrefixedDecoder({ maxFrameBytes: MAX }),
    encode: encodeLengthPrefixed,
    samples: [new Uint8Array(3).fill(7), new Uint8Array(0), new Uint8Array(MAX).fill(1)],
    malformed: { 'a frame one byte too long': Uint8Array.of(0, 0, 4, 1) },
    copy: (payload) => payload.slice(),
  },
  { test, ok: assert.ok },
)

test('LengthPrefixedDecoder refuses maxFrameBytes out of range', () => {
  for (const maxFrameBytes of [-1, 1.5, Number.NaN, 2 ** 32]) {
    assert.throws(() => new LengthPrefixedDecoder({ maxFrameBytes }), { code: 'ERR_OPTION_RANGE' })
  }
  new LengthPrefixedDecoder({ maxFrameBytes: 0 })
  new LengthPrefixedDecoder({ maxFrameBytes: 2 ** 32 - 1 })
})

test('LengthPrefixedDecoder takes an explicit undefined for the default', () => {
  const decoder = new LengthPrefixedDecoder({ maxFrameBytes: undefined } as object)
  decoder.push(Uint8Array.of(1, 0, 0, 0)) // 16 MiB: the default, and no more
  assert.equal(decoder.next(), undefined)
  const tooLong = new LengthPrefixedDecoder()
  tooLong.push(Uint8Array.of(1, 0, 0, 1))
  assert.throws(() => tooLong.next(), {
    code: 'ERR_FRAME_TOO_LARGE',
    message: 'frame of 16777217 bytes is over maxFrameBytes 16777216',
  })
})

test('encodeLengthPrefixed writes the length before the payload and hands large ones over', () => {
  const writer = new ByteWriter({ pieceBytes: 8 })
  encodeLengthPrefixed(Uint8Array.of(1, 2), writer)
  assert.deepEqual(writer.take(), Uint8Array.of(0, 0, 0, 2, 1, 2))
  const large = new Uint8Array(8)
  encodeLengthPrefixed(large, writer)
  const written: Uint8Array[] = []
  writer.flushTo({
    writableLength: 0,
    write: () => assert.fail('the payload was copied'),
    writeAll: (chunks) => written.push(...chunks) > 0,
  })
  assert.equal(written.at(-1), large)
})
