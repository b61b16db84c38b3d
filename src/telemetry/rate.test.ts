import assert from 'node:assert/strict'
import test from 'node:test'
import { SlidingRate } from './rate.ts'

test('SlidingRate counts whole seconds only', () => {
  const rate = new SlidingRate()
  assert.equal(rate.perSecond(0), 0)
  for (let index = 0; index < 10; index++) rate.add(5_000 + index)
  assert.equal(rate.perSecond(5_999), 0)
  assert.equal(rate.perSecond(6_000), 10)
  assert.equal(rate.perSecond(7_000), 0)
})

test('SlidingRate is a mean over the seconds since the first event at most', () => {
  const rate = new SlidingRate()
  rate.add(1_000, 30)
  rate.add(2_500, 10)
  assert.equal(rate.perSecond(3_000, 60), 20)
  assert.equal(rate.perSecond(5_000, 60), 10)
  assert.equal(rate.perSecond(5_000, 2), 0)
})

test('SlidingRate countIn tells one second', () => {
  const rate = new SlidingRate({ seconds: 2 })
  rate.add(1_200, 3)
  rate.add(2_100)
  assert.equal(rate.countIn(1_999), 3)
  assert.equal(rate.countIn(2_000), 1)
  assert.equal(rate.countIn(3_000), 0)
  rate.add(4_000)
  assert.equal(rate.countIn(1_000), 0)
})

test('SlidingRate reuses its seconds', () => {
  const rate = new SlidingRate({ seconds: 3 })
  for (let second = 0; second < 50; second++) rate.add(second * 1_000, second)
  assert.equal(rate.perSecond(50_000, 3), (49 + 48 + 47) / 3)
  assert.throws(() => rate.perSecond(50_000, 4), /seconds is 4/)
})

test('SlidingRate refuses options out of range', () => {
  assert.throws(() => new SlidingRate({ seconds: 0 }), /seconds is 0/)
  assert.throws(() => new SlidingRate({ seconds: 86_401 }), /seconds is 86401/)
})
