import assert from 'node:assert/strict'
import test from 'node:test'
import { LatencyWindow } from './latency-window.ts'

test('LatencyWindow forgets what is older than its slots', () => {
  const window = new LatencyWindow({ slotMs: 1_000, slots: 3 })
  window.record(10, 500)
  window.record(20, 1_500)
  assert.equal(window.summary(1_900).count, 2)
  // Slot 0 is the third before slot 3: still inside.
  assert.equal(window.summary(3_999).count, 2)
  assert.equal(window.summary(4_000).count, 1)
  assert.equal(window.summary(5_000).count, 0)
})

test('LatencyWindow views fewer slots on request', () => {
  const window = new LatencyWindow({ slotMs: 1_000, slots: 5 })
  for (let second = 0; second < 5; second++) window.record(second + 1, second * 1_000)
  assert.equal(window.summary(4_500, 1_000).count, 2)
  assert.equal(window.summary(4_500, 1_000).maxMs, 5)
  assert.equal(window.summary(4_500).count, 5)
})

test('LatencyWindow lastSlot is the newest finished one', () => {
  const window = new LatencyWindow({ slotMs: 1_000, slots: 2 })
  window.record(7, 100)
  window.record(9, 1_100)
  assert.equal(window.lastSlot(1_200).maxMs, 7)
  assert.equal(window.lastSlot(2_200).maxMs, 9)
  assert.equal(window.lastSlot(9_200).count, 0)
})

test('LatencyWindow reuses its slots', () => {
  const window = new LatencyWindow({ slotMs: 1_000, slots: 2 })
  for (let second = 0; second < 100; second++) window.record(1, second * 1_000)
  assert.equal(window.summary(99_500).count, 3)
  window.record(1, 99_600)
  assert.equal(window.summary(99_700).count, 4)
})

test('LatencyWindow refuses options out of range', () => {
  assert.throws(() => new LatencyWindow({ slots: 0 }), /slots is 0/)
  assert.throws(() => new LatencyWindow({ slotMs: 0 }), /slotMs is 0/)
})
