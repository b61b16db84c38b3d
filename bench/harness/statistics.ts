/**
 * Medians, and ratios that are taken within a round before their median: both sides of a ratio then
 * met the same noise.
 */

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** NaN for nothing. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle] as number
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** Median over rounds of `values[round] / base[round]`; NaN where there is no base. */
export function medianRatio(values: readonly number[], base: readonly number[]): number {
  const ratios: number[] = []
  for (let round = 0; round < values.length; round++) {
    const denominator = base[round]
    if (denominator === undefined || denominator === 0) continue
    ratios.push((values[round] as number) / denominator)
  }
  return median(ratios)
}

/** A different order each round, so that no contestant always follows the same one. */
export function rotate<Item>(items: readonly Item[], by: number): Item[] {
  const start = items.length === 0 ? 0 : by % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}
