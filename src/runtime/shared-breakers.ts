/**
 * States of breakers in memory that threads share: a breaker that opened in one of them refuses in
 * all, and half-open they have `maxProbes` together.
 *
 *     const breakers = SharedBreakers.create()                          // in one thread
 *     new Worker(file, { workerData: breakers.buffer })
 *     const breakers = SharedBreakers.from(workerData, { offsetMs })    // in each other thread
 *     httpClient(origin, { breaker: { shared: breakers } })
 *
 * A table of 64 bytes for each endpoint, found by a hash of its name (32 bits: of a thousand
 * endpoints, two share a breaker by accident with a chance of one in ten thousand):
 *
 *     | hash | threads | version | openings ×2 | probes | successes | at ×2 | lastProbeAt |
 *
 * The version is changed by compare-and-exchange, so that each change has one author. What belongs
 * to a version is written before it, in the one of two places that its era says; what is counted
 * carries the era that it was counted in. A thread that ends in between leaves nothing locked.
 */
import { checkInteger, checkRange, UsageError } from '../core/errors.ts'
import { type BreakerCell, nextVersion, type ProbeLimits, type StateCode } from './breaker-cell.ts'

/** Gives each endpoint's breaker the place of its state. */
export interface BreakerCells {
  /** Undefined: no place is left; the breaker keeps its state itself, and `explain` shows that. */
  cellFor(key: string): BreakerCell | undefined
}

export interface SharedBreakersOptions {
  /**
   * What to add to this thread's clock to get one that all threads share, in milliseconds:
   * `threadClockOffsetMs()` where the clock is the system's.
   *
   * @default 0: all threads have the same clock
   */
  offsetMs?: number
}

export interface SharedBreakersCreation extends SharedBreakersOptions {
  /** Most endpoints at a time, 64 bytes each. @default 1_024 */
  capacity?: number
}

export const sharedBreakersDefaults: Readonly<Required<SharedBreakersCreation>> = Object.freeze({
  offsetMs: 0,
  capacity: 1_024,
})

export class SharedBreakers implements BreakerCells {
  /** To be handed to other threads. */
  readonly buffer: SharedArrayBuffer
  readonly capacity: number
  readonly #offsetMs: number
  readonly #words: Int32Array<SharedArrayBuffer>
  readonly #times: BigInt64Array<SharedArrayBuffer>

  private constructor(buffer: SharedArrayBuffer, offsetMs: number) {
    this.buffer = buffer
    this.capacity = buffer.byteLength / ENTRY_BYTES - 1
    this.#offsetMs = checkRange('offsetMs', offsetMs, -MAX_OFFSET_MS, MAX_OFFSET_MS)
    this.#words = new Int32Array(buffer)
    this.#times = new BigInt64Array(buffer)
  }

  static create(options: SharedBreakersCreation = {}): SharedBreakers {
    const {
      capacity = sharedBreakersDefaults.capacity,
      offsetMs = sharedBreakersDefaults.offsetMs,
    } = options
    checkInteger('capacity', capacity, 1, 1_000_000)
    // The first entry's place is the table's own.
    const buffer = new SharedArrayBuffer((capacity + 1) * ENTRY_BYTES)
    const words = new Int32Array(buffer)
    words[MAGIC_AT] = MAGIC
    return new SharedBreakers(buffer, offsetMs)
  }

  /** The table that another thread created. */
  static from(buffer: SharedArrayBuffer, options: SharedBreakersOptions = {}): SharedBreakers {
    const entries = buffer.byteLength / ENTRY_BYTES
    const known = Number.isInteger(entries) && entries >= 2
    if (!known || new Int32Array(buffer)[MAGIC_AT] !== MAGIC) {
      const message = `a buffer of ${buffer.byteLength} bytes holds no shared breakers`
      throw new UsageError('ERR_ARGUMENT', message)
    }
    return new SharedBreakers(buffer, options.offsetMs ?? sharedBreakersDefaults.offsetMs)
  }

