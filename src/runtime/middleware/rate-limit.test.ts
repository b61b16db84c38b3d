import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Call, type CallContext } from '../../core/context.ts'
import { HeddleError } from '../../core/errors.ts'
import type { RateLimitReport } from '../../core/load-signal.ts'
import { loadSignalOf } from '../../core/load-signal.ts'
import { verdictOfError } from '../../core/verdicts.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { RateLimit, type RateLimitOptions } from '../rate-limit/rate-limit.ts'
import type { RateLimitDecision } from '../rate-limit/rate-limit-store.ts'
import { TimerWheel } from '../timer-wheel.ts'
import { rateLimit } from './rate-limit.ts'

const words = { operation: (request: string) => request.split(' ')[0] as string }

function setUp(...options: RateLimitOptions<string>[]) {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const limits = options.map((one) => new RateLimit<string>(one))
  const reached: string[] = []
  const service = rateLimit<string, string>(
    limits,
    { wheel },
    words,
  )((request) => {
    reached.push(request)
    return `reply to ${request}`
  })
  return { clock, wheel, limits, reached, service }
}

function refusal(run: () => unknown): HeddleError {
  try {
    run()
  } catch (error) {
    if (error instanceof HeddleError) return error
  }
  throw new Error('not refused')
}

test('rateLimit refuses who has nothing left, says when, and a retry waits for it', () => {
  const { clock, service, reached } = setUp({ limit: 2, windowMs: 1_000, key: 'operation' })
  assert.equal(service('read a', new Call()), 'reply to read a')
  service('read b', new Call())
  const error = refusal(() => service('read c', new Call()))
  assert.equal(error.code, 'ERR_RATE_LIMITED')
  assert.equal(error.message, 'rate limit operation (2 per 1000 ms) has nothing left for 500 ms')
  assert.equal(error.sent, 'nothing')
  assert.deepEqual(loadSignalOf(error), {
    retryAfterMs: 500,
    rateLimit: { name: 'operation', quota: 2, windowMs: 1_000, remaining: 0, resetMs: 500 },
  })
  assert.equal(verdictOfError(error, new Call()).pushbackMs, 500)
  // Another operation has its own share.
  service('write', new Call())
  clock.advance(500)
  service('read d', new Call())
  assert.deepEqual(reached, ['read a', 'read b', 'write', 'read d'])
})

test('rateLimit: what one limit refuses uses up nothing of another', () => {
  const wide = { name: 'wide', limit: 3, windowMs: 1_000 }
  const narrow = { name: 'narrow', limit: 1, windowMs: 1_000 }
  const { service, limits } = setUp(wide, narrow)
  service('a', new Call())
  for (let call = 0; call < 5; call++) {
    assert.match(refusal(() => service('a', new Call())).message, /narrow/)
  }
  assert.equal(limits[0]?.refused, 0)
  assert.equal(limits[1]?.refused, 5)
  // Five refusals later the wide one still has two.
  const left = limits[0]?.take('', 2, new Call(), { wheel: setUp().wheel })
  assert.equal((left as RateLimitDecision).remaining, 0)
})

test('rateLimit leaves a call alone whose key is undefined, and counts its cost', () => {
  const { service, reached } = setUp({
    limit: 4,
    windowMs: 1_000,
    key: (request) => (request === 'free' ? undefined : 'all'),
    cost: (request) => request.length,
  })
  for (let call = 0; call < 9; call++) service('free', new Call())
  service('abc', new Call())
  refusal(() => service('ab', new Call()))
  service('a', new Call())
  assert.equal(reached.length, 11)
})

test('rateLimit lets calls wait in the order they came, up to maxWaiting', async () => {
  const { clock, service, reached, limits } = setUp({
    limit: 10,
    windowMs: 1_000,
    burst: 1,
    maxWaitMs: 10_000,
    maxWaiting: 3,
  })
  service('first', new Call())
  const waiting = ['a', 'b', 'c'].map((name) => service(name, new Call()))
  assert.equal(limits[0]?.waiting, 3)
  const error = refusal(() => service('d', new Call()))
  assert.equal(error.code, 'ERR_RATE_LIMITED')
  await clock.advanceAsync(99)
  assert.deepEqual(reached, ['first'])
  await clock.advanceAsync(1)
  assert.deepEqual(reached, ['first', 'a'])
  // Whoever comes now lines up behind those that wait.
  const late = service('late', new Call())
  await clock.advanceAsync(300)
  assert.deepEqual(reached, ['first', 'a', 'b', 'c', 'late'])
  assert.deepEqual(await Promise.all([...waiting, late]), [
    'reply to a',
    'reply to b',
    'reply to c',
    'reply to late',
  ])
  assert.equal(limits[0]?.waiting, 0)
})

