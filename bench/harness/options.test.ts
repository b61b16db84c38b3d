import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions } from './options.ts'

test('parseOptions writes RESULTS.md only for a complete run with default settings', () => {
  assert.equal(parseOptions([]).write, true)
  for (const shorter of [['server'], ['--rounds', '2'], ['--seconds', '1'], ['--peers', 'node']]) {
    assert.equal(parseOptions(shorter).write, false, shorter.join(' '))
    assert.equal(parseOptions([...shorter, '--write']).write, true, shorter.join(' '))
  }
  assert.equal(parseOptions(['--no-write']).write, false)
  assert.equal(parseOptions(['--smoke', '--write']).write, false)
})

test('parseOptions refuses what it does not know', () => {
  assert.throws(() => parseOptions(['--rounds', '0']), /--rounds 0/)
  assert.throws(() => parseOptions(['--seconds', '1.5']), /--seconds 1.5/)
  assert.throws(() => parseOptions(['--peers', 'some']), /present, all, node/)
  assert.throws(() => parseOptions(['--load', 'ab']), /wrk or own/)
  assert.throws(() => parseOptions(['--fast']), /--fast/)
})
