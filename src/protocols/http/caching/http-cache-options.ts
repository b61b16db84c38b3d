/** Options of {@link HttpCache}, each with its default and why. */
import type { Clock } from '../../../core/clock.ts'
import type { CallContext } from '../../../core/context.ts'
import { checkInteger, checkRange } from '../../../core/errors.ts'
import type { HttpRequest } from '../messages.ts'
import { MAX_DELTA_SECONDS } from './cache-control.ts'
import type { CacheStore, CacheStoreOptions } from './cache-store.ts'

export interface HttpCacheOptions extends CacheStoreOptions {
  /** Ages are counted on `now()`; `wallNow()` is compared with `Date` when a response comes. */
  clock: Clock
  /**
   * `shared`: for many users; nothing private is stored, and `s-maxage` counts. `private`: for one.
   *
   * @default 'shared': the mistake that shows one user's page to another is not made by omission
   */
  mode?: 'shared' | 'private'
  /** Where responses are kept. @default one of its own, with the limits given here */
  store?: CacheStore | undefined
  /** Its name in Cache-Status (RFC 9211). @default 'heddle' */
  name?: string
  /** Whether responses say in Cache-Status what the cache did. @default true: costs one field */
  cacheStatus?: boolean
  /**
   * Share of the time since Last-Modified for which a response that names no lifetime is fresh
   * (RFC 9111 4.2.2).
   *
   * @default 0.1 in a private cache, as the specification suggests; 0 in a shared one, which stores
   * only what says for how long
   */
  heuristicFraction?: number
  /** Longest lifetime that is guessed. @default 86_400_000 (a day): a guess, not a promise */
  maxHeuristicMs?: number
  /**
   * How long after its end a response may stand in for an origin that fails (RFC 9111 4.2.4), where
   * it does not say so itself by stale-if-error. Never for one that forbids it.
   *
   * @default 0: what is stale is shown only where somebody allowed it
   */
  staleIfErrorMs?: number
  /**
   * Whether Cache-Control of requests counts. False: nobody can send every request to the origin by
   * `no-cache`; the specification calls these directives advisory (5.2.1). `no-store` always counts.
   *
   * @default true
   */
  requestDirectives?: boolean
  /**
   * A shared cache stores responses that set cookies, without the cookies.
   *
   * @default false: a page that sets a cookie is mostly a page for whoever gets it
   */
  stripSetCookie?: boolean
  /**
   * Requests with one of these fields pass by the cache: origins act on them and seldom say so in
   * Vary, so that one request could put a page of its making before everybody.
   *
   * @default the fields that override method, path or host in common frameworks
   */
  bypassFields?: readonly string[]
  /**
   * What of a request, besides the target, tells one resource from another. Everything that the
   * origin sees of a request's origin belongs in it.
   *
   * @default scheme and authority
   */
  scopeOf?: (request: HttpRequest) => string
  /**
   * Whether it is known who asks: a shared cache stores an answer to them only if it says that it is
   * for everybody.
   *
   * @default the request has `Authorization`
   */
  isAuthenticated?: (request: HttpRequest, context: CallContext) => boolean
  /**
   * Hits have the stored bytes themselves as their body. Only where nobody writes to them.
   *
   * @default false: each hit gets a copy
   */
  shareBodies?: boolean
  /**
   * Requests that wait for another one's answer, all together. One more goes to the origin itself.
   *
   * @default 1_000: each costs a timer and a closure
   */
  maxWaiters?: number
  /** How long one waits for another's answer. @default 5_000: then the origin is asked again */
  maxWaitMs?: number
  /**
   * For how long requests for a resource do not wait for one another, after its answer could not be
   * shared.
   *
   * @default 10_000: what is for one only is seldom for all a moment later
   */
  unshareableMs?: number
  /**
   * Responses that are validated behind the clients' backs (stale-while-revalidate), at one time.
   *
   * @default 64
   */
  maxBackground?: number
  /** Deadline of such a validation. @default 30_000: nobody waits for it */
  backgroundTimeoutMs?: number
}

export type HttpCacheSettings = Readonly<
  Required<Omit<HttpCacheOptions, keyof CacheStoreOptions | 'store'>>
> & { readonly bypassFields: readonly string[] }

export const httpCacheDefaults: Readonly<
  Omit<HttpCacheSettings, 'clock' | 'heuristicFraction' | 'scopeOf' | 'isAuthenticated'>
> = Object.freeze({
  mode: 'shared',
  name: 'heddle',
  cacheStatus: true,
  maxHeuristicMs: 24 * 60 * 60 * 1_000,
  staleIfErrorMs: 0,
  requestDirectives: true,
  stripSetCookie: false,
  bypassFields: Object.freeze([
    'x-http-method',
    'x-http-method-override',
    'x-method-override',
    'x-original-url',
    'x-rewrite-url',
    'x-forwarded-prefix',
    'x-forwarded-server',
    'x-forwarded-scheme',
    'x-host',
  ]),
  shareBodies: false,
  maxWaiters: 1_000,
  maxWaitMs: 5_000,
  unshareableMs: 10_000,
  maxBackground: 64,
  backgroundTimeoutMs: 30_000,
})

export const HEURISTIC_FRACTION: Readonly<Record<'shared' | 'private', number>> = Object.freeze({
  shared: 0,
  private: 0.1,
})

/** @throws UsageError ERR_OPTION_RANGE */
export function checkCacheOptions(options: HttpCacheOptions): HttpCacheSettings {
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as HttpCacheOptions
  const { mode = httpCacheDefaults.mode } = given
  const settings: HttpCacheSettings = {
    heuristicFraction: HEURISTIC_FRACTION[mode],
    scopeOf: scopeOfRequest,
    isAuthenticated: (request) => request.fields.has('authorization'),
    ...httpCacheDefaults,
    ...given,
  }
  checkRange('heuristicFraction', settings.heuristicFraction, 0, 1)
  checkRange('maxHeuristicMs', settings.maxHeuristicMs, 0, MAX_DELTA_SECONDS * 1_000)
  checkRange('staleIfErrorMs', settings.staleIfErrorMs, 0, MAX_DELTA_SECONDS * 1_000)
  checkInteger('maxWaiters', settings.maxWaiters, 0, Number.MAX_SAFE_INTEGER)
  checkRange('maxWaitMs', settings.maxWaitMs, 0, MAX_WAIT_MS)
  checkRange('unshareableMs', settings.unshareableMs, 0, MAX_DELTA_SECONDS * 1_000)
  checkInteger('maxBackground', settings.maxBackground, 0, Number.MAX_SAFE_INTEGER)
  checkRange('backgroundTimeoutMs', settings.backgroundTimeoutMs, 1, MAX_WAIT_MS)
  return settings
}

function scopeOfRequest({ scheme, authority }: HttpRequest): string {
  return `${scheme}://${authority.toLowerCase()}`
}

/** A day: a longer wait is a mistake in the unit. */
const MAX_WAIT_MS = 24 * 60 * 60 * 1_000
