import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scriptedClassifier } from '../../../test/runtime/scripted-exchanger.ts'
import { Call, type CallContext, type CallInit } from '../../core/context.ts'
import { OverloadError, TransportError } from '../../core/errors.ts'
import { NEVER_AGAIN } from '../../core/policy.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { type HedgeOptions, HedgePolicy } from '../hedge-policy.ts'
import { SlidingRetryBudget } from '../retry-budget.ts'
import { TimerWheel } from '../timer-wheel.ts'
import { HedgeCall, hedge, OVERTAKEN } from './hedge.ts'

interface Attempt {
  context: CallContext
  reply(text: string): void
  fail(error: unknown): void
}

/** A hedge after 100 ms around attempts that the test ends. */
function fixture(
  options: HedgeOptions = { delayMs: 100 },
  minPerSecond = 10,
  afterFailure = false,
) {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const budget = new SlidingRetryBudget({ minPerSecond, ratio: 0 })
  const attempts: Attempt[] = []
  const discarded: string[] = []
  const told: unknown[] = []
  const counts = { sent: 0, won: 0 }
  const policy = new HedgePolicy(options)
  const service = hedge<string, string>(
    {
      wheel,
      policy,
      budget,
      afterFailure,
      classifier: {
        ...scriptedClassifier,
        isComplete: (reply) => !reply.includes('stream'),
        discardResponse: (reply) => void discarded.push(reply),
      },
      onHedge: (number, delayMs) => void told.push([number, delayMs]),
    },
    counts,
  )((_request, context) => {
    return new Promise((resolve, reject) => {
      const remove = context.onCancel(reject)
      attempts.push({
        context,
        reply(text) {
          remove()
          resolve(text)
        },
        fail(error) {
          remove()
          reject(error)
        },
      })
    })
  })
  function call(request = 'get', init: CallInit = {}) {
    const context = new Call(init)
    const outcome = Promise.resolve(service(request, context)).catch((error: unknown) => error)
    return { context, outcome }
  }
  return { clock, wheel, budget, attempts, discarded, told, counts, policy, call, service }
}

const eager = (options: HedgeOptions = { delayMs: 100 }, minPerSecond = 10) =>
  fixture(options, minPerSecond, true)

const reset = (): Error => new TransportError('ERR_RESET', 'reset')

test('hedge takes the first answer and cancels the other attempt', async () => {
  for (const winner of [0, 1]) {
    const { clock, wheel, attempts, call, told, counts } = fixture()
    const { outcome, context } = call()
    await clock.advanceAsync(96)
    assert.equal(attempts.length, 1)
    await clock.advanceAsync(8)
    assert.equal(attempts.length, 2)
    assert.deepEqual(told, [[1, 100]])
    attempts[winner]?.reply('ok')
    assert.equal(await outcome, 'ok')
    const loser = attempts[1 - winner]?.context
    assert.equal(loser?.cancelReason, OVERTAKEN)
    assert.equal(attempts[winner]?.context.cancelled, false)
    assert.deepEqual(counts, { sent: 1, won: winner })
    // Nobody listens any more, and no timer runs.
    assert.equal(context.listened, false)
    assert.equal(wheel.size, 0)
  }
})

test('hedge sends nothing more when the answer is in time', async () => {
  const { clock, wheel, attempts, call, budget } = fixture()
  const before = budget.balance
  const { outcome } = call()
  await clock.advanceAsync(90)
  attempts[0]?.reply('ok')
  assert.equal(await outcome, 'ok')
  await clock.advanceAsync(1_000)
  assert.equal(attempts.length, 1)
  assert.equal(wheel.size, 0)
  assert.equal(budget.balance, before)
})

test('hedge never repeats what is not idempotent or cannot be sent twice at a time', async () => {
  const table: [what: string, request: string, init: CallInit, attempts: number][] = [
    ['idempotent', 'get', {}, 2],
    ['not idempotent', 'post', {}, 1],
    ['the caller says that it is', 'post', { idempotent: true }, 2],
    ['the caller says that it is not', 'get', { idempotent: false }, 1],
    ['a body that is read once', 'get once', {}, 1],
  ]
  for (const [what, request, init, expected] of table) {
    const { clock, attempts, call } = fixture()
    call(request, init)
    await clock.advanceAsync(300)
    assert.equal(attempts.length, expected, what)
  }
})

test('hedge stays within maxHedges, one delay after the other', async () => {
  const { clock, attempts, call } = fixture({ delayMs: 100, maxHedges: 3 })
  const { outcome } = call()
  for (const [at, count] of [
    [104, 2],
    [208, 3],
    [312, 4],
    [1_000, 4],
  ] as const) {
    await clock.advanceAsync(at - clock.now() + START)
    assert.equal(attempts.length, count, `${at} ms`)
  }
  assert.deepEqual(
    attempts.map(({ context }) => context.attempt),
    [1, 2, 3, 4],
  )
  attempts[2]?.reply('ok')
  assert.equal(await outcome, 'ok')
  const lost = attempts.filter(({ context }) => context.cancelReason === OVERTAKEN)
  assert.equal(lost.length, 3)
})