test('rateLimit refuses at once a call that would wait longer than it may', async () => {
  const { clock, service } = setUp({ limit: 1, windowMs: 1_000, maxWaitMs: 2_500 })
  service('a', new Call())
  const now = clock.now()
  assert.equal(
    loadSignalOf(refusal(() => service('b', new Call({ deadline: now + 999 }))))?.retryAfterMs,
    1_000,
  )
  const first = service('c', new Call({ deadline: now + 1_001 }))
  const second = service('d', new Call())
  refusal(() => service('e', new Call()))
  await clock.advanceAsync(2_000)
  assert.deepEqual(await Promise.all([first, second]), ['reply to c', 'reply to d'])
})

test('rateLimit: a call that is cancelled leaves the queue, and the next has its place', async () => {
  const { clock, service, reached, limits } = setUp({ limit: 1, windowMs: 1_000, maxWaitMs: 9_000 })
  service('a', new Call())
  const call = new Call()
  const cancelled = service('b', call)
  const next = service('c', new Call())
  call.cancel(new Error('gone'))
  await assert.rejects(async () => cancelled, /gone/)
  assert.equal(limits[0]?.waiting, 1)
  await clock.advanceAsync(1_000)
  assert.equal(await next, 'reply to c')
  assert.deepEqual(reached, ['a', 'c'])
})

test('rateLimit asks a store that answers later, and lets calls through while it fails', async () => {
  const answers: PromiseWithResolvers<RateLimitDecision>[] = []
  const store = {
    take() {
      const answer = Promise.withResolvers<RateLimitDecision>()
      answers.push(answer)
      return answer.promise
    },
  }
  for (const onStoreError of ['allow', 'refuse'] as const) {
    answers.length = 0
    const { service } = setUp({ limit: 1, windowMs: 1_000, store, onStoreError })
    const good = service('a', new Call())
    const over = service('b', new Call())
    const failing = service('c', new Call())
    const decision = { allowed: true, remaining: 0, retryAfterMs: 0, resetMs: 1 }
    answers[0]?.resolve(decision)
    answers[1]?.resolve({ ...decision, allowed: false, retryAfterMs: 7 })
    answers[2]?.reject(new Error('no store'))
    assert.equal(await good, 'reply to a')
    await assert.rejects(async () => over, { code: 'ERR_RATE_LIMITED' })
    if (onStoreError === 'allow') assert.equal(await failing, 'reply to c')
    else await assert.rejects(async () => failing, /cannot be asked: no store/)
  }
})

test('rateLimit gives back what a call took that was cancelled while a store answered', async () => {
  const given: string[] = []
  const answer = Promise.withResolvers<RateLimitDecision>()
  const store = { take: () => answer.promise, giveBack: (key: string) => void given.push(key) }
  const { service, reached } = setUp({ limit: 1, windowMs: 1_000, store, key: () => 'k' })
  const call = new Call()
  const reply = service('a', call)
  call.cancel(new Error('gone'))
  answer.resolve({ allowed: true, remaining: 0, retryAfterMs: 0, resetMs: 1 })
  await assert.rejects(async () => reply, /gone/)
  assert.deepEqual([given, reached], [['k'], []])
})

test('rateLimit reports what is left with the reply', () => {
  const clock = new ManualClock()
  const reported: RateLimitReport[] = []
  const limits = [new RateLimit<string>({ limit: 5, windowMs: 60_000 })]
  const service = rateLimit<string, string>(
    limits,
    { wheel: new TimerWheel({ clock }) },
    {
      ...words,
      reportRateLimits: (_reply, reports) => void reported.push(...reports),
    },
  )(() => 'ok')
  service('a', new Call())
  service('a', new Call())
  assert.deepEqual(
    reported.map(({ remaining, resetMs }) => [remaining, resetMs]),
    [
      [4, 12_000],
      [3, 24_000],
    ],
  )
})

test('rateLimit: whoever waits, is cancelled or is served, the queue empties and no timer is left', async () => {
  const step = fc.record({
    after: fc.integer({ min: 0, max: 300 }),
    cancel: fc.boolean(),
    deadline: fc.option(fc.integer({ min: 1, max: 900 }), { nil: undefined }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { clock, service, limits, reached } = setUp({
        limit: 8,
        windowMs: 1_000,
        burst: 2,
        maxWaitMs: 700,
        maxWaiting: 5,
      })
      let settled = 0
      let served = 0
      const begun: Call[] = []
      const ask = async (context: CallContext): Promise<void> => {
        try {
          await service('x', context)
          served++
        } catch {}
        settled++
      }
      for (const { after, cancel, deadline } of steps) {
        await clock.advanceAsync(after)
        const call = new Call({ deadline: deadline && clock.now() + deadline })
        begun.push(call)
        void ask(call)
        if (cancel) begun[begun.length >> 1]?.cancel()
      }
      await clock.advanceAsync(5_000)
      assert.equal(settled, steps.length)
      assert.equal(reached.length, served)
      assert.equal(limits[0]?.waiting, 0)
      assert.equal(clock.pendingTimers, 0)
    }),
    { seed: 4, numRuns: 60 },
  )
})
