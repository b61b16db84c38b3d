/** The rules that all registry resolvers share, through the one of your own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../src/core/address.ts'
import type { Endpoint } from '../../src/core/policy.ts'
import {
  type RegistryResolverOptions,
  type RegistryUpdates,
  registryResolver,
} from '../../src/discovery/registry.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { watching } from '../support/watching.ts'

const at = (port: number): Endpoint => ({ address: ip('10.0.0.1', port) })

function fixture(options: Partial<RegistryResolverOptions> = {}) {
  const clock = new ManualClock()
  const state = { answer: [at(1)] as readonly Endpoint[] | Error, loads: 0 }
  const updates: RegistryUpdates[] = []
  let unwatched = 0
  const resolver = registryResolver({
    clock,
    random: () => 0,
    async load() {
      state.loads++
      if (state.answer instanceof Error) throw state.answer
      return state.answer
    },
    watch(_target, given) {
      updates.push(given)
      return () => void unwatched++
    },
    ...options,
  })
  return { clock, state, updates, resolver, unwatched: () => unwatched }
}

test('registryResolver loads every refreshMs and tells a changed set only', async () => {
  const { clock, state, resolver } = fixture()
  const { heard, stop } = watching(resolver, 'users')
  await clock.advanceAsync(30_000)
  assert.deepEqual([state.loads, heard], [2, ['10.0.0.1:1']])
  state.answer = [at(2), at(1)]
  await clock.advanceAsync(30_000)
  assert.deepEqual(heard.slice(1), ['10.0.0.1:2 10.0.0.1:1'])
  state.answer = [at(1), at(2)]
  await clock.advanceAsync(30_000)
  assert.equal(heard.length, 2)
  state.answer = [at(1), { ...at(2), weight: 3 }]
  await clock.advanceAsync(30_000)
  assert.equal(heard.length, 3)
  stop()
  assert.equal(clock.pendingTimers, 0)
})

test('registryResolver takes pushed sets, and pushes that come during a load win', async () => {
  const { clock, updates, resolver } = fixture({
    load: () => new Promise((resolve) => clock.setTimer(clock.now() + 100, () => resolve([at(1)]))),
  })
  const { heard, stop } = watching(resolver, 'users')
  updates[0]?.replace([at(9)])
  await clock.advanceAsync(100)
  assert.deepEqual(heard, ['10.0.0.1:9'])
  await clock.advanceAsync(30_100)
  assert.deepEqual(heard, ['10.0.0.1:9', '10.0.0.1:1'])
  stop()
})

test('registryResolver loads at once when something changed, also during a load', async () => {
  const { clock, state, updates, resolver } = fixture()
  const { heard, stop } = watching(resolver, 'users')
  await clock.settle()
  state.answer = [at(2)]
  updates[0]?.changed()
  await clock.advanceAsync(1)
  assert.deepEqual(heard, ['10.0.0.1:1', '10.0.0.1:2'])
  updates[0]?.failed(new Error('stream lost'))
  assert.equal(heard.at(-1), 'error: stream lost')
  stop()
})

test('registryResolver keeps the set on errors, waits longer, and ends the error with an answer', async () => {
  const { clock, state, resolver } = fixture()
  const { heard, stop } = watching(resolver, 'users')
  await clock.settle()
  state.answer = new Error('down')
  await clock.advanceAsync(30_000 + 500 + 1_000 + 2_000)
  assert.deepEqual([state.loads, heard.length], [5, 5])
  const late = watching(resolver, 'users')
  assert.deepEqual(late.heard, ['10.0.0.1:1', 'error: down'])
  state.answer = [at(1)]
  await clock.advanceAsync(4_000)
  assert.equal(heard.at(-1), '10.0.0.1:1')
  late.stop()
  stop()
  assert.equal(clock.pendingTimers, 0)
})

test('registryResolver gives up a load after loadTimeoutMs, and with the last watcher', async () => {
  const signals: AbortSignal[] = []
  const { clock, resolver, unwatched } = fixture({
    load: (_target, { signal }) => {
      signals.push(signal)
      return new Promise(() => {})
    },
  })
  const { heard, stop } = watching(resolver, 'users')
  await clock.advanceAsync(10_000)
  assert.deepEqual(heard, ['error: users was not loaded within 10000 ms'])
  assert.equal(signals[0]?.aborted, true)
  await clock.advanceAsync(500)
  stop()
  await clock.settle()
  assert.deepEqual([signals[1]?.aborted, unwatched(), clock.pendingTimers], [true, 1, 0])
})

test('registryResolver does not listen any more once nobody watches', async () => {
  const { clock, updates, resolver } = fixture()
  const { heard, stop } = watching(resolver, 'users')
  await clock.settle()
  stop()
  updates[0]?.replace([at(7)])
  updates[0]?.failed(new Error('late'))
  updates[0]?.changed()
  await clock.advanceAsync(100_000)
  assert.deepEqual(heard, ['10.0.0.1:1'])
})

test('registryResolver asks accept who gets calls', async () => {
  const { clock, resolver } = fixture({
    load: async () => [
      { endpoint: at(1), healthy: true, metadata: { zone: 'a' } },
      { endpoint: at(2), healthy: false },
      { endpoint: at(3), healthy: true, metadata: { zone: 'b' } },
    ],
    accept: ({ healthy, metadata }) => healthy && metadata?.['zone'] === 'b',
  })
  const { heard, stop } = watching(resolver, 'users')
  await clock.settle()
  assert.deepEqual(heard, ['10.0.0.1:3'])
  stop()
})

test('resolvers watch maxTargets and refuse one more', async () => {
  const { clock, resolver } = fixture({ maxTargets: 1 })
  const { stop } = watching(resolver, 'a')
  assert.throws(() => watching(resolver, 'b'), { code: 'ERR_LIMITED' })
  watching(resolver, 'a').stop()
  stop()
  watching(resolver, 'b').stop()
  await clock.settle()
  assert.equal(clock.pendingTimers, 0)
})

test('a listener that leaves while it is told ends the watch', async () => {
  const { clock, resolver, unwatched } = fixture()
  const watch = resolver.watch('users', {
    onEndpoints: () => watch[Symbol.dispose](),
    onError() {},
  })
  await clock.settle()
  assert.deepEqual([unwatched(), clock.pendingTimers], [1, 0])
})
