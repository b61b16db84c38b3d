/**
 * `Cache-Control` (RFC 9111 5.2, RFC 5861) as a record.
 *
 *     max-age=60, stale-while-revalidate=30, private="set-cookie"
 *
 * What is wrong is read the careful way: a lifetime that is no number is a lifetime of zero; of a
 * directive that is there twice the first counts (4.2.1); `no-cache` and `private` with field names
 * mean the whole response (5.2.2.4 and 5.2.2.7 allow it); a directive that nobody knows is ignored.
 */
import { type HttpFields, TOKEN, trimBlanks } from '../fields.ts'

export interface CacheControl {
  /** Seconds, as all numbers here; at most {@link MAX_DELTA_SECONDS}. */
  readonly maxAge: number | undefined
  readonly sMaxAge: number | undefined
  readonly minFresh: number | undefined
  /** Infinity: without a number, any staleness will do. */
  readonly maxStale: number | undefined
  readonly staleWhileRevalidate: number | undefined
  readonly staleIfError: number | undefined
  readonly noCache: boolean
  readonly noStore: boolean
  readonly onlyIfCached: boolean
  readonly private: boolean
  readonly public: boolean
  readonly mustRevalidate: boolean
  readonly proxyRevalidate: boolean
  readonly mustUnderstand: boolean
}

/** No directive. */
export const NO_CACHE_CONTROL: CacheControl = Object.freeze({
  maxAge: undefined,
  sMaxAge: undefined,
  minFresh: undefined,
  maxStale: undefined,
  staleWhileRevalidate: undefined,
  staleIfError: undefined,
  noCache: false,
  noStore: false,
  onlyIfCached: false,
  private: false,
  public: false,
  mustRevalidate: false,
  proxyRevalidate: false,
  mustUnderstand: false,
})

/** The directives of a message; `Pragma: no-cache` counts where there is no Cache-Control (5.4). */
export function readCacheControl(fields: HttpFields): CacheControl {
  const text = fields.get('cache-control')
  if (text !== undefined) return parseCacheControl(text)
  return fields.hasToken('pragma', 'no-cache') ? ONLY_NO_CACHE : NO_CACHE_CONTROL
}

/** Never throws. Time and memory are linear in the text, and only known directives are kept. */
export function parseCacheControl(text: string): CacheControl {
  const found: Found = { ...NO_CACHE_CONTROL }
  const seen = new Set<keyof CacheControl>()
  const reader = new DirectiveReader(text)
  while (reader.next()) {
    const key = NAMES.get(reader.name)
    if (key === undefined || seen.has(key)) continue
    seen.add(key)
    setDirective(found, key, reader.value)
  }
  return found
}

/**
 * delta-seconds (RFC 9111 1.2.2): digits only; what is larger counts as the largest.
 *
 * @returns undefined for what is no number
 */
export function parseDeltaSeconds(text: string): number | undefined {
  if (!/^[0-9]+$/.test(text)) return undefined
  const value = Number(text)
  return Math.min(value, MAX_DELTA_SECONDS)
}

type Found = { -readonly [Key in keyof CacheControl]: CacheControl[Key] }

function setDirective(found: Found, key: keyof CacheControl, value: string | undefined): void {
  const seconds = value === undefined ? undefined : parseDeltaSeconds(value)
  switch (key) {
    case 'maxAge':
    case 'sMaxAge':
      found[key] = seconds ?? 0
      return
    case 'maxStale':
      // With nonsense behind it, it allows nothing.
      found.maxStale = value === undefined ? Number.POSITIVE_INFINITY : seconds
      return
    case 'minFresh':
    case 'staleWhileRevalidate':
    case 'staleIfError':
      found[key] = seconds
      return
    default:
      found[key] = true
  }
}

/** Goes over `name`, `name=token` and `name="quoted"`, separated by commas. */
class DirectiveReader {
  name = ''
  value: string | undefined = undefined
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  next(): boolean {
    const text = this.#text
    while (this.#at < text.length) {
      const start = this.#skipTo(isTokenUnit)
      this.#at = start
      while (this.#at < text.length && isTokenUnit(text.charCodeAt(this.#at))) this.#at++
      if (this.#at === start) return false
      this.name = text.slice(start, this.#at).toLowerCase()
      this.value = undefined
      if (text.charCodeAt(this.#at) === EQUALS) this.#readValue()
      this.#skipElement()
      return true
    }
    return false
  }

  #readValue(): void {
    const text = this.#text
    const start = ++this.#at
    if (text.charCodeAt(start) === QUOTE) {
      this.value = this.#readQuoted()
      return
    }
    while (this.#at < text.length && text.charCodeAt(this.#at) !== COMMA) this.#at++
    this.value = trimBlanks(text.slice(start, this.#at))
  }

  #readQuoted(): string {
    const text = this.#text
    const start = ++this.#at
    while (this.#at < text.length) {
      const unit = text.charCodeAt(this.#at)
      if (unit === QUOTE) return text.slice(start, this.#at++).replace(/\\(.)/g, '$1')
      this.#at += unit === BACKSLASH ? 2 : 1
    }
    // Never closed: no number, whatever stands in it.
    this.#at = text.length
    return text.slice(start - 1)
  }

  /** To the comma that ends this element, over quoted strings that do not belong there. */
  #skipElement(): void {
    const text = this.#text
    while (this.#at < text.length) {
      const unit = text.charCodeAt(this.#at)
      if (unit === COMMA) return
      if (unit === QUOTE) this.#readQuoted()
      else this.#at++
    }
  }

  #skipTo(wanted: (unit: number) => boolean): number {
    let at = this.#at
    while (at < this.#text.length && !wanted(this.#text.charCodeAt(at))) at++
    return at
  }
}

function isTokenUnit(unit: number): boolean {
  return unit < 0x7f && TOKEN[unit] === 1
}

/** The largest number of seconds that is told apart (RFC 9111 1.2.2): 68 years. */
export const MAX_DELTA_SECONDS: number = 2 ** 31

const ONLY_NO_CACHE: CacheControl = Object.freeze({ ...NO_CACHE_CONTROL, noCache: true })
const EQUALS = 0x3d
const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const NAMES: ReadonlyMap<string, keyof CacheControl> = new Map([
  ['max-age', 'maxAge'],
  ['s-maxage', 'sMaxAge'],
  ['min-fresh', 'minFresh'],
  ['max-stale', 'maxStale'],
  ['stale-while-revalidate', 'staleWhileRevalidate'],
  ['stale-if-error', 'staleIfError'],
  ['no-cache', 'noCache'],
  ['no-store', 'noStore'],
  ['only-if-cached', 'onlyIfCached'],
  ['private', 'private'],
  ['public', 'public'],
  ['must-revalidate', 'mustRevalidate'],
  ['proxy-revalidate', 'proxyRevalidate'],
  ['must-understand', 'mustUnderstand'],
])
