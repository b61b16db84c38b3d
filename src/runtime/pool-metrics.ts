/**
 * A pool's metrics, by OpenTelemetry's names for connection pools. Those are defined for databases
 * (`db.client.connection.*`) and used here for every pool, as no others exist.
 */
import { type Meter, noopMeter } from '../core/metrics.ts'
import type { PoolStats } from '../core/pool.ts'
import type { PoolObserver } from './pool-options.ts'

/** Undefined when nobody counts. */
export function poolMetrics(
  meter: Meter,
  poolName: string,
  stats: () => PoolStats,
): PoolObserver | undefined {
  if (meter === noopMeter) return undefined
  const name = { 'db.client.connection.pool.name': poolName }
  const count = 'db.client.connection.count'
  const unit = '{connection}'
  const idle = meter.gauge(count, { unit }, { ...name, 'db.client.connection.state': 'idle' })
  const used = meter.gauge(count, { unit }, { ...name, 'db.client.connection.state': 'used' })
  const pending = meter.gauge('db.client.connection.pending_requests', { unit: '{request}' }, name)
  const timeouts = meter.counter('db.client.connection.timeouts', { unit: '{timeout}' }, name)
  const seconds = { unit: 's', buckets: SECONDS }
  const createTime = meter.histogram('db.client.connection.create_time', seconds, name)
  const waitTime = meter.histogram('db.client.connection.wait_time', seconds, name)
  const failures = meter.counter('heddle.pool.connect.failures', { unit: '{connection}' }, name)
  return {
    changed() {
      const now = stats()
      idle.set(now.idle)
      used.set(now.leased)
      pending.set(now.waiting)
    },
    connected: (tookMs) => createTime.record(tookMs / 1_000),
    connectFailed: () => failures.add(),
    waited: (waitMs) => waitTime.record(waitMs / 1_000),
    timedOut: () => timeouts.add(),
  }
}

const SECONDS: readonly number[] = Object.freeze([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10])
