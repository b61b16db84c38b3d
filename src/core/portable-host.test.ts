import assert from 'node:assert/strict'
import { test } from 'node:test'
import { portableHost } from './portable-host.ts'
import { portableText } from './portable-text.ts'

test('portableHost has what it was given and nothing else', () => {
  const host = portableHost({ random: () => 0.25, randomBytes: (into) => void into.fill(7) })
  assert.equal(host.text, portableText)
  assert.equal(host.random(), 0.25)
  const bytes = new Uint8Array(3)
  host.randomBytes(bytes)
  assert.deepEqual([...bytes], [7, 7, 7])
  assert.deepEqual(Object.keys(host.digests), [])
  assert.deepEqual(Object.keys(host.compression), [])
  assert.ok(Object.isFrozen(host))
})

test('portableHost refuses randomBytes without a strong source', () => {
  const host = portableHost({ random: Math.random })
  assert.throws(() => host.randomBytes(new Uint8Array(1)), { code: 'ERR_OPTION_UNSUPPORTED' })
})

test('portableHost passes digests and compression on', () => {
  const digests = { sha1: () => assert.fail('not called') }
  assert.equal(portableHost({ random: Math.random, digests }).digests, digests)
})
