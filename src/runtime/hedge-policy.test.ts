import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HedgeOptions, HedgePolicy } from './hedge-policy.ts'

test('HedgePolicy waits for the quantile of the operation, once it is known', () => {
  const policy = new HedgePolicy()
  for (let count = 1; count <= 100; count++) policy.observe('GET', 0, count)
  const delay = policy.delay('GET', 0) as number
  assert.ok(Math.abs(delay - 95) < 5, `${delay}`)
  assert.equal(policy.delay('PUT', 0), undefined)
  for (let count = 0; count < 19; count++) policy.observe('PUT', 0, 500)
  assert.equal(policy.delay('PUT', 0), undefined) // one more is needed
  policy.observe('PUT', 0, 500)
  assert.ok((policy.delay('PUT', 0) as number) > 470)
})

test('HedgePolicy is never sooner than minDelayMs, and always at delayMs', () => {
  const fast = new HedgePolicy({ minDelayMs: 20 })
  for (let count = 0; count < 50; count++) fast.observe('GET', 0, 1)
  assert.equal(fast.delay('GET', 0), 20)
  const fixed = new HedgePolicy({ delayMs: 3, minDelayMs: 20 })
  fixed.observe('GET', 0, 1_000)
  assert.equal(fixed.delay('GET', 0), 3)
})

test('HedgePolicy tells a bounded number of operations apart', () => {
  const policy = new HedgePolicy({ minSamples: 1 })
  for (let count = 0; count < 64; count++) policy.observe(`op ${count}`, 0, 100)
  assert.ok((policy.delay('op 63', 0) as number) > 90)
  assert.equal(policy.delay('op 64', 0), undefined)
  policy.observe('op 64', 0, 1_000)
  assert.ok((policy.delay('op 1000', 0) as number) > 900) // one for all that are over it
})

test('HedgePolicy refuses options out of range', () => {
  const wrong: HedgeOptions[] = [
    { delayMs: -1 },
    { quantile: 0 },
    { quantile: 1 },
    { minDelayMs: -1 },
    { maxHedges: 0 },
    { maxHedges: 11 },
    { windowMs: 1 },
    { minSamples: 0 },
  ]
  for (const options of wrong) {
    assert.throws(() => new HedgePolicy(options), { code: 'ERR_OPTION_RANGE' })
  }
})