  cellFor(key: string): BreakerCell | undefined {
    const hash = hashOf(key)
    this.#lock()
    try {
      const at = this.#find(hash)
      if (at === undefined) return undefined
      Atomics.add(this.#words, at + REFS, 1)
      return new SharedBreakerCell(this.#words, this.#times, at, this.#offsetMs)
    } finally {
      Atomics.store(this.#words, LOCK_AT, 0)
    }
  }

  /** The entry of `hash`, else one that is free, else one that nobody uses any more. */
  #find(hash: number): number | undefined {
    const words = this.#words
    let free: number | undefined
    let unused: number | undefined
    for (let at = ENTRY_WORDS; at < words.length; at += ENTRY_WORDS) {
      const found = Atomics.load(words, at + HASH)
      if (found === hash) return at
      if (found === 0) free ??= at
      else if (Atomics.load(words, at + REFS) <= 0) unused ??= at
    }
    const at = free ?? unused
    if (at === undefined) return undefined
    for (let word = 0; word < ENTRY_WORDS; word++) Atomics.store(words, at + word, 0)
    Atomics.store(words, at + HASH, hash)
    return at
  }

  /** Held for one look through the table. A thread that ended inside has it no longer than this. */
  #lock(): void {
    for (let tries = 0; tries < LOCK_TRIES; tries++) {
      if (Atomics.compareExchange(this.#words, LOCK_AT, 0, 1) === 0) return
    }
  }
}

class SharedBreakerCell implements BreakerCell {
  readonly shared: boolean = true
  readonly #words: Int32Array<SharedArrayBuffer>
  readonly #times: BigInt64Array<SharedArrayBuffer>
  readonly #at: number
  readonly #offsetMs: number
  #released = false

  constructor(
    words: Int32Array<SharedArrayBuffer>,
    times: BigInt64Array<SharedArrayBuffer>,
    at: number,
    offsetMs: number,
  ) {
    this.#words = words
    this.#times = times
    this.#at = at
    this.#offsetMs = offsetMs
  }

  get version(): number {
    return Atomics.load(this.#words, this.#at + VERSION)
  }

  get at(): number {
    return this.#time(AT + parityOf(this.version))
  }

  get openings(): number {
    return Atomics.load(this.#words, this.#at + OPENINGS + parityOf(this.version))
  }

  change(version: number, state: StateCode, at: number, openings: number): number | undefined {
    if (this.version !== version) return undefined
    const next = nextVersion(version, state)
    const parity = parityOf(next)
    this.#setTime(AT + parity, at)
    Atomics.store(this.#words, this.#at + OPENINGS + parity, openings)
    const found = Atomics.compareExchange(this.#words, this.#at + VERSION, version, next)
    return found === version ? next : undefined
  }

  mayProbe(version: number, now: number, limits: ProbeLimits): boolean {
    if (version !== this.version) return false
    const word = Atomics.load(this.#words, this.#at + PROBES)
    return this.#mayProbe(countOf(word, version), now, limits)
  }

  tryProbe(version: number, now: number, limits: ProbeLimits): boolean {
    for (;;) {
      if (version !== this.version) return false
      const word = Atomics.load(this.#words, this.#at + PROBES)
      const count = countOf(word, version)
      if (!this.#mayProbe(count, now, limits)) return false
      // Before the count: whoever sees that must not see the time of an earlier opening, by which
      // this probe would long be given up.
      this.#setTime(LAST_PROBE_AT, now)
      if (this.#exchange(PROBES, word, tagged(version, count + 1))) return true
    }
  }

  endProbe(version: number): void {
    for (;;) {
      const word = Atomics.load(this.#words, this.#at + PROBES)
      const count = countOf(word, version)
      if (count === 0 || version !== this.version) return
      if (this.#exchange(PROBES, word, tagged(version, count - 1))) return
    }
  }

  probeSucceeded(version: number): number {
    for (;;) {
      if (version !== this.version) return 0
      const word = Atomics.load(this.#words, this.#at + SUCCESSES)
      const count = countOf(word, version) + 1
      if (this.#exchange(SUCCESSES, word, tagged(version, count))) return count
    }
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    Atomics.sub(this.#words, this.#at + REFS, 1)
  }

  #mayProbe(count: number, now: number, limits: ProbeLimits): boolean {
    if (count < Math.min(limits.maxProbes, MAX_COUNT)) return true
    return count < MAX_COUNT && now - this.#time(LAST_PROBE_AT) >= limits.probeTimeoutMs
  }

  #exchange(word: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, this.#at + word, from, to) === from
  }

  /** In microseconds on the clock that threads share; read only while not closed. */
  #time(index: number): number {
    const micros = Atomics.load(this.#times, this.#at / 2 + index)
    return Number(micros) / 1_000 - this.#offsetMs
  }

  #setTime(index: number, ms: number): void {
    const micros = BigInt(Math.ceil((ms + this.#offsetMs) * 1_000))
    Atomics.store(this.#times, this.#at / 2 + index, micros)
  }
}

function parityOf(version: number): number {
  return (version >>> 2) & 1
}

/** A count with the era it belongs to: one of another era is 0. */
function tagged(version: number, count: number): number {
  return (((version >>> 2) & MAX_COUNT) << 16) | count
}

function countOf(word: number, version: number): number {
  return word >>> 16 === ((version >>> 2) & MAX_COUNT) ? word & MAX_COUNT : 0
}

/** FNV-1a. Never 0, which is a free entry. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index++) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
  }
  return hash === 0 ? 1 : hash
}

// Words of 4 bytes in an entry; times are words of 8.
const ENTRY_BYTES = 64
const ENTRY_WORDS = 16
const HASH = 0
const REFS = 1
const VERSION = 2
const OPENINGS = 3
const PROBES = 5
const SUCCESSES = 6
const AT = 4
const LAST_PROBE_AT = 6

// The table's own words.
const MAGIC_AT = 0
const LOCK_AT = 1
const MAGIC = 0x48424b52

const LOCK_TRIES = 1_000_000
const MAX_COUNT = 0xffff
/** A century: what is over it is no offset of a clock. */
const MAX_OFFSET_MS = 3.2e12
