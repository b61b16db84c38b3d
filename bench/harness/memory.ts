/**
 * Memory of idle connections: how much resident memory a server grows by when many connections are
 * open, have each been used once, and are silent. Of streams that wait, in the same way.
 *
 * A process is started afresh for every figure, garbage is collected before both readings where the
 * contestant can be asked to. Memory that the kernel holds for sockets is in nobody's figure.
 */
import type { IdleJob, StreamsJob } from '../load/jobs.ts'
import type { Contestant, RunningContestant } from './contestant.ts'
import type { ScenarioContext } from './measure.ts'
import { naming, presence } from './measure.ts'
import { residentBytes } from './proc.ts'
import { medianRatio, rotate, type Spread, spread } from './statistics.ts'

export interface MemoryScenario {
  readonly kind: 'memory'
  readonly name: string
  readonly description: string
  /** False: not in a smoke, where another scenario runs the same code. @default true */
  readonly smoke?: boolean
  readonly contestants: readonly Contestant[]
  readonly baseline: string
  check(contestant: RunningContestant, context: ScenarioContext): Promise<void>
  /** What opens that many connections, or streams. */
  job(contestant: RunningContestant, connections: number): IdleJob | StreamsJob
}

export interface MemoryOptions extends ScenarioContext {
  readonly rounds: number
  readonly connections: number
  note(text: string): void
}

export interface MemoryResult {
  readonly kind: 'memory'
  readonly name: string
  readonly description: string
  readonly baseline: string
  readonly connections: number
  readonly results: readonly ContestantMemory[]
  readonly absent: readonly string[]
}

export interface ContestantMemory {
  readonly name: string
  readonly bytesPerConnection: Spread
  /** Resident memory before the first of them. */
  readonly startBytes: number
  /** How many times less than the baseline. */
  readonly memoryRatio: number
}

export async function measureMemory(
  scenario: MemoryScenario,
  options: MemoryOptions,
): Promise<MemoryResult> {
  const { present, absent } = presence(scenario.contestants)
  const { baseline, name, description } = scenario
  const growth = new Map<string, number[]>(present.map((one) => [one.name, []]))
  const start = new Map<string, number[]>(present.map((one) => [one.name, []]))
  for (let round = 0; round < options.rounds; round++) {
    for (const contestant of rotate(present, round)) {
      const figures = await naming(contestant.name, () => once(scenario, contestant, options))
      growth.get(contestant.name)?.push(figures.bytesPerConnection)
      start.get(contestant.name)?.push(figures.startBytes)
      const bytes = Math.round(figures.bytesPerConnection).toLocaleString('en-US')
      options.note(`${name} ${round + 1}/${options.rounds} ${contestant.name}: ${bytes} B`)
    }
  }
  const base = growth.get(baseline) ?? []
  const results = present.map((contestant): ContestantMemory => {
    const bytes = growth.get(contestant.name) ?? []
    return {
      name: contestant.name,
      bytesPerConnection: spread(bytes),
      startBytes: spread(start.get(contestant.name) ?? []).median,
      memoryRatio: medianRatio(base, bytes),
    }
  })
  const { connections } = options
  return { kind: 'memory', name, description, baseline, connections, results, absent }
}

async function once(
  scenario: MemoryScenario,
  contestant: Contestant,
  options: MemoryOptions,
): Promise<{ bytesPerConnection: number; startBytes: number }> {
  const running = await contestant.start(options.settings)
  const { load, connections } = options
  try {
    await scenario.check(running, options)
    // The first connections load code and compile it: not what a connection costs.
    await load.openIdle(scenario.job(running, WARM_UP_CONNECTIONS))
    await load.releaseIdle()
    await running.collectGarbage()
    const startBytes = residentBytes(running.pids)
    await load.openIdle(scenario.job(running, connections))
    await running.collectGarbage()
    const growth = residentBytes(running.pids) - startBytes
    const { requests: stillOpen } = await load.releaseIdle()
    if (stillOpen !== connections) {
      throw new Error(`${connections - stillOpen} of ${connections} were closed`)
    }
    return { bytesPerConnection: growth / connections, startBytes }
  } finally {
    await running.stop()
  }
}

const WARM_UP_CONNECTIONS = 50
