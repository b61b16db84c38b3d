/**
 * A few fixed seeds of every simulation, so that this passes or fails the same way everywhere.
 * `npm run sim` looks for longer.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSimulation, simulationFiles } from '../scripts/sim.ts'
import { simulate } from '../src/testing/simulation.ts'

const SEEDS = 3
/** The test runner watches every promise: a run with thousands of calls takes ten times as long. */
const FEWER: Readonly<Record<string, number>> = { gateway: 1 }

for (const [name, file] of simulationFiles()) {
  test(`simulation smoke: ${name}`, async () => {
    const subject = await loadSimulation(file)
    for (let seed = 1; seed <= (FEWER[name] ?? SEEDS); seed++) await simulate(name, subject, seed)
  })
}

test('there are simulations to run', () => {
  assert.ok(simulationFiles().size >= 2)
})
