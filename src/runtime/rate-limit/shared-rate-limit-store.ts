/**
 * One rate limit for all worker threads of a process, in shared memory of a fixed size.
 *
 *     key ─hash─▸ one cell in each of 4 rows;  a cell: when its bucket will be full again
 *
 * The state of a key is the *earliest* of its four cells: other keys can only have moved a cell
 * further. Nothing is stored of a key itself, so no number of keys takes more memory, and there is
 * nobody to forget.
 *
 * **Its error** is on the strict side: a key is refused too early when each of its four cells is also
 * used by others. With `n` other keys in use and `w` cells a row that is one key in about `(w/n)⁴`:
 * at the default width, one in 80 million while 700 are in use, one in 30,000 while 5,000 are. It
 * never lets more through. The generic cell rate algorithm only (rate-limit-store.ts).
 */
import { checkInteger, UsageError } from '../../core/errors.ts'
import {
  checkQuota,
  type Quota,
  type RateLimitDecision,
  type RateLimitStore,
} from './rate-limit-store.ts'

export interface SharedRateLimitOptions extends Omit<Quota, 'algorithm'> {
  /**
   * Memory of a store with the same options in another thread.
   *
   * @default its own, to be handed to other threads
   */
  memory?: SharedArrayBuffer
  /**
   * Cells a row, a power of two. 2 MiB at the default.
   *
   * @default 65_536
   */
  cellsPerRow?: number
  /**
   * Added to `now`, so that all threads mean the same time: Node's clock begins anew in each worker.
   * Give `threadClockOffsetMs()` everywhere.
   *
   * @default 0
   */
  clockOffsetMs?: number
}

export const sharedRateLimitDefaults: Readonly<{ cellsPerRow: number; clockOffsetMs: number }> =
  Object.freeze({ cellsPerRow: 65_536, clockOffsetMs: 0 })

export class SharedRateLimitStore implements RateLimitStore {
  /** For the store of another thread. */
  readonly memory: SharedArrayBuffer
  readonly #cells: BigInt64Array
  readonly #mask: number
  readonly #offsetMs: number
  /** Microseconds: a whole number can be swapped atomically. */
  readonly #costUs: number
  readonly #roomUs: number

  constructor(options: SharedRateLimitOptions) {
    const {
      cellsPerRow = sharedRateLimitDefaults.cellsPerRow,
      clockOffsetMs = sharedRateLimitDefaults.clockOffsetMs,
    } = options
    const { limit, windowMs, burst } = checkQuota(options)
    checkInteger('cellsPerRow', cellsPerRow, 16, 16_777_216)
    if ((cellsPerRow & (cellsPerRow - 1)) !== 0) {
      throw new UsageError('ERR_OPTION_RANGE', `cellsPerRow is ${cellsPerRow}, no power of two`)
    }
    const bytes = cellsPerRow * ROWS * 8
    this.memory = options.memory ?? new SharedArrayBuffer(bytes)
    if (this.memory.byteLength !== bytes) {
      const message = `memory has ${this.memory.byteLength} bytes, ${cellsPerRow} cells need ${bytes}`
      throw new UsageError('ERR_OPTION_RANGE', message)
    }
    this.#cells = new BigInt64Array(this.memory)
    this.#mask = cellsPerRow - 1
    this.#offsetMs = clockOffsetMs
    this.#costUs = (windowMs * 1_000) / limit
    this.#roomUs = this.#costUs * burst
  }

  take(key: string, cost: number, now: number): RateLimitDecision {
    const nowUs = Math.round((now + this.#offsetMs) * 1_000)
    const places = this.#placesOf(key)
    const costUs = cost * this.#costUs
    for (;;) {
      const [at, held] = this.#earliest(places)
      const full = Math.max(Number(held), nowUs)
      const next = full + costUs
      const overUs = next - nowUs - this.#roomUs
      if (overUs > SLACK_US) {
        const never = costUs > this.#roomUs + SLACK_US
        return this.#decision(full, nowUs, never ? Number.POSITIVE_INFINITY : overUs)
      }
      const wanted = BigInt(Math.round(next))
      // The others first: the earliest cell stays the earliest until it is swapped, so that threads
      // with the same key all try to swap that one, and whoever does has taken.
      for (const place of places) if (place !== at) this.#raise(place, wanted)
      if (Atomics.compareExchange(this.#cells, at, held, wanted) !== held) continue
      return this.#decision(next, nowUs, 0)
    }
  }

  #decision(fullUs: number, nowUs: number, overUs: number): RateLimitDecision {
    const leftUs = this.#roomUs - (fullUs - nowUs)
    return {
      allowed: overUs === 0,
      remaining: Math.max(0, Math.floor((leftUs + SLACK_US) / this.#costUs)),
      retryAfterMs: overUs / 1_000,
      resetMs: Math.max(0, fullUs - nowUs) / 1_000,
    }
  }

  #earliest(places: readonly number[]): [at: number, held: bigint] {
    let at = places[0] as number
    let held = Atomics.load(this.#cells, at)
    for (let row = 1; row < ROWS; row++) {
      const place = places[row] as number
      const other = Atomics.load(this.#cells, place)
      if (other >= held) continue
      at = place
      held = other
    }
    return [at, held]
  }

  #raise(place: number, to: bigint): void {
    for (;;) {
      const held = Atomics.load(this.#cells, place)
      if (held >= to) return
      if (Atomics.compareExchange(this.#cells, place, held, to) === held) return
    }
  }

  /** Two hashes give as many as are wanted (Kirsch and Mitzenmacher). */
  #placesOf(key: string): number[] {
    let first = 0x811c9dc5
    let second = 0x9e3779b9
    for (let index = 0; index < key.length; index++) {
      const unit = key.charCodeAt(index)
      first = Math.imul(first ^ unit, 0x01000193)
      second = Math.imul(second ^ unit, 0x85ebca6b)
      second ^= second >>> 13
    }
    first ^= first >>> 15
    second |= 1
    const places: number[] = []
    for (let row = 0; row < ROWS; row++) {
      places.push(row * (this.#mask + 1) + ((first + Math.imul(row, second)) & this.#mask))
    }
    return places
  }
}

const ROWS = 4
/** Cells hold whole microseconds: a burst of many calls may be rounded once for each. */
const SLACK_US = 1
