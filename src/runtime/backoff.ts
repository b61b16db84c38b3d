/**
 * How long to wait before trying again, pure over chance and what was seen.
 *
 *     fixed           baseMs
 *     exponential     baseMs × factor^(failures − 1), at most maxMs; then jitter
 *     decorrelated    anywhere from baseMs to three times the last wait, at most maxMs
 *     adaptive        as exponential, from the median latency of the destination, at least baseMs
 *
 * Exponential with full jitter is the default: in AWS's simulation of contending clients it needs
 * the least calls and time, because it spreads them over the whole interval instead of around a
 * common point (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, which
 * the decorrelated kind is from as well).
 */
import type { Random } from '../core/clock.ts'
import { checkRange, UsageError } from '../core/errors.ts'

export interface BackoffOptions {
  /**
   * How the wait grows. `adaptive` for destinations that are much slower or faster than baseMs
   * supposes: to ask again sooner than they usually answer is of no use.
   *
   * @default 'exponential'
   */
  backoff?: BackoffKind
  /**
   * The first interval in milliseconds. A little above the round trip inside a data centre.
   *
   * @default 50
   */
  baseMs?: number
  /** @default 5_000: a caller that waits longer has usually gone */
  maxMs?: number
  /** From one interval to the next; exponential and adaptive. @default 2 */
  factor?: number
  /**
   * `full`: anywhere in [0, interval). `equal`: the second half of it. `none`: the interval. Not
   * for the kinds fixed, which has none, and decorrelated, which is one.
   *
   * @default 'full'
   */
  jitter?: Jitter
}

export type BackoffKind = 'exponential' | 'fixed' | 'decorrelated' | 'adaptive'
export type Jitter = 'full' | 'equal' | 'none'

export const backoffDefaults: Readonly<Required<BackoffOptions>> = Object.freeze({
  backoff: 'exponential',
  baseMs: 50,
  maxMs: 5_000,
  factor: 2,
  jitter: 'full',
})

/** What a wait may depend on besides the number of failures. */
export interface BackoffPast {
  /** The wait before this one; undefined: this is the first. */
  readonly previousMs?: number | undefined
  /** What the destination usually takes to answer; undefined: not known. */
  readonly latencyMs?: number | undefined
}

/** Milliseconds to wait after failure number `failures`, which counts from 1. */
export type Backoff = (failures: number, random: Random, past?: BackoffPast) => number

export function backoff(options: BackoffOptions = {}): Backoff {
  const { backoff: kind = backoffDefaults.backoff, jitter } = options
  if (jitter !== undefined && (kind === 'fixed' || kind === 'decorrelated')) {
    throw new UsageError('ERR_ARGUMENT', `backoff '${kind}' takes no jitter, given '${jitter}'`)
  }
  switch (kind) {
    case 'exponential':
      return exponentialBackoff(options)
    case 'adaptive':
      return adaptiveBackoff(options)
    case 'decorrelated':
      return decorrelatedBackoff(options)
    case 'fixed': {
      const { baseMs } = checkBounds(options)
      return () => baseMs
    }
    default:
      throw new UsageError('ERR_ARGUMENT', `backoff '${String(kind)}' is not one that is known`)
  }
}

export function exponentialBackoff(options: BackoffOptions = {}): Backoff {
  const { baseMs, maxMs } = checkBounds(options)
  const { factor = backoffDefaults.factor, jitter = backoffDefaults.jitter } = options
  checkRange('factor', factor, 1, 100)
  // A power that overflows is Infinity, which `min` cuts as well.
  return (failures, random) => {
    return jittered(Math.min(maxMs, baseMs * factor ** (failures - 1)), jitter, random)
  }
}

export function decorrelatedBackoff(options: BackoffOptions = {}): Backoff {
  const { baseMs, maxMs } = checkBounds(options)
  return (_failures, random, past) => {
    const most = Math.min(maxMs, SPREAD * (past?.previousMs ?? baseMs))
    return baseMs + Math.max(0, most - baseMs) * random()
  }
}

export function adaptiveBackoff(options: BackoffOptions = {}): Backoff {
  const { baseMs, maxMs } = checkBounds(options)
  const { factor = backoffDefaults.factor, jitter = backoffDefaults.jitter } = options
  checkRange('factor', factor, 1, 100)
  return (failures, random, past) => {
    const first = Math.max(baseMs, past?.latencyMs ?? baseMs)
    return jittered(Math.min(maxMs, first * factor ** (failures - 1)), jitter, random)
  }
}

function jittered(interval: number, jitter: Jitter, random: Random): number {
  if (jitter === 'none') return interval
  return jitter === 'full' ? interval * random() : (interval / 2) * (1 + random())
}

function checkBounds(options: BackoffOptions): { baseMs: number; maxMs: number } {
  const { baseMs = backoffDefaults.baseMs, maxMs = Math.max(baseMs, backoffDefaults.maxMs) } =
    options
  return {
    baseMs: checkRange('baseMs', baseMs, 0, MAX_MS),
    maxMs: checkRange('maxMs', maxMs, baseMs, MAX_MS),
  }
}

const MAX_MS = 0x7fff_ffff
/** AWS's: three times the last wait. */
const SPREAD = 3
