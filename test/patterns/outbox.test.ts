/** Reliable fire-and-forget: what was taken is delivered, in order, at least once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call, type CallContext } from '../../src/core/context.ts'
import { RemoteError, TransportError } from '../../src/core/errors.ts'
import { type Outbox, openOutbox } from '../../src/runtime/patterns/outbox.ts'
import type { OutboxMessage, OutboxOptions } from '../../src/runtime/patterns/outbox-options.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { MemoryLog } from './memory-log.ts'

const text = (body: Uint8Array): string => new TextDecoder().decode(body)
const bytes = (body: string): Uint8Array => new TextEncoder().encode(body)
const reset = (): Error => new TransportError('ERR_RESET', 'reset')

async function fixture(options: Partial<OutboxOptions> & { log?: MemoryLog } = {}) {
  const clock = new ManualClock()
  const random = new SeededRandom(3)
  const { log = new MemoryLog(), ...rest } = options
  const seen: { message: OutboxMessage; context: CallContext }[] = []
  /** What the next deliveries throw. */
  const errors: (Error | undefined)[] = []
  const outbox = await openOutbox({
    log,
    clock,
    random: () => random.next(),
    deliver: async (message, context) => {
      seen.push({ message, context })
      const error = errors.shift()
      if (error !== undefined) throw error
    },
    ...rest,
  })
  const bodies = (): string[] => seen.map(({ message }) => text(message.body))
  return { clock, log, outbox, seen, errors, bodies }
}

test('Outbox delivers what it took in order, each once when all goes well', async () => {
  const { outbox, bodies, seen, log } = await fixture()
  await Promise.all(['a', 'b', 'c'].map((body) => outbox.enqueue(bytes(body))))
  await outbox.drained()
  assert.deepEqual(bodies(), ['a', 'b', 'c'])
  assert.equal(new Set(seen.map(({ message }) => message.id)).size, 3)
  assert.deepEqual([outbox.stats.waiting, outbox.stats.bytes, outbox.stats.delivered], [0, 0, 3])
  await outbox.close()
  assert.ok(log.closed)
})

test('Outbox tries again with the same id, in order, until it is delivered', async () => {
  const { outbox, bodies, seen, errors, clock } = await fixture()
  errors.push(reset(), reset())
  await outbox.enqueue(bytes('first'))
  await outbox.enqueue(bytes('second'))
  await clock.settle()
  assert.deepEqual(bodies(), ['first'])
  await clock.advanceAsync(10_000)
  assert.deepEqual(bodies(), ['first', 'first', 'first', 'second'])
  assert.deepEqual(
    seen.map(({ message }) => message.attempt),
    [1, 2, 3, 1],
  )
  assert.equal(new Set(seen.slice(0, 3).map(({ message }) => message.id)).size, 1)
  await outbox.close()
  assert.equal(clock.pendingTimers, 0)
})

test('Outbox gives up after maxAttempts, goes on with the next, and revives what is asked for', async () => {
  const dead: string[] = []
  const { outbox, bodies, errors, clock } = await fixture({
    maxAttempts: 2,
    observer: { dead: (message) => void dead.push(text(message.body)) },
  })
  errors.push(reset(), reset())
  const id = await outbox.enqueue(bytes('poison'))
  await outbox.enqueue(bytes('good'))
  await clock.advanceAsync(10_000)
  assert.deepEqual(bodies(), ['poison', 'poison', 'good'])
  assert.deepEqual(dead, ['poison'])
  assert.equal(outbox.deadLetters[0]?.reason, 'reset')
  assert.equal(await outbox.revive('unknown'), false)
  assert.equal(await outbox.revive(id), true)
  await outbox.drained()
  assert.equal(bodies().at(-1), 'poison')
  assert.equal(outbox.stats.dead, 0)
})

test('Outbox does not repeat what the receiver refused for good', async () => {
  const { outbox, errors, bodies } = await fixture()
  errors.push(new RemoteError('ERR_REMOTE', 'no such account'))
  const id = await outbox.enqueue(bytes('a'))
  await outbox.enqueue(bytes('b'))
  await outbox.drained()
  assert.deepEqual(bodies(), ['a', 'b'])
  assert.equal(outbox.deadLetters.length, 1)
  assert.equal(await outbox.discard(id), true)
  assert.equal(outbox.deadLetters.length, 0)
})

