/**
 * Runs simulations: whole systems under faults, each run from one seed.
 *
 *     npm run sim -- 123                    seed 123 of every simulation
 *     npm run sim -- http1 123              seed 123 of one
 *     npm run sim -- http1                  seeds from a random one on, for a minute, until one fails
 *     npm run sim                           the same for every simulation, ten seconds each
 *     npm run sim -- --seconds 600
 *     npm run sim -- gateway --seeds 1000   seeds 1 to 1000, on two processes (CI)
 *     npm run sim -- --planted              each planted bug is found (test/simulations/planted-bugs.ts)
 *
 * A failure prints its seed. `npm test` runs a few seeds of each (test/simulation-smoke.test.ts).
 */
import { globSync } from 'node:fs'
import { basename } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { type SimulationSubject, simulate } from '../src/testing/simulation.ts'
import { fromRoot, ROOT } from './repository.ts'
import { plantBug, plantedBugNames } from './sim-plant.ts'
import { findPlantedBugs, runRange } from './sim-processes.ts'

/** Which simulation finds planted bugs, and how many seeds it may take. */
const PLANTED_IN = 'gateway'
const PLANTED_SEEDS = 200
/** Every so many seeds one is run twice and compared. */
const REPEAT_EVERY = 10

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
    options: {
      seconds: { type: 'string' },
      seeds: { type: 'string' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: '2' },
      plant: { type: 'string' },
      planted: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(HELP)
  if (values.planted) {
    const found = await findPlantedBugs(plantedBugNames(), PLANTED_IN, PLANTED_SEEDS)
    process.exitCode = found ? 0 : 1
    return
  }
  const files = simulationFiles()
  const words = positionals.filter((word) => !/^\d+$/.test(word))
  const seeds = positionals.filter((word) => /^\d+$/.test(word)).map(Number)
  for (const word of words) {
    if (files.has(word)) continue
    console.error(`unknown simulation ${word}; known: ${[...files.keys()].join(', ')}`)
    process.exit(2)
  }
  if (values.plant !== undefined) plantBug(values.plant)
  const names = words.length > 0 ? words : [...files.keys()]
  const seconds = Number(values.seconds ?? (words.length > 0 ? 60 : 10))
  const [from, count, jobs] = [Number(values.from), Number(values.seeds), Number(values.jobs)]
  for (const name of names) {
    const load = () => loadSimulation(files.get(name) as string)
    let passed: boolean
    if (seeds.length > 0) passed = await runSeeds(name, await load(), seeds)
    else if (values.seeds === undefined) passed = await runFor(name, await load(), seconds)
    else if (jobs > 1) passed = await runRange(name, from, count, jobs)
    else passed = await runEach(name, await load(), from, count)
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
      return failed(name, seed, error)
    }
  }
  return true
}

/** One process's part of a range; tells its parent how far it is. */
async function runEach(
  name: string,
  subject: SimulationSubject,
  from: number,
  count: number,
): Promise<boolean> {
  for (let seed = from; seed < from + count; seed++) {
    try {
      await simulate(name, subject, seed, { repeat: seed % REPEAT_EVERY === 0 })
      process.send?.(seed)
    } catch (error) {
      return failed(name, seed, error)
    }
  }
  if (process.send === undefined) console.log(`✔ ${name}: seeds ${from} to ${from + count - 1}`)
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
      return failed(name, seed, error)
    }
  }
  console.log(`✔ ${name}: ${seed - first} seeds from ${first}`)
  return true
}

function failed(name: string, seed: number, error: unknown): false {
  console.error(`✖ ${error instanceof Error ? error.message : String(error)}`)
  console.error(`  again: npm run sim -- ${name} ${seed}`)
  return false
}

const HELP = `Usage: npm run sim -- [simulation …] [seed …] [options]

  --seconds <n>    without seeds: how long to look, from a random seed on (10, or 60 for one)
  --seeds <n>      seeds --from (1) on, as many as this, on --jobs (2) processes
  --plant <bug>    with a bug of test/simulations/planted-bugs.ts in the policies
  --planted        every planted bug must be found within ${PLANTED_SEEDS} seeds

simulations: ${[...simulationFiles().keys()].join(', ')}
bugs: ${plantedBugNames().join(', ')}`
