/**
 * Whether a stored response answers a request (RFC 9111 section 4, RFC 5861).
 *
 * `s-maxage` forbids a shared cache to use what is stale (4.2.4), unless the same response names a
 * time for it in stale-while-revalidate or stale-if-error: that is a permission for this case, and
 * what origins mean that send both. `must-revalidate`, `proxy-revalidate` and `no-cache` always hold.
 */
import type { CacheControl } from './cache-control.ts'
import { ageSeconds, type StoredResponse } from './stored-response.ts'

export type Reuse =
  /** As it is. */
  | { readonly type: 'fresh' | 'stale'; readonly ttlSeconds: number }
  /** At once, and is validated meanwhile. */
  | { readonly type: 'refresh'; readonly ttlSeconds: number }
  /** Not before the origin has said that it may. `request`: because this client asks for that. */
  | {
      readonly type: 'validate'
      readonly because: 'stale' | 'request'
      readonly ttlSeconds: number
    }

/** @param request its directives */
export function judgeReuse(
  stored: StoredResponse,
  request: CacheControl,
  now: number,
  shared: boolean,
): Reuse {
  const { control } = stored
  const age = ageSeconds(stored, now)
  const ttlSeconds = stored.lifetimeSeconds - age
  const stale = -ttlSeconds
  if (control.noCache) return { type: 'validate', because: 'stale', ttlSeconds }
  if (
    request.noCache ||
    (request.maxAge !== undefined && age > request.maxAge) ||
    (request.minFresh !== undefined && ttlSeconds < request.minFresh)
  ) {
    return { type: 'validate', because: 'request', ttlSeconds }
  }
  if (ttlSeconds > 0) return { type: 'fresh', ttlSeconds }
  if (!mustValidate(control, shared)) {
    const asked = shared && control.sMaxAge !== undefined ? undefined : request.maxStale
    if (asked !== undefined && stale <= asked) return { type: 'stale', ttlSeconds }
    const { staleWhileRevalidate: window } = control
    if (window !== undefined && stale <= window) return { type: 'refresh', ttlSeconds }
  }
  return { type: 'validate', because: 'stale', ttlSeconds }
}

/** Whether it may stand in for an origin that fails. */
export function mayReplaceError(
  stored: StoredResponse,
  request: CacheControl,
  now: number,
  shared: boolean,
  staleIfErrorSeconds: number,
): boolean {
  const { control } = stored
  if (control.noCache || request.noCache || mustValidate(control, shared)) return false
  const stale = ageSeconds(stored, now) - stored.lifetimeSeconds
  const general =
    shared && control.sMaxAge !== undefined
      ? 0
      : Math.max(staleIfErrorSeconds, request.staleIfError ?? 0)
  return stale <= Math.max(control.staleIfError ?? 0, general)
}

/** RFC 5861 section 4: what counts as a failing origin besides having no answer. */
export function isOriginError(status: number): boolean {
  return status === 500 || status === 502 || status === 503 || status === 504
}

function mustValidate(control: CacheControl, shared: boolean): boolean {
  return control.mustRevalidate || (shared && control.proxyRevalidate)
}
