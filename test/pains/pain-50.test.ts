/**
 * Pain 50, overload taken for failure (mongo-python-driver #2192: a timeout in the wait queue cleared
 * the pool, and the herd of new connections finished the server).
 *
 * Invariant: a call that waits too long, or finds the queue full, changes nothing but itself: no
 * connection is closed or made for it, no generation begins, no breaker counts it, and calls that are
 * in time are served by the same connections.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../src/core/address.ts'
import { Call } from '../../src/core/context.ts'
import type { OverloadError } from '../../src/core/errors.ts'
import { createClient } from '../../src/runtime/client.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { watch } from '../runtime/pool-fixture.ts'
import { ScriptedExchanger, scriptedClassifier } from '../runtime/scripted-exchanger.ts'

test('pain 50: hundreds of waits that time out close nothing, connect nothing, open no breaker', async () => {
  const clock = new ManualClock()
  const exchangers: ScriptedExchanger[] = []
  const breakers: string[] = []
  const client = createClient<string, string>({
    endpoints: [{ address: ip('10.0.0.1', 80) }],
    connectEndpoint: async () => {
      const exchanger = new ScriptedExchanger()
      exchangers.push(exchanger)
      return exchanger
    },
    classifier: scriptedClassifier,
    clock,
    random: () => 0.5,
    retry: { maxAttempts: 2, baseMs: 1 },
    breaker: { consecutiveFailures: 3, minCalls: 3 },
    pool: { max: 2, maxWaiting: 20, maxWaitMs: 50, idleTimeoutMs: 60_000 },
    observer: { onBreaker: (_endpoint, next) => void breakers.push(next) },
  })
  const slow = [1, 2].map(() => watch(Promise.resolve(client.call('slow', new Call()))))
  await clock.settle()
  const refused: unknown[] = []
  for (let wave = 0; wave < 10; wave++) {
    for (let count = 0; count < 30; count++) {
      const deadline = count % 2 === 0 ? clock.now() + 30 : undefined
      Promise.resolve(client.call('get', new Call({ deadline }))).catch((error) => {
        refused.push(error)
      })
    }
    await clock.advanceAsync(200)
  }
  assert.equal(refused.length, 300)
  const codes = new Set(refused.map((error) => (error as OverloadError).code))
  assert.deepEqual([...codes].sort(), ['ERR_DEADLINE', 'ERR_POOL_FULL'])
  assert.ok(refused.every((error) => (error as OverloadError).sent === 'nothing'))
  assert.equal(exchangers.length, 2)
  assert.ok(exchangers.every(({ state }) => state === 'ready'))
  assert.deepEqual(breakers, [])
  for (const exchanger of exchangers) exchanger.calls[0]?.reply('ok')
  await clock.settle()
  assert.deepEqual(
    slow.map(({ value }) => value),
    ['ok', 'ok'],
  )
  const { stats } = [...client.endpoints.nodes][0]?.pool ?? {}
  assert.equal(stats?.created, 2)
  assert.equal(stats?.discarded, 0)
  assert.equal(stats?.idle, 2)
  await client.close()
})
