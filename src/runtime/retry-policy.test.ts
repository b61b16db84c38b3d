import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NEVER_AGAIN, type Verdict } from '../core/policy.ts'
import { ENDPOINT_FAILED, FAILED_RETRY } from '../core/verdicts.ts'
import { BackoffRetryPolicy, type RetryPolicyOptions } from './retry-policy.ts'

const half = (): number => 0.5
const pushback = (pushbackMs: number): Verdict => ({ ...FAILED_RETRY, pushbackMs })

test('BackoffRetryPolicy follows its table', () => {
  const table: [
    what: string,
    options: RetryPolicyOptions,
    attempt: number,
    elapsedMs: number,
    verdict: Verdict,
    expected: number | undefined,
  ][] = [
    ['first', {}, 1, 10, FAILED_RETRY, 25],
    ['second', {}, 2, 10, FAILED_RETRY, 50],
    ['the last attempt', {}, 3, 10, FAILED_RETRY, undefined],
    ['one past it', {}, 4, 10, FAILED_RETRY, undefined],
    ['of no use', {}, 1, 10, ENDPOINT_FAILED, undefined],
    ['asked to wait', {}, 1, 10, pushback(300), 325],
    ['asked to wait at most', {}, 1, 10, pushback(10_000), 10_025],
    ['asked never to try again', {}, 1, 10, pushback(NEVER_AGAIN), undefined],
    ['whatever the limit', { maxPushbackMs: Infinity }, 1, 10, pushback(NEVER_AGAIN), undefined],
    ['asked to wait for too long', {}, 1, 10, pushback(10_001), undefined],
    ['in time', { maxElapsedMs: 35 }, 1, 10, FAILED_RETRY, 25],
    ['too late', { maxElapsedMs: 34 }, 1, 10, FAILED_RETRY, undefined],
  ]
  for (const [what, options, attempt, elapsedMs, verdict, expected] of table) {
    const policy = new BackoffRetryPolicy(options)
    assert.equal(policy.delay({ attempt, elapsedMs, verdict }, half), expected, what)
  }
})

test('BackoffRetryPolicy refuses options out of range', () => {
  for (const options of [
    { maxAttempts: 0 },
    { maxAttempts: 101 },
    { maxAttempts: 1.5 },
    { maxElapsedMs: -1 },
  ]) {
    assert.throws(() => new BackoffRetryPolicy(options), { code: 'ERR_OPTION_RANGE' })
  }
})

test('BackoffRetryPolicy adapts its waits to the median of what it is told', () => {
  const policy = new BackoffRetryPolicy({ backoff: 'adaptive' })
  const first = { attempt: 1, elapsedMs: 10, verdict: FAILED_RETRY }
  for (let count = 0; count < 19; count++) policy.observe?.(count, 400)
  assert.equal(policy.delay(first, half), 25) // too few to know
  policy.observe?.(20, 400)
  const delay = policy.delay(first, half) as number
  assert.ok(Math.abs(delay - 200) < 11, `${delay}`)
  assert.equal(new BackoffRetryPolicy().observe, undefined) // others do not ask to be told
})

test('BackoffRetryPolicy passes the last wait on to the decorrelated backoff', () => {
  const policy = new BackoffRetryPolicy({ backoff: 'decorrelated' })
  const outcome = { attempt: 1, elapsedMs: 10, verdict: FAILED_RETRY }
  assert.equal(policy.delay(outcome, half), 100)
  assert.equal(policy.delay({ ...outcome, attempt: 2, previousDelayMs: 100 }, half), 175)
})
