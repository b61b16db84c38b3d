/**
 * How the counts of one key are kept: an algorithm over numbered slots of typed arrays, so that a
 * hundred thousand keys are a few arrays and not as many objects. Pure over `now`.
 */
import type { Quota, RateLimitDecision } from './rate-limit-store.ts'

export interface KeySlots {
  /** Makes room for so many slots; new ones are as never used. */
  grow(slots: number): void
  /** Forgets what the slot counted. */
  clear(slot: number): void
  take(slot: number, cost: number, now: number): RateLimitDecision
  giveBack(slot: number, cost: number, now: number): void
  /** How much of its quota the slot has used up; 0: forgetting it changes nothing. */
  used(slot: number, now: number): number
}

export function keySlots(quota: Required<Quota>): KeySlots {
  return quota.algorithm === 'token-bucket' ? new CellRateSlots(quota) : new WindowSlots(quota)
}

/**
 * The generic cell rate algorithm. `full` is when the bucket will be full again; a call moves it by
 * what the call costs, and may not move it further away than `burst` calls.
 */
class CellRateSlots implements KeySlots {
  readonly #costMs: number
  readonly #roomMs: number
  readonly #slackMs: number
  #full = new Float64Array(0)

  constructor(quota: Required<Quota>) {
    this.#costMs = quota.windowMs / quota.limit
    this.#roomMs = this.#costMs * quota.burst
    // A sum of rounded costs must not lose the last call of a burst.
    this.#slackMs = this.#costMs * 1e-6
  }

  grow(slots: number): void {
    const full = new Float64Array(slots)
    full.set(this.#full)
    full.fill(Number.NEGATIVE_INFINITY, this.#full.length)
    this.#full = full
  }

  clear(slot: number): void {
    this.#full[slot] = Number.NEGATIVE_INFINITY
  }

  take(slot: number, cost: number, now: number): RateLimitDecision {
    const costMs = this.#costMs
    const full = Math.max(this.#full[slot] as number, now)
    const next = full + cost * costMs
    const overMs = next - now - this.#roomMs
    if (overMs > this.#slackMs) {
      const remaining = this.#whole(full, now)
      const retryAfterMs = cost * costMs > this.#roomMs + this.#slackMs ? NEVER : overMs
      return { allowed: false, remaining, retryAfterMs, resetMs: full - now }
    }
    this.#full[slot] = next
    return {
      allowed: true,
      remaining: this.#whole(next, now),
      retryAfterMs: 0,
      resetMs: next - now,
    }
  }

  giveBack(slot: number, cost: number, now: number): void {
    this.#full[slot] = Math.max(now, (this.#full[slot] as number) - cost * this.#costMs)
  }

  used(slot: number, now: number): number {
    return Math.max(0, (this.#full[slot] as number) - now)
  }

  #whole(full: number, now: number): number {
    return Math.max(0, Math.floor((this.#roomMs - (full - now) + this.#slackMs) / this.#costMs))
  }
}

/**
 * Counts in tenths of the window: the current tenth and the ten before it. A call at the start of
 * its tenth is counted for 11 tenths, one at the end for 10: never less than the window.
 */
class WindowSlots implements KeySlots {
  readonly #limit: number
  readonly #partMs: number
  /** `PLACES` counts for each slot, tenth `n` at place `n % PLACES`. */
  #counts = new Float64Array(0)
  /** The latest tenth that a slot has counted in. */
  #latest = new Float64Array(0)

  constructor(quota: Required<Quota>) {
    this.#limit = quota.limit
    this.#partMs = quota.windowMs / PARTS
  }

  grow(slots: number): void {
    const counts = new Float64Array(slots * PLACES)
    counts.set(this.#counts)
    const latest = new Float64Array(slots)
    latest.set(this.#latest)
    this.#counts = counts
    this.#latest = latest
  }

  clear(slot: number): void {
    this.#counts.fill(0, slot * PLACES, (slot + 1) * PLACES)
    this.#latest[slot] = 0
  }

  take(slot: number, cost: number, now: number): RateLimitDecision {
    const part = this.#advance(slot, now)
    const used = this.#sum(slot)
    const allowed = used + cost <= this.#limit
    if (allowed) {
      const at = slot * PLACES + (part % PLACES)
      this.#counts[at] = (this.#counts[at] as number) + cost
    }
    const left = this.#limit - used - (allowed ? cost : 0)
    return {
      allowed,
      remaining: Math.max(0, Math.floor(left)),
      retryAfterMs: allowed ? 0 : this.#freeAfter(slot, part, used + cost - this.#limit, now),
      resetMs: this.#freeAfter(slot, part, Number.POSITIVE_INFINITY, now),
    }
  }

  /** From the tenths that were counted last: those are what was taken last. */
  giveBack(slot: number, cost: number, now: number): void {
    const part = this.#advance(slot, now)
    let left = cost
    for (let back = 0; back < PLACES && left > 0; back++) {
      const at = slot * PLACES + ((part - back + PLACES * 2) % PLACES)
      const given = Math.min(left, this.#counts[at] as number)
      this.#counts[at] = (this.#counts[at] as number) - given
      left -= given
    }
  }

  used(slot: number, now: number): number {
    this.#advance(slot, now)
    return this.#sum(slot)
  }

  /** Forgets tenths that have left the window. @returns the current one */
  #advance(slot: number, now: number): number {
    // Beyond what a negative clock gives: places are counted from a positive number.
    const part = Math.max(this.#latest[slot] as number, Math.floor(now / this.#partMs) + ORIGIN)
    const gone = Math.min(PLACES, part - (this.#latest[slot] as number))
    for (let ahead = 0; ahead < gone; ahead++) {
      this.#counts[slot * PLACES + ((part - ahead) % PLACES)] = 0
    }
    this.#latest[slot] = part
    return part
  }

  #sum(slot: number): number {
    let sum = 0
    const end = (slot + 1) * PLACES
    for (let at = slot * PLACES; at < end; at++) sum += this.#counts[at] as number
    return sum
  }

  /** Milliseconds until `wanted` of what is counted has left the window, or all of it. */
  #freeAfter(slot: number, part: number, wanted: number, now: number): number {
    let freed = 0
    let afterMs = 0
    for (let back = PARTS; back >= 0; back--) {
      const count = this.#counts[slot * PLACES + ((part - back + PLACES) % PLACES)] as number
      if (count === 0) continue
      freed += count
      afterMs = (part - back - ORIGIN + PLACES) * this.#partMs - now
      if (freed >= wanted) return afterMs
    }
    return wanted === Number.POSITIVE_INFINITY ? afterMs : NEVER
  }
}

const PARTS = 10
const PLACES = PARTS + 1
const ORIGIN = PLACES * 1_000_000
const NEVER = Number.POSITIVE_INFINITY
