/** What the runtime promises when something is wrong with an upstream, in numbers. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import {
  amplification,
  type Behaviour,
  PHASES,
  type Phase,
  type ScenarioRun,
  summarize,
} from './one-bad-upstream.ts'
import { dataOf, type PhaseFigures, picture, pictureData } from './scenario-picture.ts'
import { runScenarios, type ScenarioRequest } from './scenario-worker.ts'

const HEALTHY_THEN: Phase = { name: 'healthy', fromMs: 0, toMs: 2_000, behaviour: 'healthy' }
const all = (behaviour: Behaviour): ScenarioRequest => ({
  client: 'full',
  inTrouble: ['a', 'b', 'c'],
  phases: [HEALTHY_THEN, { name: 'trouble', fromMs: 2_000, toMs: 8_000, behaviour }],
})
const ERRORS: readonly Phase[] = [
  { name: 'healthy', fromMs: 0, toMs: 4_000, behaviour: 'healthy' },
  { name: 'failing', fromMs: 4_000, toMs: 8_000, behaviour: 'failing' },
  { name: 'back', fromMs: 8_000, toMs: 12_000, behaviour: 'healthy' },
]

const runs = runScenarios({
  full: { client: 'full' },
  none: { client: 'none' },
  errors: { client: 'full', phases: ERRORS, seed: 7 },
  allFail: all('failing'),
  allDown: all('down'),
  allSlow: all('slow'),
  budget: {
    client: 'budget',
    inTrouble: ['a', 'b', 'c'],
    phases: [{ name: 'trouble', fromMs: 0, toMs: 6_000, behaviour: 'failing' }],
  },
})

function assertDependable({ calls }: ScenarioRun, phases: readonly Phase[]): void {
  const [healthy, ...trouble] = phases as [Phase, ...Phase[]]
  const { p99Ms } = summarize(calls, healthy.fromMs, healthy.toMs)
  for (const { name, fromMs, toMs } of trouble) {
    const during = summarize(calls, fromMs, toMs)
    assert.ok(during.calls > 300, `${name}: ${during.calls} calls`)
    assert.ok(during.success >= 0.999, `${name}: ${during.success * 100} % succeeded`)
    const message = `${name}: p99 ${during.p99Ms} ms, healthy ${p99Ms} ms`
    assert.ok(during.p99Ms <= 2 * p99Ms, message)
  }
}

test('one bad upstream of three: 99.9 % succeed, p99 at most twice the healthy one, in each phase', async () => {
  assertDependable(await runs.full, PHASES)
})

test('one upstream that answers with errors is as little noticed, with another seed', async () => {
  assertDependable(await runs.errors, ERRORS)
})

test('without policies a third of the calls fails, and the rest waits', async () => {
  const { calls } = await runs.none
  const [healthy, slow, down] = PHASES as [Phase, Phase, Phase]
  assert.equal(summarize(calls, healthy.fromMs, healthy.toMs).success, 1)
  for (const { fromMs, toMs } of [slow, down]) {
    const { success } = summarize(calls, fromMs, toMs)
    assert.ok(success > 0.6 && success < 0.75, `${success}`)
  }
  assert.ok(summarize(calls, slow.fromMs, slow.toMs).p99Ms >= 1_000)
})

for (const name of ['allFail', 'allDown', 'allSlow'] as const) {
  test(`at most 1.2 attempts for a call when every upstream is in trouble: ${name}`, async () => {
    const factor = amplification(await runs[name], HEALTHY_THEN.toMs)
    assert.ok(factor > 0 && factor <= 1.2, `${factor}`)
  })
}

test('the budget alone keeps to its ratio, with breakers and ejection off', async () => {
  const factor = amplification(await runs.budget, 0)
  assert.ok(factor > 1.15, `retries are made: ${factor}`)
  assert.ok(factor <= 1.2, `${factor}`)
})

test('docs/pictures/one-bad-upstream.svg is what the scenario gives (npm run scenario)', async () => {
  const svg = readFileSync(fromRoot('docs/pictures/one-bad-upstream.svg'), 'utf8')
  const drawn = dataOf(svg)
  assert.equal(svg, picture(drawn), 'drawn from its own numbers')
  const run = pictureData(await runs.none, await runs.full)
  const near = (one: number, other: number, within: number): boolean =>
    Math.abs(one - other) <= within
  // A turn more in the stack moves a draw by one: what it tells must hold, not every digit.
  for (const which of ['none', 'full'] as const) {
    drawn[which].phases.forEach(({ name, success, p99Ms }, index) => {
      const now = run[which].phases[index] as PhaseFigures
      const same = near(success, now.success, 1) && near(p99Ms, now.p99Ms, now.p99Ms * 0.25)
      assert.ok(same, `${which}, ${name}: ${JSON.stringify(now)}, drawn ${success} %, ${p99Ms} ms`)
    })
    const far = drawn[which].success.filter(
      (value, second) => !near(value, run[which].success[second] as number, 6),
    )
    assert.ok(far.length <= 3, `${which}: ${far.length} seconds are drawn otherwise`)
  }
})
