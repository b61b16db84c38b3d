/** Kinds of pools, limits that change while the pool runs, and what a call may ask for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call } from '../../src/core/context.ts'
import type { Lease } from '../../src/core/pool.ts'
import type { Occupancy } from '../../src/runtime/pool-options.ts'
import { fixture, type Resource, WatchedCall, watch } from './pool-fixture.ts'

const LONG = { idleTimeoutMs: Number.POSITIVE_INFINITY }
const COUNTING: Occupancy<Resource> = {
  available: (resource) => resource.capacity - resource.inFlight,
  inFlight: (resource) => resource.inFlight,
}

test('a fixed pool connects max at the start, keeps them and never makes more', async () => {
  const { pool, clock, acquire } = fixture({ kind: 'fixed', max: 3, shrinkDelayMs: 100 })
  pool.start()
  await clock.settle()
  assert.equal(pool.stats.idle, 3)
  await clock.advanceAsync(60_000)
  assert.equal(pool.stats.idle, 3)
  assert.equal(pool.stats.created, 3)
  for (let count = 0; count < 3; count++) await acquire()
  const fourth = watch(acquire())
  await clock.settle()
  assert.ok(fourth.pending)
  assert.throws(() => fixture({ kind: 'fixed', max: 3, min: 2 }), { code: 'ERR_OPTION_RANGE' })
})

test('a dynamic pool shrinks to what was needed, with its own delay, down to min', async () => {
  const { pool, clock, acquire } = fixture({ ...LONG, min: 1, shrinkDelayMs: 1_000 })
  /** Every connection is used now and then, but never more than `busy` at a time. */
  const use = async (busy: number): Promise<void> => {
    const leases: Lease<Resource>[] = []
    for (let count = 0; count < busy; count++) leases.push(await acquire())
    await clock.advanceAsync(100)
    for (const lease of leases) lease.release()
  }
  await use(5)
  for (let round = 0; round < 9; round++) await use(2)
  assert.equal(pool.stats.idle, 5) // the peak is in the window
  for (let round = 0; round < 20; round++) await use(2)
  assert.equal(pool.stats.idle, 2)
  await clock.advanceAsync(3_000)
  assert.equal(pool.stats.idle, 1)
  assert.equal(pool.stats.created, 5)
})

test('reconfigure: a lower max closes idle ones now and others when they come back', async () => {
  const { pool, clock, acquire, resources } = fixture({ ...LONG, max: 4 })
  const leases = [await acquire(), await acquire(), await acquire(), await acquire()]
  leases[0]?.release()
  pool.reconfigure({ max: 2 })
  assert.equal(pool.limits.max, 2)
  assert.deepEqual(resources[0]?.ends, ['closed'])
  assert.equal(pool.stats.leased, 3)
  const waiting = watch(acquire())
  leases[1]?.release()
  await clock.settle()
  assert.deepEqual(resources[1]?.ends, ['closed'])
  assert.ok(waiting.pending)
  leases[2]?.release()
  await clock.settle()
  assert.equal(waiting.value?.resource.id, 3)
  assert.equal(pool.stats.leased, 2)
})

test('reconfigure: a higher max serves who waits, a higher min and a fixed kind connect', async () => {
  const { pool, clock, acquire } = fixture({ ...LONG, max: 1 })
  await acquire()
  const waiting = watch(acquire())
  await clock.settle()
  pool.reconfigure({ max: 5 })
  await clock.settle()
  assert.equal(waiting.value?.resource.id, 2)
  pool.reconfigure({ min: 3 })
  await clock.settle()
  assert.equal(pool.stats.idle, 1)
  pool.reconfigure({ kind: 'fixed', min: 5 })
  await clock.settle()
  assert.equal(pool.stats.idle, 3)
})

test('reconfigure: other times hold at once, wrong ones change nothing', async () => {
  const { pool, clock, acquire } = fixture({ ...LONG, maxLifetimeMs: 1_000_000 })
  ;(await acquire()).release()
  assert.throws(() => pool.reconfigure({ max: 0 }), { code: 'ERR_OPTION_RANGE' })
  assert.equal(pool.limits.max, 128)
  pool.reconfigure({ idleTimeoutMs: 500 })
  await clock.advanceAsync(700)
  assert.equal(pool.stats.idle, 0)
  ;(await acquire()).release()
  pool.reconfigure({ idleTimeoutMs: 100_000, maxLifetimeMs: 500 })
  await clock.advanceAsync(700)
  assert.equal(pool.stats.idle, 0)
  assert.equal(clock.pendingTimers, 0)
})

