import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scriptedClassifier } from '../../../test/runtime/scripted-exchanger.ts'
import { Call, type CallContext, type CallInit } from '../../core/context.ts'
import {
  ClosedError,
  HeddleError,
  OverloadError,
  ProtocolError,
  RemoteError,
  TransportError,
} from '../../core/errors.ts'
import { NEVER_AGAIN, type RetryPolicy } from '../../core/policy.ts'
import type { MaybePromise } from '../../core/service.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { SlidingRetryBudget } from '../retry-budget.ts'
import { BackoffRetryPolicy } from '../retry-policy.ts'
import { AttemptCall, attemptsOf, type RetryOptions, retry } from './retry.ts'

type Answer = string | Error | Promise<string>

/** A service that gives these answers one after the other, behind a retry; delays are 25 and 50. */
function fixture(answers: Answer[], options: Partial<RetryOptions<string, string>> = {}) {
  const clock = new ManualClock()
  const contexts: CallContext[] = []
  const at: number[] = []
  const discarded: string[] = []
  const budget = new SlidingRetryBudget()
  const service = retry<string, string>({
    clock,
    random: () => 0.5,
    policy: new BackoffRetryPolicy(),
    budget,
    classifier: { ...scriptedClassifier, discardResponse: (reply) => void discarded.push(reply) },
    ...options,
  })((_request, context): MaybePromise<string> => {
    contexts.push(context)
    at.push(clock.now())
    const answer = answers[contexts.length - 1]
    if (answer instanceof Error) throw answer
    return answer as string
  })
  async function call(request = 'get', init: CallInit = {}): Promise<string | Error> {
    const outcome = Promise.resolve()
      .then(() => service(request, new Call(init)))
      .catch((error: Error) => error)
    await clock.advanceAsync(20_000)
    return outcome
  }
  return { clock, contexts, at, discarded, budget, service, call }
}

const reset = (): Error => new TransportError('ERR_RESET', 'reset')
const refused = (): Error => new TransportError('ERR_CONNECT', 'refused', { sent: 'nothing' })

test('retry decides by its table', async () => {
  const table: [
    what: string,
    request: string,
    answers: Answer[],
    attempts: number,
    init?: CallInit,
  ][] = [
    ['success', 'get', ['ok'], 1],
    ['a failure that may pass', 'get', [reset(), 'ok'], 2],
    ['as a rejection', 'get', [Promise.reject(reset()), 'ok'], 2],
    ['a response that may pass', 'get', ['fail', 'fail', 'ok'], 3],
    ['no more than maxAttempts', 'get', [reset(), reset(), reset(), 'ok'], 3],
    ['of no use', 'get', [new RemoteError('ERR_REMOTE', 'no')], 1],
    ['a protocol error', 'get', [new ProtocolError('ERR_MALFORMED', 'x'), 'ok'], 2],
    ['not idempotent', 'post', [reset(), 'ok'], 1],
    ['not idempotent, answered', 'post', ['fail', 'ok'], 1],
    ['not idempotent, nothing sent', 'post', [refused(), 'ok'], 2],
    ['not idempotent, shed before work', 'post', [new OverloadError('ERR_SHED', 'x'), 'ok'], 2],
    ['not idempotent, the peer asks for it', 'post', ['busy:100', 'ok'], 2],
    ['the caller says it is idempotent', 'post', [reset(), 'ok'], 2, { idempotent: true }],
    ['the caller says it is not', 'get', [reset(), 'ok'], 1, { idempotent: false }],
    ['a request that cannot be sent again', 'get once', [refused(), 'ok'], 1],
    ['an error of somebody else', 'get', [new Error('bug'), 'ok'], 1],
    ['draining: ask elsewhere', 'post', [new ClosedError('ERR_DRAINING', 'x'), 'ok'], 2],
    ['closed', 'get', [new ClosedError('ERR_CLOSED', 'x'), 'ok'], 1],
  ]
  for (const [what, request, answers, attempts, init] of table) {
    for (const answer of answers) if (answer instanceof Promise) answer.catch(() => {})
    const { call, contexts } = fixture(answers)
    const outcome = await call(request, init)
    assert.equal(contexts.length, attempts, what)
    const last = answers[attempts - 1] as string | Error
    assert.equal(outcome, last, what)
  }
})

