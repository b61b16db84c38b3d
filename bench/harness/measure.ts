/**
 * Measures one scenario: every contestant in every round, in an order that rotates.
 *
 *     start all → check each answer → round 1: a b c, round 2: b c a, … → medians and ratios
 *
 * Contestants run one at a time and wait the rest, in processes started afresh for the scenario.
 * Ratios are taken within a round, because its parts met the same noise.
 */
import type { Load } from '../load/load.ts'
import type { Contestant, RunningContestant } from './contestant.ts'
import type { PeerSettings } from './peer.ts'
import { cpuTimeNs, residentBytes } from './proc.ts'
import { medianRatio, rotate, type Spread, spread } from './statistics.ts'

/** One figure of one contestant in one round. */
export interface Sample {
  readonly perSecond: number
  /** CPU time of the contestant per operation, in microseconds. */
  readonly cpuMicros: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** CPU cores kept busy. Well below 1: something else was the bottleneck. */
  readonly busy: number
  readonly rssBytes: number
}

export interface Scenario {
  readonly kind: 'load'
  readonly name: string
  /** What is done, for the report. */
  readonly description: string
  /** False: not in a smoke, where another scenario runs the same code. @default true */
  readonly smoke?: boolean
  readonly contestants: readonly Contestant[]
  /** The one that all ratios are against. */
  readonly baseline: string
  /** Compares an answer, byte for byte. Throws when it is wrong. */
  check(contestant: RunningContestant, context: ScenarioContext): Promise<void>
  /** Operations for that long. */
  work(
    contestant: RunningContestant,
    context: ScenarioContext,
    milliseconds: number,
  ): Promise<WorkResult>
}

export interface ScenarioContext {
  readonly settings: PeerSettings
  readonly load: Load
}

/** What any kind of load reports. */
export interface WorkResult {
  readonly operations: number
  readonly errors: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface MeasureOptions extends ScenarioContext {
  readonly rounds: number
  readonly milliseconds: number
  readonly warmUpMilliseconds: number
  note(text: string): void
}

export interface ContestantResult {
  readonly name: string
  readonly perSecond: Spread
  readonly cpuMicros: Spread
  readonly p50Ms: number
  readonly p99Ms: number
  readonly busy: number
  readonly rssBytes: number
  /** How many times the baseline's operations per second. */
  readonly speedRatio: number
  /** How many times less CPU time per operation than the baseline. */
  readonly cpuRatio: number
}

export interface ScenarioResult {
  readonly kind: 'load'
  readonly name: string
  readonly description: string
  readonly baseline: string
  readonly results: readonly ContestantResult[]
  /** Contestants that could not take part, with the reason. */
  readonly absent: readonly string[]
}

export async function measure(
  scenario: Scenario,
  options: MeasureOptions,
): Promise<ScenarioResult> {
  const { present, absent } = presence(scenario.contestants)
  const running = new Map<string, RunningContestant>()
  const samples = new Map<string, Sample[]>(present.map(({ name }) => [name, []]))
  try {
    for (const contestant of present) {
      const started = await contestant.start(options.settings)
      running.set(contestant.name, started)
      await naming(contestant.name, () => scenario.check(started, options))
    }
    for (let round = 0; round < options.rounds; round++) {
      for (const { name } of rotate(present, round)) {
        const contestant = running.get(name) as RunningContestant
        const sample = await naming(name, () => takeSample(scenario, contestant, round, options))
        samples.get(name)?.push(sample)
        const rate = Math.round(sample.perSecond).toLocaleString('en-US')
        const cpu = sample.cpuMicros.toFixed(2)
        options.note(`${scenario.name} ${round + 1}/${options.rounds} ${name}: ${rate}/s ${cpu} µs`)
      }
    }
  } finally {
    await Promise.all([...running.values()].map((contestant) => contestant.stop()))
  }
  return summarise(scenario, samples, absent)
}

export interface Presence {
  readonly present: readonly Contestant[]
  /** With the reason. */
  readonly absent: readonly string[]
}

export function presence(contestants: readonly Contestant[]): Presence {
  const present: Contestant[] = []
  const absent: string[] = []
  for (const contestant of contestants) {
    const reason = contestant.unavailable()
    if (reason === undefined) present.push(contestant)
    else absent.push(`${contestant.name}: ${reason}`)
  }
  return { present, absent }
}

async function takeSample(
  scenario: Scenario,
  contestant: RunningContestant,
  round: number,
  options: MeasureOptions,
): Promise<Sample> {
  const { milliseconds, warmUpMilliseconds } = options
  // The first round also waits for the compiler.
  const warmUp = round === 0 ? warmUpMilliseconds * FIRST_WARM_UP : warmUpMilliseconds
  await scenario.work(contestant, options, warmUp)
  const cpuBefore = cpuTimeNs(contestant.pids)
  const result = await scenario.work(contestant, options, milliseconds)
  const cpuNs = cpuTimeNs(contestant.pids) - cpuBefore
  if (result.errors > 0) throw new Error(`${result.errors} wrong answers in ${scenario.name}`)
  if (result.operations === 0) throw new Error(`no answer in ${scenario.name}`)
  return {
    perSecond: result.operations / result.seconds,
    cpuMicros: cpuNs / 1000 / result.operations,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    busy: cpuNs / 1e9 / result.seconds,
    rssBytes: residentBytes(contestant.pids),
  }
}

function summarise(
  scenario: Scenario,
  samples: ReadonlyMap<string, readonly Sample[]>,
  absent: readonly string[],
): ScenarioResult {
  const column = (name: string, of: (sample: Sample) => number): number[] =>
    (samples.get(name) ?? []).map(of)
  const { baseline } = scenario
  const results = [...samples.keys()].map((name): ContestantResult => {
    const speeds = column(name, (sample) => sample.perSecond)
    const cpus = column(name, (sample) => sample.cpuMicros)
    return {
      name,
      perSecond: spread(speeds),
      cpuMicros: spread(cpus),
      p50Ms: spread(column(name, (sample) => sample.p50Ms)).median,
      p99Ms: spread(column(name, (sample) => sample.p99Ms)).median,
      busy: spread(column(name, (sample) => sample.busy)).median,
      rssBytes: spread(column(name, (sample) => sample.rssBytes)).median,
      speedRatio: medianRatio(
        speeds,
        column(baseline, (sample) => sample.perSecond),
      ),
      cpuRatio: medianRatio(
        column(baseline, (sample) => sample.cpuMicros),
        cpus,
      ),
    }
  })
  const { name, description } = scenario
  return { kind: 'load', name, description, baseline, results, absent }
}

/** Says whose fault it was. */
export async function naming<Value>(name: string, action: () => Promise<Value>): Promise<Value> {
  try {
    return await action()
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`${name}: ${message}`, { cause })
  }
}

const FIRST_WARM_UP = 4
