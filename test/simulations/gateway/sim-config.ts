/** The gateway's configuration of one seed: pools, breakers, ejection, retries, hedging,
 * limits of concurrency, with bounds that a short run reaches. */
import type { GatewayConfigInput } from '../../../src/gateway/config/schema/gateway.ts'
import type { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { World } from './sim-world.ts'

/** Retries as a share of calls, at the client and at the gateway. */
export const BUDGET_RATIO = 0.2
export const MIN_RETRIES_PER_SECOND = 1

/** Below it nobody may ask for anything, where the seed draws access rules. */
export const DENIED = '/denied/'
export const HEALTH_PATH = '/healthz'

/** What the listener of one seed takes; undefined: everything. */
export interface SimLimits {
  /** Requests a second, and at once after a rest. */
  readonly rate: number | undefined
  readonly burst: number
  readonly concurrent: number | undefined
  readonly denies: boolean
  /** Endpoints are asked whether they are well. */
  readonly checked: boolean
}

export function drawLimits(random: SeededRandom): SimLimits {
  return {
    rate: random.chance(0.4) ? random.pick([4, 8]) : undefined,
    burst: random.pick([2, 8]),
    concurrent: random.chance(0.4) ? random.pick([3, 10]) : undefined,
    denies: random.chance(0.4),
    checked: random.chance(0.4),
  }
}

export function gatewayConfig(world: World): GatewayConfigInput {
  const { random } = world.simulation
  const { limits } = world
  return {
    admin: { enabled: false },
    watch: false,
    listeners: [
      {
        name: 'http',
        address: world.gatewayAddress,
        ...(limits.rate !== undefined && {
          rate_limits: [{ key: 'all', requests: limits.rate, per: '1s', burst: limits.burst }],
        }),
        ...(limits.concurrent !== undefined && {
          concurrency: {
            max_requests: limits.concurrent,
            max_queued: random.pick([0, 5]),
            max_queue_time: '1s',
          },
        }),
        ...(limits.denies && {
          authentication: { anonymous: true },
          authorization: {
            roles: { anyone: { allow: [{ actions: ['*'], resources: ['/**'] }] } },
            anonymous_roles: ['anyone'],
            deny: [{ actions: ['*'], resources: [`${DENIED}**`] }],
          },
        }),
      },
    ],
    routes: [{ cluster: 'up', timeout: '8s' }],
    clusters: [
      {
        name: 'up',
        endpoints: ['up.test:80'],
        lb_policy: random.pick(['p2c', 'least_request', 'round_robin', 'random']),
        connect_timeout: '500ms',
        idle_timeout: random.pick(['500ms', '4s']),
        max_connection_age: random.pick(['3s', '10m']),
        circuit_breakers: {
          thresholds: { max_connections: world.maxConnections, max_pending_requests: 64 },
          consecutive_failures: random.pick([3, 5]),
          open_time: '500ms',
          max_open_time: '2s',
        },
        ...(random.chance(0.5) && {
          outlier_detection: {
            consecutive_failures: 3,
            base_ejection_time: '1s',
            max_ejection_time: '3s',
          },
        }),
        ...(limits.checked && {
          health_checks: [{ path: HEALTH_PATH, interval: '500ms', timeout: '400ms' }],
        }),
        ...(world.hedged && { hedge_policy: { delay: '300ms' } }),
        retry_policy: {
          num_retries: 2,
          retry_on: ['connect-failure', 'reset', 'attempt-timeout', 'gateway-error'],
          per_try_timeout: '1500ms',
          retry_budget: {
            budget_percent: BUDGET_RATIO * 100,
            min_retries_per_second: MIN_RETRIES_PER_SECOND,
          },
        },
      },
    ],
  }
}
