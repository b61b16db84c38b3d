import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Verdict } from '../core/policy.ts'
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
