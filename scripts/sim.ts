/**
 * Runs simulations: whole systems under faults, each run from one seed.
 *
 *     npm run sim -- 123            seed 123 of every simulation
 *     npm run sim -- http1 123      seed 123 of one
 *     npm run sim -- http1          seeds from a random one on, for a minute, until one fails
 *     npm run sim                   the same for every simulation, ten seconds each
 *     npm run sim -- --seconds 600
 *
 * A failure prints its seed. `npm test` runs a few seeds of each (test/simulation-smoke.test.ts).
 */
import { globSync } from 'node:fs'
import { basename } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { type SimulationSubject, simulate } from '../src/testing/simulation.ts'
import { fromRoot, ROOT } from './repository.ts'

if (import.meta.filename === process.argv[1]) await main()

/** Files of every simulation by its name: `test/simulations/<name>.sim.ts`. */
export function simulationFiles(): Map<string, string> {
  const files = globSync('test/simulations/*.sim.ts', { cwd: ROOT }).sort()
  return new Map(files.map((file) => [basename(file, '.sim.ts'), file]))
}

export async function loadSimulation(file: string): Promise<SimulationSubject> {
  const module = await import(pathToFileURL(fromRoot(file)).href)
  if (typeof module.simulate !== 'function') throw new Error(`${file} exports no simulate`)
  return module.simulate
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: 'string' } },
  })
  const files = simulationFiles()
  const words = positionals.filter((word) => !/^\d+$/.test(word))
  const seeds = positionals.filter((word) => /^\d+$/.test(word)).map(Number)
  for (const word of words) {
    if (files.has(word)) continue
    console.error(`unknown simulation ${word}; known: ${[...files.keys()].join(', ')}`)
    process.exit(2)
  }
  const names = words.length > 0 ? words : [...files.keys()]
  const seconds = Number(values.seconds ?? (words.length > 0 ? 60 : 10))
  for (const name of names) {
    const subject = await loadSimulation(files.get(name) as string)
    const passed =
      seeds.length > 0 ? await runSeeds(name, subject, seeds) : await runFor(name, subject, seconds)
    if (!passed) process.exitCode = 1
  }
}

async function runSeeds(
  name: string,
  subject: SimulationSubject,
  seeds: readonly number[],
): Promise<boolean> {
  for (const seed of seeds) {
    try {
      const { noteCount, clock } = await simulate(name, subject, seed)
      console.log(`✔ ${name} ${seed}: ${noteCount} notes, ${Math.round(clock.now())} ms simulated`)
    } catch (error) {
      console.error(`✖ ${error instanceof Error ? error.message : String(error)}`)
      console.error(`  again: npm run sim -- ${name} ${seed}`)
      return false
    }
  }
  return true
}

async function runFor(name: string, subject: SimulationSubject, seconds: number): Promise<boolean> {
  const first = Math.floor(Math.random() * 0x4000_0000)
  const end = performance.now() + seconds * 1_000
  let seed = first
  for (; performance.now() < end; seed++) {
    try {
      await simulate(name, subject, seed)
    } catch (error) {
      console.error(`✖ ${error instanceof Error ? error.message : String(error)}`)
      console.error(`  again: npm run sim -- ${name} ${seed}`)
      return false
    }
  }
  console.log(`✔ ${name}: ${seed - first} seeds from ${first}`)
  return true
}