test('Outbox is bounded in entries and bytes, at the limit and one past', async () => {
  const never = (): Promise<never> => new Promise(() => {})
  const { outbox } = await fixture({
    deliver: never,
    maxEntries: 3,
    maxBytes: 10,
    maxEntryBytes: 8,
  })
  await outbox.enqueue(bytes('12345678'))
  await assert.rejects(outbox.enqueue(bytes('123456789')), { code: 'ERR_ARGUMENT' })
  await assert.rejects(outbox.enqueue(bytes('123')), { code: 'ERR_LIMITED' })
  await outbox.enqueue(bytes('12'))
  await outbox.enqueue(bytes(''))
  await assert.rejects(outbox.enqueue(bytes('')), /3 entries of 3, 10 bytes of 10/)
  assert.equal(outbox.stats.refused, 2)
  // What comes at once counts before it is written.
  const { outbox: other } = await fixture({ deliver: never, maxEntries: 2 })
  const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((one) => other.enqueue(bytes(one))))
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected'],
  )
})

test('Outbox takes an id once, also when it comes twice at once', async () => {
  const { outbox, bodies, clock, errors } = await fixture()
  errors.push(reset())
  await Promise.all([1, 2].map(() => outbox.enqueue(bytes('x'), new Call(), 'order-1')))
  await outbox.enqueue(bytes('x'), new Call(), 'order-1')
  await clock.advanceAsync(10_000)
  assert.deepEqual(bodies(), ['x', 'x']) // one that failed, one that did not
  assert.equal(outbox.stats.delivered, 1)
})

test('Outbox writes and syncs once for what comes together, and not at all when told so', async () => {
  const many = Array.from({ length: 100 }, (_, index) => bytes(String(index)))
  const never = (): Promise<never> => new Promise(() => {})
  const { outbox, log } = await fixture({ deliver: never })
  await Promise.all(many.map((body) => outbox.enqueue(body)))
  assert.ok(log.syncs <= 3, `${log.syncs} syncs`)
  assert.ok(log.appends <= 3, `${log.appends} appends`)
  const lazy = await fixture({ deliver: never, sync: 'never' })
  await lazy.outbox.enqueue(bytes('x'))
  assert.equal(lazy.log.syncs, 1) // of the file's header
})

test('Outbox carries correlation, trace, priority and metadata, and not the caller’s deadline', async () => {
  const { outbox, seen, clock } = await fixture()
  const trace = {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    flags: 1,
    state: 'a=1',
    baggage: 'tenant=7',
  }
  const metadata = new Map([['tenant', '7']])
  const call = new Call({ correlationId: 'c-1', priority: 1, trace, metadata, deadline: 5_000 })
  const id = await outbox.enqueue(bytes('x'), call)
  call.cancel(new Error('the caller left'))
  await outbox.drained()
  const { context } = seen[0]!
  assert.equal(context.correlationId, 'c-1')
  assert.equal(context.priority, 1)
  assert.deepEqual(context.trace, trace)
  assert.deepEqual([...context.metadata].sort(), [
    ['idempotency-key', id],
    ['tenant', '7'],
  ])
  assert.equal(context.deadline, clock.now() + 30_000)
  await assert.rejects(outbox.enqueue(bytes('y'), call), /the caller left/)
})

test('Outbox gives up an attempt that takes too long, even of a receiver that does not listen', async () => {
  let attempts = 0
  const { outbox, clock } = await fixture({
    attemptTimeoutMs: 100,
    deliver: () => (++attempts === 1 ? new Promise(() => {}) : 'ok'),
  })
  await outbox.enqueue(bytes('x'))
  await clock.advanceAsync(5_000)
  assert.equal(attempts, 2)
  assert.equal(outbox.stats.delivered, 1)
})

test('Outbox goes on where an earlier one stopped, attempts and dead letters included', async () => {
  const first = await fixture({ maxAttempts: 3, backoff: { jitter: 'none' } })
  first.errors.push(new RemoteError('ERR_REMOTE', 'no'), reset(), reset())
  await first.outbox.enqueue(bytes('dead'))
  await first.outbox.enqueue(bytes('half'))
  await first.outbox.enqueue(bytes('rest'))
  await first.clock.advanceAsync(250) // the third attempt would come at 300
  await first.outbox.close()
  const second = await fixture({ log: new MemoryLog(first.log.bytes), maxAttempts: 3 })
  await second.outbox.drained()
  assert.equal(second.seen[0]?.message.attempt, 3)
  assert.deepEqual(second.bodies(), ['half', 'rest'])
  assert.deepEqual(
    second.outbox.deadLetters.map(({ body }) => text(body)),
    ['dead'],
  )
})

