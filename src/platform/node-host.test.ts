import assert from 'node:assert/strict'
import { test } from 'node:test'
import { portableText } from '../core/portable-text.ts'
import { SeededRandom } from '../testing/seeded-random.ts'
import { nodeHost, nodeText } from './node-host.ts'

const TEXTS = [
  '',
  'ascii',
  'é ÿ',
  '€ 漢字',
  '😀 a 👩‍👩‍👧',
  '\ufeffBOM in front',
  'zero \0 inside',
  'x'.repeat(10_000),
  '漢'.repeat(5_000),
]
/** Lone halves of surrogate pairs become U+FFFD on the wire. */
const BROKEN_TEXTS = ['\ud83d', 'a\ude00b', '\ud83d\ud83d\ude00', 'end \ud83d']

test('portable and Node text write the same UTF-8 and measure the same length', () => {
  for (const text of [...TEXTS, ...BROKEN_TEXTS]) {
    const expected = Buffer.from(text, 'utf8')
    for (const codec of [portableText, nodeText]) {
      const into = new Uint8Array(expected.length + 3)
      assert.equal(codec.utf8Length(text), expected.length)
      assert.equal(codec.writeUtf8(text, into, 2), expected.length)
      assert.deepEqual(Buffer.from(into.subarray(2, 2 + expected.length)), expected)
      assert.equal(into[0]! + into[1]! + into.at(-1)!, 0, 'wrote outside')
    }
  }
})

test('portable and Node text read the same UTF-8, broken sequences included', () => {
  const inputs: Uint8Array[] = TEXTS.map((text) => new TextEncoder().encode(text))
  for (let seed = 1; seed <= 300; seed++) {
    const random = new SeededRandom(seed)
    // Bytes that begin and continue sequences, more often than chance would have them.
    const bytes = random.bytes(random.integer(1, 12))
    for (let at = 0; at < bytes.length; at++) {
      if (random.chance(0.7))
        bytes[at] = random.pick([0x80, 0xbf, 0xc3, 0xe2, 0xf0, 0xed, 0xf4, 0x41])
    }
    inputs.push(bytes)
  }
  for (const bytes of inputs) {
    const padded = Buffer.from([0x3c, ...bytes, 0x3e])
    const portable = portableText.utf8(padded, 1, padded.length - 1)
    assert.equal(nodeText.utf8(padded, 1, padded.length - 1), portable, padded.toString('hex'))
  }
})

test('portable and Node text read and write the same Latin-1', () => {
  const every = Uint8Array.from({ length: 256 }, (_, byte) => byte)
  const long = new SeededRandom(3).bytes(20_000)
  for (const bytes of [every, long, new Uint8Array(0)]) {
    const text = portableText.latin1(bytes, 0, bytes.length)
    assert.equal(nodeText.latin1(bytes, 0, bytes.length), text)
    assert.equal(text.length, bytes.length)
    for (const codec of [portableText, nodeText]) {
      const into = new Uint8Array(bytes.length + 1)
      assert.equal(codec.writeLatin1(text, into, 1), bytes.length)
      assert.deepEqual(Buffer.from(into.subarray(1)), Buffer.from(bytes))
    }
  }
})

test('portable and Node text find the same needles from every offset', () => {
  const random = new SeededRandom(4)
  for (let round = 0; round < 200; round++) {
    // Few letters, so that partial matches are common.
    const bytes = Uint8Array.from({ length: 40 }, () => random.integer(0, 2))
    const needle = Uint8Array.from({ length: random.integer(1, 4) }, () => random.integer(0, 2))
    for (let from = 0; from <= bytes.length; from++) {
      const expected = portableText.indexOf(bytes, needle, from)
      assert.equal(nodeText.indexOf(bytes, needle, from), expected, `round ${round} from ${from}`)
    }
  }
})

test('nodeHost digests the empty and a known text', () => {
  const hex = (name: string, text: string): string => {
    const digest = nodeHost.digests[name]!()
    digest.update(new TextEncoder().encode(text))
    return Buffer.from(digest.digest()).toString('hex')
  }
  assert.equal(hex('sha1', 'abc'), 'a9993e364706816aba3e25717850c26c9cd0d89d')
  assert.equal(hex('md5', ''), 'd41d8cd98f00b204e9800998ecf8427e')
  assert.equal(
    hex('sha256', 'abc'),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  )
  assert.equal(hex('sha512', '').slice(0, 16), 'cf83e1357eefb8bd')
})

test('nodeHost.randomBytes fills the whole view and nothing beside it', () => {
  const memory = new Uint8Array(66)
  nodeHost.randomBytes(memory.subarray(1, 65))
  assert.equal(memory[0]! + memory[65]!, 0)
  assert.ok(new Set(memory).size > 16)
})
