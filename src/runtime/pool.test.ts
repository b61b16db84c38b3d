import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixture, type Resource, WatchedCall, watch } from '../../test/runtime/pool-fixture.ts'
import { Call } from '../core/context.ts'
import { OverloadError, TimeoutError, UsageError } from '../core/errors.ts'
import type { Lease } from '../core/pool.ts'
import { SeededRandom } from '../testing/seeded-random.ts'

test('ConnectionPool connects when asked and lends the last used first', async () => {
  const { pool, acquire } = fixture()
  assert.equal(pool.tryAcquire(), undefined)
  const [a, b] = [await acquire(), await acquire()]
  assert.deepEqual([a.resource.id, b.resource.id], [1, 2])
  a.release()
  b.release()
  const again = pool.tryAcquire()
  assert.equal(again?.resource.id, 2)
  assert.equal((await acquire()).resource.id, 1)
  assert.deepEqual(pool.stats, {
    idle: 0,
    leased: 2,
    connecting: 0,
    waiting: 0,
    probing: 0,
    draining: 0,
    oldestWaitMs: 0,
    max: 128,
    created: 2,
    discarded: 0,
    timeouts: 0,
  })
})

test('ConnectionPool serves waiters first come, first served, before any newcomer', async () => {
  const { pool, clock, acquire } = fixture({ max: 1 })
  const lease = await acquire()
  const [first, second] = [watch(acquire()), watch(acquire())]
  await clock.settle()
  lease.release()
  // It is promised to the first waiter already.
  assert.equal(pool.tryAcquire(), undefined)
  await clock.settle()
  assert.equal(first.value?.resource.id, 1)
  assert.ok(second.pending)
  first.value?.release()
  await clock.settle()
  assert.equal(second.value?.resource.id, 1)
})

test('ConnectionPool serves a waiter by whichever comes first, a connect or a release', async () => {
  const { clock, connects, acquire, pool } = fixture({ manual: true })
  const first = watch(acquire())
  await clock.settle()
  connects[0]?.succeed()
  await clock.settle()
  const second = watch(acquire())
  await clock.settle()
  assert.equal(connects.length, 2)
  first.value?.release()
  await clock.settle()
  assert.equal(second.value?.resource.id, 1)
  connects[1]?.succeed()
  await clock.settle()
  assert.equal(pool.stats.idle, 1)
})

test('ConnectionPool refuses at maxWaiting', async () => {
  const { clock, acquire } = fixture({ max: 1, maxWaiting: 2 })
  await acquire()
  const [first, second, third] = [watch(acquire()), watch(acquire()), watch(acquire())]
  await clock.settle()
  assert.ok(first.pending)
  assert.ok(second.pending)
  assert.ok(third.error instanceof OverloadError)
  assert.equal(third.error.code, 'ERR_POOL_FULL')
  assert.match(third.error.message, /2 calls wait for a connection, maxWaiting 2/)
})

test('ConnectionPool ends a wait at maxWaitMs, at the deadline, or with the call', async () => {
  const { pool, clock, wheel, acquire } = fixture({ max: 1, maxWaitMs: 500 })
  const lease = await acquire()
  const patient = new WatchedCall()
  const urgent = new WatchedCall({ deadline: clock.now() + 100 })
  const cancelled = new WatchedCall()
  const outcomes = [patient, urgent, cancelled].map((call) => watch(acquire(call)))
  const reason = new Error('mine')
  await clock.settle()
  cancelled.cancel(reason)
  await clock.advanceAsync(99)
  assert.equal(pool.stats.waiting, 2)
  assert.equal(outcomes[2]?.error as unknown, reason)
  await clock.advanceAsync(5)
  assert.equal(outcomes[1]?.error?.code, 'ERR_DEADLINE')
  assert.equal(outcomes[1]?.error?.sent, 'nothing')
  await clock.advanceAsync(395)
  assert.ok(outcomes[0]?.pending)
  await clock.advanceAsync(10)
  assert.equal(outcomes[0]?.error?.code, 'ERR_POOL_FULL')
  assert.equal(pool.stats.timeouts, 2)
  assert.equal(pool.stats.waiting, 0)
  for (const call of [patient, urgent, cancelled]) assert.equal(call.listeners, 0)
  // None of those who left gets the resource.
  lease.release()
  assert.equal(pool.stats.idle, 1)
  assert.equal(wheel.size, 1) // its own sweep
})

