/**
 * What a benchmark file exports, and how it is measured.
 *
 * A file `bench/{micro,wire,e2e}/<name>.bench.ts` exports `benchmark`. Its variants do the same work
 * in different ways: ours and a competitor's, or before and after. They are measured in turns
 * (A B A B …, in alternating order), so that a machine that slows down slows them all.
 */
import { performance } from 'node:perf_hooks'
import { cpuTimeNs } from './harness/proc.ts'

export interface Benchmark {
  /** One sentence: what is done once per operation. */
  readonly about: string
  /** Facts that no noise changes: bytes copied, allocations, writes per message. Printed first. */
  counters?(options: { readonly smoke: boolean }): Promise<Counters> | Counters
  /** The first one is what the others are compared with. */
  readonly variants: Readonly<Record<string, VariantFactory>>
}

export type Counters = Readonly<Record<string, number>>

export type VariantFactory = () => Variant | Promise<Variant>

/** One of `run` and `runFor`. */
export interface Variant {
  /** Does the operation `count` times. */
  run?(count: number): void | Promise<void>
  /** For load made by another program: works for about that long, returns the operations done. */
  runFor?(milliseconds: number): Promise<number>
  /** Other processes that take part: their CPU time counts too. Linux. */
  readonly pids?: readonly number[]
  close?(): void | Promise<void>
}

export interface MeasureOptions {
  readonly rounds: number
  readonly roundMs: number
}

export interface VariantResult {
  readonly variant: string
  /** Per second; the median of the rounds, and the slowest and fastest. */
  readonly rate: number
  readonly slowest: number
  readonly fastest: number
  /** Of this process and `pids`, for one operation: what remains comparable on a shared machine. */
  readonly cpuMicroseconds: number
  /** Rate relative to the first variant. */
  readonly ratio: number
}

interface Round {
  readonly rate: number
  readonly cpuMicroseconds: number
}

export async function measure(
  benchmark: Benchmark,
  { rounds, roundMs }: MeasureOptions,
): Promise<VariantResult[]> {
  const variants: { name: string; variant: Variant; count: number; rounds: Round[] }[] = []
  try {
    for (const [name, create] of Object.entries(benchmark.variants)) {
      const variant = await create()
      variants.push({ name, variant, count: 0, rounds: [] })
    }
    for (const each of variants) each.count = await calibrate(each.variant, roundMs)
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? variants : variants.toReversed()
      for (const each of order) {
        globalThis.gc?.()
        each.rounds.push(await runRound(each.variant, each.count, roundMs))
      }
    }
  } finally {
    for (const { variant } of variants) await variant.close?.()
  }
  const results = variants.map(({ name, rounds: measured }) => summarise(name, measured))
  const base = results[0]?.rate ?? 0
  return results.map((result) => ({ ...result, ratio: result.rate / base }))
}

/** How often `run` must do it to fill a round. Doubling also warms the code up. */
async function calibrate(variant: Variant, roundMs: number): Promise<number> {
  if (variant.run === undefined) return 0
  for (let count = 1; ; count *= 2) {
    const started = performance.now()
    await variant.run(count)
    const took = performance.now() - started
    if (took >= roundMs / 4) return Math.max(1, Math.round((count * roundMs) / took))
  }
}

async function runRound(variant: Variant, count: number, roundMs: number): Promise<Round> {
  const { pids = [] } = variant
  const cpu = process.cpuUsage()
  const cpuOfOthers = cpuTimeNs(pids)
  const started = performance.now()
  let operations = count
  if (variant.run !== undefined) await variant.run(count)
  else if (variant.runFor !== undefined) operations = await variant.runFor(roundMs)
  else throw new Error('a variant needs run or runFor')
  const milliseconds = performance.now() - started
  const { user, system } = process.cpuUsage(cpu)
  const others = (cpuTimeNs(pids) - cpuOfOthers) / 1_000
  return {
    rate: (operations / milliseconds) * 1000,
    cpuMicroseconds: (user + system + others) / Math.max(1, operations),
  }
}

function summarise(variant: string, rounds: readonly Round[]): VariantResult {
  const rates = rounds.map(({ rate }) => rate).sort((a, b) => a - b)
  const cpu = rounds.map(({ cpuMicroseconds }) => cpuMicroseconds).sort((a, b) => a - b)
  return {
    variant,
    rate: middle(rates),
    slowest: rates[0] ?? 0,
    fastest: rates.at(-1) ?? 0,
    cpuMicroseconds: middle(cpu),
    ratio: 1,
  }
}

function middle(sorted: readonly number[]): number {
  return sorted[sorted.length >> 1] ?? 0
}
