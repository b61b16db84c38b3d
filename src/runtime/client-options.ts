/**
 * What a client is told: the protocol's two parts, clock and chance, and the policies. One interface
 * for every protocol; `httpClient` and its like pass it through.
 */
import type { Clock, Random } from '../core/clock.ts'
import type { ConnectionState } from '../core/connection-state.ts'
import type { CallContext } from '../core/context.ts'
import type { MetricNames } from '../core/metric-names.ts'
import type { Attributes, Meter } from '../core/metrics.ts'
import type { BreakerState, Classifier, Endpoint, Resolver, RetryBudget } from '../core/policy.ts'
import type { BalancerFactory } from './balancer/balancer.ts'
import type { BalancingObserver, BalancingOptions } from './balancer/balancing-options.ts'
import type { BreakerOptions } from './breaker.ts'
import type { ClientPolicies } from './client-policies.ts'
import type { ConnectContext, Exchanger } from './exchanger.ts'
import type { HedgeOptions } from './hedge-policy.ts'
import type { OverloadChange, Refusal } from './load-host.ts'
import type { PastAttempt } from './middleware/retry.ts'
import type { PoolLimits } from './pool-options.ts'
import type { ConnectionQuota } from './pool-quota.ts'
import type { RetryBudgetOptions } from './retry-budget.ts'
import type { RetryPolicyOptions } from './retry-policy.ts'
import type { BreakerCells } from './shared-breakers.ts'
import type { SharedPools } from './shared-pools.ts'
import type { TimerWheel } from './timer-wheel.ts'

export interface ClientOptions<Req, Res> extends ClientPolicies<Req, Res> {
  /** What people call it, in `explain` and in metrics. @default the target */
  name?: string
  /** Either the endpoints, or a target and a resolver that watches it. */
  endpoints?: readonly Endpoint[]
  target?: string
  resolver?: Resolver
  /** Connects to one endpoint and makes the connection ready for calls. */
  connectEndpoint(endpoint: Endpoint, context: ConnectContext): Promise<Exchanger<Req, Res>>
  classifier: Classifier<Req, Res>
  clock: Clock
  random: Random
  /** Shared with other clients where there are many. @default its own */
  wheel?: TimerWheel
  meter?: Meter
  metricNames?: MetricNames<Req, Res>
  /** What of the client is counted, and under whose name. */
  metricScope?: MetricScope
  /**
   * Deadline of calls that bring no earlier one, in milliseconds. A call without any would wait
   * for ever for a peer that vanished without a word.
   *
   * @default 30_000
   */
  timeoutMs?: number
  /** Limit of one attempt. @default none: only the deadline */
  attemptTimeoutMs?: number
  /** `false`: no retries. */
  retry?: ClientRetryOptions | false
  /**
   * Sends idempotent calls that are slower than nearly all others a second time, within the budget
   * of retries, and takes the first answer. `true`: as its defaults say.
   *
   * @default false: it costs the peer more work, which its owner must want
   */
  hedge?: HedgeOptions | boolean
  /** `false`: no breakers. */
  breaker?: ClientBreakerOptions | false
  /** How one of the endpoints is chosen. @default p2c() */
  balancer?: BalancerFactory<Req>
  /** Which endpoints may be chosen: ejection, slow start, zones, subsets, panic. */
  balancing?: Omit<BalancingOptions, 'observer'>
  /** Limits of the pool of each endpoint. */
  pool?: PoolLimits
  /** `PoolLimits.expectedCapacity` of a protocol with streams, where the limits do not say. */
  expectedCapacity?: number
  /**
   * A request that asks the peer for nothing but an answer, any answer: what pools send to an idle
   * connection when told to (`pingAfterMs`, `healthIntervalMs`, `suspects`).
   *
   * @default none; OPTIONS * for HTTP
   */
  ping?(): Req
  /** One bound on connections over several pools, of several worker threads perhaps. */
  connectionQuota?: ConnectionQuota
  /** Pools that several clients of this process share; they bring their limits. */
  sharedPools?: SharedPools
  /**
   * What has to be the same besides protocol and address for connections to be shared: how they are
   * secured, who is logged in.
   *
   * @default only clients with the same `connectEndpoint` function share
   */
  poolKey?: string
  /** Calls at a time on one connection, where the protocol allows more. @default no limit */
  maxConcurrentPerConnection?: number
  /** How long `close` waits for calls and bodies in flight. @default 10_000 */
  closeTimeoutMs?: number
  observer?: ClientObserver
}

export interface MetricScope {
  /** Calls as their caller sees them. False: whoever calls counts them. @default true */
  calls?: boolean
  /** What limits of load refuse. False: somebody else reads their counts. @default true */
  refusals?: boolean
  /**
   * Attempts, breakers and pools of each endpoint by itself. False where endpoints come and go by the
   * hundred: their series would pile up.
   *
   * @default true
   */
  endpoints?: boolean
  /** What tells it from other clients. @default `heddle.client`: its name */
  attributes?: Attributes
}

export interface ClientBreakerOptions extends BreakerOptions {
  /**
   * Where the states are kept: in memory that worker threads share, say, so that what one of them
   * opens refuses in all. Clients of one protocol share the state of an endpoint there.
   *
   * @default each client’s own
   */
  shared?: BreakerCells
}

export interface ClientRetryOptions extends RetryPolicyOptions {
  /**
   * How many retries and hedges the destination may cost. A budget itself, instead of its options,
   * is shared: by all clients of one destination, say.
   */
  budget?: RetryBudgetOptions | RetryBudget
}

/** Told of changes; every method optional. For logs and events. */
export interface ClientObserver extends BalancingObserver {
  onBreaker?(endpoint: Endpoint, next: BreakerState, previous: BreakerState, error: unknown): void
  onRetry?(attempt: PastAttempt, delayMs: number, context: CallContext): void
  /** A hedge was sent, `delayMs` after the attempt before it. */
  onHedge?(hedge: number, delayMs: number, context: CallContext): void
  onEndpoints?(endpoints: readonly Endpoint[]): void
  onResolveError?(error: Error): void
  /** A call that one of this client's own limits refused. */
  onRefused?(refusal: Refusal): void
  /** Calls have waited for their place for too long, or no longer do. */
  onOverload?(change: OverloadChange): void
  onConnectError?(endpoint: Endpoint, error: Error): void
  /**
   * A connection of the pools came to another state: `ready` when it was made, `closed` at its end,
   * with the reason where there is one.
   */
  onConnection?(endpoint: Endpoint, state: ConnectionState, reason: Error | undefined): void
  /** The process did not run for a while: so many idle connections are pinged or dropped. */
  onClockJump?(endpoint: Endpoint, suspects: number): void
}

export const clientDefaults: Readonly<{ timeoutMs: number; closeTimeoutMs: number }> =
  Object.freeze({ timeoutMs: 30_000, closeTimeoutMs: 10_000 })
