/**
 * How much of the load each priority gets, as envoy divides it: a priority is worth its healthy
 * share times the overprovisioning factor, because servers have some room. With 1.4, 72 % of them
 * carry everything, and what fewer cannot carry goes on to the next priority.
 *
 *     load(p) = min(rest, healthy share(p) × factor)
 *
 * When all of them together cannot carry everything, each gets what it has in proportion.
 */

export interface PriorityHealth {
  /** Weight of the endpoints that serve. */
  readonly healthy: number
  /** Weight of all of them. */
  readonly total: number
}

export interface PriorityLoads {
  /** Share of the calls by priority; together 1, unless there is nothing at all. */
  readonly shares: readonly number[]
  /** Together they cannot carry the load: panic thresholds count. */
  readonly short: boolean
}

/** @param levels best first */
export function priorityLoads(levels: readonly PriorityHealth[], factor: number): PriorityLoads {
  const worth = levels.map((level) => capacity(level, factor))
  const sum = worth.reduce((total, one) => total + one, 0)
  if (sum === 0) return { shares: levels.map((_, index) => (index === 0 ? 1 : 0)), short: true }
  // Rounding must not call 0.9999 a shortage.
  const short = sum < 1 - 1e-9
  let rest = 1
  const shares = worth.map((one) => {
    const share = short ? one / sum : Math.min(rest, one)
    rest = Math.max(0, rest - share)
    return share
  })
  return { shares, short }
}

/** Up to 1: the share of the whole load that these endpoints can carry. */
export function capacity({ healthy, total }: PriorityHealth, factor: number): number {
  return total === 0 ? 0 : Math.min(1, (healthy / total) * factor)
}
