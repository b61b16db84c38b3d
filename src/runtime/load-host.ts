/** What every load policy needs of the client or server it is in, and what it tells. */
import type { Random } from '../core/clock.ts'
import { type Counter, type Meter, noopMeter } from '../core/metrics.ts'
import type { TimerWheel } from './timer-wheel.ts'

/** Told of what load policies do; every method optional. */
export interface LoadObserver {
  /** A call was refused. */
  onRefused?(refusal: Refusal): void
  /** A queue has stood for too long, or has gone. */
  onOverload?(change: OverloadChange): void
}

export interface LoadHost extends LoadObserver {
  wheel: TimerWheel
  /** For the times of probes. @default none is moved by chance */
  random?: Random
  /** `heddle.load.refused` by policy and limit. @default counts nothing */
  meter?: Meter
  /** Told when the store of a rate limit failed. */
  onStoreError?(error: Error, limit: string): void
}

export interface Refusal {
  readonly policy: 'rate limit' | 'limiter' | 'bulkhead'
  /** Name of the limit. */
  readonly limit: string
  /** As the limit's key function made it. It may name a person: think before logging it. */
  readonly key: string
  readonly retryAfterMs: number
}

/** What a client's load policies need, and whom they tell. */
export function loadHost(
  options: {
    random: Random
    meter?: Meter
    metricScope?: { refusals?: boolean }
    observer?: LoadObserver
  },
  wheel: TimerWheel,
): LoadHost {
  const { random, observer, metricScope } = options
  const meter = metricScope?.refusals === false ? undefined : options.meter
  return {
    wheel,
    random,
    ...(meter && { meter }),
    ...(observer?.onRefused && {
      onRefused: (refusal: Refusal) => observer.onRefused?.(refusal),
    }),
    ...(observer?.onOverload && {
      onOverload: (change: OverloadChange) => observer.onOverload?.(change),
    }),
  }
}

/** `host` with every refusal counted. Names of limits are the configuration's: few. */
export function countRefusals(host: LoadHost, policy: Refusal['policy']): LoadHost {
  const { meter = noopMeter } = host
  if (meter === noopMeter) return host
  const counters = new Map<string, Counter>()
  const options = { unit: '{request}', description: 'Calls refused by a limit' }
  return {
    ...host,
    onRefused(refusal) {
      const { limit } = refusal
      let counter = counters.get(limit)
      if (counter === undefined) {
        const attributes = { 'heddle.load.policy': policy, 'heddle.load.limit': limit }
        counter = meter.counter('heddle.load.refused', options, attributes)
        counters.set(limit, counter)
      }
      counter.add()
      host.onRefused?.(refusal)
    },
  }
}

export interface OverloadChange {
  readonly limit: string
  readonly overloaded: boolean
  /** Calls that wait. */
  readonly queued: number
}
