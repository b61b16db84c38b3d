/**
 * Pain 21, leaks of AbortSignal listeners (nodejs/node #54614, #48951, #55328, #62367): a signal that
 * lives as long as the process is given to every call.
 *
 * Invariant: a call has at most one listener on its caller's signal, and none once it is over,
 * however it ended; and calls without a signal make no controller.
 */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { ip } from '../../src/core/address.ts'
import { Call } from '../../src/core/context.ts'
import { createClient } from '../../src/runtime/client.ts'
import type { PoolLimits } from '../../src/runtime/pool-options.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { ScriptedExchanger, scriptedClassifier } from '../runtime/scripted-exchanger.ts'

function setup(pool: PoolLimits) {
  const clock = new ManualClock()
  const random = new SeededRandom(21)
  const exchangers: ScriptedExchanger[] = []
  const client = createClient<string, string>({
    endpoints: [{ address: ip('10.0.0.1', 80) }, { address: ip('10.0.0.2', 80) }],
    connectEndpoint: async () => {
      if (random.chance(0.1)) throw new Error('refused')
      const exchanger = new ScriptedExchanger()
      exchangers.push(exchanger)
      return exchanger
    },
    classifier: scriptedClassifier,
    clock,
    random: () => random.next(),
    breaker: false,
    timeoutMs: 500,
    attemptTimeoutMs: 200,
    retry: { maxAttempts: 2, baseMs: 5 },
    pool,
  })
  return { client, clock, random, exchangers }
}

test('pain 21: three thousand calls leave no listener on a signal that outlives them', async () => {
  const { client, clock, random, exchangers } = setup({ max: 3, maxWaiting: 5 })
  const { signal } = new AbortController()
  const outcomes = { replies: 0, failures: 0 }
  let running = 0
  let most = 0
  for (let count = 0; count < 3_000; count++) {
    const call = new Call({ signal })
    running++
    Promise.resolve()
      .then(() => client.call('get', call))
      .then(
        () => void outcomes.replies++,
        () => void outcomes.failures++,
      )
      .finally(() => {
        running--
        call.finish()
      })
    if (random.chance(0.1)) queueMicrotask(() => call.cancel(new Error('given up')))
    if (count % 4 === 0) {
      await clock.advanceAsync(random.integer(0, 20))
      const listeners = getEventListeners(signal, 'abort').length
      assert.ok(listeners <= running, `${listeners} listeners for ${running} calls`)
      most = Math.max(most, listeners)
      for (const exchanger of exchangers) {
        const [first] = exchanger.calls
        if (random.chance(0.7)) first?.reply(random.chance(0.1) ? 'fail' : 'ok')
        else if (random.chance(0.1)) exchanger.disconnect(new Error('reset'))
      }
    }
  }
  await clock.advanceAsync(5_000)
  assert.equal(outcomes.replies + outcomes.failures, 3_000)
  assert.ok(outcomes.replies > 600 && outcomes.failures > 300, JSON.stringify(outcomes))
  assert.ok(most > 0)
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  client.destroy()
  await clock.advanceAsync(20_000)
  assert.equal(clock.pendingTimers, 0)
})

test('pain 21: calls without a signal of their own make no AbortController', async (t) => {
  const { client, clock, exchangers } = setup({ max: 2 })
  let made = 0
  const Original = globalThis.AbortController
  t.after(() => void (globalThis.AbortController = Original))
  globalThis.AbortController = class extends Original {
    constructor() {
      super()
      made++
    }
  }
  const reply = client.call('get', new Call())
  await clock.settle()
  const connects = made // each connect has one
  for (let count = 0; count < 300; count++) {
    exchangers.find(({ calls }) => calls.length > 0)?.calls[0]?.reply('ok')
    await clock.settle()
    if (count === 0) await reply
    const next = client.call('get', new Call())
    Promise.resolve(next).catch(() => {})
    await clock.settle()
  }
  assert.ok(made - connects <= 4, `${made - connects} controllers for 300 calls`)
  client.destroy()
})
