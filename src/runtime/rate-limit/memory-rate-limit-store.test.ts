import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MemoryRateLimitStore } from './memory-rate-limit-store.ts'
import type { RateLimitAlgorithm } from './rate-limit-store.ts'

const ALGORITHMS: readonly RateLimitAlgorithm[] = ['token-bucket', 'sliding-window']

for (const algorithm of ALGORITHMS) {
  test(`MemoryRateLimitStore ${algorithm} allows the limit and refuses one more`, () => {
    for (const limit of [1, 2, 10, 1_000]) {
      const store = new MemoryRateLimitStore({ limit, windowMs: 1_000, algorithm })
      for (let call = 1; call <= limit; call++) {
        const decision = store.take('a', 1, 5_000)
        assert.equal(decision.allowed, true, `call ${call} of ${limit}`)
        assert.equal(decision.remaining, limit - call)
      }
      const refused = store.take('a', 1, 5_000)
      assert.equal(refused.allowed, false)
      assert.equal(refused.remaining, 0)
      assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= 1_100)
      // Another key has its own share.
      assert.equal(store.take('b', 1, 5_000).allowed, true)
      // As early as was said, and not a moment before.
      assert.equal(store.take('a', 1, 5_000 + refused.retryAfterMs - 0.5).allowed, false)
      assert.equal(store.take('a', 1, 5_000 + refused.retryAfterMs + 1e-3).allowed, true)
    }
  })

  test(`MemoryRateLimitStore ${algorithm} gives back what was not used`, () => {
    const store = new MemoryRateLimitStore({ limit: 3, windowMs: 1_000, algorithm })
    store.take('a', 3, 0)
    assert.equal(store.take('a', 1, 1).allowed, false)
    store.giveBack('a', 2, 1)
    assert.equal(store.take('a', 2, 2).allowed, true)
    assert.equal(store.take('a', 1, 2).allowed, false)
    // Never more than there ever was.
    store.giveBack('a', 99, 3)
    assert.equal(store.take('a', 3, 3).allowed, true)
    assert.equal(store.take('a', 1, 3).allowed, false)
  })

  test(`MemoryRateLimitStore ${algorithm} says that a call over the quota is never allowed`, () => {
    const store = new MemoryRateLimitStore({ limit: 3, windowMs: 1_000, algorithm })
    const { allowed, retryAfterMs } = store.take('a', 4, 0)
    assert.deepEqual([allowed, retryAfterMs], [false, Number.POSITIVE_INFINITY])
    assert.equal(store.take('a', 3, 0).allowed, true)
  })

  test(`MemoryRateLimitStore ${algorithm}: keys that an attacker rotates push nobody out`, () => {
    const maxKeys = 200
    const store = new MemoryRateLimitStore({ limit: 10, windowMs: 60_000, algorithm, maxKeys })
    for (let call = 0; call < 10; call++) store.take('at its limit', 1, 0)
    for (let call = 0; call < 4; call++) store.take('well-behaved', 1, 0)
    for (let call = 0; call < 20_000; call++) {
      // Each of them is new, and each is allowed: a stranger is never refused for others.
      assert.equal(store.take(`attacker ${call}`, 1, 1 + call / 1_000).allowed, true)
    }
    assert.equal(store.size, maxKeys)
    assert.equal(store.take('at its limit', 1, 25).allowed, false)
    assert.equal(store.take('well-behaved', 1, 25).remaining, 5)
  })

  test(`MemoryRateLimitStore ${algorithm} holds maxKeys keys exactly, and forgets those that rested`, () => {
    const store = new MemoryRateLimitStore({ limit: 2, windowMs: 1_000, algorithm, maxKeys: 50 })
    for (let key = 0; key < 50; key++) store.take(`${key}`, 2, 0)
    assert.equal(store.size, 50)
    for (let key = 0; key < 50; key++) assert.equal(store.take(`${key}`, 1, 1).allowed, false)
    store.take('one more', 1, 2)
    assert.equal(store.size, 50)
    // Everybody has rested by now: a few new keys let all others go.
    for (let key = 0; key < 40; key++) store.take(`new ${key}`, 1, 5_000)
    assert.ok(store.size <= 41, String(store.size))
  })
}

