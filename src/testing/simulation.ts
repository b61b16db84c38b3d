/**
 * Whole systems under faults, on a manual clock, from one seed: what failed once fails again.
 *
 *     const simulation = new Simulation(123)
 *     const transport = simulation.transport(memory({ clock: simulation.clock, … }))
 *     … start servers and clients, make calls, count outcomes …
 *     await simulation.until(() => settled === calls, 60_000)
 *
 * `simulate` runs a subject with a seed and names it when it fails, with the last things that
 * happened. Everything a subject does must come from `clock` and `random`, or a run cannot be
 * repeated; `simulate` checks that the same seed gives the same notes.
 */
import type { Transport } from '../core/transport.ts'
import { type FaultPlan, FaultyTransport } from './faulty-transport.ts'
import { ManualClock } from './manual-clock.ts'
import { SeededRandom } from './seeded-random.ts'

/** One system to simulate. Throws, or fails a `check`, when something is wrong. */
export type SimulationSubject = (simulation: Simulation) => Promise<void>

export class Simulation {
  readonly seed: number
  readonly clock: ManualClock = new ManualClock()
  readonly random: SeededRandom
  /** Chosen by the seed; a third of all seeds have none, so that success is tested too. */
  readonly faults: FaultPlan
  readonly #jumps: SeededRandom
  readonly #jumpChance: number
  readonly #notes: string[] = []
  #dropped = 0

  constructor(seed: number) {
    this.seed = seed
    this.random = new SeededRandom(seed)
    this.#jumps = this.random.fork()
    this.faults = chooseFaults(this.random.fork())
    this.#jumpChance = this.#jumps.chance(0.5) ? 0.02 : 0
  }

  /** Writes down what happened: in the report of a failure, and compared between two runs. */
  note(what: string): void {
    this.#notes.push(`${this.clock.now().toFixed(3)} ${what}`)
    if (this.#notes.length <= MAX_NOTES) return
    this.#notes.splice(0, MAX_NOTES / 2)
    this.#dropped += MAX_NOTES / 2
  }

  get notes(): readonly string[] {
    return this.#notes
  }

  /** How many there were, those that were dropped from the front included. */
  get noteCount(): number {
    return this.#notes.length + this.#dropped
  }

  check(value: unknown, what: string): void {
    if (!value) throw new Error(what)
  }

  /** The transport with the faults of this seed. */
  transport(inner: Transport): Transport {
    const random = this.random.fork()
    return new FaultyTransport(inner, this.clock, random, this.faults, (fault) => this.note(fault))
  }

  /** Calls back after at most `maxMs`, at a time the seed chooses. */
  later(maxMs: number, callback: () => void): void {
    this.clock.setTimer(this.clock.now() + this.random.next() * maxMs, callback)
  }

  /** As `later`, to be awaited. */
  wait(maxMs: number): Promise<void> {
    return new Promise((resolve) => this.later(maxMs, resolve))
  }

  /** Lets time go by until `done`; the wall clock jumps now and then. Fails after `maxMs`. */
  async until(done: () => boolean, maxMs: number, what: string = 'the end'): Promise<void> {
    const end = this.clock.now() + maxMs
    await this.clock.settle()
    while (!done()) {
      const at = this.clock.nextTimerAt
      this.check(at !== undefined, `${what}: not reached, and nothing is left to happen`)
      this.check((at as number) <= end, `${what}: not reached within ${maxMs} ms`)
      this.clock.advance(Math.max(0, (at as number) - this.clock.now()))
      await this.clock.settle()
      if (this.#jumps.chance(this.#jumpChance)) this.#jump()
    }
  }

  #jump(): void {
    const ms = this.#jumps.integer(-3_600_000, 3_600_000)
    this.note(`wall clock jumps by ${ms} ms`)
    this.clock.jumpWall(ms)
  }
}

export interface SimulateOptions {
  /** Runs the seed twice and compares the notes: a run that cannot be repeated is of no use. @default true */
  repeat?: boolean
}

/**
 * Runs a subject with a seed, twice unless told otherwise.
 * @throws Error naming the seed, the faults and what happened last
 */
export async function simulate(
  name: string,
  subject: SimulationSubject,
  seed: number,
  options: SimulateOptions = {},
): Promise<Simulation> {
  const first = await run(name, subject, seed)
  if (options.repeat === false) return first
  const second = await run(name, subject, seed)
  const difference = first.notes.findIndex((note, at) => note !== second.notes[at])
  if (difference >= 0 || first.noteCount !== second.noteCount) {
    const lines = `${first.notes[difference]}\n  ${second.notes[difference]}`
    throw new Error(`simulation ${name}, seed ${seed}: two runs differ\n  ${lines}`)
  }
  return first
}

async function run(name: string, subject: SimulationSubject, seed: number): Promise<Simulation> {
  const simulation = new Simulation(seed)
  try {
    await subject(simulation)
    return simulation
  } catch (error) {
    const { notes, faults } = simulation
    const message = error instanceof Error ? error.message : String(error)
    const last = notes.slice(-SHOWN_NOTES).join('\n  ')
    const report = `simulation ${name}, seed ${seed}: ${message}`
    throw new Error(`${report}\n  faults ${JSON.stringify(faults)}\n  ${last}`, { cause: error })
  }
}

function chooseFaults(random: SeededRandom): FaultPlan {
  if (random.chance(1 / 3)) return {}
  // Each kind is off, rare or common on its own, so that seeds differ in kind and not only in detail.
  const some = (...chances: readonly number[]): number => random.pick([0, ...chances])
  return {
    refuse: some(0.05, 0.3),
    reset: some(0.1, 0.6),
    resetWithinBytes: random.pick([50, 1_000, 50_000]),
    stall: some(0.02, 0.3),
    maxStallMs: random.pick([5, 500, 5_000]),
    silence: some(0.05, 0.3),
    silenceWithinBytes: random.pick([100, 20_000]),
  }
}

const MAX_NOTES = 10_000
const SHOWN_NOTES = 25
