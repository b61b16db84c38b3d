/**
 * A pool's metrics, by OpenTelemetry's names for connection pools. Those are defined for databases
 * (`db.client.connection.*`) and used here for every pool, as no others exist.
 */
import { type Meter, noopMeter } from '../core/metrics.ts'
import type { PoolStats } from '../core/pool.ts'
import type { PoolLimits, PoolObserver } from './pool-options.ts'

/** Undefined when nobody counts. */
export function poolMetrics(
  meter: Meter,
  poolName: string,
  look: () => { readonly stats: PoolStats; readonly limits: Readonly<Required<PoolLimits>> },
): PoolObserver | undefined {
  if (meter === noopMeter) return undefined
  const name = { 'db.client.connection.pool.name': poolName }
  const count = 'db.client.connection.count'
  const unit = '{connection}'
  const idle = meter.gauge(count, { unit }, { ...name, 'db.client.connection.state': 'idle' })
  const used = meter.gauge(count, { unit }, { ...name, 'db.client.connection.state': 'used' })
  const max = meter.gauge('db.client.connection.max', { unit }, name)
  const idleMax = meter.gauge('db.client.connection.idle.max', { unit }, name)
  const idleMin = meter.gauge('db.client.connection.idle.min', { unit }, name)
  const pending = meter.gauge('db.client.connection.pending_requests', { unit: '{request}' }, name)
  const timeouts = meter.counter('db.client.connection.timeouts', { unit: '{timeout}' }, name)
  const seconds = { unit: 's', buckets: SECONDS }
  const createTime = meter.histogram('db.client.connection.create_time', seconds, name)
  const waitTime = meter.histogram('db.client.connection.wait_time', seconds, name)
  const useTime = meter.histogram('db.client.connection.use_time', seconds, name)
  const failures = meter.counter('heddle.pool.connect.failures', { unit: '{connection}' }, name)
  const pings = meter.counter('heddle.pool.ping.failures', { unit: '{connection}' }, name)
  let told: unknown
  return {
    changed() {
      const { stats, limits } = look()
      idle.set(stats.idle + stats.probing)
      used.set(stats.leased)
      pending.set(stats.waiting)
      // They hardly ever change.
      if (limits === told) return
      told = limits
      max.set(limits.max)
      idleMax.set(limits.max)
      idleMin.set(limits.min)
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

const SECONDS: readonly number[] = Object.freeze([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10])
