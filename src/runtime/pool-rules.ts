/**
 * What one resource of a pool may be used for now: pure over its slot, the limits and the time.
 */
import type { PoolLimits, PoolOptions } from './pool-options.ts'
import type { PoolWaiter } from './pool-queue.ts'
import type { Slot } from './pool-slot.ts'

export class PoolRules<Resource> {
  readonly #options: PoolOptions<Resource>
  limits: Readonly<Required<PoolLimits>>

  constructor(options: PoolOptions<Resource>, limits: Readonly<Required<PoolLimits>>) {
    this.#options = options
    this.limits = limits
  }

  /** Leases that it could still take. */
  free(slot: Slot<Resource>): number {
    if (slot.exclusive !== 'no' || slot.draining) return 0
    if (slot.opening !== undefined || slot.probe !== undefined) return 0
    const { occupancy } = this.#options
    return (occupancy === undefined ? 1 : occupancy.available(slot.resource)) - slot.leases
  }

  /** Calls that it takes in all. */
  capacity(slot: Slot<Resource>): number {
    const { occupancy } = this.#options
    if (occupancy === undefined) return 1
    return occupancy.available(slot.resource) + occupancy.inFlight(slot.resource)
  }

  isUnused(slot: Slot<Resource>): boolean {
    if (slot.leases > 0) return false
    const { occupancy } = this.#options
    return occupancy === undefined || occupancy.inFlight(slot.resource) === 0
  }

  isTooOld(slot: Slot<Resource>, now: number): boolean {
    return now >= slot.createdAt + this.limits.maxLifetimeMs * slot.lifetimeFactor
  }

  /** An idle one that is not lent any more. `size` is how many there are. */
  isStale(slot: Slot<Resource>, now: number, size: number): boolean {
    if (this.isTooOld(slot, now)) return true
    const { idleMarginMs, idleTimeoutMs, min } = this.limits
    const told = this.#options.idleTimeoutOf?.(slot.resource)
    if (told !== undefined) {
      // A ping is traffic as well: the peer counts from there.
      const silentMs = now - Math.max(slot.idleSince, slot.provenAt)
      if (silentMs >= Math.max(told - idleMarginMs, told / 2)) return true
    }
    const most = this.#options.maxIdleOf?.(slot.resource) ?? idleTimeoutMs
    return now - slot.idleSince >= most && size > min
  }

  isUsable(slot: Slot<Resource>, now: number, size: number): boolean {
    if (this.isStale(slot, now, size)) return false
    return this.#options.validate?.(slot.resource, now - slot.idleSince) ?? true
  }

  /** An idle one that must answer before it is lent. */
  needsPing(slot: Slot<Resource>, now: number): boolean {
    if (this.#options.ping === undefined) return false
    if (slot.suspect) return true
    const own = this.#options.pingAfterOf?.(slot.resource) ?? Number.POSITIVE_INFINITY
    return now - slot.provenAt > Math.min(own, this.limits.pingAfterMs)
  }

  /** An idle one that is looked at although nobody wants it. */
  isDueForHealthCheck(slot: Slot<Resource>, now: number): boolean {
    if (this.#options.ping === undefined) return false
    return now - slot.provenAt >= this.limits.healthIntervalMs
  }

  fits(slot: Slot<Resource>, waiter: PoolWaiter<Resource>): boolean {
    if (waiter.hint.exclusive === true && !slot.idle) return false
    return waiter.hint.fresh !== true || slot.provenAt >= waiter.since
  }

  /** How often the pool is swept: a quarter of whatever is shortest. */
  sweepIntervalMs(): number {
    const { idleTimeoutMs, maxLifetimeMs, shrinkDelayMs, healthIntervalMs } = this.limits
    const shortest = Math.min(idleTimeoutMs, maxLifetimeMs, shrinkDelayMs, healthIntervalMs)
    return Math.min(Math.max(shortest / 4, MIN_SWEEP_MS), MAX_SWEEP_MS)
  }
}

const MIN_SWEEP_MS = 25
const MAX_SWEEP_MS = 5_000
