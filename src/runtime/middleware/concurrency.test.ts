import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Call } from '../../core/context.ts'
import { OverloadError, TransportError, UsageError } from '../../core/errors.ts'
import { SUCCEEDED, verdictOfError } from '../../core/verdicts.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import type { AdaptiveLimit, ConcurrencySample } from '../concurrency/adaptive-limit.ts'
import { Bulkheads } from '../concurrency/bulkheads.ts'
import { ConcurrencyGate, type GateOptions } from '../concurrency/concurrency-gate.ts'
import { TimerWheel } from '../timer-wheel.ts'
import { bulkhead } from './bulkhead.ts'
import { concurrency } from './concurrency.ts'

const classifier = {
  classifyResponse: () => SUCCEEDED,
  classifyError: (_request: string, error: unknown, context: Call) =>
    verdictOfError(error, context),
} as never

/** A service whose calls wait for the test, and end when they are cancelled. */
function pendingService() {
  const calls: { request: string; resolve(reply: string): void; reject(error: unknown): void }[] =
    []
  const service = (request: string, context: Call): Promise<string> =>
    new Promise((resolve, reject) => {
      calls.push({ request, resolve, reject })
      context.onCancel(reject)
    })
  return { calls, service: service as never }
}

function setUp(limit: GateOptions['limit'], maxQueued = 0) {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const gate = new ConcurrencyGate(
    { policy: 'limiter', name: 'x', key: '', limit, maxQueued },
    { wheel },
  )
  const { calls, service } = pendingService()
  const limited = concurrency<string, string>(gate, { wheel, classifier })(service)
  return { clock, gate, calls, limited }
}

test('concurrency gives a place back however its call ends', async () => {
  const { gate, calls, limited } = setUp(3)
  const replied = limited('a', new Call())
  const failed = limited('b', new Call())
  const cancelled = new Call()
  const gone = limited('c', cancelled)
  assert.throws(() => limited('d', new Call()), { code: 'ERR_LIMITED' })
  calls[0]?.resolve('ok')
  calls[1]?.reject(new Error('x'))
  cancelled.cancel(new Error('gone'))
  assert.equal(await replied, 'ok')
  await assert.rejects(async () => failed, /x/)
  await assert.rejects(async () => gone, /gone/)
  assert.equal(gate.inFlight, 0)
  const throwing = concurrency<string, string>(gate, {
    wheel: setUp(1).clock as never,
    classifier,
  })(() => {
    throw new Error('at once')
  })
  assert.throws(() => throwing('a', new Call()), /at once/)
  assert.equal(gate.inFlight, 0)
})

test('concurrency: a call cancelled between its turn and its start gives the place on', async () => {
  const { gate, calls, limited, clock } = setUp(1, 2)
  limited('a', new Call())
  const second = new Call()
  const never = limited('b', second)
  const third = limited('c', new Call())
  calls[0]?.resolve('ok')
  await Promise.resolve() // `a` has left and `b` has its place, but has not begun.
  second.cancel(new Error('gone'))
  await assert.rejects(async () => never, /gone/)
  await clock.settle()
  assert.deepEqual(
    calls.map(({ request }) => request),
    ['a', 'c'],
  )
  calls[1]?.resolve('ok')
  assert.equal(await third, 'ok')
  assert.ok(gate.idle)
})

test('concurrency tells an adaptive limit what the classifier knows, and nothing else', async () => {
  const samples: ConcurrencySample[] = []
  const adaptive: AdaptiveLimit = {
    limit: 10,
    options: {},
    baselineMs: undefined,
    record: (sample) => void samples.push(sample),
  }
  const { clock, calls, limited } = setUp(adaptive)
  const end = async (finish: (call: (typeof calls)[number], context: Call) => void) => {
    const context = new Call()
    const reply = limited('x', context)
    clock.advance(7)
    finish(calls.at(-1) as (typeof calls)[number], context)
    await Promise.resolve(reply).catch(() => {})
  }
  await end((call) => call.resolve('ok'))
  await end((call) => call.reject(new OverloadError('ERR_SHED', 'full')))
  await end((call) => call.reject(new TransportError('ERR_RESET', 'reset')))
  await end((call) => call.reject(new UsageError('ERR_ARGUMENT', 'mine')))
  await end((call) => call.reject(new Error('foreign')))
  await end((_call, context) => context.cancel(new Error('gone')))
  assert.deepEqual(
    samples.map(({ now, startedAt, inFlight, overloaded }) => [
      now - startedAt,
      inFlight,
      overloaded,
    ]),
    [
      [7, 1, false],
      [7, 1, true],
      [7, 1, true],
    ],
  )
})

