import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DemandWindow } from './demand-window.ts'

test('DemandWindow gives the peak of a window when it ends, and begins the next with what is busy', () => {
  const window = new DemandWindow()
  window.saw(3)
  assert.equal(window.end(1_000, 100, 0), undefined) // none has begun
  window.begin(0, 100)
  window.begin(50, 100) // one is under way
  window.saw(7)
  window.saw(2)
  assert.equal(window.end(99, 100, 2), undefined)
  assert.equal(window.end(100, 100, 2), 7)
  assert.equal(window.end(199, 100, 2), undefined)
  assert.equal(window.end(200, 100, 0), 2)
})

test('DemandWindow never gives less than was busy at any moment of the window', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1 }), (seen) => {
      const window = new DemandWindow()
      window.begin(0, 10)
      for (const busy of seen) window.saw(busy)
      return window.end(10, 10, 0) === Math.max(...seen)
    }),
  )
})
