/**
 * Lockout after failed logins. Pure over a monotonic `now`; what asks it is `authentication`.
 *
 *     failures of              counted in a sliding window            then
 *     one name from one place  maxFailures (5)                        that pair waits
 *     one place, any name      maxFailuresPerAddress (100)            that place waits
 *     one name, everywhere     pressureFailures (20)                  every place has one try only
 *
 * Waiting doubles from `lockMs` with each lock, to `maxLockMs`, and is forgotten after a quiet window.
 *
 * **A name is never locked as a whole.** Otherwise anybody who knows a name could keep its owner out,
 * from everywhere, for as long as they like. Many places that guess one name are slowed down instead:
 * while a name is under pressure, a place gets one try in place of `maxFailures`. A place that has
 * not failed yet is always let in to try, so the owner with the right password comes in at once, and
 * a place from which the owner has come in before keeps all its tries.
 *
 * A place is an IPv4 address or an IPv6 /64, because a single host commands all of one. Memory is
 * bounded: each table drops what was touched longest ago, locks last of all. Whoever wants to push
 * an entry out has to fail from thousands of places. A locked one fails no further: it is not let in.
 */
import { type LoginGuard, type LoginKey, MAX_LOGIN_NAME } from '../core/access.ts'
import { checkInteger, checkRange } from '../core/errors.ts'
import { parseIpv4, parseIpv6 } from '../core/ip-text.ts'

export interface LockoutOptions {
  /** Failures of one name from one place before that pair waits. @default 5, some typing errors */
  maxFailures?: number
  /** Failures from one place. @default 100: an office behind one address has forgetful people */
  maxFailuresPerAddress?: number
  /** Failures of one name from everywhere, before each place has one try. @default 20 */
  pressureFailures?: number
  /** How long a failure counts, in milliseconds. @default 900_000 (15 min) */
  windowMs?: number
  /** The first wait, in milliseconds. @default 30_000: a person looks the password up meanwhile */
  lockMs?: number
  /** The longest. @default 3_600_000: an hour makes guessing hopeless, and still ends by itself */
  maxLockMs?: number
  /** Most entries of each of the three tables. @default 10_000, some megabytes at worst */
  maxEntries?: number
  /** Told when a lock or pressure begins: for the audit log and alerts. */
  onLockout?: (event: LockoutEvent) => void
}

export interface LockoutEvent {
  /** `name`: it is under pressure, not locked. */
  readonly scope: 'name-and-address' | 'address' | 'name'
  readonly name: string | undefined
  readonly address: string | undefined
  readonly failures: number
  /** How long it waits; 0 for `name`. */
  readonly lockedForMs: number
}

export const lockoutDefaults: Readonly<Required<Omit<LockoutOptions, 'onLockout'>>> = Object.freeze(
  {
    maxFailures: 5,
    maxFailuresPerAddress: 100,
    pressureFailures: 20,
    windowMs: 900_000,
    lockMs: 30_000,
    maxLockMs: 3_600_000,
    maxEntries: 10_000,
  },
)

/** @throws UsageError ERR_OPTION_RANGE */
export function lockout(options: LockoutOptions = {}): Lockout {
  return new Lockout(options)
}

export class Lockout implements LoginGuard {
  readonly #options: Required<Omit<LockoutOptions, 'onLockout'>>
  readonly #onLockout: ((event: LockoutEvent) => void) | undefined
  readonly #pairs: Table
  readonly #addresses: Table
  readonly #names: Table

  constructor(options: LockoutOptions = {}) {
    const {
      maxFailures = lockoutDefaults.maxFailures,
      maxFailuresPerAddress = lockoutDefaults.maxFailuresPerAddress,
      pressureFailures = lockoutDefaults.pressureFailures,
      windowMs = lockoutDefaults.windowMs,
      lockMs = lockoutDefaults.lockMs,
      maxLockMs = lockoutDefaults.maxLockMs,
      maxEntries = lockoutDefaults.maxEntries,
      onLockout,
    } = options
    this.#options = {
      maxFailures: checkInteger('maxFailures', maxFailures, 1, MAX_COUNT),
      maxFailuresPerAddress: checkInteger(
        'maxFailuresPerAddress',
        maxFailuresPerAddress,
        1,
        MAX_COUNT,
      ),
      pressureFailures: checkInteger('pressureFailures', pressureFailures, 1, MAX_COUNT),
      windowMs: checkRange('windowMs', windowMs, 1, MAX_MS),
      lockMs: checkRange('lockMs', lockMs, 1, MAX_MS),
      maxLockMs: checkRange('maxLockMs', maxLockMs, lockMs, MAX_MS),
      maxEntries: checkInteger('maxEntries', maxEntries, 1, 10_000_000),
    }
    this.#onLockout = onLockout
    this.#pairs = new Table(maxEntries, windowMs)
    this.#addresses = new Table(maxEntries, windowMs)
    this.#names = new Table(maxEntries, windowMs)
  }

  /** Entries that are kept, all tables together. */
  get size(): number {
    return this.#pairs.size + this.#addresses.size + this.#names.size
  }

  /** For `explain` and status pages. */
  get state(): Readonly<Record<string, number>> {
    return {
      pairs: this.#pairs.size,
      addresses: this.#addresses.size,
      names: this.#names.size,
    }
  }

  check(key: LoginKey, now: number): number | undefined {
    if (this.size === 0) return undefined
    const place = placeOf(key.address)
    const byAddress = this.#addresses.find(place, now)?.lockedUntil
    const pair = this.#pairs.find(pairKey(key.name, place), now)
    const until = Math.max(byAddress ?? now, pair?.lockedUntil ?? now)
    return until > now ? until : undefined
  }

  failed(key: LoginKey, now: number): void {
    const { maxFailures, maxFailuresPerAddress, pressureFailures, windowMs } = this.#options
    const { name } = key
    const place = placeOf(key.address)
    const address = this.#addresses.touch(place, now)
    address.add(now, windowMs, maxFailuresPerAddress)
    if (address.failures >= maxFailuresPerAddress) {
      this.#lock(address, 'address', key, now)
    }
    if (name === undefined) return
    const everywhere = this.#names.touch(fold(name), now)
    everywhere.add(now, windowMs, pressureFailures)
    const pressed = everywhere.failures >= pressureFailures
    if (pressed && !everywhere.pressed) this.#tell('name', key, everywhere.failures, 0)
    everywhere.pressed = pressed
    const pair = this.#pairs.touch(pairKey(name, place), now)
    pair.add(now, windowMs, maxFailures)
    const allowed = pressed && !pair.known ? 1 : maxFailures
    if (pair.failures >= allowed) this.#lock(pair, 'name-and-address', key, now)
  }

  /**
   * The pair begins anew. The address does not: who has one account of their own could otherwise
   * guess others for ever, with a login in between.
   */
  succeeded(key: LoginKey, now: number): void {
    if (this.#pairs.size === 0) return
    this.#pairs.find(pairKey(key.name, placeOf(key.address)), now)?.begin(now)
  }

  #lock(entry: Entry, scope: LockoutEvent['scope'], key: LoginKey, now: number): void {
    const { lockMs, maxLockMs } = this.#options
    const lockedForMs = Math.min(lockMs * 2 ** Math.min(entry.locks, MAX_DOUBLINGS), maxLockMs)
    const { failures } = entry
    entry.lock(now + lockedForMs)
    this.#tell(scope, key, failures, lockedForMs)
  }

  #tell(scope: LockoutEvent['scope'], key: LoginKey, failures: number, lockedForMs: number): void {
    this.#onLockout?.({
      scope,
      name: scope === 'address' ? undefined : key.name?.slice(0, MAX_LOGIN_NAME),
      address: scope === 'name' ? undefined : key.address,
      failures,
      lockedForMs,
    })
  }
}

