import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  copyForNow,
  giveCopyBack,
  giveRegionBack,
  isCopyForNow,
  REGION_BYTES,
  takeRegion,
} from './region-pool.ts'

test('takeRegion gives regions out once, and again when they came back', () => {
  for (const size of [REGION_BYTES, REGION_BYTES + 1, 65_536]) {
    const one = takeRegion(size)
    const two = takeRegion(size)
    assert.ok(one.length >= size)
    assert.notEqual(one, two)
    giveRegionBack(one)
    assert.equal(takeRegion(size), one)
    giveRegionBack(one)
    giveRegionBack(two)
  }
})

test('takeRegion gives new memory of the size asked for outside of its two sizes', () => {
  for (const size of [1, REGION_BYTES - 1, 65_536 + 257]) {
    const region = takeRegion(size)
    assert.equal(region.length, size)
    giveRegionBack(region)
    assert.notEqual(takeRegion(size), region)
  }
})

test('giveRegionBack keeps no more than its limits', () => {
  for (const [size, limit] of [
    [REGION_BYTES, 64],
    [65_536, 32],
  ] as const) {
    // Whatever is there already is taken first.
    const taken = Array.from({ length: limit + 1 }, () => takeRegion(size))
    for (const region of taken) giveRegionBack(region)
    const again = new Set(Array.from({ length: limit + 1 }, () => takeRegion(size)))
    assert.equal(taken.filter((region) => again.has(region)).length, limit)
  }
})

test('copyForNow copies, and a large copy is memory that comes back', () => {
  const small = Uint8Array.of(1, 2, 3)
  const copy = copyForNow(small)
  small[0] = 9
  assert.deepEqual([...copy], [1, 2, 3])
  assert.equal(isCopyForNow(copy), false)
  const large = new Uint8Array(40_000).fill(7)
  const first = copyForNow(large)
  assert.ok(isCopyForNow(first))
  assert.deepEqual(first, large)
  giveCopyBack(first)
  assert.equal(copyForNow(large).buffer, first.buffer)
})
