import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { MemoryRateLimitStore } from './memory-rate-limit-store.ts'
import { SharedRateLimitStore } from './shared-rate-limit-store.ts'

test('SharedRateLimitStore decides as the store of one process does', () => {
  const calls = fc.array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.constantFrom('a', 'b')))
  fc.assert(
    fc.property(calls, fc.integer({ min: 1, max: 10 }), (list, limit) => {
      const quota = { limit, windowMs: 1_000 }
      const shared = new SharedRateLimitStore(quota)
      const own = new MemoryRateLimitStore(quota)
      let now = 1_000
      for (const [after, key] of list) {
        now += after
        const expected = own.take(key, 1, now)
        const decision = shared.take(key, 1, now)
        assert.equal(decision.allowed, expected.allowed)
        assert.ok(Math.abs(decision.retryAfterMs - expected.retryAfterMs) < 0.1)
        assert.equal(decision.remaining, expected.remaining)
      }
    }),
    { seed: 3, numRuns: 40 },
  )
})

test('SharedRateLimitStore never lets more through, however many keys share its cells', () => {
  const store = new SharedRateLimitStore({ limit: 5, windowMs: 60_000, cellsPerRow: 16 })
  for (let key = 0; key < 500; key++) {
    let allowed = 0
    for (let call = 0; call < 8; call++) if (store.take(`key ${key}`, 1, 0).allowed) allowed++
    assert.ok(allowed <= 5)
  }
})

test('SharedRateLimitStore refuses hardly any key because of others', () => {
  const store = new SharedRateLimitStore({ limit: 1, windowMs: 60_000 })
  let refused = 0
  for (let key = 0; key < 5_000; key++) {
    if (!store.take(`key ${key}`, 1, 0).allowed) refused++
  }
  assert.ok(refused <= 2, `${refused} of 5000`)
})

test('SharedRateLimitStore is one limit for several threads at once', async () => {
  const limit = 5_000
  const options = { limit, windowMs: 3_600_000, burst: limit }
  const store = new SharedRateLimitStore(options)
  const module = new URL('./shared-rate-limit-store.ts', import.meta.url).href
  const code = `
    import { parentPort, workerData } from 'node:worker_threads'
    import { SharedRateLimitStore } from '${module}'
    const store = new SharedRateLimitStore(workerData)
    let allowed = 0
    for (let call = 0; call < 4_000; call++) if (store.take('all', 1, 0).allowed) allowed++
    parentPort.postMessage(allowed)
  `
  const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`)
  const workers = [1, 2].map(
    () => new Worker(url, { workerData: { ...options, memory: store.memory } }),
  )
  const counts = await Promise.all(
    workers.map(async (worker) => (await once(worker, 'message'))[0]),
  )
  await Promise.all(workers.map((worker) => worker.terminate()))
  assert.equal(counts[0] + counts[1], limit)
})

test('SharedRateLimitStore refuses memory of other options', () => {
  const quota = { limit: 1, windowMs: 1_000 }
  const { memory } = new SharedRateLimitStore({ ...quota, cellsPerRow: 64 })
  assert.throws(() => new SharedRateLimitStore({ ...quota, memory }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => new SharedRateLimitStore({ ...quota, cellsPerRow: 100 }), {
    code: 'ERR_OPTION_RANGE',
  })
})