test('ConnectionPool says that nothing was sent when an attempt times out in its queue', async () => {
  const { clock, acquire } = fixture({ max: 1 })
  await acquire()
  const call = new Call()
  const outcome = watch(acquire(call))
  await clock.settle()
  call.cancel(new TimeoutError('ERR_ATTEMPT_TIMEOUT', 'attempt 1 took longer than 50 ms'))
  await clock.settle()
  assert.equal(outcome.error?.code, 'ERR_ATTEMPT_TIMEOUT')
  assert.equal(outcome.error?.sent, 'nothing')
})

test('ConnectionPool keeps to maxConnecting and max', async () => {
  const { clock, connects, acquire, pool } = fixture({ manual: true, max: 5, maxConnecting: 2 })
  const outcomes = Array.from({ length: 8 }, () => watch(acquire()))
  await clock.settle()
  assert.equal(connects.length, 2)
  for (let count = 0; count < 5; count++) {
    connects[count]?.succeed()
    await clock.settle()
  }
  assert.equal(connects.length, 5)
  assert.equal(outcomes.filter((outcome) => outcome.value !== undefined).length, 5)
  assert.equal(pool.stats.waiting, 3)
})

test('ConnectionPool connects one for as many waiters as expectedCapacity says', async () => {
  const { clock, connects, acquire } = fixture({ manual: true, expectedCapacity: 10 })
  for (let count = 0; count < 10; count++) watch(acquire())
  await clock.settle()
  assert.equal(connects.length, 1)
  watch(acquire())
  assert.equal(connects.length, 2)
})

test('ConnectionPool refuses those no connect can serve when connecting fails and none is alive', async () => {
  const { clock, connects, acquire } = fixture({ manual: true, maxConnecting: 2 })
  const outcomes = Array.from({ length: 4 }, () => watch(acquire()))
  await clock.settle()
  connects[0]?.fail()
  await clock.settle()
  const failed = outcomes.filter((outcome) => outcome.error !== undefined)
  assert.equal(failed.length, 3)
  assert.equal(new Set(failed.map((outcome) => outcome.error)).size, 3) // one error each
  for (const { error, causeCode } of failed) {
    assert.equal(error?.code, 'ERR_CONNECT')
    assert.equal(error?.sent, 'nothing')
    assert.equal(causeCode, 'ERR_CONNECT_REFUSED')
  }
  connects[1]?.succeed()
  await clock.settle()
  assert.equal(outcomes.filter((outcome) => outcome.value !== undefined).length, 1)
})

test('ConnectionPool lets waiters wait for what is alive when connecting fails, and tries again', async () => {
  const { clock, connects, acquire } = fixture({ manual: true })
  const first = watch(acquire())
  await clock.settle()
  connects[0]?.succeed()
  await clock.settle()
  const second = watch(acquire())
  const third = watch(acquire())
  await clock.settle()
  connects[1]?.fail()
  connects[2]?.fail()
  await clock.settle()
  assert.ok(second.pending)
  assert.equal(connects.length, 3)
  first.value?.release()
  await clock.settle()
  assert.equal(second.value?.resource.id, 1)
  // 100 ms, then 200 ms, of which at least half.
  await clock.advanceAsync(200)
  assert.equal(connects.length, 4)
  connects[3]?.succeed()
  await clock.settle()
  assert.equal(third.value?.resource.id, 2)
})

test('ConnectionPool gives up connecting at connectTimeoutMs and destroys what comes late', async () => {
  const { clock, connects, acquire, pool } = fixture({ manual: true, connectTimeoutMs: 300 })
  const outcome = watch(acquire())
  await clock.advanceAsync(299)
  assert.ok(outcome.pending)
  await clock.advanceAsync(10)
  assert.equal(outcome.causeCode, 'ERR_CONNECT_TIMEOUT')
  assert.equal(connects[0]?.signal.aborted, true)
  const late = connects[0]?.succeed()
  await clock.settle()
  assert.equal(late?.ends.length, 1)
  assert.equal(pool.stats.connecting, 0)
  assert.equal(pool.stats.created, 0)
})

test('ConnectionPool treats a connect function that throws as a failed connect', async () => {
  const { clock, acquire } = fixture({
    connect() {
      throw new Error('bug')
    },
  })
  const outcome = watch(acquire())
  await clock.settle()
  assert.match(String(outcome.error), /bug/)
})

