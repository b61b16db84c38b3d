/**
 * What a pool is told: limits, and how its resources are made, looked at and ended.
 */
import type { Random } from '../core/clock.ts'
import { checkInteger, checkRange, UsageError } from '../core/errors.ts'
import type { ConnectContext } from './exchanger.ts'
import type { ConnectionQuota } from './pool-quota.ts'
import type { TimerWheel } from './timer-wheel.ts'

/** `fixed`: `max` connections from the start, always. `dynamic`: as many as needed. */
export type PoolKind = 'dynamic' | 'fixed'

/** Every one of them can be changed while the pool runs (`reconfigure`). */
export interface PoolLimits {
  /**
   * `fixed` keeps `max` connections and never shrinks: a database that counts them, latency that
   * must not hold a handshake. `dynamic` moves between `min` and `max`.
   *
   * @default dynamic
   */
  kind?: PoolKind
  /**
   * Most resources, those being connected included. Bounds sockets and memory here and at the peer.
   *
   * @default 128
   */
  max?: number
  /**
   * Resources kept even when nobody uses them. 0: a client that is not used holds nothing.
   *
   * @default 0; `max` for a fixed pool
   */
  min?: number
  /**
   * Most connects under way at a time. A burst after a start must not become a storm of handshakes,
   * yet 128 connections are there within 8 round trips.
   *
   * @default 16
   */
  maxConnecting?: number
  /**
   * Longest wait queue, in calls. What waits behind a thousand others is better refused at once.
   *
   * @default 1_024
   */
  maxWaiting?: number
  /**
   * Longest wait of a call without an earlier deadline, in milliseconds.
   *
   * @default 30_000
   */
  maxWaitMs?: number
  /** @default 10_000, as undici: two lost SYNs (1 s, 2 s) and a slow handshake still fit */
  connectTimeoutMs?: number
  /**
   * A resource idle for longer is closed. Below the 5 s after which node:http servers close, so
   * that a call does not meet a connection that the peer is just closing.
   *
   * @default 4_000
   */
  idleTimeoutMs?: number
  /**
   * The peer's own idle timeout, where it told one, is kept with this margin for the way there.
   *
   * @default 1_000
   */
  idleMarginMs?: number
  /**
   * A resource older than this is closed when it is free: new addresses and balanced load need new
   * connections now and then. Each gets up to a tenth less by chance, so that they do not go at once.
   *
   * @default 600_000
   */
  maxLifetimeMs?: number
  /**
   * What was not needed at any moment for so long is closed, down to `min`, although each of them
   * may be used now and then. Only noticed where `idleTimeoutMs` is longer: databases.
   *
   * @default 30_000: a lull between two bursts must not cost the handshakes of the second
   */
  shrinkDelayMs?: number
  /**
   * Calls that a new resource is expected to take at once, until one has shown how many it takes:
   * the pool connects one for so many waiters. More than 1 for protocols with streams.
   *
   * @default 1
   */
  expectedCapacity?: number
  /**
   * Idle for longer: pinged before it is lent. The call waits for the answer, within its deadline.
   * Needs a ping of the protocol.
   *
   * @default Infinity: it costs a round trip, and the idle timeout protects from most of it
   */
  pingAfterMs?: number
  /**
   * Idle ones are pinged so often, whether anybody wants them or not, so that a dead one is found
   * before a call finds it. Needs a ping of the protocol.
   *
   * @default Infinity: it keeps peers busy that nobody asks anything
   */
  healthIntervalMs?: number
  /** No answer to a ping within this: it is dead. @default 1_000 */
  pingTimeoutMs?: number
  /**
   * This process did not run for longer, or the clocks diverged by more: every idle connection is
   * suspect then.
   *
   * @default 2_000: no pause of a garbage collector is longer, and no peer's patience much shorter
   */
  clockJumpMs?: number
  /**
   * What is done with suspects: `drop` them, or `ping` each before its next use, where making one is
   * dear (a database's login). Needs a ping of the protocol.
   *
   * @default drop: the dead answer no ping, and a call would wait `pingTimeoutMs` to hear nothing
   */
  suspects?: 'drop' | 'ping'
}

export const poolDefaults: Readonly<Required<PoolLimits>> = Object.freeze({
  kind: 'dynamic',
  max: 128,
  min: 0,
  maxConnecting: 16,
  maxWaiting: 1_024,
  maxWaitMs: 30_000,
  connectTimeoutMs: 10_000,
  idleTimeoutMs: 4_000,
  idleMarginMs: 1_000,
  maxLifetimeMs: 600_000,
  shrinkDelayMs: 30_000,
  expectedCapacity: 1,
  pingAfterMs: Number.POSITIVE_INFINITY,
  healthIntervalMs: Number.POSITIVE_INFINITY,
  pingTimeoutMs: 1_000,
  clockJumpMs: 2_000,
  suspects: 'drop',
})

/** How a resource that counts itself is asked. */
export interface Occupancy<Resource> {
  /** Leases it could take now. */
  available(resource: Resource): number
  /** Calls it is busy with. */
  inFlight(resource: Resource): number
  /**
   * True until its peer has said how much it takes. It takes nothing before, and counts as being
   * connected: no second one is made for calls that the first may take.
   */
  opening?(resource: Resource): boolean
  /** It finishes what it has and takes no more. It is replaced, even when the pool is at `max`. */
  draining?(resource: Resource): boolean
}