test('hedge draws on the budget and sends nothing without it', async () => {
  const { clock, attempts, call, budget } = fixture({ delayMs: 100 }, 0.1) // one in the window
  call()
  call()
  await clock.advanceAsync(200)
  assert.equal(attempts.length, 3)
  assert.equal(budget.tryWithdraw(clock.now()), false)
})

test('hedge waits for the other attempt when one fails', async () => {
  const open = (): Error => new OverloadError('ERR_BREAKER_OPEN', 'open')
  const table: [what: string, ends: [which: number, how: string | Error][], outcome: string][] = [
    [
      'the original',
      [
        [0, reset()],
        [1, 'ok'],
      ],
      'ok',
    ],
    [
      'the hedge',
      [
        [1, reset()],
        [0, 'ok'],
      ],
      'ok',
    ],
    [
      'by an answer',
      [
        [1, 'fail 1'],
        [0, 'ok'],
      ],
      'ok',
    ],
    [
      'both',
      [
        [1, 'fail 1'],
        [0, 'fail 2'],
      ],
      'fail 2',
    ],
    [
      'refused here at last',
      [
        [1, 'fail 1'],
        [0, open()],
      ],
      'fail 1',
    ],
    [
      'refused here at first',
      [
        [1, open()],
        [0, 'fail 2'],
      ],
      'fail 2',
    ],
  ]
  for (const [what, ends, expected] of table) {
    const { clock, wheel, attempts, call, counts } = fixture()
    const { outcome, context } = call()
    await clock.advanceAsync(104)
    for (const [which, how] of ends) {
      if (typeof how === 'string') attempts[which]?.reply(how)
      else attempts[which]?.fail(how)
      await clock.settle()
    }
    assert.equal(await outcome, expected, what)
    assert.equal(counts.sent, 1)
    assert.equal(context.listened, false, what)
    assert.equal(wheel.size, 0, what)
  }
})

test('hedge leaves a failure before its delay to the retry', async () => {
  const { clock, attempts, call } = fixture()
  const { outcome } = call()
  const error = reset()
  attempts[0]?.fail(error)
  assert.equal(await outcome, error)
  await clock.advanceAsync(300)
  assert.equal(attempts.length, 1)
})

test('hedge sends no more once the peer pushes back', async () => {
  const { clock, attempts, call } = fixture({ delayMs: 100, maxHedges: 5 })
  call()
  await clock.advanceAsync(104)
  attempts[1]?.reply(`busy:${NEVER_AGAIN}`)
  await clock.advanceAsync(1_000)
  assert.equal(attempts.length, 2)
})

test('hedge with afterFailure sends the next at once, then goes on by its delay', async () => {
  const { clock, wheel, attempts, call, told } = eager({ delayMs: 100, maxHedges: 3 })
  const { outcome, context } = call()
  attempts[0]?.reply('fail 1')
  await clock.settle()
  assert.equal(attempts.length, 2)
  await clock.advanceAsync(90)
  assert.equal(attempts.length, 2)
  await clock.advanceAsync(14)
  assert.equal(attempts.length, 3)
  attempts[1]?.fail(reset())
  await clock.settle()
  assert.equal(attempts.length, 4)
  attempts[2]?.reply('fail 3')
  attempts[3]?.reply('ok')
  assert.equal(await outcome, 'ok')
  assert.deepEqual(told, [
    [1, 100],
    [2, 100],
    [3, 100],
  ])
  assert.equal(wheel.size, 0)
  assert.equal(context.listened, false)
})

test('hedge with afterFailure ends with the last failure: hedges, budget, no other attempt', async () => {
  const all = eager({ delayMs: 100, maxHedges: 2 })
  const first = all.call()
  for (const [index, reply] of ['fail 1', 'fail 2', 'fail 3'].entries()) {
    all.attempts[index]?.reply(reply)
    await all.clock.settle()
  }
  assert.equal(await first.outcome, 'fail 3')
  assert.equal(all.attempts.length, 3)
  const poor = eager({ delayMs: 100, maxHedges: 2 }, 0.1)
  const second = poor.call()
  poor.attempts[0]?.reply('fail 1')
  await poor.clock.settle()
  poor.attempts[1]?.reply('fail 2')
  assert.equal(await second.outcome, 'fail 2')
  assert.equal(poor.attempts.length, 2)
  for (const { wheel } of [all, poor]) assert.equal(wheel.size, 0)
})

test('hedge with afterFailure waits out a pushback, whatever else fails', async () => {
  const { clock, wheel, attempts, call } = eager({ delayMs: 100, maxHedges: 3 })
  const { outcome, context } = call()
  await clock.advanceAsync(104)
  attempts[0]?.reply('busy:500')
  await clock.settle()
  attempts[1]?.reply('fail 2')
  await clock.advanceAsync(490)
  assert.equal(attempts.length, 2)
  await clock.advanceAsync(20)
  assert.equal(attempts.length, 3)
  attempts[2]?.reply(`busy:${NEVER_AGAIN}`)
  assert.equal(await outcome, `busy:${NEVER_AGAIN}`)
  assert.equal(attempts.length, 3)
  assert.equal(wheel.size, 0)
  assert.equal(context.listened, false)
})

