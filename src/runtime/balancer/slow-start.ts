/**
 * Slow start: an endpoint that is new, or returns, gets a share that grows over a window. A process
 * that has just started has cold caches, unoptimised code and empty pools; the full share at once
 * makes it look broken, and every other client sends its own at the same moment.
 *
 *     share(age) = max(minShare, (age / window) ^ (1 / aggression))
 *
 * Envoy's formula. Aggression 1 grows linearly; above 1 faster at first.
 */
import { checkRange } from '../../core/errors.ts'

export interface SlowStartOptions {
  /**
   * Until the endpoint has its full share, in milliseconds.
   *
   * @default 30_000: about what a JIT and a cache of working set size take under load
   */
  windowMs?: number
  /** The share it begins with, of its weight. Not 0: without calls nothing warms. @default 0.1 */
  minShare?: number
  /** @default 1: linear */
  aggression?: number
}

export const slowStartDefaults: Readonly<Required<SlowStartOptions>> = Object.freeze({
  windowMs: 30_000,
  minShare: 0.1,
  aggression: 1,
})

/** The options with defaults. @throws UsageError ERR_OPTION_RANGE */
export function checkSlowStart(options: SlowStartOptions): Readonly<Required<SlowStartOptions>> {
  const {
    windowMs = slowStartDefaults.windowMs,
    minShare = slowStartDefaults.minShare,
    aggression = slowStartDefaults.aggression,
  } = options
  return Object.freeze({
    windowMs: checkRange('windowMs', windowMs, 1, 3_600_000),
    minShare: checkRange('minShare', minShare, 0.001, 1),
    aggression: checkRange('aggression', aggression, 0.1, 100),
  })
}

/** The share of its weight that an endpoint has after `ageMs` in service: up to 1. */
export function slowStartShare(
  ageMs: number,
  options: Readonly<Required<SlowStartOptions>>,
): number {
  const { windowMs, minShare, aggression } = options
  if (ageMs >= windowMs) return 1
  const grown = Math.max(0, ageMs / windowMs) ** (1 / aggression)
  return Math.max(minShare, grown)
}
