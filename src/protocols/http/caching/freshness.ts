/**
 * How long a response is fresh and how old it is (RFC 9111 4.2). Everything in seconds.
 *
 *     lifetime    s-maxage (shared) | max-age | Expires - Date | a share of Date - Last-Modified
 *     age         max(received - Date, Age + time of the exchange) + time since it came
 *
 * `Date`, `Expires` and `Last-Modified` are dates that others wrote: they are compared with one
 * another, and `Date` once with our wall clock when the response comes. From then on the monotonic
 * clock counts, so that a clock that is set does not make anything fresh again.
 */
import { parseHttpDate } from '../date.ts'
import type { HttpFields } from '../fields.ts'
import { type CacheControl, parseDeltaSeconds } from './cache-control.ts'

export interface FreshnessRules {
  /** `s-maxage` counts. */
  readonly shared: boolean
  /** Share of the time since `Last-Modified` that a response without a lifetime is fresh; 0: none. */
  readonly heuristicFraction: number
  /** Longest lifetime that is guessed, in seconds. */
  readonly maxHeuristicSeconds: number
}

/**
 * @param control the response's
 * @param receivedWallMs when it came, by the wall clock
 */
export function freshnessLifetime(
  status: number,
  fields: HttpFields,
  control: CacheControl,
  receivedWallMs: number,
  rules: FreshnessRules,
): number {
  if (rules.shared && control.sMaxAge !== undefined) return control.sMaxAge
  if (control.maxAge !== undefined) return control.maxAge
  const date = dateOf(fields, 'date', receivedWallMs) ?? receivedWallMs
  if (fields.has('expires')) {
    // 5.3: what is no date, as `0`, is in the past; and so is what contradicts itself.
    const expires = dateOf(fields, 'expires', receivedWallMs)
    return expires === undefined ? 0 : Math.max(0, (expires - date) / 1_000)
  }
  if (!control.public && !isHeuristicallyCacheable(status)) return 0
  const modified = dateOf(fields, 'last-modified', receivedWallMs)
  if (modified === undefined) return 0
  const guessed = ((date - modified) / 1_000) * rules.heuristicFraction
  return Math.min(Math.max(0, guessed), rules.maxHeuristicSeconds)
}

/** Whether the lifetime is one that the origin named: such a response is stored even at zero. */
export function hasExplicitLifetime(
  fields: HttpFields,
  control: CacheControl,
  shared: boolean,
): boolean {
  if (shared && control.sMaxAge !== undefined) return true
  return control.maxAge !== undefined || fields.has('expires')
}

/**
 * Age of a response when it came (`corrected_initial_age` of 4.2.3).
 *
 * @param exchangeMs from the request to the response, by the monotonic clock
 */
export function initialAge(fields: HttpFields, receivedWallMs: number, exchangeMs: number): number {
  const date = dateOf(fields, 'date', receivedWallMs)
  const apparent = date === undefined ? 0 : Math.max(0, (receivedWallMs - date) / 1_000)
  const told = ageOf(fields) + exchangeMs / 1_000
  return Math.max(apparent, told)
}

/** RFC 9110 15.1, but 206: parts are not stored. */
export function isHeuristicallyCacheable(status: number): boolean {
  return HEURISTIC.has(status)
}

/** RFC 9111 5.1: of a list the first counts; what is no number is ignored. */
function ageOf(fields: HttpFields): number {
  const text = fields.get('age')
  if (text === undefined) return 0
  const comma = text.indexOf(',')
  return parseDeltaSeconds((comma < 0 ? text : text.slice(0, comma)).trim()) ?? 0
}

function dateOf(fields: HttpFields, name: string, nowMs: number): number | undefined {
  const text = fields.get(name)
  return text === undefined ? undefined : parseHttpDate(text, nowMs)
}

const HEURISTIC: ReadonlySet<number> = new Set([
  ...[200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501],
])
