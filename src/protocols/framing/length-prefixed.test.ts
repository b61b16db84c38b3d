import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../core/byte-writer.ts'
import { decoderConformance } from '../../testing/decoder-conformance.ts'
import {
  encodeLengthPrefixed,
  LengthPrefixedDecoder,
  type LengthPrefixOptions,
  lengthPrefixedEncoder,
  maxPayloadBytes,
} from './length-prefixed.ts'

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

const PREFIXES: readonly (readonly [LengthPrefixOptions, malformed: Record<string, Uint8Array>])[] =
  [
    [{ prefix: 'u8' }, { 'a byte too long': Uint8Array.of(201) }],
    [{ prefix: 'u16' }, { 'a byte too long': Uint8Array.of(0, 201) }],
    [{ prefix: 'u16le' }, { 'a byte too long': Uint8Array.of(201, 0) }],
    [{ prefix: 'u32le' }, { 'length 2³²−1': Uint8Array.of(0xff, 0xff, 0xff, 0xff) }],
    [
      { prefix: 'varint' },
      {
        'a byte too long': Uint8Array.of(0xc9, 0x01),
        'more than 32 bits': Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x10),
        'a length without end': new Uint8Array(6).fill(0x80),
      },
    ],
    [
      { prefix: 'u32', includesPrefix: true },
      {
        'length 0': Uint8Array.of(0, 0, 0, 0),
        'a length inside the prefix': Uint8Array.of(0, 0, 0, 3),
        'a byte too long': Uint8Array.of(0, 0, 0, 205),
      },
    ],
    [{ prefix: 'u16le', includesPrefix: true }, { 'length 1': Uint8Array.of(1, 0) }],
  ]

for (const [options, malformed] of PREFIXES) {
  decoderConformance(
    `length-prefixed ${JSON.stringify(options)}`,
    {
      create: () => new LengthPrefixedDecoder({ ...options, maxFrameBytes: 200 }),
      encode: lengthPrefixedEncoder(options),
      samples: [new Uint8Array(3).fill(7), new Uint8Array(0), new Uint8Array(200).fill(1)],
      malformed,
      copy: (payload) => payload.slice(),
    },
    { test, ok: assert.ok },
  )
}

test('LengthPrefixedDecoder takes length 0 for a message, for nothing or for a mistake', () => {
  const input = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, 7)
  const lengths = (empty: 'message' | 'skip' | 'refuse'): number[] => {
    const decoder = new LengthPrefixedDecoder({ empty })
    decoder.push(input.slice())
    const all: number[] = []
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
      all.push(next.length)
    }
    return all
  }
  assert.deepEqual(lengths('message'), [0, 1])
  assert.deepEqual(lengths('skip'), [1])
  assert.throws(() => lengths('refuse'), { code: 'ERR_MALFORMED' })
})

test('lengthPrefixedEncoder refuses what the prefix cannot say, and takes one byte less', () => {
  for (const [options] of PREFIXES.slice(0, 3)) {
    const most = maxPayloadBytes(options)
    const encode = lengthPrefixedEncoder(options)
    encode(new Uint8Array(most), new ByteWriter())
    assert.throws(() => encode(new Uint8Array(most + 1), new ByteWriter()), {
      code: 'ERR_FRAME_TOO_LARGE',
    })
  }
  assert.equal(maxPayloadBytes({ prefix: 'u8', includesPrefix: true }), 254)
  assert.equal(maxPayloadBytes({ prefix: 'varint' }), 2 ** 32 - 1)
})

test('lengthPrefixedEncoder writes nothing for an empty payload that is skipped, or refuses it', () => {
  const out = new ByteWriter()
  lengthPrefixedEncoder({ empty: 'skip' })(new Uint8Array(0), out)
  assert.equal(out.pending, 0)
  const refuse = lengthPrefixedEncoder({ empty: 'refuse' })
  assert.throws(() => refuse(new Uint8Array(0), out), { code: 'ERR_ARGUMENT' })
})

test('LengthPrefixedDecoder refuses options that mean nothing', () => {
  const wrong: readonly LengthPrefixOptions[] = [
    { prefix: 'u24' as 'u32' },
    { prefix: 'toString' as 'u32' },
    { prefix: 'varint', includesPrefix: true },
    { empty: 'drop' as 'skip' },
  ]
  for (const options of wrong) {
    assert.throws(() => new LengthPrefixedDecoder(options), { code: 'ERR_ARGUMENT' })
  }
})