test('retry waits as the policy says and tells attempts apart', async () => {
  const { call, at, contexts, clock } = fixture([reset(), reset(), 'ok'])
  const started = clock.now()
  assert.equal(await call('get', { metadata: new Map([['a', 'b']]) }), 'ok')
  assert.deepEqual(
    at.map((time) => time - started),
    [0, 25, 75],
  )
  assert.deepEqual(
    contexts.map((context) => context.attempt),
    [1, 2, 3],
  )
  assert.equal(contexts[2]?.metadata.get('a'), 'b')
  assert.equal(AttemptCall.previousOf(contexts[2] as CallContext), contexts[1])
  assert.equal(AttemptCall.previousOf(contexts[1] as CallContext), contexts[0])
  assert.equal(AttemptCall.previousOf(contexts[0] as CallContext), undefined)
  assert.equal(clock.pendingTimers, 0)
})

test('retry asks for a fresh connection after one broke, and only then', async () => {
  const disconnected = new TransportError('ERR_DISCONNECTED', 'closed')
  const table: [what: string, first: Answer, fresh: boolean][] = [
    ['a reset', reset(), true],
    ['closed by the peer', disconnected, true],
    ['a failed connect', refused(), false],
    ['an answer', 'fail', false],
  ]
  for (const [what, first, fresh] of table) {
    const { call, contexts } = fixture([first, 'ok'])
    assert.equal(await call(), 'ok')
    assert.deepEqual(
      contexts.map(({ freshConnection }) => freshConnection === true),
      [false, fresh],
      what,
    )
  }
})

test('retry gives the last response itself and lets go of the earlier ones', async () => {
  const { call, discarded } = fixture(['fail 1', 'fail 2', 'fail 3'])
  assert.equal(await call(), 'fail 3')
  assert.deepEqual(discarded, ['fail 1', 'fail 2'])
})

test('retry gives the last error itself, with the attempts before it', async () => {
  const [first, second, third] = [reset(), reset(), reset()]
  const { call } = fixture([first, second, third])
  const error = await call()
  assert.equal(error, third)
  assert.ok(error instanceof HeddleError)
  assert.deepEqual(error.attempts, [first, second])
  const history = attemptsOf(error)
  assert.deepEqual(
    history.map(({ attempt, elapsedMs, error: past }) => [attempt, elapsedMs, past]),
    [
      [1, 0, first],
      [2, 25, second],
    ],
  )
})

test('retry tells the history of a response', async () => {
  const answer = { toString: () => 'ok' } as unknown as string
  const { call } = fixture([reset(), answer], {
    classifier: { ...scriptedClassifier, classifyResponse: () => ({ ...NO_FAILURE }) },
  })
  const outcome = (await call()) as unknown as object
  assert.equal(attemptsOf(outcome).length, 1)
})

test('retry hides no failure behind a refusal of our own', async () => {
  const real = reset()
  const { call } = fixture([
    real,
    ...Array<Error>(2).fill(new OverloadError('ERR_BREAKER_OPEN', 'open')),
  ])
  assert.equal(await call(), real)
  assert.equal(attemptsOf(real).length, 2)
  const open = [1, 2, 3].map(() => new OverloadError('ERR_BREAKER_OPEN', 'open'))
  assert.equal(await fixture(open).call(), open[2])
})

test('retry gives a response that came whole when no later attempt was made at all', async () => {
  const open = (): Error => new OverloadError('ERR_BREAKER_OPEN', 'open')
  const classifier = { ...scriptedClassifier, isComplete: (reply: string) => reply !== 'fail slow' }
  const table: [what: string, answers: Answer[], which: number][] = [
    ['refused after an answer', ['fail 1', open(), open()], 0],
    ['the last answer', ['fail 1', 'fail 2', open()], 1],
    ['an error came after it', ['fail 1', reset(), open()], 1],
    ['it was not complete', ['fail slow', open(), open()], 2],
  ]
  for (const [what, answers, which] of table) {
    const { call } = fixture(answers, { classifier })
    assert.equal(await call(), answers[which], what)
  }
})

