/** Pools of multiplexed connections follow what the peer allows (pains 8, 10, 19). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../src/core/address.ts'
import { Call } from '../../src/core/context.ts'
import type { Meter } from '../../src/core/metrics.ts'
import { createClient } from '../../src/runtime/client.ts'
import type { PoolLimits } from '../../src/runtime/pool-options.ts'
import { explain } from '../../src/runtime/stack/explain.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { scriptedClassifier } from './scripted-exchanger.ts'
import { ScriptedMultiplexed } from './scripted-multiplexed.ts'

function fixture(pool: PoolLimits = {}, meter?: Meter) {
  const clock = new ManualClock()
  const connections: ScriptedMultiplexed[] = []
  const client = createClient<string, string>({
    endpoints: [{ address: ip('10.0.0.1', 80) }],
    connectEndpoint: async () => {
      const connection = new ScriptedMultiplexed()
      connections.push(connection)
      return connection
    },
    classifier: scriptedClassifier,
    clock,
    random: () => 0.5,
    pool: { expectedCapacity: 100, ...pool },
    ...(meter && { meter }),
  })
  const replies: string[] = []
  const failures: unknown[] = []
  const call = (request: string): void => {
    Promise.resolve(client.call(request, new Call())).then(
      (reply) => void replies.push(reply),
      (error) => void failures.push(error),
    )
  }
  const calls = (count: number): void => {
    for (let index = 1; index <= count; index++) call(`get ${index}`)
  }
  const settle = (): Promise<void> => clock.settle()
  const replyAll = async (): Promise<void> => {
    for (let round = 0; round < 50; round++) {
      const streams = connections.flatMap((connection) => [...connection.streams])
      if (streams.length === 0) return
      for (const stream of streams) stream.reply(`ok ${stream.request}`)
      await settle()
    }
  }
  const violations = (): number => connections.reduce((sum, one) => sum + one.violations, 0)
  return { client, clock, connections, calls, replies, failures, settle, replyAll, violations }
}

test('a hundred cold calls make one connection, and none is sent before the peer’s limit is known', async () => {
  const { client, calls, connections, settle, replies, replyAll, violations } = fixture()
  calls(100)
  await settle()
  assert.equal(connections.length, 1)
  assert.deepEqual(connections[0]?.sent, [])
  connections[0]?.settings(100)
  await settle()
  assert.equal(connections.length, 1)
  assert.equal(connections[0]?.streams.length, 100)
  await replyAll()
  assert.equal(replies.length, 100)
  assert.equal(violations(), 0)
  await client.close()
})

test('a peer that allows fewer streams than expected gets more connections, never more streams', async () => {
  const { client, calls, connections, settle, replies, replyAll, violations } = fixture({ max: 3 })
  calls(50)
  await settle()
  connections[0]?.settings(10)
  await settle()
  // Forty wait, ten for each: the two that `max` leaves.
  assert.equal(connections.length, 3)
  for (const connection of connections.slice(1)) connection.settings(10)
  await settle()
  assert.deepEqual(
    connections.map(({ streams }) => streams.length),
    [10, 10, 10],
  )
  await replyAll()
  assert.equal(replies.length, 50)
  assert.deepEqual(
    connections.map(({ peak }) => peak),
    [10, 10, 10],
  )
  assert.equal(violations(), 0)
  await client.close()
})

test('a limit that the peer moves up and down is followed at once', async () => {
  const { client, calls, connections, settle, violations, replyAll, failures } = fixture({ max: 1 })
  calls(12)
  await settle()
  const [connection] = connections
  connection?.settings(4)
  await settle()
  assert.equal(connection?.streams.length, 4)
  connection?.settings(6) // up: those who wait are served
  await settle()
  assert.equal(connection?.streams.length, 6)
  connection?.settings(2) // down, below what is in flight
  for (const stream of [...(connection?.streams ?? [])].slice(0, 4)) stream.reply('ok')
  await settle()
  assert.equal(connection?.streams.length, 2)
  connection?.streams[0]?.reply('ok')
  await settle()
  assert.equal(connection?.streams.length, 2)
  connection?.settings(0) // nothing for now
  for (const stream of [...(connection?.streams ?? [])]) stream.reply('ok')
  await settle()
  assert.equal(connection?.streams.length, 0)
  connection?.settings(100)
  await settle()
  await replyAll()
  assert.equal(connection?.sent.length, 12)
  assert.deepEqual(failures, [])
  assert.equal(violations(), 0)
  await client.close()
})

test('a connection that goes away is replaced even at max, and no call is lost', async () => {
  const { client, clock, calls, connections, settle, replies, failures, replyAll } = fixture({
    max: 1,
  })
  calls(8)
  await settle()
  connections[0]?.settings(5)
  await settle()
  connections[0]?.goAway(2) // three in flight were not looked at, three wait
  await clock.advanceAsync(100) // the retries' own delay
  assert.equal(connections.length, 2)
  assert.equal(connections[0]?.streams.length, 2)
  connections[1]?.settings(5)
  await settle()
  await replyAll()
  await clock.advanceAsync(100)
  await replyAll()
  assert.deepEqual(failures, [])
  assert.equal(replies.length, 8)
  await client.close()
})

test('connections that drain for ever do not pile up: as many again as max', async () => {
  const { calls, connections, settle, client } = fixture({ max: 2 })
  for (let round = 0; round < 6; round++) {
    calls(1)
    await settle()
    const last = connections.at(-1)
    last?.settings(2)
    await settle()
    last?.goAway(1) // its one stream never ends
    await settle()
  }
  assert.equal(connections.length, 4)
  client.destroy()
})

test('a peer whose settings do not come within connectTimeoutMs is given up', async () => {
  const { client, clock, calls, connections, failures } = fixture({ connectTimeoutMs: 500 })
  calls(1)
  await clock.advanceAsync(499)
  assert.deepEqual(failures, [])
  await clock.advanceAsync(5_000)
  assert.equal(connections[0]?.state, 'error')
  assert.equal(connections[0]?.sent.length, 0)
  assert.equal(failures.length, 1) // after the retries
  assert.match(String(failures[0]), /connecting took longer than 500 ms/)
  await client.close()
})

test('the time that calls queue for a stream is exposed', async () => {
  const waits: number[] = []
  const meter: Meter = {
    counter: () => ({ add() {} }),
    gauge: () => ({ set() {}, add() {} }),
    histogram: (name) => ({
      record: (value) => void (name === 'db.client.connection.wait_time' && waits.push(value)),
    }),
  }
  const { client, clock, calls, connections, settle, replyAll } = fixture({ max: 1 }, meter)
  calls(2)
  await settle()
  connections[0]?.settings(1)
  await clock.advanceAsync(250)
  const pool = explain(client).endpoints[0]?.layers.find(({ name }) => name === 'pool')
  assert.equal(pool?.state.waiting, 1)
  assert.equal(pool?.state.oldestWaitMs, 250)
  await replyAll()
  assert.deepEqual(waits, [0, 0.25])
  await client.close()
})
