/**
 * What is the same for every way to choose: who may be chosen, and in which order groups of
 * endpoints are turned to. Options of a client's `balancing`.
 */
import { checkRange, UsageError } from '../../core/errors.ts'
import type { Endpoint } from '../../core/policy.ts'
import type { OutlierOptions } from './outlier-detector.ts'
import { checkSlowStart, type SlowStartOptions } from './slow-start.ts'
import { checkSubset, type SubsetOptions } from './subset.ts'

export interface BalancingOptions {
  /** Takes endpoints out that fail more than the others. @default off: breakers stand below */
  outlierEjection?: OutlierOptions
  /** New and returned endpoints get a growing share. @default off */
  slowStart?: SlowStartOptions
  /** Prefers endpoints of the own zone. @default off */
  locality?: LocalityOptions
  /** Uses only some of many endpoints, so that all clients together load them evenly. @default off */
  subset?: SubsetOptions
  /**
   * Below this share of healthy endpoints in a priority, ejections and failed health checks are
   * ignored there and all are used: so many cannot be broken, or the few that are left would drown.
   * Breakers still hold back what does not answer.
   *
   * @default 0: only when none is healthy. The right share depends on how much room the servers
   *   have; envoy's 0.5 turns two bad ones of three loose on the callers
   */
  panicThreshold?: number
  /**
   * How much more than its share a healthy endpoint can carry: with 1.4 a priority (or the own
   * zone) spills over to the next one once less than 72 % of it are healthy.
   *
   * @default 1.4, as envoy
   */
  overprovisioning?: number
  observer?: BalancingObserver
}

export interface LocalityOptions {
  /** The own zone, as `locality` of endpoints names it. Case counts. */
  zone: string
  /**
   * Calls in flight per endpoint (of weight 1) of the own zone from which on the zone is overloaded:
   * what comes then goes to other zones, while those have room.
   *
   * @default 64: half of the connections that a pool makes, before calls wait for one
   */
  maxLoad?: number
}

/** Told of changes; every method optional. */
export interface BalancingObserver {
  onEjected?(endpoint: Endpoint, reason: string, forMs: number): void
  /** Back in service; noticed by the first call afterwards. */
  onReturned?(endpoint: Endpoint): void
  /** In this priority everything is used, whatever its health; or not any more. */
  onPanic?(priority: number, panicking: boolean): void
  /** An attempt has ended. `latencyMs` undefined: it told nothing about latency. */
  onAttempt?(
    endpoint: Endpoint,
    now: number,
    latencyMs: number | undefined,
    endpointFailure: boolean,
  ): void
}

export const balancingDefaults: Readonly<{ panicThreshold: number; overprovisioning: number }> =
  Object.freeze({ panicThreshold: 0, overprovisioning: 1.4 })

export const localityDefaults: Readonly<{ maxLoad: number }> = Object.freeze({ maxLoad: 64 })

export interface Balancing {
  readonly slowStart: Readonly<Required<SlowStartOptions>> | undefined
  readonly locality: Readonly<Required<LocalityOptions>> | undefined
  readonly subset: Readonly<Required<SubsetOptions>> | undefined
  readonly panicThreshold: number
  readonly overprovisioning: number
  readonly observer: BalancingObserver
}

/** @throws UsageError for values out of range, and for what does not go together */
export function checkBalancing(
  options: BalancingOptions,
  consistent: string | undefined,
): Balancing {
  const {
    slowStart,
    locality,
    subset,
    panicThreshold = balancingDefaults.panicThreshold,
    overprovisioning = balancingDefaults.overprovisioning,
    observer = {},
  } = options
  if (consistent !== undefined) {
    const unfit = Object.entries({ slowStart, locality, subset }).find(([, value]) => value)
    if (unfit !== undefined) {
      const message = `${unfit[0]} does not go with ${consistent}: it would move keys`
      throw new UsageError('ERR_ARGUMENT', message)
    }
  }
  if (locality !== undefined && subset !== undefined) {
    const message = 'locality does not go with subset: the clients of a zone have no numbers'
    throw new UsageError('ERR_ARGUMENT', message)
  }
  return Object.freeze({
    slowStart: slowStart && checkSlowStart(slowStart),
    locality: locality && checkLocality(locality),
    subset: subset && checkSubset(subset),
    panicThreshold: checkRange('panicThreshold', panicThreshold, 0, 1),
    overprovisioning: checkRange('overprovisioning', overprovisioning, 1, 100),
    observer,
  })
}

function checkLocality(options: LocalityOptions): Readonly<Required<LocalityOptions>> {
  const { zone, maxLoad = localityDefaults.maxLoad } = options
  if (zone === '') throw new UsageError('ERR_ARGUMENT', 'the zone has no name')
  return Object.freeze({ zone, maxLoad: checkRange('maxLoad', maxLoad, 1, Infinity) })
}