test('retry does what the peer says about further attempts', async () => {
  for (const [pushbackMs, attempts] of [
    [100, 2],
    [NEVER_AGAIN, 1],
  ] as const) {
    const verdict = { ...NO_FAILURE, failed: true, retry: true, pushbackMs }
    const { call, contexts } = fixture(['fail', 'ok'], {
      policy: new BackoffRetryPolicy({ maxPushbackMs: Number.POSITIVE_INFINITY }),
      classifier: {
        ...scriptedClassifier,
        classifyResponse: (_request, reply) => (reply === 'fail' ? verdict : NO_FAILURE),
      },
    })
    await call()
    assert.equal(contexts.length, attempts, `${pushbackMs}`)
  }
})

test('retry tells an adaptive policy how long successful attempts took, waits left out', async () => {
  const told: number[] = []
  const policy: RetryPolicy = {
    maxAttempts: 3,
    delay: () => 1_000,
    observe: (_now, latencyMs) => void told.push(latencyMs),
  }
  const made: ReturnType<typeof fixture> = fixture([], { policy })
  const { clock } = made
  const service = retry<string, string>({
    clock,
    random: () => 0.5,
    policy,
    budget: new SlidingRetryBudget(),
    classifier: scriptedClassifier,
  })((_request, context) => {
    clock.advance(context.attempt === 1 ? 70 : 30)
    return context.attempt === 1 ? 'fail' : 'ok'
  })
  const call = service('get', new Call())
  await clock.advanceAsync(2_000)
  assert.equal(await call, 'ok')
  assert.deepEqual(told, [30])
})

test('retry does not begin a wait that would end after the deadline', async () => {
  for (const [deadlineMs, attempts] of [
    [25, 1],
    [26, 2],
  ] as const) {
    const { service, contexts, clock } = fixture([reset(), 'ok'])
    const call = Promise.resolve()
      .then(() => service('get', new Call({ deadline: clock.now() + deadlineMs })))
      .catch(() => {})
    await clock.advanceAsync(1_000)
    await call
    assert.equal(contexts.length, attempts, `${deadlineMs} ms`)
  }
})

test('retry stops at once when the caller cancels, and gives the budget back', async () => {
  const { service, contexts, clock, budget } = fixture([Promise.reject(reset()), 'ok'])
  const context = new Call()
  const before = budget.balance
  const call = Promise.resolve(service('get', context))
  const reason = new Error('mine')
  await clock.settle()
  assert.equal(clock.pendingTimers, 1)
  assert.ok(budget.balance < before) // a retry that waits counts
  context.cancel(reason)
  await assert.rejects(call, (error) => error === reason)
  assert.equal(contexts.length, 1)
  assert.equal(clock.pendingTimers, 0)
  assert.ok(budget.balance >= before)
  assert.deepEqual(attemptsOf(reason), [])
})

test('retry makes no attempt after the caller cancelled during one', async () => {
  const answer = Promise.withResolvers<string>()
  const { service, contexts, clock } = fixture([answer.promise, 'ok'])
  const context = new Call()
  const call = Promise.resolve(service('get', context))
  context.cancel(new Error('mine'))
  answer.reject(reset())
  await assert.rejects(call, { code: 'ERR_RESET' })
  await clock.advanceAsync(1_000)
  assert.equal(contexts.length, 1)
})

test('retry keeps within its budget', async () => {
  const budget = new SlidingRetryBudget({ minPerSecond: 0 })
  const answers = Array.from({ length: 100 }, () => reset())
  const { clock, service, contexts } = fixture(answers, { budget })
  const calls = Array.from({ length: 20 }, async () => service('get', new Call()))
  const outcomes = Promise.allSettled(calls)
  await clock.advanceAsync(1_000)
  await outcomes
  assert.equal(contexts.length, 24)
})

test('retry tells its observer', async () => {
  const told: unknown[] = []
  const { call } = fixture([reset(), 'ok'], {
    onRetry: (past, delayMs) => void told.push([past.attempt, delayMs]),
  })
  await call()
  assert.deepEqual(told, [[1, 25]])
})

test('retry with one attempt is not there at all', () => {
  const next = (): string => 'ok'
  const middleware = retry<string, string>({
    clock: new ManualClock(),
    random: Math.random,
    policy: new BackoffRetryPolicy({ maxAttempts: 1 }),
    budget: new SlidingRetryBudget(),
    classifier: scriptedClassifier,
  })
  assert.equal(middleware(next), next)
})

const NO_FAILURE = { failed: false, endpointFailure: false, retry: false, pushbackMs: undefined }
