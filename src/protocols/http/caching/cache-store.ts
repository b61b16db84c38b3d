/**
 * Stored responses in memory: bounded in bytes, in entries, and in variants of one resource; what was
 * used longest ago goes first.
 *
 * It also knows resources whose responses nobody else could use lately, so that requests for them do
 * not wait for one another in vain, and counts the bytes of responses that are still arriving.
 */
import { checkInteger } from '../../../core/errors.ts'
import type { HttpFields } from '../fields.ts'
import type { StoredResponse } from './stored-response.ts'
import { varyKey } from './vary.ts'

export interface CacheStoreOptions {
  /**
   * Most bytes of all responses together: bodies, fields and keys.
   *
   * @default 67_108_864 (64 MiB): a few thousand pages, and no more than a small container can spare
   */
  maxBytes?: number
  /**
   * Most responses, variants counted one by one.
   *
   * @default 10_000: with empty bodies it is objects, not bytes, that fill the memory
   */
  maxEntries?: number
  /**
   * Longest body of one response, in bytes.
   *
   * @default 1_048_576 (1 MiB): one download must not push out a thousand pages
   */
  maxEntryBytes?: number
  /**
   * Most variants of one resource; each look-up goes through them.
   *
   * @default 32: `Vary` on a field that everybody fills differently cannot fill the store
   */
  maxVariants?: number
  /**
   * Most bytes of responses that are being received, all together, before they can be stored. Over
   * it a response passes without being stored.
   *
   * @default 16_777_216 (16 MiB): sixteen of the largest
   */
  maxArrivingBytes?: number
}

export const cacheStoreDefaults: Readonly<Required<CacheStoreOptions>> = Object.freeze({
  maxBytes: 64 * 1024 * 1024,
  maxEntries: 10_000,
  maxEntryBytes: 1024 * 1024,
  maxVariants: 32,
  maxArrivingBytes: 16 * 1024 * 1024,
})

export interface CacheStoreStats {
  readonly entries: number
  readonly bytes: number
  readonly arrivingBytes: number
  /** Pushed out by others. */
  readonly evicted: number
}

export class CacheStore {
  readonly options: Readonly<Required<CacheStoreOptions>>
  /** In the order of use, the least recent first. */
  readonly #entries = new Map<string, StoredResponse>()
  readonly #resources = new Map<string, StoredResponse[]>()
  /** Key to the time until which nothing is expected of it. */
  readonly #unshareable = new Map<string, number>()
  #bytes = 0
  #arrivingBytes = 0
  #evicted = 0

  constructor(options: CacheStoreOptions = {}) {
    const {
      maxBytes = cacheStoreDefaults.maxBytes,
      maxEntries = cacheStoreDefaults.maxEntries,
      maxEntryBytes = cacheStoreDefaults.maxEntryBytes,
      maxVariants = cacheStoreDefaults.maxVariants,
      maxArrivingBytes = cacheStoreDefaults.maxArrivingBytes,
    } = options
    const largest = Number.MAX_SAFE_INTEGER
    this.options = {
      maxBytes: checkInteger('maxBytes', maxBytes, 0, largest),
      maxEntries: checkInteger('maxEntries', maxEntries, 1, largest),
      maxEntryBytes: checkInteger('maxEntryBytes', maxEntryBytes, 0, largest),
      maxVariants: checkInteger('maxVariants', maxVariants, 1, 1_024),
      maxArrivingBytes: checkInteger('maxArrivingBytes', maxArrivingBytes, 0, largest),
    }
  }

  get stats(): CacheStoreStats {
    return {
      entries: this.#entries.size,
      bytes: this.#bytes,
      arrivingBytes: this.#arrivingBytes,
      evicted: this.#evicted,
    }
  }

