import assert from 'node:assert/strict'
import { test } from 'node:test'
import { editDistance, nearest } from './suggestion.ts'

test('editDistance counts insertions, deletions, changes and adjacent swaps', () => {
  assert.equal(editDistance('', 'abc'), 3)
  assert.equal(editDistance('abc', 'abc'), 0)
  assert.equal(editDistance('kitten', 'sitting'), 3)
  assert.equal(editDistance('adress', 'address'), 1)
  assert.equal(editDistance('clutser', 'cluster'), 1)
})

test('nearest finds what was meant and stays silent when nothing is near', () => {
  const keys = ['address', 'connect_timeout', 'name', 'routes']
  assert.equal(nearest('adress', keys), 'address')
  assert.equal(nearest('connectTimeout', keys), 'connect_timeout')
  assert.equal(nearest('conect-timeout', keys), 'connect_timeout')
  assert.equal(nearest('banana', keys), undefined)
  assert.equal(nearest('x'.repeat(1_000_000), keys), undefined)
})
