import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decoderConformance } from '../../testing/decoder-conformance.ts'
import { JsonLinesDecoder } from './json-lines.ts'

const MAX = 64
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

decoderConformance<unknown>(
  'json lines',
  {
    create: () => new JsonLinesDecoder({ maxLineBytes: MAX }),
    encode: (value, out) => out.copy(bytes(`${JSON.stringify(value)}\n`)),
    samples: [{ type: 'ADDED', object: { name: 'é' } }, [], 'x'.repeat(MAX - 2), 0, null],
    malformed: {
      'a line one byte too long': bytes(`"${'x'.repeat(MAX - 1)}"\n`),
      'a line that is not JSON': bytes('{"a":\n'),
      'two documents in a line': bytes('{}{}\n'),
      'bytes that are not UTF-8': Uint8Array.of(0x22, 0xff, 0x22, 0x0a),
    },
    accepted: {
      'blank lines and CRLF': { bytes: bytes('\n \t\r\n{"a":1}\r\n\n'), messages: [{ a: 1 }] },
    },
  },
  { test, ok: assert.ok },
)

test('JsonLinesDecoder does not take a cut line for a document, even when it parses', () => {
  const decoder = new JsonLinesDecoder()
  decoder.push(bytes('{"a":1}\n12'))
  assert.deepEqual(decoder.next(), { a: 1 })
  assert.equal(decoder.next(), undefined)
  assert.throws(() => decoder.end(), { code: 'ERR_TRUNCATED' })
})

test('JsonLinesDecoder does not quote what it could not parse', () => {
  const decoder = new JsonLinesDecoder()
  decoder.push(bytes('{"token":"s3cret"\n'))
  assert.throws(
    () => decoder.next(),
    (error: Error) => error.cause === undefined && !error.message.includes('s3cret'),
  )
})
