/**
 * The caches of a plan, one for each route that has one. A reload that leaves a route's `cache` as it
 * is keeps what is stored.
 *
 *     client's request → route, its policies → CACHE → cluster (limits, retries, endpoints)
 *
 * What tells one resource from another is what the cluster would see of the request's origin: client's
 * scheme and authority, and those that proxies in front report, besides the target as rewritten.
 */
import type { Clock } from '../../core/clock.ts'
import type { Principal } from '../../core/principal.ts'
import { HttpCache } from '../../protocols/http/caching/http-cache.ts'
import { HEURISTIC_FRACTION } from '../../protocols/http/caching/http-cache-options.ts'
import type { HttpRequest } from '../../protocols/http/messages.ts'
import { durationMs, sizeBytes } from '../config/quantity.ts'
import type { CacheConfig } from '../config/schema/cache.ts'
import type { Upstream } from '../http/upstream.ts'
import type { CacheStatus } from '../status.ts'

/** What a request on its way (its note) is asked, and told. */
export interface CachedRequest {
  readonly request: HttpRequest
  readonly principal: Principal | undefined
  /** Whether no cluster was asked; undefined: nobody was. */
  cached: boolean | undefined
}

export class RouteCaches {
  readonly #clock: Clock
  readonly #previous: ReadonlyMap<string, NamedCache>
  readonly #caches = new Map<string, NamedCache>()

  /** @param previous those of the plan before, of which those that stay are taken over */
  constructor(clock: Clock, previous?: RouteCaches) {
    this.#clock = clock
    this.#previous = previous === undefined ? new Map() : previous.#caches
  }

  /**
   * @param where the route, as `route api`
   * @returns what puts the cache before an upstream of the route; undefined: it has none
   */
  ofRoute(
    where: string,
    config: CacheConfig | undefined,
  ): ((upstream: Upstream) => Upstream) | undefined {
    if (config === undefined) return undefined
    const key = `${where} ${JSON.stringify(config)}`
    const kept = this.#caches.get(key) ?? this.#previous.get(key)
    const cache = kept?.cache ?? makeCache(config, this.#clock)
    this.#caches.set(key, { name: where, cache })
    return (upstream) => cached(cache, upstream)
  }

  status(): CacheStatus[] {
    return [...this.#caches.values()].map(({ name, cache }) => ({ name, ...cache.stats }))
  }
}

interface NamedCache {
  readonly name: string
  readonly cache: HttpCache
}

function cached(cache: HttpCache, upstream: Upstream): Upstream {
  const { name } = upstream
  const service = cache.wrap((request, context) => {
    const note = request.note as CachedRequest | undefined
    // Validations that nobody waits for have none.
    if (note !== undefined) note.cached = false
    return upstream.call(request, context)
  }, name)
  return {
    name,
    call(request, context) {
      const note = request.note as CachedRequest
      note.cached ??= true
      return service(request, context)
    },
  }
}

function makeCache(config: CacheConfig, clock: Clock): HttpCache {
  return new HttpCache({
    clock,
    mode: 'shared',
    maxBytes: sizeBytes(config.max_size),
    maxEntries: config.max_entries,
    maxEntryBytes: sizeBytes(config.max_entry_size),
    maxVariants: config.max_variants,
    maxArrivingBytes: sizeBytes(config.max_arriving),
    heuristicFraction: config.heuristic ? HEURISTIC_FRACTION.private : 0,
    staleIfErrorMs: durationMs(config.stale_if_error),
    requestDirectives: config.client_directives,
    stripSetCookie: config.strip_set_cookie,
    ...(config.bypass_headers && {
      bypassFields: config.bypass_headers.map((name) => name.toLowerCase()),
    }),
    maxWaiters: config.max_waiters,
    maxWaitMs: durationMs(config.max_wait),
    cacheStatus: config.cache_status,
    // Bodies go straight to a connection: nobody writes to them.
    shareBodies: true,
    scopeOf,
    isAuthenticated: ({ fields, note }) =>
      fields.has('authorization') || (note as CachedRequest).principal !== undefined,
  })
}

function scopeOf({ authority, fields, note }: HttpRequest): string {
  const { scheme, authority: asked } = (note as CachedRequest).request
  const proto = fields.get('x-forwarded-proto') ?? ''
  const host = fields.get('x-forwarded-host') ?? ''
  return `${scheme}://${asked.toLowerCase()} ${authority.toLowerCase()} ${proto} ${host}`
}