test('ConnectionPool refuses a resource that died before it was here', async () => {
  const { clock, acquire, resources, pool } = fixture({ validate: () => false })
  const outcome = watch(acquire())
  await clock.settle()
  assert.match(String(outcome.error), /closed at once/)
  assert.equal(resources[0]?.ends.length, 1)
  assert.equal(pool.stats.idle, 0)
})

test('ConnectionPool closes what is idle for idleTimeoutMs', async () => {
  const { clock, acquire, pool, resources } = fixture({ idleTimeoutMs: 1_000 })
  const leases = [await acquire(), await acquire()]
  leases[0]?.release()
  await clock.advanceAsync(600)
  leases[1]?.release()
  await clock.advanceAsync(399)
  assert.equal(pool.stats.idle, 2)
  await clock.advanceAsync(270) // a sweep is every quarter of it
  assert.deepEqual(
    resources.map((resource) => resource.ends.length),
    [1, 0],
  )
  await clock.advanceAsync(1_000)
  assert.equal(pool.stats.idle, 0)
  assert.equal(clock.pendingTimers, 0) // an empty pool has no timer
})

test('ConnectionPool never lends what is too old, sweep or not', async () => {
  const { clock, acquire, pool, resources } = fixture({ idleTimeoutMs: 1_000 })
  const lease = await acquire()
  lease.release()
  const { now } = clock
  clock.now = () => now.call(clock) + 999
  pool.tryAcquire()?.release()
  assert.deepEqual(resources[0]?.ends, [])
  clock.now = () => now.call(clock) + 999 + 1_000
  assert.equal(pool.tryAcquire(), undefined)
  assert.equal(resources[0]?.ends.length, 1)
})

test('ConnectionPool notices what a frozen process slept through', async () => {
  const { clock, acquire, pool, resources } = fixture({ idleTimeoutMs: 1_000 })
  const lease = await acquire()
  lease.release()
  // Time has passed and no timer has fired.
  const frozen = clock.now
  clock.now = () => frozen.call(clock) + 5_000
  assert.equal(pool.tryAcquire(), undefined)
  assert.equal(resources[0]?.ends.length, 1)
})

test('ConnectionPool heeds the idle timeout that a peer told, with a margin', async () => {
  const { clock, acquire, pool } = fixture({
    idleTimeoutMs: 60_000,
    idleMarginMs: 1_000,
    idleTimeoutOf: (resource) => resource.idleTimeoutMs,
  })
  const lease = await acquire()
  lease.resource.idleTimeoutMs = 5_000
  lease.release()
  await clock.advanceAsync(3_999)
  const again = pool.tryAcquire()
  assert.equal(again?.resource.id, 1)
  again?.release()
  await clock.advanceAsync(4_000)
  assert.equal(pool.tryAcquire(), undefined)
})

test('ConnectionPool keeps min alive, and replaces one that dies', async () => {
  const { clock, pool, resources } = fixture({ min: 2, idleTimeoutMs: 500 })
  assert.equal(pool.stats.connecting, 0)
  pool.start()
  await clock.settle()
  assert.equal(pool.stats.idle, 2)
  await clock.advanceAsync(5_000)
  assert.equal(pool.stats.created, 2)
  assert.ok(pool.tryAcquire())
  pool.remove(resources[0] as Resource)
  await clock.settle()
  assert.equal(pool.stats.created, 3)
})

test('ConnectionPool closes what is over maxLifetimeMs when it is free', async () => {
  const { clock, acquire, pool, resources } = fixture({
    maxLifetimeMs: 1_000,
    idleTimeoutMs: 60_000,
  })
  const free = await acquire()
  const busy = await acquire()
  free.release()
  await clock.advanceAsync(949) // a tenth of it by chance, of which a half here
  assert.equal(pool.stats.idle, 1)
  await clock.advanceAsync(300)
  assert.equal(resources[0]?.ends.length, 1)
  assert.deepEqual(resources[1]?.ends, [])
  busy.release()
  assert.deepEqual(resources[1]?.ends, ['closed'])
})

test('ConnectionPool validates before it lends again', async () => {
  const { acquire, pool, resources } = fixture()
  const [a, b] = [await acquire(), await acquire()]
  a.release()
  b.release()
  b.resource.alive = false
  assert.equal(pool.tryAcquire()?.resource.id, 1)
  assert.match(String(resources[1]?.ends), /not fit/)
})

