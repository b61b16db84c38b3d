import assert from 'node:assert/strict'
import { test } from 'node:test'
import { median, medianRatio, rotate, spread } from './statistics.ts'

test('median takes the middle, or the mean of both middles, and leaves its input alone', () => {
  const values = [9, 1, 5]
  assert.equal(median(values), 5)
  assert.deepEqual(values, [9, 1, 5])
  assert.equal(median([4, 1, 3, 2]), 2.5)
  assert.ok(Number.isNaN(median([])))
})

test('spread gives median, least and most', () => {
  assert.deepEqual(spread([3, 1, 2]), { median: 2, min: 1, max: 3 })
})

test('medianRatio divides within rounds, so that a slow round does not count twice', () => {
  // Twice as fast in every round, although the second round was ten times slower for both.
  assert.equal(medianRatio([200, 20, 220], [100, 10, 110]), 2)
})

test('medianRatio of nothing is not a number', () => {
  assert.ok(Number.isNaN(medianRatio([1, 2], [])))
})

test('rotate starts one further in each round', () => {
  const items = ['a', 'b', 'c']
  assert.deepEqual(
    [0, 1, 2, 3].map((by) => rotate(items, by).join('')),
    ['abc', 'bca', 'cab', 'abc'],
  )
  assert.deepEqual(rotate([], 2), [])
})
