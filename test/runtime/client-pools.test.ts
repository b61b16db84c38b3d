/** What a client does with its pools: pinning, sharing, limits that change, fresh connections. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../src/core/address.ts'
import { Call } from '../../src/core/context.ts'
import { TransportError } from '../../src/core/errors.ts'
import { createClient } from '../../src/runtime/client.ts'
import type { ClientOptions } from '../../src/runtime/client-options.ts'
import { SharedPools } from '../../src/runtime/shared-pools.ts'
import { explainText } from '../../src/runtime/stack/explain.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { watch } from './pool-fixture.ts'
import { ScriptedExchanger, scriptedClassifier } from './scripted-exchanger.ts'

const clock = new ManualClock()

function setup(options: Partial<ClientOptions<string, string>> = {}, capacity = 1) {
  const exchangers: ScriptedExchanger[] = []
  const client = createClient<string, string>({
    endpoints: [{ address: ip('10.0.0.1', 80) }],
    connectEndpoint: async () => {
      const exchanger = new ScriptedExchanger({ capacity })
      exchangers.push(exchanger)
      return exchanger
    },
    classifier: scriptedClassifier,
    clock,
    random: () => 0.5,
    ...options,
  })
  return { client, exchangers }
}

test('ClientCore.pin gives one connection as a service, which nobody else gets onto', async () => {
  const { client, exchangers } = setup({ pool: { max: 1 } }, 10)
  const lease = await client.pin()
  const inside = watch(Promise.resolve(lease.resource('begin', new Call())))
  const outside = watch(Promise.resolve(client.call('get', new Call())))
  await clock.settle()
  assert.deepEqual(
    exchangers[0]?.calls.map(({ request }) => request),
    ['begin'],
  )
  exchangers[0]?.calls[0]?.reply('begun')
  await clock.settle()
  assert.equal(inside.value, 'begun')
  assert.ok(outside.pending)
  lease.release()
  assert.throws(() => lease.resource('commit', new Call()), { code: 'ERR_CLOSED' })
  assert.throws(() => lease.release(), { code: 'ERR_CLOSED' })
  await clock.settle()
  exchangers[0]?.calls[0]?.reply('got')
  await clock.settle()
  assert.equal(outside.value, 'got')
  await client.close()
})

test('ClientCore.pin: a call on a pinned connection is not retried, and hears that it is gone', async () => {
  const { client, exchangers } = setup()
  using lease = await client.pin()
  const first = watch(Promise.resolve(lease.resource('get', new Call())))
  exchangers[0]?.calls[0]?.fail(new TransportError('ERR_RESET', 'reset'))
  await clock.settle()
  assert.equal(first.error?.code, 'ERR_RESET')
  assert.equal(exchangers.length, 1)
  exchangers[0]?.disconnect(new TransportError('ERR_RESET', 'reset'))
  assert.throws(() => lease.resource('get', new Call()), {
    code: 'ERR_DISCONNECTED',
    retryable: 'no',
  })
})

test('ClientCore.pin waits within the deadline, and discards what is broken', async () => {
  const { client, exchangers } = setup({ pool: { max: 1 } })
  const lease = await client.pin()
  const late = watch(client.pin(new Call({ deadline: clock.now() + 100 })))
  await clock.advanceAsync(110)
  assert.equal(late.error?.code, 'ERR_DEADLINE')
  lease.discard(new Error('rolled back halfway'))
  assert.equal(exchangers[0]?.destroyedWith?.message, 'rolled back halfway')
  const next = await client.pin()
  assert.equal(exchangers.length, 2)
  next.release()
  await client.close()
  await assert.rejects(client.pin(), { code: 'ERR_CLOSED' })
})

test('ClientCore.pin asks another endpoint when one cannot be connected to', async () => {
  const good = new ScriptedExchanger({ answer: () => 'ok' })
  const { client } = setup({
    endpoints: [{ address: ip('10.0.0.1', 80) }, { address: ip('10.0.0.2', 80) }],
    connectEndpoint: async ({ address }) => {
      if (address.kind === 'ip' && address.host === '10.0.0.2') return good
      throw new TransportError('ERR_CONNECT_REFUSED', 'refused')
    },
  })
  for (let count = 0; count < 4; count++) {
    const lease = await client.pin()
    assert.equal(await lease.resource('get', new Call()), 'ok')
    lease.release()
  }
  await client.close()
})

test('ClientCore.reconfigure changes the pools there are and those to come, without a call lost', async () => {
  const { client, exchangers } = setup({ pool: { max: 1 } })
  const calls = ['a', 'b', 'c'].map((name) => watch(Promise.resolve(client.call(name, new Call()))))
  await clock.settle()
  assert.equal(exchangers.length, 1)
  client.reconfigure({ pool: { max: 3 } })
  await clock.settle()
  assert.equal(exchangers.length, 3)
  assert.match(explainText(client), /max 3/)
  assert.throws(() => client.reconfigure({ pool: { max: 0 } }), { code: 'ERR_OPTION_RANGE' })
  client.reconfigure({ pool: { max: 1 } })
  for (const exchanger of exchangers) exchanger.calls[0]?.reply('ok')
  await clock.settle()
  assert.deepEqual(
    calls.map(({ value }) => value),
    ['ok', 'ok', 'ok'],
  )
  assert.equal([...client.endpoints.nodes][0]?.pool.stats.idle, 1)
  await client.close()
})

test('SharedPools: clients that connect in the same way share one bound and its connections', async () => {
  const sharedPools = new SharedPools({ max: 2 })
  const one = setup({ sharedPools, poolKey: 'a' })
  const two = setup({ sharedPools, poolKey: 'a' })
  const other = setup({ sharedPools, poolKey: 'other login' })
  const calls = [one, two, one, two].map(({ client }) =>
    watch(Promise.resolve(client.call('get', new Call()))),
  )
  await clock.settle()
  assert.equal(one.exchangers.length + two.exchangers.length, 2)
  const connections = [...one.exchangers, ...two.exchangers]
  for (let round = 0; round < 2; round++) {
    for (const connection of connections) connection.calls[0]?.reply('ok')
    await clock.settle()
  }
  assert.ok(calls.every(({ value }) => value === 'ok'))
  watch(Promise.resolve(other.client.call('get', new Call())))
  await clock.settle()
  assert.equal(other.exchangers.length, 1)
  assert.equal(sharedPools.size, 2)

  // The last one to close closes the pool; one that destroys its own does not harm the other.
  one.client.destroy()
  assert.ok(connections.every(({ state }) => state === 'ready'))
  await two.client.close()
  assert.ok(connections.every(({ state }) => state === 'closed'))
  other.client.destroy()
  assert.equal(sharedPools.size, 0)
})

test('SharedPools have limits of their own, for all pools at once', async () => {
  const sharedPools = new SharedPools({ max: 2 })
  const { client } = setup({ sharedPools, poolKey: 'a' })
  watch(Promise.resolve(client.call('get', new Call())))
  await clock.settle()
  sharedPools.reconfigure({ max: 7 })
  assert.equal([...client.endpoints.nodes][0]?.pool.limits.max, 7)
  assert.throws(() => client.reconfigure({ pool: { max: 3 } }), { code: 'ERR_ARGUMENT' })
  client.destroy()
  const wrong = setup({ sharedPools, pool: { max: 3 } })
  await assert.rejects(async () => wrong.client.call('get', new Call()), { code: 'ERR_ARGUMENT' })
  assert.throws(() => new SharedPools({ max: 0 }), { code: 'ERR_OPTION_RANGE' })
})

test('a client pings by a request of its protocol, and any answer will do', async () => {
  const { client, exchangers } = setup({
    ping: () => 'ping',
    pool: { pingAfterMs: 1_000, idleTimeoutMs: 600_000 },
  })
  const first = watch(Promise.resolve(client.call('get', new Call())))
  await clock.settle()
  exchangers[0]?.calls[0]?.reply('ok')
  await clock.settle()
  assert.equal(first.value, 'ok')
  await clock.advanceAsync(2_000)
  const second = watch(Promise.resolve(client.call('get 2', new Call())))
  await clock.settle()
  assert.deepEqual(
    exchangers[0]?.calls.map(({ request }) => request),
    ['ping'],
  )
  exchangers[0]?.calls[0]?.reply('fail: unknown command')
  await clock.settle()
  assert.deepEqual(
    exchangers[0]?.calls.map(({ request }) => request),
    ['get 2'],
  )
  exchangers[0]?.calls[0]?.reply('ok')
  await clock.settle()
  assert.equal(second.value, 'ok')
  await client.close()
})
