/** Pools of real worker threads: one bound for all of them, or a share for each. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { PoolLimits } from '../../src/runtime/pool-options.ts'
import { type QuotaShare, SharedQuota, workerShare } from '../../src/runtime/pool-quota.ts'
import type { Order } from './quota-worker.ts'

/**
 * Counts requests at a time: with HTTP/1.1 each has a connection of its own. (A connection that is
 * being closed may be seen beside its successor.) What is asked of `/hold` is answered never.
 */
async function server(t: TestContext) {
  const held: ServerResponse[] = []
  let active = 0
  let peak = 0
  let onHeld: (() => void) | undefined
  const http = createServer((request, response) => {
    if (request.url === '/hold') {
      held.push(response)
      return onHeld?.()
    }
    peak = Math.max(peak, ++active)
    setImmediate(() => {
      active--
      response.end('ok')
    })
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.after(() => {
    http.closeAllConnections()
    http.close()
  })
  return {
    origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    peak: () => peak,
    /** Until so many requests are held. */
    holds: async (count: number): Promise<void> => {
      while (held.length < count) await new Promise<void>((resolve) => (onHeld = resolve))
    },
  }
}

async function worker(
  t: TestContext,
  data: { origin: string; share?: QuotaShare; pool?: PoolLimits },
): Promise<Worker> {
  const thread = new Worker(new URL('./quota-worker.ts', import.meta.url), { workerData: data })
  t.after(() => thread.terminate())
  await once(thread, 'message')
  return thread
}

function order(thread: Worker, what: Order): void {
  thread.postMessage(what)
}

async function done(thread: Worker): Promise<number> {
  const [count] = (await once(thread, 'message')) as [number]
  return count
}

test('pools of several worker threads draw on one bound of connections', async (t) => {
  const { origin, peak } = await server(t)
  const quota = new SharedQuota(3)
  const threads = await Promise.all([1, 2].map(() => worker(t, { origin, share: quota.join() })))
  // The first has all permits, idle; the second gets some of them all the same.
  for (const thread of [threads[0]!, threads[1]!, threads[0]!]) {
    order(thread, { type: 'calls', count: 12 })
    assert.equal(await done(thread), 12)
  }
  for (const thread of threads) order(thread, { type: 'calls', count: 12 })
  assert.deepEqual(await Promise.all(threads.map(done)), [12, 12])
  assert.ok(peak() <= 3, `${peak()} requests at a time, of 3`)
  assert.ok(quota.taken <= 3)
})

test('the connections of a worker that died come back to the others', async (t) => {
  const { origin, holds } = await server(t)
  const quota = new SharedQuota(2)
  const share = quota.join()
  const dying = await worker(t, { origin, share })
  const other = await worker(t, { origin, share: quota.join() })
  order(dying, { type: 'hold', count: 2 })
  await holds(2)
  assert.equal(quota.taken, 2)
  order(other, { type: 'calls', count: 5 })
  const answer = done(other)
  dying.on('exit', () => quota.reclaim(share))
  await dying.terminate()
  assert.equal(await answer, 5)
})

test('per-worker pools keep to their share', async (t) => {
  const { origin, peak } = await server(t)
  const threads = await Promise.all(
    [0, 1].map((index) => worker(t, { origin, pool: { max: workerShare(3, index, 2) } })),
  )
  for (const thread of threads) order(thread, { type: 'calls', count: 15 })
  assert.deepEqual(await Promise.all(threads.map(done)), [15, 15])
  assert.ok(peak() <= 3, `${peak()} requests at a time, of 3`)
})
