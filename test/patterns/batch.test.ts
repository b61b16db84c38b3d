/** Many calls as one; each caller its own answer or error. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call } from '../../src/core/context.ts'
import { TransportError } from '../../src/core/errors.ts'
import {
  type BatchAnswer,
  BatchCall,
  type BatchOptions,
  batching,
} from '../../src/runtime/patterns/batch.ts'
import { TimerWheel } from '../../src/runtime/timer-wheel.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { watch } from '../runtime/pool-fixture.ts'

interface Batch {
  readonly requests: readonly string[]
  readonly context: BatchCall
  answer(answers?: readonly BatchAnswer<string>[]): void
  fail(error: Error): void
}

function fixture(options: Partial<BatchOptions<string>> = {}) {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const batches: Batch[] = []
  const batcher = batching<string, string>(
    (requests, context) =>
      new Promise((resolve, reject) => {
        batches.push({
          requests,
          context: context as BatchCall,
          answer: (answers = requests.map((one) => ({ reply: `${one}!` }))) => resolve(answers),
          fail: reject,
        })
        context.onCancel(reject)
      }),
    { wheel, sizeOf: (request) => request.length, ...options },
  )
  const call = (request: string, context = new Call()) =>
    watch(Promise.resolve(batcher.call(request, context)))
  return { clock, wheel, batcher, batches, call }
}

test('batching flushes by size: at maxItems, not before', async () => {
  const { call, batches, clock } = fixture({ maxItems: 3, maxDelayMs: 1_000 })
  const outcomes = [call('a'), call('b')]
  await clock.settle()
  assert.equal(batches.length, 0)
  outcomes.push(call('c'))
  await clock.settle()
  assert.deepEqual(batches[0]?.requests, ['a', 'b', 'c'])
  batches[0]?.answer()
  await clock.settle()
  assert.deepEqual(
    outcomes.map(({ value }) => value),
    ['a!', 'b!', 'c!'],
  )
})

test('batching flushes by bytes: a request that does not fit begins the next batch', async () => {
  const { call, batches, clock } = fixture({ maxBytes: 10, maxDelayMs: 1_000 })
  call('1234')
  call('12345')
  await clock.settle()
  assert.equal(batches.length, 0)
  call('12')
  await clock.settle()
  assert.deepEqual(batches[0]?.requests, ['1234', '12345'])
  call('12345678') // ten bytes are full
  await clock.settle()
  assert.deepEqual(batches[1]?.requests, ['12', '12345678'])
  call('more than a batch') // goes alone
  await clock.settle()
  assert.deepEqual(batches[2]?.requests, ['more than a batch'])
})

test('batching flushes by time, counted from the first of the batch', async () => {
  const { call, batches, clock, wheel } = fixture({ maxDelayMs: 20 })
  call('a')
  await clock.advanceAsync(15)
  call('b')
  await clock.advanceAsync(4)
  assert.equal(batches.length, 0)
  await clock.advanceAsync(6)
  assert.deepEqual(batches[0]?.requests, ['a', 'b'])
  batches[0]?.answer()
  await clock.settle()
  assert.equal(wheel.size, 0)
})

test('batching gives each caller its own answer or error', async () => {
  const { call, batches, clock } = fixture({ maxItems: 2 })
  const [good, bad] = [call('a'), call('b')]
  await clock.settle()
  batches[0]?.answer([{ reply: 'A' }, { error: new Error('b is wrong') }])
  await clock.settle()
  assert.equal(good.value, 'A')
  assert.equal(bad.error?.message, 'b is wrong')
  const failed = [call('c'), call('d')]
  await clock.settle()
  batches[1]?.fail(new TransportError('ERR_RESET', 'reset'))
  await clock.settle()
  assert.deepEqual(
    failed.map(({ error }) => error?.code),
    ['ERR_RESET', 'ERR_RESET'],
  )
  assert.notEqual(failed[0]?.error, failed[1]?.error) // retries write their history on it
  assert.ok(failed[0]?.error instanceof TransportError)
  const short = [call('e'), call('f')]
  await clock.settle()
  batches[2]?.answer([{ reply: 'E' }])
  await clock.settle()
  assert.match(String(short[0]?.error?.message), /a batch of 2 got 1 answers/)
})

test('batching: a call that is cancelled leaves its batch, and a batch that nobody waits for ends', async () => {
  const { call, batches, clock } = fixture({ maxItems: 2, maxDelayMs: 20 })
  const early = new Call()
  const left = call('early', early)
  early.cancel(new Error('mine'))
  await clock.settle()
  assert.equal(left.error?.message, 'mine')
  const [one, two] = [new Call(), new Call()]
  const outcomes = [call('a', one), call('b', two)]
  await clock.settle()
  assert.deepEqual(batches[0]?.requests, ['a', 'b'])
  one.cancel(new Error('mine'))
  await clock.settle()
  assert.equal(outcomes[0]?.error?.message, 'mine')
  assert.ok(!batches[0]?.context.cancelled)
  two.cancel(new Error('mine'))
  await clock.settle()
  assert.ok(batches[0]?.context.cancelled)
  assert.equal(one.listened || two.listened || early.listened, false)
})

test('batching keeps the deadline of each call, and says when nothing was sent', async () => {
  const { call, clock, batches, wheel } = fixture({ maxItems: 10, maxDelayMs: 1_000 })
  const soon = call('a', new Call({ deadline: clock.now() + 50 }))
  await clock.advanceAsync(60)
  assert.equal(soon.error?.code, 'ERR_DEADLINE')
  assert.equal(soon.error?.sent, 'nothing')
  await clock.advanceAsync(2_000)
  assert.equal(batches.length, 0)
  assert.equal(wheel.size, 0)
})

test('batching: a batch links to its calls and takes what they have in common', async () => {
  const { call, clock, batches } = fixture({ maxItems: 2 })
  const now = clock.now()
  const [one, two] = [
    new Call({ correlationId: 'c', priority: 5, deadline: now + 100 }),
    new Call({ correlationId: 'c', priority: 2, deadline: now + 900 }),
  ]
  call('a', one)
  call('b', two)
  await clock.settle()
  const context = batches[0]?.context
  assert.ok(context instanceof BatchCall)
  assert.deepEqual(context.links, [one, two])
  assert.deepEqual([context.correlationId, context.priority, context.deadline], ['c', 2, now + 900])
  call('c', new Call({ correlationId: 'other' }))
  call('d', new Call({ correlationId: 'c', deadline: now + 100 }))
  await clock.settle()
  assert.deepEqual(
    [batches[1]?.context.correlationId, batches[1]?.context.deadline],
    [undefined, undefined],
  )
})

test('batching is bounded in batches under way and in calls that wait', async () => {
  const { call, clock, batches } = fixture({ maxItems: 1, maxConcurrent: 2, maxPending: 3 })
  const outcomes = ['a', 'b', 'c', 'd', 'e'].map((name) => call(name))
  await clock.settle()
  assert.equal(batches.length, 2)
  assert.throws(() => call('f'), { code: 'ERR_LIMITED' })
  batches[0]?.answer()
  await clock.settle()
  assert.equal(batches.length, 3)
  for (let index = 1; index < 5; index++) {
    batches[index]?.answer()
    await clock.settle()
  }
  assert.ok(outcomes.every(({ value }) => value !== undefined))
})

test('Batcher.close sends what waits and resolves when all is answered', async () => {
  const { call, clock, batches, batcher, wheel } = fixture({ maxDelayMs: 1_000 })
  const outcome = call('a')
  let closed = false
  const closing = batcher.close().then(() => (closed = true))
  await clock.settle()
  assert.equal(batches.length, 1)
  assert.equal(closed, false)
  assert.throws(() => call('b'), { code: 'ERR_CLOSED' })
  batches[0]?.answer()
  await closing
  assert.equal(outcome.value, 'a!')
  assert.equal(wheel.size, 0)
})
