/**
 * What the configuration says about the connections to an endpoint, as the runtime takes it; and
 * which part of a cluster's configuration can change while it runs.
 */
import { HttpRequest } from '../../protocols/http/messages.ts'
import type { PoolLimits } from '../../runtime/pool-options.ts'
import { durationMs } from '../config/quantity.ts'
import type { ClusterConfig } from '../config/schema/cluster.ts'

/** All of them, so that one which is not named any more goes back to its default. */
export function poolLimitsOf(config: ClusterConfig): PoolLimits {
  const { connection_pool: pool, circuit_breakers } = config
  const { max_connections: max, max_pending_requests } = circuit_breakers.thresholds
  const { ping } = pool
  return {
    kind: pool.kind,
    max,
    min: pool.kind === 'fixed' ? max : pool.min_connections,
    maxConnecting: pool.max_connecting,
    maxWaiting: max_pending_requests,
    maxWaitMs: durationMs(pool.max_pending_time),
    connectTimeoutMs: durationMs(config.connect_timeout),
    idleTimeoutMs: durationMs(config.idle_timeout),
    maxLifetimeMs: durationMs(config.max_connection_age),
    shrinkDelayMs: durationMs(pool.shrink_delay),
    clockJumpMs: durationMs(pool.clock_jump),
    suspects: pool.suspects,
    pingAfterMs: ping?.after === undefined ? Infinity : durationMs(ping.after),
    healthIntervalMs: ping?.interval === undefined ? Infinity : durationMs(ping.interval),
    ...(ping !== undefined && { pingTimeoutMs: durationMs(ping.timeout) }),
  }
}

/** The request that asks a connection whether it lives. */
export function pingOf(config: ClusterConfig): HttpRequest {
  const { ping } = config.connection_pool
  return new HttpRequest({
    method: ping?.method ?? 'OPTIONS',
    target: ping?.path ?? '*',
    scheme: config.tls === undefined ? 'http' : 'https',
    authority: ping?.host ?? config.name,
  })
}

/** What cannot change without a new cluster: everything but the limits of its pools. */
export function fixedPartOf(config: ClusterConfig): object {
  const { connection_pool: _pool, connect_timeout: _connect, idle_timeout: _idle, ...rest } = config
  const { max_connection_age: _age, circuit_breakers, ...fixed } = rest
  const { thresholds: _thresholds, ...breakers } = circuit_breakers
  return { ...fixed, circuit_breakers: breakers }
}
