/**
 * `Cache-Status` (RFC 9211): what this cache did with a request, for whoever looks for the reason.
 *
 *     Cache-Status: heddle; hit; ttl=41
 *     Cache-Status: heddle; fwd=stale; fwd-status=304; stored; collapsed
 *
 * Each cache on the way adds its own member at the end. The key is never shown: it holds queries.
 */
import type { NotStored } from './storability.ts'

/** Why a request went to the origin (2.2). */
export type ForwardReason =
  | 'bypass'
  | 'method'
  | 'uri-miss'
  | 'vary-miss'
  | 'miss'
  | 'request'
  | 'stale'

export interface CacheOutcome {
  /** Undefined: it was answered without the origin; `none`: it was not answered at all. */
  readonly forwarded: ForwardReason | 'none' | undefined
  /** Seconds that are left; negative when stale. */
  readonly ttlSeconds?: number | undefined
  /** Of the origin, where it is not the one that the client gets. */
  readonly forwardStatus?: number | undefined
  readonly stored?: boolean
  readonly collapsed?: boolean
  readonly detail?: NotStored | 'stale-while-revalidate' | 'stale-if-error' | 'only-if-cached'
}

/** @param name a token or any text, by which people know the cache */
export function formatCacheStatus(name: string, outcome: CacheOutcome): string {
  const { forwarded, ttlSeconds, forwardStatus, detail } = outcome
  let text = TOKEN_NAME.test(name) ? name : `"${name.replace(/["\\]/g, '\\$&')}"`
  if (forwarded === undefined) text += '; hit'
  else if (forwarded !== 'none') text += `; fwd=${forwarded}`
  if (forwardStatus !== undefined) text += `; fwd-status=${forwardStatus}`
  if (ttlSeconds !== undefined) text += `; ttl=${Math.trunc(ttlSeconds)}`
  if (outcome.stored) text += '; stored'
  if (outcome.collapsed) text += '; collapsed'
  if (detail !== undefined) text += `; detail=${detail}`
  return text
}

/** sf-token, RFC 9651 3.3.4. */
const TOKEN_NAME = /^[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*$/
