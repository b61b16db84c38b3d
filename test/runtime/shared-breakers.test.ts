/** Breakers of several worker threads on one table: one state, one prober. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { BreakerState } from '../../src/core/policy.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { threadClockOffsetMs } from '../../src/platform/thread-clock.ts'
import { SharedBreakers } from '../../src/runtime/shared-breakers.ts'
import type { WorkerCommand } from './shared-breaker-worker.ts'

interface Answer {
  result: number
  state: BreakerState
  changes: string[]
}

class Threads {
  readonly workers: Worker[]

  constructor(buffer: SharedArrayBuffer, count: number) {
    const file = new URL('./shared-breaker-worker.ts', import.meta.url)
    this.workers = Array.from({ length: count }, () => new Worker(file, { workerData: buffer }))
  }

  async tell(index: number, command: WorkerCommand): Promise<Answer> {
    const worker = this.workers[index] as Worker
    const answer = once(worker, 'message')
    worker.postMessage(command)
    return (await answer)[0] as Answer
  }

  tellAll(command: WorkerCommand): Promise<Answer[]> {
    return Promise.all(this.workers.map((_worker, index) => this.tell(index, command)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()))
  }
}

test('a breaker that one thread opened refuses in all, and they elect one prober', async () => {
  const { buffer } = SharedBreakers.create({ capacity: 8 })
  await using threads = new Threads(buffer, 3)
  assert.equal((await threads.tell(0, { do: 'fail', now: 1_000, times: 3 })).state, 'open')
  for (const { result, state } of await threads.tellAll({ do: 'try', now: 1_749, times: 5 })) {
    assert.deepEqual([result, state], [0, 'open'])
  }
  const start = new SharedArrayBuffer(8)
  new Int32Array(start)[1] = 3
  const raced = await threads.tellAll({ do: 'race', now: 1_750, start })
  const granted = raced.reduce((sum, { result }) => sum + result, 0)
  assert.equal(granted, 1)
  for (const { state } of raced) assert.equal(state, 'half-open')
  // Two successes close it, of whichever threads.
  await threads.tellAll({ do: 'settle', now: 1_760 })
  assert.equal((await threads.tell(1, { do: 'succeed', now: 1_770, times: 1 })).state, 'closed')
  for (const { result, state } of await threads.tellAll({ do: 'try', now: 1_780, times: 2 })) {
    assert.deepEqual([result, state], [2, 'closed'])
  }
})

test('each thread is told of changes that others made', async () => {
  const { buffer } = SharedBreakers.create({ capacity: 8 })
  await using threads = new Threads(buffer, 2)
  await threads.tellAll({ do: 'succeed', now: 900, times: 1 }) // both are there
  const opened = await threads.tell(0, { do: 'fail', now: 1_000, times: 3 })
  assert.deepEqual(opened.changes, ['closed>open'])
  const seen = await threads.tell(1, { do: 'try', now: 1_001, times: 1 })
  assert.deepEqual(seen.changes, ['closed>open'])
})

test('the prober is one of all threads, however often it is raced for', async () => {
  const { buffer } = SharedBreakers.create({ capacity: 8 })
  await using threads = new Threads(buffer, 3)
  let now = 1_000
  for (let round = 0; round < 8; round++) {
    assert.equal((await threads.tell(round % 3, { do: 'fail', now, times: 3 })).state, 'open')
    now += 1_000
    const start = new SharedArrayBuffer(8)
    new Int32Array(start)[1] = 3
    const raced = await threads.tellAll({ do: 'race', now, start })
    assert.equal(
      raced.reduce((sum, { result }) => sum + result, 0),
      1,
      `round ${round}`,
    )
    await threads.tellAll({ do: 'settle', now })
    await threads.tell(0, { do: 'succeed', now, times: 1 })
    // Past the ramp of each thread.
    now += 20_000
  }
})

test('threadClockOffsetMs makes the clocks of all threads one', async () => {
  const { buffer } = SharedBreakers.create({ capacity: 8 })
  await using threads = new Threads(buffer, 1)
  const before = systemClock.now() + threadClockOffsetMs()
  const { result } = await threads.tell(0, { do: 'clock' })
  const after = systemClock.now() + threadClockOffsetMs()
  // Two clocks are read one after the other: a microsecond or two may lie between.
  assert.ok(result >= before - 1 && result <= after + 1, `${before} ≤ ${result} ≤ ${after}`)
})
