/**
 * What a pool is told: limits, and how its resources are made, looked at and ended.
 */
import type { Random } from '../core/clock.ts'
import { checkInteger, checkRange } from '../core/errors.ts'
import type { ConnectContext } from './exchanger.ts'
import type { TimerWheel } from './timer-wheel.ts'

export interface PoolLimits {
  /**
   * Most resources, those being connected included. Bounds sockets and memory here and at the peer.
   *
   * @default 128
   */
  max?: number
  /**
   * Resources kept even when nobody uses them. 0: a client that is not used holds nothing.
   *
   * @default 0
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
   * Calls that a new resource is expected to take at once: the pool connects one for so many
   * waiters. More than 1 for protocols with streams.
   *
   * @default 1
   */
  expectedCapacity?: number
}

export const poolDefaults: Readonly<Required<PoolLimits>> = Object.freeze({
  max: 128,
  min: 0,
  maxConnecting: 16,
  maxWaiting: 1_024,
  maxWaitMs: 30_000,
  connectTimeoutMs: 10_000,
  idleTimeoutMs: 4_000,
  idleMarginMs: 1_000,
  maxLifetimeMs: 600_000,
  expectedCapacity: 1,
})

/** How a resource that counts itself is asked. */
export interface Occupancy<Resource> {
  /** Leases it could take now. */
  available(resource: Resource): number
  /** Calls it is busy with. */
  inFlight(resource: Resource): number
}

export interface PoolOptions<Resource> extends PoolLimits {
  wheel: TimerWheel
  random: Random
  connect(context: ConnectContext): Promise<Resource>
  /** Frees a resource at once. Called exactly once for each unless `close` was. Must not throw. */
  destroy(resource: Resource, reason: Error): void
  /** Ends a resource that is free, politely. @default destroy */
  close?(resource: Resource): void
  /** Whether a free resource still lives. Asked before it is lent again. */
  validate?(resource: Resource, idleMs: number): boolean
  /** The peer closes it when idle for so long; undefined: it did not say. */
  idleTimeoutOf?(resource: Resource): number | undefined
  occupancy?: Occupancy<Resource>
  /** Keeps the process alive, or not: called when the pool as a whole becomes busy or idle. */
  hold?(resource: Resource, hold: boolean): void
  observer?: PoolObserver
}

/** Told of what happened; every method optional. For metrics. */
export interface PoolObserver {
  /** `connecting`, `leased` or `waiting` changed. */
  changed?(): void
  connected?(tookMs: number): void
  connectFailed?(error: Error): void
  /** A call got its resource after waiting. */
  waited?(waitMs: number): void
  timedOut?(): void
}

/** Every limit with its default, each checked. */
export function checkPoolLimits(options: PoolLimits): Readonly<Required<PoolLimits>> {
  const {
    max = poolDefaults.max,
    min = poolDefaults.min,
    maxConnecting = poolDefaults.maxConnecting,
    maxWaiting = poolDefaults.maxWaiting,
    maxWaitMs = poolDefaults.maxWaitMs,
    connectTimeoutMs = poolDefaults.connectTimeoutMs,
    idleTimeoutMs = poolDefaults.idleTimeoutMs,
    idleMarginMs = poolDefaults.idleMarginMs,
    maxLifetimeMs = poolDefaults.maxLifetimeMs,
    expectedCapacity = poolDefaults.expectedCapacity,
  } = options
  return Object.freeze({
    max: checkInteger('max', max, 1, MAX_COUNT),
    min: checkInteger('min', min, 0, max),
    maxConnecting: checkInteger('maxConnecting', maxConnecting, 1, MAX_COUNT),
    maxWaiting: checkInteger('maxWaiting', maxWaiting, 0, MAX_COUNT),
    maxWaitMs: checkRange('maxWaitMs', maxWaitMs, 0, MAX_MS),
    connectTimeoutMs: checkRange('connectTimeoutMs', connectTimeoutMs, 1, MAX_MS),
    idleTimeoutMs: checkRange('idleTimeoutMs', idleTimeoutMs, 0, MAX_MS),
    idleMarginMs: checkRange('idleMarginMs', idleMarginMs, 0, MAX_MS),
    maxLifetimeMs: checkRange('maxLifetimeMs', maxLifetimeMs, 1, Number.POSITIVE_INFINITY),
    expectedCapacity: checkInteger('expectedCapacity', expectedCapacity, 1, MAX_COUNT),
  })
}

const MAX_COUNT = 0x7fff_ffff
const MAX_MS = 0x7fff_ffff
