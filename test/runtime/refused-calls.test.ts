/** Calls that a peer sent back untouched, and what a connection itself says about idling. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../src/core/address.ts'
import { Call } from '../../src/core/context.ts'
import { ClosedError, OverloadError } from '../../src/core/errors.ts'
import { createClient } from '../../src/runtime/client.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { fixture, watch } from './pool-fixture.ts'
import { ScriptedExchanger, scriptedClassifier } from './scripted-exchanger.ts'

class RefusingExchanger extends ScriptedExchanger {
  readonly mayRefuse = true
  readonly maxIdleMs = 60_000
  readonly pingAfterMs = 10_000
  pings = 0
  dead = false
  readonly ping = async (): Promise<void> => {
    this.pings++
    if (this.dead) throw new ClosedError('ERR_CLOSED', 'dead')
  }
}

function bed() {
  const clock = new ManualClock()
  const connections: RefusingExchanger[] = []
  const client = createClient<string, string>({
    endpoints: [{ address: ip('10.0.0.1', 80) }],
    connectEndpoint: async () => {
      const connection = new RefusingExchanger({ capacity: 100 })
      connections.push(connection)
      return connection
    },
    classifier: scriptedClassifier,
    clock,
    random: () => 0.5,
    timeoutMs: 1_000_000,
    expectedCapacity: 100,
    ping: () => 'ping',
    // A refusal is no retry: this one has none to give.
    retry: { maxAttempts: 2, budget: { minPerSecond: 0, ratio: 0 } },
  })
  const call = (request: string) => watch(Promise.resolve(client.call(request, new Call())))
  return { client, clock, connections, call }
}

test('every call that came back untouched is made again elsewhere, without the budget of retries', async () => {
  const { clock, connections, call, client } = bed()
  const outcomes = Array.from({ length: 64 }, (_, at) => call(`post ${at}`))
  await clock.settle()
  const [first] = connections
  assert.equal(first?.calls.length, 64)
  first.state = 'draining'
  first.onChange?.()
  const gone = new ClosedError('ERR_DRAINING', 'GOAWAY', { sent: 'nothing', retryable: 'yes' })
  for (const waiting of [...first.calls]) waiting.fail(gone)
  await clock.settle()
  assert.equal(connections.length, 2)
  assert.equal(connections[1]?.calls.length, 64)
  for (const waiting of [...(connections[1]?.calls ?? [])]) waiting.reply('ok')
  await clock.settle()
  assert.ok(outcomes.every((outcome) => outcome.value === 'ok'))
  await client.close()
})

test('a peer that refuses for the fourth time is left to retries', async () => {
  const { clock, connections, call, client } = bed()
  const outcome = call('post once-more')
  await clock.settle()
  const refused = new OverloadError('ERR_BUSY', 'REFUSED_STREAM', { sent: 'nothing' })
  let refusals = 0
  while (outcome.error === undefined && refusals < 10) {
    connections[0]?.calls[0]?.fail(refused)
    refusals++
    await clock.settle()
  }
  // A body that can be sent once only is not sent again at all.
  assert.equal(refusals, 1)
  const replayable = call('post more')
  await clock.settle()
  refusals = 0
  while (replayable.error === undefined && refusals < 10) {
    connections[0]?.calls[0]?.fail(refused)
    refusals++
    await clock.settle()
  }
  assert.equal(refusals, 4)
  assert.equal(replayable.error, refused)
  await client.close()
})

test('a connection says how long it idles, and is asked by a ping of its own', async () => {
  const { clock, connections, call, client } = bed()
  const done = async (request: string) => {
    const outcome = call(request)
    await clock.settle()
    for (const one of connections) for (const waiting of [...one.calls]) waiting.reply('ok')
    await clock.settle()
    assert.equal(outcome.value, 'ok')
  }
  await done('get 1')
  await clock.advanceAsync(10_000) // over the pool's own idleTimeoutMs, at pingAfterMs
  await done('get 2')
  assert.deepEqual([connections.length, connections[0]?.pings], [1, 0])
  await clock.advanceAsync(10_001)
  await done('get 3')
  assert.deepEqual([connections.length, connections[0]?.pings], [1, 1])
  await clock.advanceAsync(20_000)
  const [first] = connections
  if (first !== undefined) first.dead = true
  await done('get 4')
  assert.deepEqual([connections.length, first?.pings], [2, 2])
  await clock.advanceAsync(65_000)
  assert.equal(connections[1]?.state, 'closed')
  await client.close()
})

test('a connection that is never free drains when it is too old, and another takes over', async () => {
  const { clock, connections, call, client } = bed()
  const first = call('get 1')
  await clock.settle()
  // Up to a tenth less by chance, which is half of that here.
  await clock.advanceAsync(569_000)
  await call('get 2')
  await clock.settle()
  assert.equal(connections.length, 1)
  await clock.advanceAsync(2_000)
  assert.equal(connections[0]?.state, 'draining')
  const third = call('get 3')
  await clock.settle()
  assert.equal(connections.length, 2)
  for (const one of connections) for (const waiting of [...one.calls]) waiting.reply('ok')
  await clock.settle()
  assert.deepEqual([first.value, third.value], ['ok', 'ok'])
  assert.equal(connections[0]?.state, 'closed')
  await client.close()
})

test('ConnectionPool: its own limit of idle time counts for a resource that says none', async () => {
  const { pool, clock, acquire, resources } = fixture({ maxIdleOf: () => undefined })
  ;(await acquire()).release()
  await clock.advanceAsync(6_000)
  assert.equal(pool.stats.idle, 0)
  assert.equal(resources[0]?.ends.length, 1)
})