test('ConnectionPool lets a lease be given back once', async () => {
  const { acquire, pool, resources } = fixture()
  const lease = await acquire()
  lease.release()
  assert.throws(() => lease.release(), UsageError)
  assert.throws(() => lease.discard(new Error('x')), UsageError)
  lease[Symbol.dispose]() // `using` after an explicit release
  {
    using scoped = await acquire()
    assert.equal(scoped.resource.id, 1)
  }
  assert.equal(pool.stats.idle, 1)
  ;(await acquire()).discard(new Error('broken'))
  assert.deepEqual(resources[0]?.ends, ['broken'])
  assert.equal(pool.stats.discarded, 1)
})

test('ConnectionPool.clear ends the generation: free ones now, others when they come back', async () => {
  const { acquire, pool, resources, clock } = fixture()
  const [free, busy] = [await acquire(), await acquire()]
  free.release()
  pool.clear(new Error('failover'))
  assert.deepEqual(resources[0]?.ends, ['failover'])
  const fresh = await acquire()
  assert.equal(fresh.resource.id, 3)
  busy.release()
  await clock.settle()
  assert.deepEqual(resources[1]?.ends, ['closed'])
  fresh.release()
  assert.equal(pool.stats.idle, 1)
})

test('ConnectionPool refuses while paused and goes on when ready', async () => {
  const { acquire, pool, clock } = fixture({ max: 1 })
  const lease = await acquire()
  const waiting = watch(acquire())
  await clock.settle()
  pool.pause(new Error('the server is down'))
  await clock.settle()
  assert.equal(waiting.error?.message, 'the server is down')
  assert.equal(pool.tryAcquire(), undefined)
  await assert.rejects(acquire(), { code: 'ERR_POOL_PAUSED' })
  lease.release()
  pool.ready()
  assert.equal(pool.tryAcquire()?.resource.id, 1)
})

test('ConnectionPool.close refuses waiters, aborts connects, waits for what is lent', async () => {
  const { acquire, pool, clock, wheel, connects } = fixture({ manual: true, max: 2 })
  const first = watch(acquire())
  await clock.settle()
  connects[0]?.succeed()
  await clock.settle()
  const waiting = watch(acquire())
  await clock.settle()
  let closed = false
  const closing = pool.close().then(() => {
    closed = true
  })
  await clock.settle()
  assert.equal(waiting.error?.code, 'ERR_DRAINING')
  assert.equal(connects[1]?.signal.aborted, true)
  assert.equal(closed, false)
  assert.throws(() => pool.tryAcquire(), { code: 'ERR_CLOSED' })
  await assert.rejects(acquire(), { code: 'ERR_CLOSED' })
  first.value?.release()
  await closing
  const late = connects[1]?.succeed()
  await clock.settle()
  assert.equal(late?.ends.length, 1)
  assert.equal(wheel.size, 0)
  await pool.close()
})

test('ConnectionPool.close destroys what is lent when its signal aborts', async () => {
  const { acquire, pool, resources } = fixture()
  const lease = await acquire()
  const controller = new AbortController()
  const closing = pool.close({ signal: controller.signal })
  controller.abort(new Error('now'))
  await closing
  assert.deepEqual(resources[0]?.ends, ['now'])
  lease.release()
  assert.deepEqual(resources[0]?.ends, ['now'])
})

test('ConnectionPool lends a resource that counts itself as often as it says', async () => {
  const { acquire, pool, resources, clock } = fixture({
    max: 2,
    occupancy: {
      available: (resource) => resource.capacity - resource.inFlight,
      inFlight: (resource) => resource.inFlight,
    },
  })
  /** As the client does: the lease is a reservation until the call was handed over. */
  const start = async (): Promise<Resource> => {
    const lease = await acquire()
    lease.resource.inFlight++
    lease.release()
    return lease.resource
  }
  const first = await start()
  first.capacity = 3
  pool.update(first)
  assert.equal(await start(), first)
  assert.equal(await start(), first)
  assert.equal(pool.tryAcquire(), undefined)
  assert.equal((await start()).id, 2)
  const waiting = watch(start())
  await clock.settle()
  assert.ok(waiting.pending)
  first.inFlight--
  pool.update(first)
  await clock.settle()
  assert.equal(waiting.value, first)
  first.inFlight = 0
  pool.update(first)
  assert.equal(pool.stats.idle, 1)
  assert.equal(resources.length, 2)
  // The peer lowers its limit below what is in flight.
  first.capacity = 0
  pool.update(first)
  assert.equal(pool.tryAcquire(), undefined)
})