test('a call that wants a fresh connection gets none that was idle before it asked', async () => {
  const { pool, clock, acquire } = fixture({ ...LONG })
  const [a, b] = [await acquire(), await acquire()]
  a.release()
  assert.equal(pool.tryAcquire(new Call(), { fresh: true }), undefined)
  const fresh = watch(acquire(new Call(), { fresh: true }))
  // Others take what is idle: nobody is overtaken by it.
  assert.equal(pool.tryAcquire()?.resource.id, 1)
  await clock.settle()
  assert.equal(fresh.value?.resource.id, 3)
  // One that comes back has just shown that it lives.
  pool.reconfigure({ max: 3 })
  const second = watch(acquire(new Call(), { fresh: true }))
  await clock.settle()
  b.release()
  await clock.settle()
  assert.equal(second.value?.resource.id, 2)
})

test('a call that wants a fresh connection makes room for it when the pool is at max', async () => {
  const { clock, acquire, resources, pool } = fixture({ ...LONG, max: 2 })
  const [a, b] = [await acquire(), await acquire()]
  a.release()
  await clock.advanceAsync(10)
  b.release()
  const fresh = watch(acquire(new Call(), { fresh: true }))
  await clock.settle()
  assert.equal(fresh.value?.resource.id, 3)
  assert.equal(resources[0]?.ends.length, 1) // the one idle for longest
  assert.deepEqual(resources[1]?.ends, [])
  assert.equal(pool.stats.leased + pool.stats.idle, 2)
})

test('a call that wants a fresh connection hears that none can be made, beside idle ones', async () => {
  const { clock, acquire, connects } = fixture({ ...LONG, manual: true })
  const first = watch(acquire())
  connects[0]?.succeed()
  await clock.settle()
  first.value?.release()
  const fresh = watch(acquire(new Call(), { fresh: true }))
  await clock.settle()
  connects[1]?.fail()
  await clock.settle()
  assert.equal(fresh.error?.code, 'ERR_CONNECT')
})

test('an exclusive lease takes the whole of a connection that takes several calls', async () => {
  const { pool, clock, acquire, resources } = fixture({ ...LONG, occupancy: COUNTING, max: 1 })
  const warm = await acquire()
  const resource = resources[0] as Resource
  resource.capacity = 10
  warm.release()
  pool.update(resource)
  const pinned = await acquire(new Call(), { exclusive: true })
  assert.equal(pool.tryAcquire(), undefined)
  const waiting = watch(acquire())
  resource.inFlight = 1 // calls of its own
  pool.update(resource)
  await clock.settle()
  assert.ok(waiting.pending)
  resource.inFlight = 0
  pinned.release()
  await clock.settle()
  assert.equal(waiting.value?.resource, resource)
})

test('an exclusive lease is not starved by calls that keep a connection busy', async () => {
  const { pool, clock, acquire, resources } = fixture({ ...LONG, occupancy: COUNTING, max: 1 })
  const first = await acquire()
  const resource = resources[0] as Resource
  resource.capacity = 10
  resource.inFlight = 3
  first.release()
  const pinned = watch(acquire(new Call(), { exclusive: true }))
  // It is kept free of further calls from now on.
  assert.equal(pool.tryAcquire(), undefined)
  for (resource.inFlight = 2; resource.inFlight >= 0; resource.inFlight--) {
    await clock.settle()
    assert.ok(pinned.pending)
    pool.update(resource)
    if (resource.inFlight === 0) break
  }
  await clock.settle()
  assert.equal(pinned.value?.resource, resource)
})

test('an exclusive lease that is given up sets the connection free again', async () => {
  const { clock, acquire, resources } = fixture({ ...LONG, occupancy: COUNTING, max: 1 })
  const first = await acquire()
  const resource = resources[0] as Resource
  resource.capacity = 10
  resource.inFlight = 3
  first.release()
  const call = new WatchedCall()
  const pinned = watch(acquire(call, { exclusive: true }))
  const normal = watch(acquire())
  await clock.settle()
  assert.ok(normal.pending)
  call.cancel(new Error('enough'))
  await clock.settle()
  assert.equal(pinned.error?.message, 'enough')
  assert.equal(normal.value?.resource, resource)
  assert.equal(call.listeners, 0)
})

test('what drains counts against max, unless connections take several calls', async () => {
  for (const capacity of [1, 10]) {
    const draining = new Set<Resource>()
    const occupancy: Occupancy<Resource> = {
      available: (resource) => (draining.has(resource) ? 0 : resource.capacity - resource.inFlight),
      inFlight: (resource) => resource.inFlight,
      draining: (resource) => draining.has(resource),
    }
    const { pool, clock, acquire, resources } = fixture({ ...LONG, occupancy, max: 1 })
    const lease = await acquire()
    const resource = resources[0] as Resource
    resource.capacity = capacity
    resource.inFlight = 1
    lease.release()
    draining.add(resource)
    pool.update(resource)
    const waiting = watch(acquire())
    await clock.settle()
    assert.equal(waiting.pending, capacity === 1, `capacity ${capacity}`)
    assert.equal(resources.length, capacity === 1 ? 1 : 2)
    resource.inFlight = 0
    pool.update(resource)
    await clock.settle()
    assert.equal(waiting.value?.resource, resources[1])
    assert.equal(resources.length, 2)
  }
})
