import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../core/byte-writer.ts'
import { decoderConformance } from '../../testing/decoder-conformance.ts'
import {
  COMPRESSED,
  END_STREAM,
  type Envelope,
  EnvelopeDecoder,
  encodeEnvelope,
  envelopeBytes,
  TRAILERS,
} from './envelope.ts'
import { encodeTextEnvelope, TextEnvelopeDecoder } from './grpc-web-text.ts'

const MAX = 300
const own = ({ flags, payload }: Envelope): Envelope => ({ flags, payload: payload.slice() })

const samples: readonly Envelope[] = [
  { flags: 0, payload: Uint8Array.of(1, 2, 3) },
  { flags: COMPRESSED, payload: new Uint8Array(0) },
  { flags: 0, payload: new Uint8Array(MAX).fill(7) },
  { flags: END_STREAM | COMPRESSED, payload: Uint8Array.of(0x7b, 0x7d) },
]

decoderConformance(
  'envelope',
  {
    create: () => new EnvelopeDecoder({ maxMessageBytes: MAX, lastFlags: 0 }),
    encode: encodeEnvelope,
    samples,
    malformed: {
      'a payload one byte too long': Uint8Array.of(0, 0, 0, 1, 45),
      'a length of 4 GiB': Uint8Array.of(0, 255, 255, 255, 255),
      'a flag that Connect lacks': Uint8Array.of(0x80),
      'all flags': Uint8Array.of(0xff),
    },
    copy: own,
  },
  { test, ok: assert.ok },
)

decoderConformance(
  'grpc-web-text envelope',
  {
    create: () =>
      new TextEnvelopeDecoder({ maxMessageBytes: MAX, flags: COMPRESSED | TRAILERS, lastFlags: 0 }),
    encode: encodeTextEnvelope,
    samples: [...samples.slice(0, 3), { flags: TRAILERS, payload: Uint8Array.of(0x61) }],
    malformed: {
      'a payload one byte too long': new TextEncoder().encode('AAAAAS0A'),
      'what is not base64': new TextEncoder().encode('AAA!'),
      'padding at the front': new TextEncoder().encode('='),
      'text after padding inside a group': new TextEncoder().encode('AA=A'),
      'bits left over': new TextEncoder().encode('AB=='),
      'a flag that gRPC-Web lacks': new TextEncoder().encode('AgAA'),
    },
    accepted: {
      'one piece for all, ended by no padding': {
        bytes: new TextEncoder().encode('AAAAAAEHAAAAAAEI'),
        messages: [
          { flags: 0, payload: Uint8Array.of(7) },
          { flags: 0, payload: Uint8Array.of(8) },
        ],
      },
      'pieces that end inside an envelope': {
        bytes: new TextEncoder().encode('AA==AAAAAQ==Bw=='),
        messages: [{ flags: 0, payload: Uint8Array.of(7) }],
      },
    },
    copy: own,
  },
  { test, ok: assert.ok },
)

test('EnvelopeDecoder refuses what comes after the last envelope', () => {
  for (const [flag, flags] of [
    [END_STREAM, COMPRESSED | END_STREAM],
    [TRAILERS, COMPRESSED | TRAILERS],
  ] as const) {
    const decoder = new EnvelopeDecoder({ flags })
    decoder.push(Uint8Array.of(...envelopeBytes(flag, Uint8Array.of(9)), 0))
    assert.deepEqual(decoder.next()?.payload, Uint8Array.of(9))
    assert.equal(decoder.done, true)
    assert.throws(() => decoder.next(), {
      code: 'ERR_MALFORMED',
      message: '1 bytes after the end of the stream',
    })
  }
})

test('EnvelopeDecoder says both numbers of a message over its limit', () => {
  const decoder = new EnvelopeDecoder()
  decoder.push(Uint8Array.of(0, 0, 0x40, 0, 0)) // 4 MiB: the default, and no more
  assert.equal(decoder.next(), undefined)
  const over = new EnvelopeDecoder()
  over.push(Uint8Array.of(0, 0, 0x40, 0, 1))
  assert.throws(() => over.next(), {
    code: 'ERR_FRAME_TOO_LARGE',
    message: 'message of 4194305 bytes is over maxMessageBytes 4194304',
  })
})

test('EnvelopeDecoder refuses options out of range', () => {
  for (const options of [
    { maxMessageBytes: -1 },
    { maxMessageBytes: 2 ** 32 },
    { flags: 256 },
    { lastFlags: 0.5 },
  ]) {
    assert.throws(() => new EnvelopeDecoder(options), { code: 'ERR_OPTION_RANGE' })
  }
})

test('encodeEnvelope and envelopeBytes write the same', () => {
  const out = new ByteWriter()
  const payload = new Uint8Array(70_000).fill(3)
  encodeEnvelope({ flags: 1, payload }, out)
  assert.deepEqual(out.take(), envelopeBytes(1, payload))
  assert.deepEqual(envelopeBytes(1, payload).subarray(0, 6), Uint8Array.of(1, 0, 1, 0x11, 0x70, 3))
})
