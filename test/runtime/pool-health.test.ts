/** Whether what a pool lends still lives: pings before reuse, health checks, clocks that jump. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call } from '../../src/core/context.ts'
import { fixture, watch } from './pool-fixture.ts'

const LONG = { idleTimeoutMs: Number.POSITIVE_INFINITY }

test('ConnectionPool pings what was idle for longer than pingAfterMs before it lends it', async () => {
  const { pool, clock, acquire, pings } = fixture({ ...LONG, pingable: true, pingAfterMs: 1_000 })
  ;(await acquire()).release()
  await clock.advanceAsync(1_000)
  pool.tryAcquire()?.release() // at the limit, not over it
  await clock.advanceAsync(1_001)
  assert.equal(pool.tryAcquire(), undefined)
  const outcome = watch(acquire())
  await clock.settle()
  assert.equal(pings.length, 1)
  assert.equal(pool.stats.probing, 1)
  assert.equal(pool.stats.connecting, 0) // none is made for a call that the ping may serve
  pings[0]?.answer()
  await clock.settle()
  assert.equal(outcome.value?.resource.id, 1)
  outcome.value?.release()
  assert.equal(pool.tryAcquire()?.resource.id, 1) // proven
})

test('ConnectionPool with pingAfterMs 0 asks once, not for ever', async () => {
  const { clock, acquire, pings } = fixture({ ...LONG, pingable: true, pingAfterMs: 0 })
  const { now } = clock
  let ticks = 0
  clock.now = () => now.call(clock) + ++ticks * 0.001 // as real clocks: never twice the same
  ;(await acquire()).release()
  const outcome = watch(acquire())
  await clock.settle()
  assert.equal(pings.length, 1)
  pings[0]?.answer()
  await clock.settle()
  assert.equal(outcome.value?.resource.id, 1)
  assert.equal(pings.length, 1)
})

test('ConnectionPool goes on to a fresh connection when a ping fails', async () => {
  const { pool, clock, acquire, pings, resources } = fixture({
    ...LONG,
    pingable: true,
    pingAfterMs: 1_000,
  })
  ;(await acquire()).release()
  await clock.advanceAsync(2_000)
  const outcome = watch(acquire())
  await clock.settle()
  pings[0]?.fail(new Error('reset'))
  await clock.settle()
  assert.deepEqual(resources[0]?.ends, ['reset'])
  assert.equal(outcome.value?.resource.id, 2)
  assert.equal(pool.stats.probing, 0)
})

test('ConnectionPool counts a ping against the deadline, and gives it up at pingTimeoutMs', async () => {
  const { clock, acquire, pings, wheel, pool } = fixture({
    ...LONG,
    pingable: true,
    pingAfterMs: 1_000,
    pingTimeoutMs: 400,
    max: 1,
  })
  ;(await acquire()).release()
  await clock.advanceAsync(2_000)
  const late = watch(acquire(new Call({ deadline: clock.now() + 100 })))
  const patient = watch(acquire())
  await clock.advanceAsync(110)
  assert.equal(late.error?.code, 'ERR_DEADLINE')
  assert.equal(late.error?.sent, 'nothing')
  assert.ok(patient.pending)
  await clock.advanceAsync(300)
  assert.equal(pings[0]?.signal.aborted, true)
  assert.equal(patient.value?.resource.id, 2)
  patient.value?.release()
  pings[0]?.answer() // too late for anybody
  await clock.settle()
  assert.equal(pool.stats.idle, 1)
  await pool.close()
  assert.equal(wheel.size, 0)
})

test('ConnectionPool asks one idle connection for each call that waits, not all of them', async () => {
  const { clock, acquire, pings } = fixture({ ...LONG, pingable: true, pingAfterMs: 1_000 })
  const leases = [await acquire(), await acquire(), await acquire()]
  for (const lease of leases) lease.release()
  await clock.advanceAsync(2_000)
  const outcomes = [watch(acquire()), watch(acquire())]
  await clock.settle()
  assert.deepEqual(
    pings.map(({ resource }) => resource.id),
    [3, 2], // the last used first
  )
  for (const ping of pings) ping.answer()
  await clock.settle()
  assert.deepEqual(
    outcomes.map(({ value }) => value?.resource.id),
    [3, 2],
  )
})

test('ConnectionPool pings idle connections every healthIntervalMs and drops the dead', async () => {
  const { clock, acquire, pings, pool, resources } = fixture({
    ...LONG,
    pingable: true,
    healthIntervalMs: 1_000,
    min: 2,
  })
  const leases = [await acquire(), await acquire()]
  for (const lease of leases) lease.release()
  await clock.advanceAsync(999)
  assert.equal(pings.length, 0)
  await clock.advanceAsync(260)
  assert.equal(pings.length, 2)
  assert.equal(pool.tryAcquire(), undefined) // they are being asked
  pings[0]?.answer()
  pings[1]?.fail(new Error('dead'))
  await clock.settle()
  assert.equal(resources.filter(({ ends }) => ends.length > 0).length, 1)
  assert.equal(pool.stats.idle, 2) // `min` is kept: another one was made
  assert.ok(resources.every(({ held }) => !held || resources.indexOf(resources[2]!) === 2))
})

test('ConnectionPool refuses pings where the protocol has none', () => {
  assert.throws(() => fixture({ pingAfterMs: 1_000 }), { code: 'ERR_OPTION_UNSUPPORTED' })
  assert.throws(() => fixture({ healthIntervalMs: 1_000 }), { code: 'ERR_OPTION_UNSUPPORTED' })
  assert.throws(() => fixture({ suspects: 'ping' }), { code: 'ERR_OPTION_UNSUPPORTED' })
  assert.throws(() => fixture().pool.reconfigure({ pingAfterMs: 1 }), {
    code: 'ERR_OPTION_UNSUPPORTED',
  })
})

test('a wall clock that moved on while the monotonic one stood still: idle connections go', async () => {
  const jumps: number[] = []
  const { clock, acquire, pool, resources } = fixture({
    ...LONG,
    observer: { clockJumped: (suspects) => void jumps.push(suspects) },
  })
  const [a, b, busy] = [await acquire(), await acquire(), await acquire()]
  a.release()
  b.release()
  clock.jumpWall(2_000) // at the limit
  pool.tryAcquire()?.release()
  assert.deepEqual(jumps, [])
  clock.jumpWall(2_001)
  assert.equal(pool.tryAcquire(), undefined)
  assert.deepEqual(jumps, [2])
  assert.match(String(resources[0]?.ends), /did not run/)
  busy.release() // what was in use is judged by its own call
  assert.equal(pool.tryAcquire()?.resource.id, 3)
})

test('a gap of the monotonic clock: idle connections are pinged before they are lent', async () => {
  const { clock, acquire, pool, pings } = fixture({ ...LONG, pingable: true, suspects: 'ping' })
  ;(await acquire()).release()
  const { now } = clock
  let frozenMs = 0
  clock.now = () => now.call(clock) + frozenMs
  clock.wallNow = () => 1e12 + clock.now()
  pool.tryAcquire()?.release() // the clock's own look at the wall
  await clock.settle()
  for (const ping of pings.splice(0)) ping.answer()
  await clock.settle()
  pool.tryAcquire()?.release()
  frozenMs = 60_000 // no timer has fired meanwhile
  assert.equal(pool.tryAcquire(), undefined)
  const outcome = watch(acquire())
  await clock.settle()
  assert.equal(pings.length, 1)
  pings[0]?.answer()
  await clock.settle()
  assert.equal(outcome.value?.resource.id, 1)
})

test('a process that slept as long as nothing was idle suspects nothing', async () => {
  const jumps: number[] = []
  const { clock, acquire, pool } = fixture({
    ...LONG,
    observer: { clockJumped: (suspects) => void jumps.push(suspects) },
  })
  const lease = await acquire()
  await clock.advanceAsync(600_000 / 2)
  lease.release()
  assert.equal(pool.tryAcquire()?.resource.id, 1)
  assert.deepEqual(jumps, [])
})
