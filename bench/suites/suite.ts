/**
 * A suite is a group of scenarios that is reported together.
 */
import type { Scenario, ScenarioResult } from '../harness/measure.ts'
import type { MemoryResult, MemoryScenario } from '../harness/memory.ts'

export interface Suite {
  /** Word on the command line and name of its section in RESULTS.md. */
  readonly name: string
  readonly title: string
  /** Words that tell what stands against what. */
  readonly about: string
  readonly scenarios: readonly (Scenario | MemoryScenario)[]
  /** What drives it, where that is neither wrk nor bench/load. */
  readonly load?: string
  /** Its contestants need the canned server behind them. */
  readonly upstream?: boolean
  readonly aims: readonly Aim[]
}

export type AnyResult = ScenarioResult | MemoryResult

/** What heddle is to reach. */
export interface Aim {
  readonly text: string
  /** Measured value and whether it is enough; undefined when the run did not measure it. */
  evaluate(results: readonly AnyResult[]): AimOutcome | undefined
}

export interface AimOutcome {
  readonly measured: string
  readonly reached: boolean
}

export interface RatioAim {
  readonly text: string
  readonly scenarios: readonly string[]
  /** Contestants to beat; the best of those that took part counts. */
  readonly against: readonly string[]
  readonly figure: 'speed' | 'cpu' | 'memory'
  /** Least times better. Below 1: within that much of it. */
  readonly atLeast: number
}

/** The worst scenario decides. */
export function ratioAim(aim: RatioAim): Aim {
  return {
    text: aim.text,
    evaluate(results) {
      const ratios: { scenario: string; ratio: number }[] = []
      for (const result of results) {
        if (!aim.scenarios.includes(result.name)) continue
        const ratio = ratioIn(result, aim)
        if (ratio !== undefined) ratios.push({ scenario: result.name, ratio })
      }
      if (ratios.length === 0) return undefined
      const measured = ratios.map(({ scenario, ratio }) => `${ratio.toFixed(2)}× ${scenario}`)
      return {
        measured: measured.join(', '),
        reached: ratios.every(({ ratio }) => ratio >= aim.atLeast),
      }
    },
  }
}

function ratioIn(result: AnyResult, aim: RatioAim): number | undefined {
  const ours = figureOf(result, 'heddle', aim.figure)
  const theirs = aim.against
    .map((name) => figureOf(result, name, aim.figure))
    .filter((ratio) => ratio !== undefined)
  if (ours === undefined || theirs.length === 0) return undefined
  return ours / Math.max(...theirs)
}

/** How many times better than the baseline of its scenario. */
function figureOf(result: AnyResult, name: string, figure: RatioAim['figure']): number | undefined {
  if (result.kind === 'memory') {
    const found = result.results.find((one) => one.name === name)
    return figure === 'memory' ? found?.memoryRatio : undefined
  }
  const found = result.results.find((one) => one.name === name)
  if (figure === 'speed') return found?.speedRatio
  return figure === 'cpu' ? found?.cpuRatio : undefined
}
