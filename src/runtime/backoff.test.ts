import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BackoffOptions, exponentialBackoff } from './backoff.ts'

/** Chance that stands still. */
const at = (value: number) => (): number => value

test('exponentialBackoff follows its table', () => {
  const table: [BackoffOptions, failures: number, chance: number, expected: number][] = [
    [{}, 1, 0, 0],
    [{}, 1, 0.5, 25],
    [{}, 2, 0.5, 50],
    [{}, 4, 0.5, 200],
    [{}, 8, 0.5, 2_500], // 6,400 is over maxMs
    [{}, 2_000, 0.5, 2_500], // the power is Infinity
    [{ jitter: 'none' }, 3, 0.9, 200],
    [{ jitter: 'equal' }, 3, 0, 100],
    [{ jitter: 'equal' }, 3, 0.5, 150],
    [{ factor: 1, jitter: 'none' }, 9, 0, 50],
    [{ baseMs: 0 }, 5, 0.5, 0],
  ]
  for (const [options, failures, chance, expected] of table) {
    const delay = exponentialBackoff(options)(failures, at(chance))
    assert.equal(delay, expected, JSON.stringify([options, failures, chance]))
  }
})

test('exponentialBackoff refuses options out of range', () => {
  for (const options of [
    { baseMs: -1 },
    { baseMs: 10, maxMs: 9 },
    { factor: 0.5 },
    { maxMs: NaN },
  ]) {
    assert.throws(() => exponentialBackoff(options), { code: 'ERR_OPTION_RANGE' })
  }
})
