/**
 * A pool's metrics, by OpenTelemetry's names for connection pools. Those are defined for databases
 * (`db.client.connection.*`) and used here for every pool, as no others exist.
 */
import { type Attributes, type Gauge, type Meter, noopMeter } from '../core/metrics.ts'
import type { PoolStats } from '../core/pool.ts'
import type { PoolLimits, PoolObserver } from './pool-options.ts'

export interface PoolFacts {
  readonly stats: PoolStats
  readonly limits: Readonly<Required<PoolLimits>>
  readonly closed: boolean
}

/**
 * Undefined when nobody counts. Pools of one name add up, and what one that is closed had is taken
 * off again.
 */
export function poolMetrics(
  meter: Meter,
  poolName: string,
  look: () => PoolFacts,
): PoolObserver | undefined {
  if (meter === noopMeter) return undefined
  const name = { 'db.client.connection.pool.name': poolName }
  const unit = '{connection}'
  const share = (metric: string, of = unit, attributes: Attributes = name): Share =>
    new Share(meter.gauge(metric, { unit: of }, attributes))
  const count = (state: string): Share =>
    share('db.client.connection.count', unit, { ...name, 'db.client.connection.state': state })
  const idle = count('idle')
  const used = count('used')
  const max = share('db.client.connection.max')
  const idleMax = share('db.client.connection.idle.max')
  const idleMin = share('db.client.connection.idle.min')
  const pending = share('db.client.connection.pending_requests', '{request}')
  const timeouts = meter.counter('db.client.connection.timeouts', { unit: '{timeout}' }, name)
  const seconds = { unit: 's', buckets: SECONDS }
  const createTime = meter.histogram('db.client.connection.create_time', seconds, name)
  const waitTime = meter.histogram('db.client.connection.wait_time', seconds, name)
  const useTime = meter.histogram('db.client.connection.use_time', seconds, name)
  const failures = meter.counter('heddle.pool.connect.failures', { unit }, name)
  const pings = meter.counter('heddle.pool.ping.failures', { unit }, name)
  let told: unknown
  return {
    changed() {
      const { stats, limits, closed } = look()
      idle.tell(stats.idle + stats.probing)
      used.tell(stats.leased)
      pending.tell(stats.waiting)
      // They hardly ever change.
      const bounds = closed ? NO_LIMITS : limits
      if (bounds === told) return
      told = bounds
      max.tell(bounds.max)
      idleMax.tell(bounds.max)
      idleMin.tell(bounds.min)
    },
    connected: (tookMs) => createTime.record(tookMs / 1_000),
    connectFailed: () => failures.add(),
    waited: (waitMs) => waitTime.record(waitMs / 1_000),
    used: (useMs) => useTime.record(useMs / 1_000),
    timedOut: () => timeouts.add(),
    pinged(error) {
      if (error !== undefined) pings.add()
    },
  }
}

/** What one pool adds to a gauge that several may share. */
class Share {
  readonly #gauge: Gauge
  #value = 0

  constructor(gauge: Gauge) {
    this.#gauge = gauge
  }

  tell(value: number): void {
    if (value === this.#value) return
    this.#gauge.add(value - this.#value)
    this.#value = value
  }
}

const NO_LIMITS = Object.freeze({
  max: 0,
  min: 0,
})
const SECONDS: readonly number[] = Object.freeze([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10])