  /** The newest variant that a request with these fields selects. Counts as use. */
  find(key: string, fields: HttpFields): StoredResponse | undefined {
    const variants = this.#resources.get(key)
    if (variants === undefined) return undefined
    // The newest is last (RFC 9111 4.1: the most recent one is to be used).
    for (let index = variants.length - 1; index >= 0; index--) {
      const one = variants[index] as StoredResponse
      if (one.varyKey !== varyKey(one.varyNames, fields)) continue
      const id = idOf(one)
      this.#entries.delete(id)
      this.#entries.set(id, one)
      return one
    }
    return undefined
  }

  /** What tells its variants apart, as the newest says; undefined: nothing of it is stored. */
  varyNamesOf(key: string): readonly string[] | undefined {
    return this.#resources.get(key)?.at(-1)?.varyNames
  }

  /** @returns false: it is larger than the whole store, or its body than one may be */
  put(stored: StoredResponse): boolean {
    const { maxBytes, maxEntries, maxEntryBytes, maxVariants } = this.options
    this.#drop(idOf(stored))
    if (stored.bytes > maxBytes || stored.body.length > maxEntryBytes) return false
    const variants = this.#resources.get(stored.key)
    if (variants === undefined) this.#resources.set(stored.key, [stored])
    else {
      if (variants.length >= maxVariants) this.#evict(variants[0] as StoredResponse)
      // The last one that went took the list with it.
      if (this.#resources.get(stored.key) === variants) variants.push(stored)
      else this.#resources.set(stored.key, [stored])
    }
    this.#entries.set(idOf(stored), stored)
    this.#bytes += stored.bytes
    this.#unshareable.delete(stored.key)
    for (const oldest of this.#entries.values()) {
      if (this.#bytes <= maxBytes && this.#entries.size <= maxEntries) break
      this.#evict(oldest)
    }
    return true
  }

  /** Forgets one response, if it is still the one that is stored. */
  remove(stored: StoredResponse): void {
    if (this.#entries.get(idOf(stored)) === stored) this.#drop(idOf(stored))
  }

  /** Forgets every variant. @returns how many there were */
  invalidate(key: string): number {
    const variants = this.#resources.get(key)?.slice() ?? []
    for (const one of variants) this.#drop(idOf(one))
    return variants.length
  }

  clear(): void {
    this.#entries.clear()
    this.#resources.clear()
    this.#unshareable.clear()
    this.#bytes = 0
  }

  /** Each needs an answer of its own: until then nobody need wait for somebody else's. */
  noteUnshareable(key: string, until: number): void {
    this.#unshareable.delete(key)
    this.#unshareable.set(key, until)
    if (this.#unshareable.size <= this.options.maxEntries) return
    for (const oldest of this.#unshareable.keys()) {
      this.#unshareable.delete(oldest)
      return
    }
  }

  isUnshareable(key: string, now: number): boolean {
    const until = this.#unshareable.get(key)
    if (until === undefined) return false
    if (until > now) return true
    this.#unshareable.delete(key)
    return false
  }

  /** Room for bytes of a response that is arriving. Whoever gets it gives it back. */
  reserve(bytes: number): boolean {
    if (this.#arrivingBytes + bytes > this.options.maxArrivingBytes) return false
    this.#arrivingBytes += bytes
    return true
  }

  release(bytes: number): void {
    this.#arrivingBytes -= bytes
  }

  #evict(stored: StoredResponse): void {
    this.#drop(idOf(stored))
    this.#evicted++
  }

  #drop(id: string): void {
    const stored = this.#entries.get(id)
    if (stored === undefined) return
    this.#entries.delete(id)
    this.#bytes -= stored.bytes
    const variants = this.#resources.get(stored.key) as StoredResponse[]
    if (variants.length === 1) this.#resources.delete(stored.key)
    else variants.splice(variants.indexOf(stored), 1)
  }
}

/** A key holds no line feed, and two variants of a resource differ in what follows it. */
function idOf({ key, varyKey: variant }: StoredResponse): string {
  return variant === '' ? key : `${key}\n${variant}`
}
