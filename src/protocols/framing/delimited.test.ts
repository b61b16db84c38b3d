import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../core/byte-writer.ts'
import { decoderConformance } from '../../testing/decoder-conformance.ts'
import { DelimitedDecoder, encodeDelimited } from './delimited.ts'

const MAX = 100
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (value: Uint8Array): string => new TextDecoder().decode(value)

decoderConformance(
  'lines',
  {
    create: () => new DelimitedDecoder({ maxFrameBytes: MAX }),
    encode: (payload, out) => encodeDelimited(payload, out),
    samples: [bytes('a line'), bytes(''), bytes('x'.repeat(MAX))],
    malformed: { 'a line one byte too long': bytes('x'.repeat(MAX + 1)) },
    copy: (payload) => payload.slice(),
  },
  { test, ok: assert.ok },
)

const CRLF = bytes('\r\n')

decoderConformance(
  'CRLF lines',
  {
    create: () => new DelimitedDecoder({ delimiter: CRLF, maxFrameBytes: MAX }),
    encode: (payload, out) => encodeDelimited(payload, out, CRLF),
    samples: [bytes('a\rb\nc'), bytes('\n'), bytes('x'.repeat(MAX)), bytes('\n\n')],
    malformed: {
      'a line one byte too long': bytes('x'.repeat(MAX + 1)),
      'a line too long that has CRs': bytes('\rx'.repeat(MAX)),
    },
    accepted: {
      'a CR before the delimiter': { bytes: bytes('a\r\r\n'), messages: [bytes('a\r')] },
    },
    copy: (payload) => payload.slice(),
  },
  { test, ok: assert.ok },
)

test('DelimitedDecoder waits at the limit for a delimiter that has begun', () => {
  const decoder = new DelimitedDecoder({ delimiter: CRLF, maxFrameBytes: 3 })
  decoder.push(bytes('abc\r'))
  assert.equal(decoder.next(), undefined)
  decoder.push(bytes('\n'))
  assert.equal(text(decoder.next()!), 'abc')
})

test('DelimitedDecoder finds a delimiter that overlaps its own beginning', () => {
  const decoder = new DelimitedDecoder({ delimiter: bytes('aab') })
  for (const byte of bytes('aaab')) decoder.push(Uint8Array.of(byte))
  assert.equal(text(decoder.next()!), 'a')
})

test('encodeDelimited refuses a payload that holds the delimiter', () => {
  const out = new ByteWriter()
  assert.throws(() => encodeDelimited(bytes('a\nb'), out), { code: 'ERR_ARGUMENT' })
  assert.equal(out.pending, 0)
})

test('DelimitedDecoder refuses an empty delimiter and a limit out of range', () => {
  assert.throws(() => new DelimitedDecoder({ delimiter: new Uint8Array(0) }), {
    code: 'ERR_ARGUMENT',
  })
  assert.throws(() => new DelimitedDecoder({ maxFrameBytes: -1 }), { code: 'ERR_OPTION_RANGE' })
  new DelimitedDecoder({ maxFrameBytes: 0 })
})

decoderConformance(
  'lines that end with LF or CRLF',
  {
    create: () => new DelimitedDecoder({ optionalCr: true, maxFrameBytes: MAX }),
    encode: (payload, out) => encodeDelimited(payload, out, CRLF),
    samples: [bytes('a line'), bytes(''), bytes('x'.repeat(MAX)), bytes('a\rb')],
    malformed: {
      'a line one byte too long': bytes(`${'x'.repeat(MAX + 1)}\n`),
      'a line one byte too long, with CRLF': bytes(`${'x'.repeat(MAX + 1)}\r\n`),
      'a line that never ends': bytes('x'.repeat(MAX + 2)),
    },
    accepted: {
      'a line that ends with LF': {
        bytes: bytes(`a\n\n${'x'.repeat(MAX)}\n`),
        messages: [bytes('a'), bytes(''), bytes('x'.repeat(MAX))],
      },
    },
    copy: (payload) => payload.slice(),
  },
  { test, ok: assert.ok },
)

test('encodeDelimited refuses a payload that makes a delimiter with the one behind it', () => {
  const out = new ByteWriter()
  assert.throws(() => encodeDelimited(bytes('xa'), out, bytes('aa')), { code: 'ERR_ARGUMENT' })
  assert.throws(() => encodeDelimited(bytes('xab'), out, bytes('abab')), { code: 'ERR_ARGUMENT' })
  assert.equal(out.pending, 0)
  encodeDelimited(bytes('xa'), out, bytes('ab'))
  encodeDelimited(bytes('x\r'), out, CRLF)
  assert.equal(text(out.take()), 'xaabx\r\r\n')
})
