import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixture, watch } from '../../test/runtime/pool-fixture.ts'
import { Call } from '../core/context.ts'
import { QuotaParticipant, SharedQuota, workerShare } from './pool-quota.ts'

test('SharedQuota gives as many permits as it has, over all participants', () => {
  const quota = new SharedQuota(3)
  const a = new QuotaParticipant(quota.join())
  const b = new QuotaParticipant(quota.join())
  assert.deepEqual([a.tryTake(), b.tryTake(), a.tryTake(), b.tryTake()], [true, true, true, false])
  assert.equal(quota.taken, 3)
  a.giveBack()
  assert.equal(b.tryTake(), true)
  assert.deepEqual([a.held, b.held], [1, 2])
  a.giveBack()
  assert.throws(() => a.giveBack(), { code: 'ERR_STATE' })
})

test('SharedQuota.reclaim frees what a participant held, once, and nobody else’s', () => {
  const quota = new SharedQuota(4)
  const share = quota.join()
  const dead = new QuotaParticipant(share)
  const alive = new QuotaParticipant(quota.join())
  for (let count = 0; count < 3; count++) assert.ok(dead.tryTake())
  assert.ok(alive.tryTake())
  dead.want(true)
  assert.equal(quota.reclaim(share), 3)
  assert.equal(quota.reclaim(share), 0)
  assert.equal(quota.taken, 1)
  assert.equal(alive.contended, false) // its wish went with it
  // A zombie that gives back does not free what somebody else has by now.
  for (let count = 0; count < 3; count++) assert.ok(alive.tryTake())
  dead.giveBack()
  assert.equal(quota.taken, 4)
  assert.throws(() => new SharedQuota(1).reclaim(share), { code: 'ERR_ARGUMENT' })
})

test('SharedQuota takes 64 participants, and numbers are given again', () => {
  const quota = new SharedQuota(1)
  const shares = Array.from({ length: 64 }, () => quota.join())
  assert.throws(() => quota.join(), { code: 'ERR_STATE' })
  quota.reclaim(shares[7]!)
  assert.equal(quota.join().participant, 8)
  assert.throws(() => new SharedQuota(0), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => new SharedQuota(65_537), { code: 'ERR_OPTION_RANGE' })
})

test('workerShare divides without a rest', () => {
  assert.deepEqual(
    [0, 1, 2].map((worker) => workerShare(8, worker, 3)),
    [3, 3, 2],
  )
  assert.throws(() => workerShare(2, 0, 3), { code: 'ERR_OPTION_RANGE' })
})

test('pools of one quota never have more connections than it has permits', async () => {
  const quota = new SharedQuota(2)
  const mine = new QuotaParticipant(quota.join())
  const a = fixture({ quota: mine, idleTimeoutMs: 60_000 })
  const b = fixture({ quota: mine, idleTimeoutMs: 60_000 })
  const leases = [await a.acquire(), await a.acquire()]
  const waiting = watch(b.acquire())
  await b.clock.settle()
  assert.ok(waiting.pending)
  leases[0]?.release() // `a` does not need it, and `b` waits
  await turn()
  assert.equal(waiting.value?.resource.id, 1)
  assert.deepEqual(a.resources[0]?.ends, ['closed'])
  assert.equal(quota.taken, 2)
  waiting.value?.release()
  leases[1]?.release()
  await Promise.all([a.pool.close(), b.pool.close()])
  assert.equal(quota.taken, 0)
})

test('a pool gives up an idle connection when another one waits, and not more than one', async () => {
  const quota = new SharedQuota(3)
  const mine = new QuotaParticipant(quota.join())
  const a = fixture({ quota: mine, idleTimeoutMs: 60_000, min: 1 })
  const b = fixture({ quota: mine, idleTimeoutMs: 60_000 })
  for (const lease of [await a.acquire(), await a.acquire(), await a.acquire()]) lease.release()
  const one = watch(b.acquire())
  await turn()
  assert.ok(one.value)
  assert.equal(a.pool.stats.idle, 2)
  const two = watch(b.acquire())
  const three = watch(b.acquire())
  await turn()
  assert.ok(two.value)
  assert.ok(three.pending) // `a` keeps its `min`
  assert.equal(a.pool.stats.idle, 1)
})

test('a permit comes back from a connect that fails, is given up, or comes too late', async () => {
  const quota = new SharedQuota(2)
  const mine = new QuotaParticipant(quota.join())
  const { connects, acquire, clock, pool } = fixture({
    quota: mine,
    manual: true,
    connectTimeoutMs: 100,
  })
  watch(acquire())
  connects[0]?.fail()
  await clock.settle()
  assert.equal(quota.taken, 0)
  watch(acquire())
  await clock.advanceAsync(110)
  assert.equal(quota.taken, 0)
  connects[1]?.succeed()
  await clock.settle()
  assert.equal(quota.taken, 0)
  const call = new Call()
  watch(acquire(call))
  await clock.settle()
  call.cancel()
  assert.equal(quota.taken, 1) // the connect goes on without its call
  await pool.close()
  assert.equal(quota.taken, 0)
})

/** Long enough for `waitAsync`, which comes from another turn of the event loop. */
async function turn(): Promise<void> {
  for (let count = 0; count < 20; count++) await new Promise(setImmediate)
}
