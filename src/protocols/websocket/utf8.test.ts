import assert from 'node:assert/strict'
import { isUtf8 as isUtf8Native } from 'node:buffer'
import { test } from 'node:test'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { isUtf8, wholeCodePoints } from './utf8.ts'

const VALID = ['', 'ascii', 'é', '€', '😀', '\u07ff\u0800\uffff', '\u{10000}\u{10ffff}', 'a😀b']
const INVALID = [
  '80', // a continuation of nothing
  'c0af', // overlong
  'c1bf',
  'e09fbf',
  'f08fbfbf',
  'eda080', // a surrogate
  'f4908080', // above U+10FFFF
  'f5808080',
  'ff',
  'c3', // cut
  'e282',
  'f09f98',
  'c328', // not a continuation
  'e28228',
  'f09f2880',
]

test('isUtf8 accepts what is UTF-8 and refuses what is not, as Node does', () => {
  for (const text of VALID) {
    const bytes = new TextEncoder().encode(text)
    assert.ok(isUtf8(bytes, 0, bytes.length), text)
  }
  for (const hex of INVALID) {
    const bytes = Buffer.from(hex, 'hex')
    assert.equal(isUtf8(bytes, 0, bytes.length), false, hex)
    assert.equal(isUtf8Native(bytes), false, hex)
  }
})

test('isUtf8 agrees with Node on 5,000 seeded inputs', () => {
  const random = new SeededRandom(8)
  const pieces = [
    ...VALID.map((text) => Buffer.from(text)),
    ...INVALID.map((hex) => Buffer.from(hex, 'hex')),
  ]
  for (let round = 0; round < 5_000; round++) {
    const bytes = Buffer.concat([
      random.pick(pieces),
      random.pick(pieces),
      random.bytes(random.integer(0, 2)),
    ])
    assert.equal(isUtf8(bytes, 0, bytes.length), isUtf8Native(bytes), bytes.toString('hex'))
  }
})

test('wholeCodePoints leaves behind only what a code point has begun with', () => {
  const bytes = new TextEncoder().encode('a€😀')
  const whole = Array.from({ length: bytes.length + 1 }, (_, end) => wholeCodePoints(bytes, 0, end))
  assert.deepEqual(whole, [0, 1, 1, 1, 4, 4, 4, 4, 8])
})
