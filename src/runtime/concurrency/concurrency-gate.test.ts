import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Call } from '../../core/context.ts'
import { loadSignalOf } from '../../core/load-signal.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import type { OverloadChange } from '../load-host.ts'
import { TimerWheel } from '../timer-wheel.ts'
import { ConcurrencyGate, type GateOptions } from './concurrency-gate.ts'

function setUp(options: Partial<GateOptions> = {}) {
  const clock = new ManualClock()
  const changes: OverloadChange[] = []
  const gate = new ConcurrencyGate(
    { policy: 'limiter', name: 'limiter', key: '', limit: 1, ...options },
    { wheel: new TimerWheel({ clock }), onOverload: (change) => void changes.push(change) },
  )
  const served: string[] = []
  const lost: string[] = []
  /** A call that says when it has its place, and how it was lost. */
  const call = (name: string, priority = 3, init: { deadline?: number } = {}): Call => {
    const context = new Call(init)
    if (gate.tryEnter()) served.push(name)
    else {
      const refused = (error: unknown): void => {
        lost.push(`${name} ${(error as { code: string }).code}`)
      }
      try {
        gate.enter(context, priority).then(() => void served.push(name), refused)
      } catch (error) {
        refused(error)
      }
    }
    return context
  }
  return { clock, gate, served, lost, call, changes }
}

test('ConcurrencyGate takes its limit, queues maxQueued, and refuses one more with its depth', async () => {
  const { clock, gate, served, lost, call } = setUp({ limit: 2, maxQueued: 2 })
  for (const name of ['a', 'b', 'c', 'd', 'e']) call(name)
  await clock.advanceAsync(0)
  assert.deepEqual([served, lost], [['a', 'b'], ['e ERR_SHED']])
  assert.deepEqual([gate.inFlight, gate.queued, gate.refused], [2, 2, 1])
  try {
    gate.enter(new Call(), 3)
    assert.fail('not refused')
  } catch (error) {
    assert.match((error as Error).message, /^limiter: 2 of 2 calls are under way, 2 of 2 wait$/)
    assert.deepEqual(loadSignalOf(error), { retryAfterMs: 100, depth: 4, limit: 4 })
  }
  gate.leave()
  gate.leave()
  gate.leave()
  gate.leave()
  await clock.advanceAsync(0)
  assert.deepEqual(served, ['a', 'b', 'c', 'd'])
  assert.ok(gate.idle)
})

test('ConcurrencyGate without a queue refuses at once', () => {
  const { gate } = setUp({ limit: 1 })
  assert.ok(gate.tryEnter())
  assert.throws(() => gate.enter(new Call(), 0), {
    code: 'ERR_LIMITED',
    message: 'limiter: 1 of 1 calls are under way',
  })
})

test('ConcurrencyGate serves the best priority first, and sheds the worst when it is full', async () => {
  const { clock, gate, served, lost, call } = setUp({ maxQueued: 3 })
  call('running')
  call('low', 7)
  call('middle', 3)
  call('late low', 7)
  call('high', 0) // Full: of the worst, who came last goes.
  call('as low', 7) // Nobody is worse than itself.
  call('out of range', -5) // As 0.
  await clock.advanceAsync(0)
  assert.deepEqual(lost.sort(), ['as low ERR_SHED', 'late low ERR_SHED', 'low ERR_SHED'])
  for (let place = 0; place < 4; place++) {
    gate.leave()
    await clock.advanceAsync(0)
  }
  assert.deepEqual(served, ['running', 'high', 'out of range', 'middle'])
})

test('ConcurrencyGate serves in order, and the newest first once the queue has stood too long', async () => {
  const { clock, gate, served, lost, call, changes } = setUp({ maxQueued: 4, overloadAfterMs: 100 })
  call('running')
  for (const name of ['a', 'b', 'c']) call(name)
  gate.leave()
  await clock.advanceAsync(99)
  gate.leave()
  await clock.advanceAsync(0)
  assert.deepEqual(served, ['running', 'a', 'b'])
  call('d')
  await clock.advanceAsync(2)
  call('e')
  call('f')
  assert.deepEqual(changes, [{ limit: 'limiter', overloaded: true, queued: 2 }])
  call('g') // Full: the oldest makes room, nobody waits for it any more.
  for (let place = 0; place < 4; place++) {
    gate.leave()
    await clock.advanceAsync(0)
  }
  assert.deepEqual(served.slice(3), ['g', 'f', 'e', 'd'])
  assert.deepEqual(lost, ['c ERR_SHED'])
  assert.equal(changes.at(-1)?.overloaded, false)
})