test('Outbox opens after a crash at any byte, with what was whole, and loses nothing else', async () => {
  const bodies = ['a', 'bb', '', 'a longer one with a tail', 'e']
  const { outbox, log } = await fixture({ deliver: () => new Promise(() => {}) })
  const ends: number[] = []
  for (const body of bodies) {
    await outbox.enqueue(bytes(body))
    ends.push(log.bytes.length)
  }
  const whole = log.bytes
  for (let cut = 0; cut <= whole.length; cut++) {
    const after = await fixture({ log: new MemoryLog(whole.subarray(0, cut)) })
    await after.outbox.drained()
    const survived = ends.filter((end) => end <= cut).length
    assert.deepEqual(after.bodies(), bodies.slice(0, survived), `cut at ${cut}`)
    // And it takes more, which the next start finds.
    await after.outbox.enqueue(bytes('more'))
    await after.outbox.drained()
    await after.outbox.close()
    const again = await fixture({ log: new MemoryLog(after.log.bytes) })
    assert.equal(again.outbox.stats.waiting, 0, `cut at ${cut}`)
    assert.equal(again.outbox.stats.tornBytes, 0)
    await again.outbox.close()
  }
})

test('Outbox says that its file is damaged instead of losing what stands behind', async () => {
  const { outbox, log } = await fixture({ deliver: () => new Promise(() => {}) })
  for (const body of ['first', 'second', 'third']) await outbox.enqueue(bytes(body))
  const at = log.bytes.indexOf('first'.charCodeAt(0), 40)
  for (const where of [at, 12, 15, 20]) {
    const damaged = log.bytes.slice()
    damaged[where]! ^= 0xff
    await assert.rejects(
      fixture({ log: new MemoryLog(damaged) }),
      { code: 'ERR_CHECKSUM' },
      `${where}`,
    )
  }
  await assert.rejects(fixture({ log: new MemoryLog(bytes('something else')) }), {
    code: 'ERR_WRONG_PROTOCOL',
  })
})

test('a body that is itself a log of an outbox does not look like damage', async () => {
  const inner = await fixture({ deliver: () => new Promise(() => {}) })
  await inner.outbox.enqueue(bytes('inner'))
  const outer = await fixture({ deliver: () => new Promise(() => {}), random: () => 0.25 })
  await outer.outbox.enqueue(inner.log.bytes)
  const torn = new MemoryLog(outer.log.bytes.subarray(0, outer.log.bytes.length - 1))
  const after = await fixture({ log: torn })
  assert.equal(after.outbox.stats.waiting, 0)
  assert.ok(after.outbox.stats.tornBytes > 0)
})

test('Outbox writes its log anew when most of it is of no use, and it means the same', async () => {
  const compacted: [number, number][] = []
  const { outbox, log, errors } = await fixture({
    compactAfterBytes: 2_000,
    maxAttempts: 1,
    observer: { compacted: (before, after) => void compacted.push([before, after]) },
  })
  errors.push(reset())
  await outbox.enqueue(bytes('dead'))
  for (let count = 0; count < 40; count++) await outbox.enqueue(new Uint8Array(100))
  await outbox.drained()
  assert.ok(compacted.length >= 2)
  assert.ok(log.bytes.length < 3_000, `${log.bytes.length} bytes`)
  assert.equal(outbox.stats.logBytes, log.bytes.length)
  await outbox.close()
  const after = await fixture({ log: new MemoryLog(log.bytes) })
  assert.deepEqual(
    after.outbox.deadLetters.map(({ body }) => text(body)),
    ['dead'],
  )
  assert.equal(after.outbox.stats.waiting, 0)
})

test('Outbox takes nothing more once its log cannot be written', async () => {
  const told: string[] = []
  const { outbox, log } = await fixture({
    deliver: () => new Promise(() => {}),
    observer: { broken: (error) => void told.push(error.message) },
  })
  await outbox.enqueue(bytes('a'))
  log.failWith = new Error('ENOSPC')
  const outcomes = await Promise.allSettled(['b', 'c'].map((body) => outbox.enqueue(bytes(body))))
  assert.ok(outcomes.every(({ status }) => status === 'rejected'))
  log.failWith = undefined
  await assert.rejects(outbox.enqueue(bytes('d')), /ENOSPC/)
  assert.deepEqual(told, ['ENOSPC'])
  await close(outbox)
})

async function close(outbox: Outbox): Promise<void> {
  await outbox.close()
  await assert.rejects(outbox.enqueue(bytes('late')), { code: 'ERR_CLOSED' })
}