test('MemoryRateLimitStore keeps a bounded part of a long key', () => {
  const store = new MemoryRateLimitStore({ limit: 1, windowMs: 1_000 })
  const long = 'x'.repeat(10_000)
  assert.equal(store.take(`${long}a`, 1, 0).allowed, true)
  assert.equal(store.take(`${long}b`, 1, 0).allowed, true)
  assert.equal(store.take(`${long}a`, 1, 0).allowed, false)
  store.giveBack(`${long}a`, 1, 0)
  assert.equal(store.take(`${long}a`, 1, 0).allowed, true)
})

test('MemoryRateLimitStore takes a burst smaller than the limit', () => {
  const store = new MemoryRateLimitStore({ limit: 10, windowMs: 1_000, burst: 2 })
  const allowed = [0, 0, 0, 100, 150, 200].map((now) => store.take('a', 1, now).allowed)
  assert.deepEqual(allowed, [true, true, false, true, false, true])
})

test('MemoryRateLimitStore refuses options out of range', () => {
  for (const options of [
    { limit: 0, windowMs: 1_000 },
    { limit: 1, windowMs: 0 },
    { limit: 1, windowMs: 1_000, burst: 0 },
    { limit: 0.5, windowMs: 1_000, algorithm: 'sliding-window' as const },
    { limit: 1, windowMs: 1_000, maxKeys: 0 },
    { limit: Number.NaN, windowMs: 1_000 },
  ]) {
    assert.throws(() => new MemoryRateLimitStore(options), { code: 'ERR_OPTION_RANGE' })
  }
})

/** Calls with the time since the one before. */
const calls = fc.array(
  fc.record({ after: fc.integer({ min: 0, max: 400 }), cost: fc.integer({ min: 1, max: 3 }) }),
  { maxLength: 120 },
)

test('token-bucket decides as a bucket with a counter does', () => {
  fc.assert(
    fc.property(
      calls,
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 8 }),
      (list, limit, burst) => {
        const store = new MemoryRateLimitStore({ limit, windowMs: 1_000, burst })
        let tokens = burst
        let now = 0
        for (const { after, cost } of list) {
          now += after
          tokens = Math.min(burst, tokens + (after * limit) / 1_000)
          const allowed = tokens + 1e-6 >= cost
          if (allowed) tokens -= cost
          assert.equal(store.take('k', cost, now).allowed, allowed)
        }
      },
    ),
    { seed: 1, numRuns: 300 },
  )
})

test('sliding-window lets no window of its length see more than the limit', () => {
  fc.assert(
    fc.property(calls, fc.integer({ min: 1, max: 12 }), (list, limit) => {
      const windowMs = 1_000
      const store = new MemoryRateLimitStore({ limit, windowMs, algorithm: 'sliding-window' })
      const taken: { at: number; cost: number }[] = []
      let now = 0
      for (const { after, cost } of list) {
        now += after
        const { allowed, retryAfterMs } = store.take('k', cost, now)
        const within = taken.filter(({ at }) => at > now - windowMs)
        const used = within.reduce((sum, one) => sum + one.cost, 0)
        if (allowed) {
          assert.ok(used + cost <= limit)
          taken.push({ at: now, cost })
        } else if (cost <= limit) {
          // Nor is anybody refused for calls that are a tenth of a window past it.
          const late = taken.filter(({ at }) => at > now - windowMs * 1.1)
          assert.ok(late.reduce((sum, one) => sum + one.cost, 0) + cost > limit)
          assert.ok(retryAfterMs <= windowMs * 1.1)
        }
      }
    }),
    { seed: 2, numRuns: 300 },
  )
})