function bulkheadSetUp(options: ConstructorParameters<typeof Bulkheads>[0]) {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const bulkheads = new Bulkheads(options, { wheel })
  const { calls, service } = pendingService()
  const key = (request: string) => (request === 'free' ? undefined : (request[0] as string))
  const limited = bulkhead<string, string>(bulkheads, { wheel, classifier, key })(service)
  return { clock, bulkheads, calls, limited }
}

test('bulkhead: a compartment that is full refuses its own calls and nobody else’s', async () => {
  const { bulkheads, calls, limited } = bulkheadSetUp({ maxConcurrent: 2, maxQueued: 1 })
  for (const name of ['a1', 'a2', 'a3', 'b1', 'b2', 'free', 'free']) void limited(name, new Call())
  assert.throws(() => limited('a4', new Call()), {
    code: 'ERR_SHED',
    message: 'bulkhead: 2 of 2 calls are under way, 1 of 1 wait',
  })
  assert.deepEqual(
    calls.map(({ request }) => request),
    ['a1', 'a2', 'b1', 'b2', 'free', 'free'],
  )
  assert.deepEqual([bulkheads.size, bulkheads.refused], [2, 1])
})

test('bulkhead keeps unused compartments up to maxCompartments, and refuses one more that is needed', async () => {
  const { bulkheads, calls, limited } = bulkheadSetUp({ maxConcurrent: 1, maxCompartments: 3 })
  for (const name of 'abcdefgh') {
    const reply = limited(name, new Call())
    calls.at(-1)?.resolve('ok')
    await reply
  }
  assert.equal(bulkheads.size, 3)
  for (const name of 'xyz') void limited(name, new Call())
  assert.throws(() => limited('w', new Call()), {
    code: 'ERR_LIMITED',
    message: 'bulkhead: all of 3 compartments have calls in them',
  })
  calls.find(({ request }) => request === 'y')?.resolve('ok')
  await new Promise((resolve) => setImmediate(resolve))
  void limited('w', new Call())
  assert.equal(bulkheads.size, 3)
})

test('bulkhead: whatever is called, ends or is cancelled, every place comes back', async () => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    type: fc.constantFrom('call', 'reply', 'fail', 'cancel', 'wait'),
    at: fc.nat(30),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { clock, bulkheads, calls, limited } = bulkheadSetUp({
        maxConcurrent: 2,
        maxQueued: 2,
        maxQueueMs: 100,
        maxCompartments: 3,
      })
      const contexts: Call[] = []
      let begun = 0
      let settled = 0
      const ask = async (key: string): Promise<void> => {
        const context = new Call()
        contexts.push(context)
        begun++
        try {
          await limited(key, context)
        } catch {}
        settled++
      }
      for (const { key, type, at } of steps) {
        if (type === 'call') void ask(key)
        else if (type === 'reply') calls[at % calls.length]?.resolve('ok')
        else if (type === 'fail') calls[at % calls.length]?.reject(new Error('x'))
        else if (type === 'cancel') contexts[at % contexts.length]?.cancel()
        else clock.advance(at)
        await clock.settle()
        assert.ok(bulkheads.size <= 3)
      }
      for (const context of contexts) context.cancel()
      await clock.settle()
      assert.equal(settled, begun)
      // Every compartment can be replaced: nobody is in any.
      for (const key of ['x', 'y', 'z']) assert.ok(bulkheads.of(key).tryEnter())
      await clock.advanceAsync(1_000)
      assert.equal(clock.pendingTimers, 0)
    }),
    { seed: 6, numRuns: 100 },
  )
})