/** What is known of one name, one place, or both. */
class Entry {
  lockedUntil = 0
  /** Locks so far: the next one is twice as long. */
  locks = 0
  /** The right credentials came from there once. */
  known = false
  pressed = false
  touchedAt: number
  /** When the last failures were, oldest first; never more than the limit. */
  #times: number[] = []

  constructor(now: number) {
    this.touchedAt = now
  }

  get failures(): number {
    return this.#times.length
  }

  add(now: number, windowMs: number, limit: number): void {
    this.touchedAt = now
    while (this.#times.length > 0 && (this.#times[0] as number) <= now - windowMs) {
      this.#times.shift()
    }
    this.#times.push(now)
    if (this.#times.length > limit) this.#times.shift()
  }

  lock(until: number): void {
    this.lockedUntil = until
    this.locks++
    this.#times = []
  }

  begin(now: number): void {
    this.touchedAt = now
    this.lockedUntil = 0
    this.locks = 0
    this.known = true
    this.#times = []
  }

  /** Nothing in it matters any more. */
  stale(now: number, windowMs: number): boolean {
    return Math.max(this.touchedAt, this.lockedUntil) + windowMs <= now
  }
}

/** Entries by key, longest untouched first. */
class Table {
  readonly #maxEntries: number
  readonly #windowMs: number
  readonly #entries = new Map<string, Entry>()

  constructor(maxEntries: number, windowMs: number) {
    this.#maxEntries = maxEntries
    this.#windowMs = windowMs
  }

  get size(): number {
    return this.#entries.size
  }

  find(key: string, now: number): Entry | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || !entry.stale(now, this.#windowMs)) return entry
    this.#entries.delete(key)
    return undefined
  }

  touch(key: string, now: number): Entry {
    const found = this.find(key, now)
    if (found !== undefined) {
      this.#entries.delete(key)
      this.#entries.set(key, found)
      return found
    }
    if (this.#entries.size >= this.#maxEntries) this.#evict(now)
    const entry = new Entry(now)
    this.#entries.set(key, entry)
    return entry
  }

  /** The oldest of a few that is not locked, or else the oldest. */
  #evict(now: number): void {
    let oldest: string | undefined
    let looked = 0
    for (const [key, entry] of this.#entries) {
      oldest ??= key
      if (entry.lockedUntil <= now) {
        this.#entries.delete(key)
        return
      }
      if (++looked === EVICTION_LOOKS) break
    }
    if (oldest !== undefined) this.#entries.delete(oldest)
  }
}

/** Case and length do not make another name: identity sources differ in what they tell apart. */
function fold(name: string): string {
  return name.slice(0, MAX_LOGIN_NAME).normalize('NFKC').toLowerCase()
}

function pairKey(name: string | undefined, place: string): string {
  return name === undefined ? `${place} ` : `${place} ${fold(name)}`
}

/** What one host commands: an IPv4 address, an IPv6 /64. Unix sockets are one place. */
function placeOf(address: string | undefined): string {
  if (address === undefined) return 'local'
  if (parseIpv4(address) !== undefined) return address
  const zone = address.indexOf('%')
  const bytes = parseIpv6(zone < 0 ? address : address.slice(0, zone))
  if (bytes === undefined) return address.slice(0, MAX_PLACE)
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff
  const part = mapped ? bytes.subarray(12) : bytes.subarray(0, 8)
  return mapped ? part.join('.') : part.join(':')
}

const MAX_COUNT = 100_000
const MAX_MS = 31_536_000_000
/** 2^40 of anything is over every maximum. */
const MAX_DOUBLINGS = 40
const EVICTION_LOOKS = 16
const MAX_PLACE = 64
