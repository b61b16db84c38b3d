/**
 * The counts of one process: exact as long as there are no more than `maxKeys` keys in use at a
 * time, and bounded whatever its callers do.
 *
 * **Who is forgotten.** A key that has used up nothing, because it rested, is the same as one never
 * seen: such keys go first, and nothing is lost. When all keys are in use, a new one takes the place
 * of that which has *used up least*, of eight that stand beside one another. So keys that an attacker
 * rotates (addresses, say) replace each other, since each has used up one call. A caller that is at
 * its limit stays there: to be forgotten it would have to bring its whole neighbourhood to the limit,
 * which costs more calls than it gains. A well-behaved caller that is forgotten only gains: nobody is
 * ever refused because of somebody else's key.
 */
import { checkInteger } from '../../core/errors.ts'
import { boundedKey, ownText } from '../bounded-key.ts'
import { type KeySlots, keySlots } from './key-slots.ts'
import {
  checkQuota,
  type Quota,
  type RateLimitDecision,
  type RateLimitStore,
} from './rate-limit-store.ts'

export interface MemoryRateLimitOptions extends Quota {
  /**
   * Keys told apart at a time. About 85 bytes each (170 with `sliding-window`) for keys as long as an
   * address, taken only when they are used: 4 MiB at the default.
   *
   * @default 50_000
   */
  maxKeys?: number
}

export const memoryRateLimitDefaults: Readonly<{ maxKeys: number }> = Object.freeze({
  maxKeys: 50_000,
})

export class MemoryRateLimitStore implements RateLimitStore {
  readonly #slots: KeySlots
  readonly #maxKeys: number
  readonly #places = new Map<string, number>()
  /** By place; undefined: free. */
  readonly #keys: (string | undefined)[] = []
  readonly #free: number[] = []
  #room = 0
  #hand = 0

  constructor(options: MemoryRateLimitOptions) {
    const { maxKeys = memoryRateLimitDefaults.maxKeys } = options
    this.#maxKeys = checkInteger('maxKeys', maxKeys, 1, 10_000_000)
    this.#slots = keySlots(checkQuota(options))
  }

  /** Keys that are remembered now. */
  get size(): number {
    return this.#places.size
  }

  take(key: string, cost: number, now: number): RateLimitDecision {
    const short = boundedKey(key)
    const place = this.#places.get(short) ?? this.#add(short, now)
    return this.#slots.take(place, cost, now)
  }

  giveBack(key: string, cost: number, now: number): void {
    const place = this.#places.get(boundedKey(key))
    if (place !== undefined) this.#slots.giveBack(place, cost, now)
  }

  #add(key: string, now: number): number {
    this.#sweep(now)
    const place = this.#free.pop() ?? (this.#keys.length < this.#maxKeys ? this.#new() : undefined)
    const at = place ?? this.#evict(now)
    const own = ownText(key)
    this.#keys[at] = own
    this.#places.set(own, at)
    return at
  }

  #new(): number {
    const at = this.#keys.length
    if (at >= this.#room) {
      this.#room = Math.min(this.#maxKeys, Math.max(64, this.#room * 2))
      this.#slots.grow(this.#room)
    }
    this.#keys.push(undefined)
    return at
  }

  /** A new key pays for looking at two others: those that have rested are let go. */
  #sweep(now: number): void {
    const looks = Math.min(SWEPT, this.#keys.length)
    for (let look = 0; look < looks; look++) {
      const at = this.#next()
      if (this.#keys[at] === undefined || this.#slots.used(at, now) > 0) continue
      this.#forget(at)
      this.#free.push(at)
    }
  }

  #evict(now: number): number {
    let least = this.#next()
    let leastUsed = this.#slots.used(least, now)
    for (let look = 1; look < Math.min(COMPARED, this.#keys.length) && leastUsed > 0; look++) {
      const at = this.#next()
      const used = this.#slots.used(at, now)
      if (used >= leastUsed) continue
      least = at
      leastUsed = used
    }
    this.#forget(least)
    return least
  }

  #forget(at: number): void {
    this.#places.delete(this.#keys[at] as string)
    this.#keys[at] = undefined
    this.#slots.clear(at)
  }

  #next(): number {
    const at = this.#hand
    this.#hand = at + 1 < this.#keys.length ? at + 1 : 0
    return at
  }
}

const SWEPT = 2
const COMPARED = 8