test('ConnectionPool reserves: two waiters are not both given the last place', async () => {
  const { acquire, pool, resources, clock } = fixture({
    max: 1,
    occupancy: {
      available: (resource) => resource.capacity - resource.inFlight,
      inFlight: (resource) => resource.inFlight,
    },
  })
  const lease = await acquire()
  lease.resource.inFlight = 1
  lease.release()
  const [first, second] = [watch(acquire()), watch(acquire())]
  await clock.settle()
  const resource = resources[0] as Resource
  resource.inFlight = 0
  pool.update(resource)
  pool.update(resource) // said twice
  await clock.settle()
  assert.ok(first.value)
  assert.ok(second.pending)
})

test('ConnectionPool lets the process go when nothing is lent, and holds what it lends', async () => {
  const { acquire, pool, resources } = fixture()
  const leases = [await acquire(), await acquire(), await acquire()]
  leases[0]?.release()
  assert.ok(resources.every((resource) => resource.held))
  leases[1]?.release()
  leases[2]?.release()
  assert.ok(resources.every((resource) => !resource.held))
  const again = pool.tryAcquire()
  assert.deepEqual(
    resources.map((resource) => resource.held),
    [false, false, true],
  )
  again?.release()
  assert.ok(resources.every((resource) => !resource.held))
})

test('ConnectionPool refuses limits out of range', () => {
  for (const limits of [
    { max: 0 },
    { max: 2, min: 3 },
    { maxConnecting: 0 },
    { maxWaiting: -1 },
    { max: 1.5 },
  ]) {
    assert.throws(() => fixture(limits), { code: 'ERR_OPTION_RANGE' })
  }
})

test('ConnectionPool keeps its invariants over random use', async () => {
  for (let seed = 1; seed <= 25; seed++) await randomUse(seed)
})

async function randomUse(seed: number): Promise<void> {
  const random = new SeededRandom(seed)
  const limits = { max: random.integer(1, 6), maxConnecting: random.integer(1, 3), maxWaiting: 8 }
  const { clock, wheel, pool, resources, connects } = fixture({
    ...limits,
    manual: true,
    maxWaitMs: 500,
    idleTimeoutMs: 300,
    maxLifetimeMs: 2_000,
    connectTimeoutMs: 200,
  })
  const leases = new Set<Lease<Resource>>()
  const calls: WatchedCall[] = []
  let started = 0
  let ended = 0
  for (let step = 0; step < 150; step++) {
    const chosen = random.integer(0, 9)
    if (chosen < 4) {
      const call = new WatchedCall()
      calls.push(call)
      started++
      pool.acquire(call).then(
        (lease) => {
          ended++
          leases.add(lease)
        },
        () => void ended++,
      )
    } else if (chosen < 7 && leases.size > 0) {
      const lease = random.pick([...leases])
      leases.delete(lease)
      if (random.chance(0.8)) lease.release()
      else lease.discard(new Error('broken'))
    } else if (chosen === 7 && connects.length > 0) {
      const connect = connects.splice(random.integer(0, connects.length - 1), 1)[0]
      if (random.chance(0.7)) connect?.succeed()
      else connect?.fail()
    } else if (chosen === 8 && calls.length > 0) random.pick(calls).cancel(new Error('cancelled'))
    else await clock.advanceAsync(random.integer(0, 150))
    await clock.settle()
    const { idle, leased, connecting, waiting } = pool.stats
    const state = `seed ${seed} step ${step}: ${JSON.stringify(pool.stats)}`
    assert.ok(idle + leased + connecting <= limits.max, state)
    assert.ok(connecting <= limits.maxConnecting && waiting <= limits.maxWaiting, state)
    assert.equal(leased, leases.size, state)
    assert.equal(started - ended, waiting, state)
    assert.ok(waiting === 0 || idle === 0, state) // nobody waits beside something free
  }
  const closing = pool.close()
  for (const lease of leases) lease.release()
  await clock.settle()
  for (const lease of leases) lease[Symbol.dispose]()
  await closing
  for (const connect of connects) connect.succeed()
  await clock.advanceAsync(1_000)
  assert.equal(started, ended, `seed ${seed}: every call ended`)
  assert.equal(wheel.size, 0, `seed ${seed}: timers left`)
  for (const call of calls) assert.equal(call.listeners, 0, `seed ${seed}: listeners left`)
  for (const resource of resources) {
    assert.equal(resource.ends.length, 1, `seed ${seed}: resource ${resource.id} ended once`)
  }
}
