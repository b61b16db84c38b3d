import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BackoffOptions, type BackoffPast, backoff, exponentialBackoff } from './backoff.ts'

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

test('backoff follows its table, whatever the kind', () => {
  const table: [BackoffOptions, failures: number, chance: number, BackoffPast, expected: number][] =
    [
      [{ backoff: 'fixed' }, 1, 0.9, {}, 50],
      [{ backoff: 'fixed', baseMs: 700 }, 9, 0.1, {}, 700],
      [{ backoff: 'fixed', baseMs: 7_000 }, 9, 0.1, {}, 7_000], // maxMs is never below baseMs
      [{ backoff: 'exponential' }, 2, 0.5, { latencyMs: 9_000, previousMs: 40 }, 50],
      [{ backoff: 'decorrelated' }, 1, 0, {}, 50],
      [{ backoff: 'decorrelated' }, 1, 0.5, {}, 100], // 50 … 150
      [{ backoff: 'decorrelated' }, 2, 0.5, { previousMs: 100 }, 175], // 50 … 300
      [{ backoff: 'decorrelated' }, 7, 0.5, { previousMs: 4_000 }, 2_525], // 50 … maxMs
      [{ backoff: 'decorrelated' }, 2, 0.5, { previousMs: 1 }, 50],
      [{ backoff: 'adaptive' }, 1, 0.5, {}, 25],
      [{ backoff: 'adaptive' }, 1, 0.5, { latencyMs: 400 }, 200],
      [{ backoff: 'adaptive' }, 2, 0.5, { latencyMs: 400 }, 400],
      [{ backoff: 'adaptive' }, 1, 0.5, { latencyMs: 3 }, 25], // never below baseMs
      [{ backoff: 'adaptive', jitter: 'none' }, 9, 0, { latencyMs: 400 }, 5_000],
    ]
  for (const [options, failures, chance, past, expected] of table) {
    const delay = backoff(options)(failures, at(chance), past)
    assert.equal(delay, expected, JSON.stringify([options, failures, chance, past]))
  }
})

test('backoff stays within its bounds and never falls without jitter', () => {
  const kinds = fc.constantFrom('exponential', 'fixed', 'decorrelated', 'adaptive')
  const property = fc.property(
    kinds,
    fc.integer({ min: 0, max: 1_000 }),
    fc.integer({ min: 0, max: 10_000 }),
    fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { maxLength: 12 }),
    fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined }),
    (kind, baseMs, more, chances, latencyMs) => {
      const maxMs = baseMs + more
      const wait = backoff({ backoff: kind, baseMs, maxMs } as BackoffOptions)
      let previousMs: number | undefined
      chances.forEach((chance, index) => {
        const delay = wait(index + 1, at(chance), { previousMs, latencyMs })
        assert.ok(delay >= 0 && delay <= maxMs, `${kind} ${delay}`)
        if (kind === 'decorrelated' || kind === 'fixed') assert.ok(delay >= baseMs)
        previousMs = delay
      })
    },
  )
  fc.assert(property, { numRuns: 200 })
})

test('backoff refuses kinds it does not know and jitter where there is none', () => {
  for (const options of [
    { backoff: 'linear' },
    { backoff: 'fixed', jitter: 'full' },
    { backoff: 'decorrelated', jitter: 'none' },
  ]) {
    assert.throws(() => backoff(options as BackoffOptions), { code: 'ERR_ARGUMENT' })
  }
})
