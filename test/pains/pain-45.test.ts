/**
 * Pain 45, connect timeouts that leak or hang, idle errors that crash (node-postgres #3543, #3197,
 * #2243, #3721, #1777, #2764; pg-pool #116).
 *
 * Invariants: a connect that never ends costs its callers no more than their deadline and the pool
 * no place after `connectTimeoutMs`; what it gives later is destroyed; no timer and no place in the
 * queue is left. An idle connection that breaks is told to nobody and lent to nobody.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { httpClient } from '../../src/clients/http/http-client.ts'
import { Call } from '../../src/core/context.ts'
import { TransportError } from '../../src/core/errors.ts'
import type { Lease } from '../../src/core/pool.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { fixture, type Resource, WatchedCall, watch } from '../runtime/pool-fixture.ts'

test('pain 45: connects that hang leave neither places nor timers, and late ones are destroyed', async () => {
  const { pool, clock, connects, acquire, wheel, resources } = fixture({
    manual: true,
    max: 2,
    connectTimeoutMs: 100,
  })
  for (let round = 0; round < 50; round++) {
    const calls = [new WatchedCall({ deadline: clock.now() + 50 }), new WatchedCall()]
    const outcomes = calls.map((call) => watch(acquire(call)))
    await clock.advanceAsync(60)
    assert.equal(outcomes[0]?.error?.code, 'ERR_DEADLINE')
    await clock.advanceAsync(60)
    assert.equal(outcomes[1]?.causeCode, 'ERR_CONNECT_TIMEOUT')
    assert.deepEqual(
      calls.map(({ listeners }) => listeners),
      [0, 0],
    )
    assert.equal(pool.stats.connecting, 0)
  }
  assert.ok(connects.length >= 100)
  for (const connect of connects) connect.succeed()
  await clock.settle()
  assert.ok(resources.every(({ ends }) => ends.length === 1))
  assert.equal(pool.stats.idle + pool.stats.leased, 0)
  await clock.advanceAsync(10_000)
  assert.equal(wheel.size, 0)
  // And the pool works.
  const after = watch(acquire())
  connects.at(-1)
  await clock.settle()
  const before = resources.length
  connects.at(-1)?.succeed()
  await clock.settle()
  assert.equal(after.value?.resource.id, before + 1)
})

test('pain 45: an idle connection that breaks crashes nothing, and the next call has another', async (t) => {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  await using client = httpClient(`http://127.0.0.1:${port}`, { retry: false })
  await (await client.get('/')).body.text()
  sockets[0]?.resetAndDestroy()
  const pool = [...client.core.endpoints.nodes][0]?.pool
  while ((pool?.stats.idle ?? 0) > 0) await new Promise(setImmediate)
  const response = await client.get('/')
  assert.equal(await response.body.text(), 'ok')
  assert.equal(sockets.length, 2)
})

/** Whatever order of events: permits and leases come back, every call ends once. */
test('pain 45: over random schedules of abort, connect, fail, ping and close nothing is lost', async () => {
  for (let seed = 1; seed <= 15; seed++) await schedule(seed)
})

async function schedule(seed: number): Promise<void> {
  const random = new SeededRandom(seed)
  let permits = random.integer(1, 6)
  const total = permits
  let watcher = (): void => {}
  const max = random.integer(1, 5)
  const { pool, clock, wheel, connects, pings, resources } = fixture({
    manual: true,
    pingable: true,
    max,
    maxConnecting: 2,
    maxWaiting: 10,
    maxWaitMs: 300,
    idleTimeoutMs: 400,
    connectTimeoutMs: 150,
    pingAfterMs: 50,
    pingTimeoutMs: 60,
    healthIntervalMs: 120,
    occupancy: {
      available: (resource) => resource.capacity - resource.inFlight,
      inFlight: (resource) => resource.inFlight,
    },
    quota: {
      tryTake: () => permits > 0 && permits-- > 0,
      giveBack: () => void permits++,
      want() {},
      contended: false,
      watch: (callback) => {
        watcher = callback
        return () => {}
      },
    },
  })
  const calls: WatchedCall[] = []
  const leases = new Set<Lease<Resource>>()
  let ended = 0
  for (let step = 0; step < 120; step++) {
    const what = random.integer(0, 11)
    if (what < 4) {
      const call = new WatchedCall(random.chance(0.3) ? { deadline: clock.now() + 80 } : {})
      calls.push(call)
      const hint = { fresh: random.chance(0.2), exclusive: random.chance(0.2) }
      pool.acquire(call, hint).then(
        (lease) => {
          ended++
          leases.add(lease)
        },
        () => void ended++,
      )
    } else if (what < 6 && leases.size > 0) {
      const lease = random.pick([...leases])
      leases.delete(lease)
      if (random.chance(0.7)) lease.release()
      else lease.discard(new Error('broken'))
    } else if (what === 6 && connects.length > 0) {
      const connect = connects.splice(random.integer(0, connects.length - 1), 1)[0]
      if (random.chance(0.7)) connect?.succeed()
      else connect?.fail(new TransportError('ERR_CONNECT_REFUSED', 'refused'))
    } else if (what === 7 && calls.length > 0) random.pick(calls).cancel(new Error('cancelled'))
    else if (what === 8 && pings.length > 0) {
      const ping = pings.shift()
      if (random.chance(0.6)) ping?.answer()
      else ping?.fail(new Error('dead'))
    } else if (what === 9 && resources.length > 0) {
      const resource = random.pick(resources)
      resource.capacity = random.integer(0, 3)
      pool.update(resource)
    } else if (what === 10) pool.reconfigure({ max: random.integer(1, max) })
    else await clock.advanceAsync(random.integer(0, 100))
    watcher()
    await clock.settle()
    const { idle, leased, connecting, probing, waiting } = pool.stats
    const at = `seed ${seed} step ${step}: ${JSON.stringify(pool.stats)}, ${permits} of ${total}`
    assert.ok(permits >= 0, at)
    assert.equal(permits + idle + leased + connecting + probing, total, at)
    assert.equal(calls.length - ended, waiting, at)
  }
  const closing = pool.close()
  for (const lease of leases) lease.release()
  await clock.settle()
  await closing
  for (const connect of connects) connect.succeed()
  for (const ping of pings) ping.answer()
  await clock.advanceAsync(1_000)
  assert.equal(ended, calls.length, `seed ${seed}: every call ended`)
  assert.equal(permits, total, `seed ${seed}: permits`)
  assert.equal(wheel.size, 0, `seed ${seed}: timers`)
  for (const call of calls) assert.equal(call.listeners, 0, `seed ${seed}: listeners`)
  for (const { id, ends } of resources) assert.equal(ends.length, 1, `seed ${seed}: resource ${id}`)
  await assert.rejects(pool.acquire(new Call()), { code: 'ERR_CLOSED' })
}