export interface PoolOptions<Resource> extends PoolLimits {
  wheel: TimerWheel
  random: Random
  connect(context: ConnectContext): Promise<Resource>
  /** Frees a resource at once. Called exactly once for each unless `close` was. Must not throw. */
  destroy(resource: Resource, reason: Error): void
  /** Ends a resource that is free, politely. @default destroy */
  close?(resource: Resource): void
  /** Whether a free resource still lives, as far as is known here. Asked before it is lent again. */
  validate?(resource: Resource, idleMs: number): boolean
  /** Asks the peer. Rejects when it is dead; the context is cancelled at `pingTimeoutMs`. */
  ping?(resource: Resource, context: ConnectContext): Promise<unknown>
  /** The peer closes it when idle for so long; undefined: it did not say. */
  idleTimeoutOf?(resource: Resource): number | undefined
  /** Its own limit of idle time, instead of `idleTimeoutMs`; undefined: that one. */
  maxIdleOf?(resource: Resource): number | undefined
  /** Its own `pingAfterMs`; undefined: the pool's. The shorter counts. */
  pingAfterOf?(resource: Resource): number | undefined
  occupancy?: Occupancy<Resource>
  /** Keeps the process alive, or not: called when the pool as a whole becomes busy or idle. */
  hold?(resource: Resource, hold: boolean): void
  /** A bound over several pools, of several threads perhaps. Each resource takes a permit of it. */
  quota?: ConnectionQuota
  observer?: PoolObserver
}

/** Told of what happened; every method optional. For metrics. */
export interface PoolObserver {
  /** `connecting`, `leased` or `waiting` changed. */
  changed?(): void
  /** The limits changed. */
  reconfigured?(limits: Readonly<Required<PoolLimits>>): void
  connected?(tookMs: number): void
  connectFailed?(error: Error): void
  /** A call got its resource after waiting. */
  waited?(waitMs: number): void
  timedOut?(): void
  /** A resource is free again after being busy for so long. */
  used?(useMs: number): void
  /** The process did not run for a while, and so many idle resources are suspect. */
  clockJumped?(suspects: number): void
  /** A ping was answered, or not. */
  pinged?(error: Error | undefined): void
}

/** Every limit with its default, each checked. */
export function checkPoolLimits(options: PoolLimits): Readonly<Required<PoolLimits>> {
  const {
    kind = poolDefaults.kind,
    max = poolDefaults.max,
    min = kind === 'fixed' ? max : poolDefaults.min,
    suspects = poolDefaults.suspects,
  } = options
  if (kind !== 'fixed' && kind !== 'dynamic') {
    throw new UsageError('ERR_ARGUMENT', `kind '${String(kind)}' is neither fixed nor dynamic`)
  }
  if (suspects !== 'drop' && suspects !== 'ping') {
    throw new UsageError('ERR_ARGUMENT', `suspects '${String(suspects)}' is neither drop nor ping`)
  }
  checkInteger('max', max, 1, MAX_COUNT)
  checkInteger('min', min, kind === 'fixed' ? max : 0, max)
  return Object.freeze({
    kind,
    max,
    min,
    suspects,
    ...checkCounts(options),
    ...checkTimes(options),
  })
}

function checkCounts(
  options: PoolLimits,
): Required<Pick<PoolLimits, 'maxConnecting' | 'maxWaiting' | 'expectedCapacity'>> {
  const {
    maxConnecting = poolDefaults.maxConnecting,
    maxWaiting = poolDefaults.maxWaiting,
    expectedCapacity = poolDefaults.expectedCapacity,
  } = options
  return {
    maxConnecting: checkInteger('maxConnecting', maxConnecting, 1, MAX_COUNT),
    maxWaiting: checkInteger('maxWaiting', maxWaiting, 0, MAX_COUNT),
    expectedCapacity: checkInteger('expectedCapacity', expectedCapacity, 1, MAX_COUNT),
  }
}

type TimeLimits = Omit<
  Required<PoolLimits>,
  'kind' | 'max' | 'min' | 'suspects' | 'maxConnecting' | 'maxWaiting' | 'expectedCapacity'
>

function checkTimes(options: PoolLimits): TimeLimits {
  const {
    maxWaitMs = poolDefaults.maxWaitMs,
    connectTimeoutMs = poolDefaults.connectTimeoutMs,
    idleTimeoutMs = poolDefaults.idleTimeoutMs,
    idleMarginMs = poolDefaults.idleMarginMs,
    maxLifetimeMs = poolDefaults.maxLifetimeMs,
    shrinkDelayMs = poolDefaults.shrinkDelayMs,
    pingAfterMs = poolDefaults.pingAfterMs,
    healthIntervalMs = poolDefaults.healthIntervalMs,
    pingTimeoutMs = poolDefaults.pingTimeoutMs,
    clockJumpMs = poolDefaults.clockJumpMs,
  } = options
  const never = Number.POSITIVE_INFINITY
  return {
    maxWaitMs: checkRange('maxWaitMs', maxWaitMs, 0, MAX_MS),
    connectTimeoutMs: checkRange('connectTimeoutMs', connectTimeoutMs, 1, MAX_MS),
    idleTimeoutMs: checkRange('idleTimeoutMs', idleTimeoutMs, 0, never),
    idleMarginMs: checkRange('idleMarginMs', idleMarginMs, 0, MAX_MS),
    maxLifetimeMs: checkRange('maxLifetimeMs', maxLifetimeMs, 1, never),
    shrinkDelayMs: checkRange('shrinkDelayMs', shrinkDelayMs, 1, never),
    pingAfterMs: checkRange('pingAfterMs', pingAfterMs, 0, never),
    healthIntervalMs: checkRange('healthIntervalMs', healthIntervalMs, 100, never),
    pingTimeoutMs: checkRange('pingTimeoutMs', pingTimeoutMs, 1, MAX_MS),
    clockJumpMs: checkRange('clockJumpMs', clockJumpMs, 1, never),
  }
}

const MAX_COUNT = 0x7fff_ffff
const MAX_MS = 0x7fff_ffff