test('hedge with afterFailure gives up a pushback that the caller does not wait for', async () => {
  const cancelled = eager()
  const { outcome, context } = cancelled.call()
  cancelled.attempts[0]?.reply('busy:500')
  await cancelled.clock.settle()
  const reason = new Error('mine')
  context.cancel(reason)
  assert.equal(await outcome, reason)
  const late = eager()
  const call = late.call('get', { deadline: START + 400 })
  late.attempts[0]?.reply('busy:500')
  assert.equal(await call.outcome, 'busy:500')
  const poor = eager({ delayMs: 100 }, 0.1)
  const [one, two] = [poor.call(), poor.call()]
  poor.attempts[0]?.reply('busy:500')
  poor.attempts[1]?.reply('busy:600')
  await poor.clock.advanceAsync(510)
  assert.equal(poor.attempts.length, 3)
  poor.attempts[2]?.reply('ok')
  await poor.clock.advanceAsync(110)
  assert.deepEqual(await Promise.all([one.outcome, two.outcome]), ['ok', 'busy:600'])
  for (const { wheel } of [cancelled, late, poor]) assert.equal(wheel.size, 0)
})

test('hedge discards an answer that comes in spite of the cancellation', async () => {
  const clock = new ManualClock()
  const discarded: string[] = []
  const answers = [Promise.withResolvers<string>(), Promise.withResolvers<string>()]
  let calls = 0
  const service = hedge<string, string>({
    wheel: new TimerWheel({ clock }),
    policy: new HedgePolicy({ delayMs: 100 }),
    budget: new SlidingRetryBudget(),
    classifier: {
      ...scriptedClassifier,
      discardResponse: (reply) => void discarded.push(reply),
    },
  })(() => (answers[calls++] as { promise: Promise<string> }).promise)
  const outcome = service('get', new Call())
  await clock.advanceAsync(104)
  answers[1]?.resolve('fast')
  assert.equal(await outcome, 'fast')
  answers[0]?.resolve('slow')
  await clock.settle()
  assert.deepEqual(discarded, ['slow'])
})

test('hedge ends both when the caller cancels, with the caller’s own reason', async () => {
  const { clock, wheel, attempts, call } = fixture()
  const { outcome, context } = call()
  await clock.advanceAsync(104)
  const reason = new Error('mine')
  context.cancel(reason)
  assert.equal(await outcome, reason)
  assert.deepEqual(
    attempts.map(({ context: attempt }) => attempt.cancelReason),
    [reason, reason],
  )
  assert.equal(wheel.size, 0)
  const early = fixture()
  const cancelled = early.call()
  cancelled.context.cancel(reason)
  await early.clock.advanceAsync(300)
  assert.equal(early.attempts.length, 1)
  assert.equal(await cancelled.outcome, reason)
})

test('hedge keeps a reply that is there at once without a promise', () => {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const service = hedge<string, string>({
    wheel,
    policy: new HedgePolicy({ delayMs: 100 }),
    budget: new SlidingRetryBudget(),
    classifier: scriptedClassifier,
  })(() => 'ok')
  const context = new Call()
  assert.equal(service('get', context), 'ok')
  assert.equal(wheel.size, 0)
  assert.equal(context.listened, false)
})

test('hedge learns its delay from originals, those that were overtaken included', async () => {
  const made = fixture({ minSamples: 20 })
  const { clock, attempts, call, policy } = made
  for (let count = 0; count < 20; count++) {
    const { outcome } = call()
    await clock.advanceAsync(10)
    attempts.at(-1)?.reply('ok')
    await outcome
  }
  const before = policy.delay('get', clock.now()) as number
  assert.ok(Math.abs(before - 10) < 0.6, `${before}`)
  for (let count = 0; count < 5; count++) {
    const { outcome } = call()
    await clock.advanceAsync(200)
    assert.ok(attempts.at(-1)?.context instanceof HedgeCall)
    attempts.at(-1)?.reply('ok') // of the hedge
    await outcome
  }
  const after = policy.delay('get', clock.now()) as number
  assert.ok(after > 150, `${after}: the overtaken took at least so long`)
})

test('hedge pays its own calls into the budget where no retry does', async () => {
  const clock = new ManualClock()
  const budget = new SlidingRetryBudget({ minPerSecond: 0, ratio: 0.5 })
  const service = hedge<string, string>({
    wheel: new TimerWheel({ clock }),
    policy: new HedgePolicy({ delayMs: 100 }),
    budget,
    classifier: scriptedClassifier,
    deposits: true,
  })(() => 'ok')
  service('get', new Call())
  service('post', new Call())
  assert.equal(budget.balance, 1)
})

const START = new ManualClock().now()
