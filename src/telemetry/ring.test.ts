import assert from 'node:assert/strict'
import test from 'node:test'
import { Ring } from './ring.ts'

test('Ring keeps the last items, newest first', () => {
  const ring = new Ring<number>(3)
  assert.deepEqual(ring.latest(), [])
  ring.push(1)
  ring.push(2)
  assert.deepEqual(ring.latest(), [2, 1])
  ring.push(3)
  assert.deepEqual(ring.latest(), [3, 2, 1])
  ring.push(4)
  assert.deepEqual(ring.latest(), [4, 3, 2])
  assert.deepEqual(ring.latest(1), [4])
  assert.equal(ring.size, 3)
  assert.equal(ring.total, 4)
})

test('Ring clear lets go of everything', () => {
  const ring = new Ring<string>(2)
  ring.push('a')
  ring.clear()
  assert.deepEqual(ring.latest(), [])
  assert.equal(ring.size, 0)
})

test('Ring refuses a capacity of 0', () => {
  assert.throws(() => new Ring(0), /capacity is 0/)
})