test('ConcurrencyGate counts waiting against the deadline, and refuses at once who would be too late', async () => {
  const { clock, gate, served, lost, call } = setUp({ maxQueued: 100, overloadAfterMs: 100_000 })
  call('running')
  for (let at = 0; at < 12; at++) call(`${at}`)
  // A place every 50 ms.
  for (let at = 0; at < 8; at++) {
    await clock.advanceAsync(50)
    gate.leave()
    await clock.advanceAsync(0)
  }
  assert.equal(gate.queued, 4)
  // Four are ahead, so it would have its place in about 250 ms.
  call('too late', 3, { deadline: clock.now() + 150 })
  assert.deepEqual(lost, ['too late ERR_SHED'])
  call('in time', 3, { deadline: clock.now() + 400 })
  // Places stay as they are: now the deadline passes in the queue, and nothing of it was sent.
  const { promise, reject } = Promise.withResolvers<unknown>()
  gate.enter(new Call({ deadline: clock.now() + 310 }), 3).catch(reject)
  await clock.advanceAsync(330)
  await assert.rejects(promise, { code: 'ERR_DEADLINE', sent: 'nothing' })
  assert.ok(!served.includes('in time'))
})

test('ConcurrencyGate: nobody waits longer than maxQueueMs', async () => {
  const { clock, lost, call, gate } = setUp({ maxQueued: 2, maxQueueMs: 200 })
  call('running')
  call('waits')
  await clock.advanceAsync(195)
  assert.deepEqual(lost, [])
  await clock.advanceAsync(10)
  assert.deepEqual(lost, ['waits ERR_SHED'])
  assert.equal(gate.queued, 0)
})

test('ConcurrencyGate refuses options out of range', () => {
  for (const options of [{ limit: 0 }, { limit: 1.5 }, { maxQueued: -1 }, { maxQueueMs: -1 }]) {
    assert.throws(() => setUp(options), { code: 'ERR_OPTION_RANGE' })
  }
})

test('ConcurrencyGate: however calls end, places come back and nobody is lost', async () => {
  const step = fc.oneof(
    fc.record({
      type: fc.constant('call' as const),
      priority: fc.integer({ min: 0, max: 7 }),
      deadline: fc.option(fc.integer({ min: 0, max: 300 }), { nil: undefined }),
    }),
    fc.record({ type: fc.constantFrom('leave' as const, 'cancel' as const), at: fc.nat(20) }),
    fc.record({ type: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 120 }) }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 5 }),
      async (steps, limit, maxQueued) => {
        const clock = new ManualClock()
        const gate = new ConcurrencyGate(
          { policy: 'limiter', name: 'x', key: '', limit, maxQueued, maxQueueMs: 200 },
          { wheel: new TimerWheel({ clock }) },
        )
        const waiting: Call[] = []
        let begun = 0
        let inPlace = 0
        let settled = 0
        const enter = async (context: Call, priority: number): Promise<void> => {
          begun++
          try {
            if (!gate.tryEnter()) await gate.enter(context, priority)
            inPlace++
          } catch {}
          settled++
        }
        for (const one of steps) {
          if (one.type === 'call') {
            const context = new Call({ deadline: one.deadline && clock.now() + one.deadline })
            waiting.push(context)
            void enter(context, one.priority)
          } else if (one.type === 'leave' && inPlace > 0) {
            inPlace--
            gate.leave()
          } else if (one.type === 'cancel') waiting[one.at % waiting.length]?.cancel()
          else if (one.type === 'wait') clock.advance(one.ms)
          await clock.settle()
          assert.ok(gate.inFlight <= limit)
          assert.ok(gate.queued <= maxQueued)
          assert.equal(gate.inFlight, inPlace)
          // A place is never free while somebody waits for one.
          if (gate.queued > 0) assert.equal(gate.inFlight, limit)
        }
        while (inPlace > 0) {
          inPlace--
          gate.leave()
          await clock.settle()
        }
        await clock.advanceAsync(1_000)
        assert.equal(settled, begun)
        assert.ok(gate.idle)
        assert.equal(clock.pendingTimers, 0)
      },
    ),
    { seed: 5, numRuns: 150 },
  )
})
