/**
 * Whether a response may be stored (RFC 9111 section 3), and what of it (3.1).
 *
 * Stricter than the specification where a mistake of an origin would show one user's answer to
 * another: a shared cache stores nothing that sets a cookie, nothing of a caller who is known unless
 * the response says that it is for everybody, and only what names its lifetime unless guessing is
 * allowed.
 */
import { HttpFields, listElements } from '../fields.ts'
import { type CacheControl, NO_CACHE_CONTROL } from './cache-control.ts'
import { hasExplicitLifetime, isHeuristicallyCacheable } from './freshness.ts'
import { hasValidator } from './validators.ts'
import { varyNames } from './vary.ts'

/** Why a response is not stored. Stands as `detail` in Cache-Status. */
export type NotStored =
  | 'method'
  | 'status'
  | 'request-no-store'
  | 'no-store'
  | 'private'
  | 'authorization'
  | 'set-cookie'
  | 'vary'
  | 'no-lifetime'
  | 'never-fresh'
  | 'too-large'
  | 'no-room'

export interface StoreRules {
  readonly shared: boolean
  /** A shared cache stores responses with `Set-Cookie` too: without that field. */
  readonly stripSetCookie: boolean
}

export interface StoreCandidate {
  readonly method: string
  readonly requestControl: CacheControl
  /** It is known who asks: by `Authorization`, or by what the server found out. */
  readonly authenticated: boolean
  readonly status: number
  readonly fields: HttpFields
  readonly control: CacheControl
  /** As computed; 0 when there is none. */
  readonly lifetimeSeconds: number
}

/** @returns undefined: it may be stored */
export function whyNotStored(candidate: StoreCandidate, rules: StoreRules): NotStored | undefined {
  const { method, status, fields, control, requestControl } = candidate
  if (method !== 'GET') return 'method'
  if (!isStorableStatus(status, control, rules.shared)) return 'status'
  if (requestControl.noStore) return 'request-no-store'
  // 5.2.2.3: who knows the status knows what may be kept, and `no-store` is for the others.
  if (control.noStore && !(control.mustUnderstand && UNDERSTOOD.has(status))) return 'no-store'
  if (rules.shared) {
    if (control.private) return 'private'
    if (candidate.authenticated && !isForEverybody(control)) return 'authorization'
    if (fields.has('set-cookie') && !rules.stripSetCookie) return 'set-cookie'
  }
  if (varyNames(fields) === undefined) return 'vary'
  const allowed =
    hasExplicitLifetime(fields, control, rules.shared) ||
    control.public ||
    (!rules.shared && control.private) ||
    isHeuristicallyCacheable(status)
  if (!allowed) return 'no-lifetime'
  return isOfUse(candidate) ? undefined : 'never-fresh'
}

/**
 * The fields that are stored: none that concern one connection, one hop, or one client.
 *
 * @param bodyLength set as Content-Length where the response came without one
 */
export function storedFields(
  fields: HttpFields,
  rules: StoreRules,
  bodyLength: number | undefined,
): HttpFields {
  const list: string[] = []
  const listed = fields.get('connection')
  const dropped = listed === undefined ? undefined : new Set(listElements(listed))
  let hasLength = false
  for (let index = 0; index < fields.size; index++) {
    const name = fields.nameAt(index)
    const lower = name.toLowerCase()
    if (NOT_STORED.has(lower) || dropped?.has(lower) === true) continue
    if (lower === 'set-cookie' && rules.shared) continue
    if (lower === 'content-length') hasLength = true
    list.push(name, fields.valueAt(index))
  }
  if (!hasLength && bodyLength !== undefined) list.push('content-length', String(bodyLength))
  return HttpFields.fromTrusted(list)
}

/** RFC 9111 3.5. */
function isForEverybody(control: CacheControl): boolean {
  return control.public || control.mustRevalidate || control.sMaxAge !== undefined
}

/** Final, whole, and of a kind whose meaning is known where the response asks for that. */
function isStorableStatus(status: number, control: CacheControl, shared: boolean): boolean {
  if (status < 200 || status === 206 || status === 304) return false
  // Somebody's request may have been wrong in fields that are not in the key (CPDoS).
  if (shared && status >= 400 && status < 500 && !ABOUT_TARGET.has(status)) return false
  return UNDERSTOOD.has(status) || !control.mustUnderstand
}

/** Fresh for a while, or worth keeping stale: it can be validated, or be served in need. */
function isOfUse({ fields, lifetimeSeconds, control }: StoreCandidate): boolean {
  if (lifetimeSeconds > 0 || hasValidator(fields)) return true
  if (control === NO_CACHE_CONTROL) return false
  return (control.staleWhileRevalidate ?? 0) > 0 || (control.staleIfError ?? 0) > 0
}

/** Of these the caching rules are known (RFC 9110 15). */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  ...[200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501],
])
/** Of 4xx those that are about the resource, whoever asks and however. */
const ABOUT_TARGET: ReadonlySet<number> = new Set([404, 405, 410, 414, 451])
/** 3.1, and what was said by a cache on the way. */
const NOT_STORED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'age',
])
