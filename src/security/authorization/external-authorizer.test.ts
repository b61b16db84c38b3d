import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccessDecision, AccessQuestion } from '../../core/access.ts'
import { UsageError } from '../../core/errors.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { ExternalAuthorizer, type ExternalAuthorizerOptions } from './external-authorizer.ts'

function question(resource = '/a', id = 'alice'): AccessQuestion {
  return {
    principal: { id, method: 'basic', roles: ['r'], attributes: { tenant: 't' } },
    level: 'resource',
    action: 'GET',
    resource,
    context: { address: '192.0.2.1', wallTime: 1, attributes: { a: 1 } },
  }
}

function build(
  answer: (input: unknown, signal: AbortSignal) => Promise<unknown>,
  options: Partial<ExternalAuthorizerOptions> = {},
): { authorizer: ExternalAuthorizer; clock: ManualClock; asked: unknown[] } {
  const clock = new ManualClock()
  const asked: unknown[] = []
  const authorizer = new ExternalAuthorizer({
    clock,
    ask: (input, signal) => {
      asked.push(input)
      return answer(input, signal)
    },
    ...options,
  })
  return { authorizer, clock, asked }
}

const allow = async (): Promise<unknown> => ({ result: true })

test('ExternalAuthorizer asks as OPA is asked, without the time', async () => {
  const { authorizer, asked } = build(allow)
  const decision = await authorizer.decide(question())
  assert.deepEqual(decision, { allow: true, reason: 'the policy service allows it' })
  assert.deepEqual(JSON.parse(JSON.stringify(asked)), [
    {
      input: {
        principal: { id: 'alice', method: 'basic', roles: ['r'], attributes: { tenant: 't' } },
        level: 'resource',
        action: 'GET',
        resource: '/a',
        context: { address: '192.0.2.1', attributes: { a: 1 } },
      },
    },
  ])
})

for (const [answer, allowed] of [
  [{ result: true }, true],
  [{ result: false }, false],
  [{ result: { allow: true, reason: 'because' } }, true],
  [{ result: { allow: false } }, false],
  [{}, false],
  [null, false],
  ['true', false],
  [true, false],
  [{ result: 'true' }, false],
  [{ result: 1 }, false],
  [{ result: [true] }, false],
  [{ result: { allow: 'true' } }, false],
  [{ result: null }, false],
] as const) {
  test(`ExternalAuthorizer takes ${JSON.stringify(answer)} for ${allowed}`, async () => {
    const { authorizer } = build(async () => answer)
    assert.equal((await authorizer.decide(question())).allow, allowed)
  })
}

test('ExternalAuthorizer remembers permissions and denials, each for its time', async () => {
  let result = true
  const { authorizer, clock, asked } = build(async () => ({ result }), {
    allowTtlMs: 100,
    denyTtlMs: 10,
  })
  await authorizer.decide(question())
  clock.advance(99)
  assert.ok(!(authorizer.decide(question()) instanceof Promise))
  // Another principal is another question.
  await authorizer.decide(question('/a', 'bob'))
  assert.equal(asked.length, 2)
  clock.advance(1)
  result = false
  assert.equal((await authorizer.decide(question())).allow, false)
  clock.advance(9)
  assert.ok(!(authorizer.decide(question()) instanceof Promise))
  clock.advance(1)
  assert.ok(authorizer.decide(question()) instanceof Promise)
})

test('ExternalAuthorizer remembers maxCached answers, and forgets the oldest', async () => {
  const { authorizer } = build(allow, { maxCached: 2 })
  for (const resource of ['/1', '/2', '/3']) await authorizer.decide(question(resource))
  assert.equal(authorizer.stats.cached, 2)
  assert.ok(!(authorizer.decide(question('/3')) instanceof Promise))
  assert.ok(authorizer.decide(question('/1')) instanceof Promise)
  const none = build(allow, { maxCached: 0 })
  await none.authorizer.decide(question())
  assert.equal(none.authorizer.stats.cached, 0)
})

test('ExternalAuthorizer asks the same question once, however many wait', async () => {
  const { authorizer, asked } = build(allow)
  const decisions = await Promise.all([
    authorizer.decide(question()),
    authorizer.decide(question()),
    authorizer.decide(question()),
  ])
  assert.equal(asked.length, 1)
  assert.ok(decisions.every((decision) => decision.allow))
  assert.equal(authorizer.stats.pending, 0)
})

test('ExternalAuthorizer denies when there is no answer in time, and says so to its request', async () => {
  let signal: AbortSignal | undefined
  const { authorizer, clock } = build((_input, given) => {
    signal = given
    return new Promise(() => {})
  })
  const pending = authorizer.decide(question())
  clock.advance(499)
  assert.equal(signal?.aborted, false)
  clock.advance(1)
  const decision = await pending
  assert.equal(decision.allow, false)
  assert.match(String(decision.reason), /did not answer in 500 ms/)
  assert.equal(signal?.aborted, true)
  assert.equal(clock.pendingTimers, 0)
})

test('ExternalAuthorizer denies on failure, remembers none, and allows only when it is told to', async () => {
  const errors: unknown[] = []
  const down = (): Promise<never> => Promise.reject(new Error('refused'))
  const closed = build(down, { onError: (error) => errors.push(error) })
  assert.equal((await closed.authorizer.decide(question())).allow, false)
  await closed.authorizer.decide(question())
  assert.deepEqual([closed.asked.length, errors.length], [2, 2])
  const open = build(down, { onFailure: 'allow' })
  const decision = await open.authorizer.decide(question())
  assert.deepEqual(decision, {
    allow: true,
    reason: 'allowed without the policy service: refused',
  })
  assert.equal(open.authorizer.stats.cached, 0)
})

test('ExternalAuthorizer has maxPending questions under way, and the next one fails', async () => {
  const open: (() => void)[] = []
  const { authorizer } = build(
    () => new Promise((resolve) => open.push(() => resolve({ result: true }))),
    { maxPending: 2 },
  )
  const pending = [authorizer.decide(question('/1')), authorizer.decide(question('/2'))]
  const third = authorizer.decide(question('/3')) as AccessDecision
  assert.equal(third.allow, false)
  assert.match(String(third.reason), /maxPending 2/)
  for (const answer of open) answer()
  await Promise.all(pending)
  assert.ok(authorizer.decide(question('/3')) instanceof Promise)
})

test('ExternalAuthorizer refuses options outside their ranges', () => {
  for (const options of [
    { timeoutMs: 0 },
    { allowTtlMs: -1 },
    { denyTtlMs: Number.NaN },
    { maxCached: 1.5 },
    { maxPending: 0 },
  ]) {
    assert.throws(() => build(allow, options), UsageError)
  }
})
