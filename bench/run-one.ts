/** Measures one benchmark file in a process of its own; `bench/run.ts` starts it. */

import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { type Benchmark, measure, type VariantResult } from './benchmark.ts'

export interface BenchmarkReport {
  readonly about: string
  readonly counters: Readonly<Record<string, number>>
  readonly results: readonly VariantResult[]
}

/** What is shorter is a smoke: nobody reads its figures. */
const SHORTEST_ROUND_MS = 100
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string' }, 'round-ms': { type: 'string' } },
})
const file = positionals[0] ?? ''
const module = (await import(pathToFileURL(file).href)) as { benchmark?: Benchmark }
if (module.benchmark === undefined) throw new Error(`${file} does not export benchmark`)
const { benchmark } = module
const smoke = Number(values['round-ms']) < SHORTEST_ROUND_MS
const counters = (await benchmark.counters?.({ smoke })) ?? {}
const results = await measure(benchmark, {
  rounds: Number(values.rounds),
  roundMs: Number(values['round-ms']),
})
const report: BenchmarkReport = { about: benchmark.about, counters, results }
process.send?.(report, () => process.exit())
