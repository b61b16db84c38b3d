/**
 * How long to wait before trying again, pure over chance.
 *
 * Full jitter is the default: in AWS's simulation of contending clients it needs the least calls
 * and time, because it spreads them over the whole interval instead of around a common point.
 */
import type { Random } from '../core/clock.ts'
import { checkRange } from '../core/errors.ts'

export interface BackoffOptions {
  /**
   * The first interval in milliseconds. A little above the round trip inside a data centre.
   *
   * @default 50
   */
  baseMs?: number
  /** @default 5_000: a caller that waits longer has usually gone */
  maxMs?: number
  /** @default 2 */
  factor?: number
  /**
   * `full`: anywhere in [0, interval). `equal`: the second half of it. `none`: the interval.
   *
   * @default 'full'
   */
  jitter?: Jitter
}

export type Jitter = 'full' | 'equal' | 'none'

export const backoffDefaults: Readonly<Required<BackoffOptions>> = Object.freeze({
  baseMs: 50,
  maxMs: 5_000,
  factor: 2,
  jitter: 'full',
})

/** Milliseconds to wait after failure number `failures`, which counts from 1. */
export type Backoff = (failures: number, random: Random) => number

export function exponentialBackoff(options: BackoffOptions = {}): Backoff {
  const {
    baseMs = backoffDefaults.baseMs,
    maxMs = backoffDefaults.maxMs,
    factor = backoffDefaults.factor,
    jitter = backoffDefaults.jitter,
  } = options
  checkRange('baseMs', baseMs, 0, MAX_MS)
  checkRange('maxMs', maxMs, baseMs, MAX_MS)
  checkRange('factor', factor, 1, 100)
  return (failures, random) => {
    // A power that overflows is Infinity, which `min` cuts as well.
    const interval = Math.min(maxMs, baseMs * factor ** (failures - 1))
    if (jitter === 'none') return interval
    return jitter === 'full' ? interval * random() : (interval / 2) * (1 + random())
  }
}

const MAX_MS = 0x7fff_ffff
