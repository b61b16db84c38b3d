/**
 * Where the state of a breaker is kept: in one thread's own memory, or in memory that threads share
 * (shared-breakers.ts). What leads to a change, the counts of calls, is each thread's own.
 *
 *     version = era × 4 + state       raised with every change, whoever makes it
 *
 * A change names the version that it replaces, and fails when somebody else was first.
 */
import type { BreakerState } from '../core/policy.ts'

export const CLOSED = 0
export const OPEN = 1
export const HALF_OPEN = 2
export type StateCode = typeof CLOSED | typeof OPEN | typeof HALF_OPEN

export interface BreakerCell {
  readonly version: number
  /**
   * On this thread's clock. Open: when a probe may be made. Closed: since when; 0: from the start.
   */
  readonly at: number
  /** Times it opened since it was last closed. */
  readonly openings: number
  /** Whether other threads see it. */
  readonly shared: boolean
  /** @returns the new version; undefined: it is another one already */
  change(version: number, state: StateCode, at: number, openings: number): number | undefined
  /** Whether `tryProbe` would be granted. */
  mayProbe(version: number, now: number, limits: ProbeLimits): boolean
  /** Takes the place of a probe. */
  tryProbe(version: number, now: number, limits: ProbeLimits): boolean
  /** Gives it back. */
  endProbe(version: number): void
  /** @returns successes of probes in this era, this one included */
  probeSucceeded(version: number): number
  /** The endpoint is gone: the place may be another's. */
  release(): void
}

export interface ProbeLimits {
  readonly maxProbes: number
  readonly probeTimeoutMs: number
}

export function stateOf(version: number): BreakerState {
  return STATES[version & 3] as BreakerState
}

/** The version after `version`, in `state`. Wraps after 2^30 changes. */
export function nextVersion(version: number, state: StateCode): number {
  return (((version >>> 2) + 1) << 2) | state
}

export class LocalBreakerCell implements BreakerCell {
  version: number = CLOSED
  at = 0
  openings = 0
  readonly shared: boolean = false
  #probes = 0
  #lastProbeAt = 0
  #successes = 0

  change(version: number, state: StateCode, at: number, openings: number): number | undefined {
    if (version !== this.version) return undefined
    this.version = nextVersion(version, state)
    this.at = at
    this.openings = openings
    this.#probes = 0
    this.#successes = 0
    return this.version
  }

  mayProbe(version: number, now: number, limits: ProbeLimits): boolean {
    if (version !== this.version) return false
    return this.#probes < limits.maxProbes || now - this.#lastProbeAt >= limits.probeTimeoutMs
  }

  tryProbe(version: number, now: number, limits: ProbeLimits): boolean {
    if (!this.mayProbe(version, now, limits)) return false
    this.#probes++
    this.#lastProbeAt = now
    return true
  }

  endProbe(version: number): void {
    if (version === this.version && this.#probes > 0) this.#probes--
  }

  probeSucceeded(version: number): number {
    return version === this.version ? ++this.#successes : 0
  }

  release(): void {}
}

const STATES: readonly BreakerState[] = ['closed', 'open', 'half-open']
