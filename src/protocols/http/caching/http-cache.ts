/**
 * An HTTP cache (RFC 9111) as middleware, for any service: in front of a client, or of an upstream.
 *
 *     const cache = new HttpCache({ clock, mode: 'private' })
 *     const service = cache.middleware(client.call)
 *
 *     GET ─▶ stored and fresh ──────────────────────────▶ hit, without a promise
 *            stored and stale ─▶ origin, conditional ─▶ 304: the stored one, freshened
 *            not stored ───────▶ origin ──────────────▶ the answer, and kept if it may be
 *
 * HEAD is answered from what GET stored. Requests with a Range, a body, or a condition that is the
 * origin's to judge pass by. A successful request of an unsafe method makes what is stored of its
 * target invalid (section 4.4). The query is part of the key as it stands.
 */
import type { CallContext } from '../../../core/context.ts'
import type { MaybePromise, Middleware } from '../../../core/service.ts'
import { HttpFields } from '../fields.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../messages.ts'
import { isSafeMethod } from '../methods.ts'
import { type CacheControl, NO_CACHE_CONTROL, readCacheControl } from './cache-control.ts'
import type { CacheCounts, CacheLookup, CacheParts, HttpCacheStats } from './cache-parts.ts'
import { type CacheOutcome, formatCacheStatus } from './cache-status.ts'
import { CacheStore } from './cache-store.ts'
import { Flights } from './flights.ts'
import {
  checkCacheOptions,
  type HttpCacheOptions,
  type HttpCacheSettings,
} from './http-cache-options.ts'
import { OriginFetch } from './origin-fetch.ts'
import { withFields } from './response-copy.ts'
import { judgeReuse } from './reuse.ts'
import { ageSeconds, type StoredResponse } from './stored-response.ts'
import { asksOrigin, isConditional, isNotModified, notModifiedFields } from './validators.ts'

export class HttpCache implements CacheParts {
  readonly store: CacheStore
  readonly settings: HttpCacheSettings
  readonly counts: CacheCounts = {
    hits: 0,
    stale: 0,
    misses: 0,
    revalidated: 0,
    bypassed: 0,
    collapsed: 0,
    stored: 0,
    invalidated: 0,
  }
  readonly #origin: OriginFetch
  /** Of `wrap`: an unsafe method may go to another service than the one that was read from. */
  readonly #namespaces = new Set<string>()

  readonly middleware: Middleware<HttpRequest, HttpResponse> = (next) => this.wrap(next)

  /** @throws UsageError ERR_OPTION_RANGE */
  constructor(options: HttpCacheOptions) {
    this.settings = checkCacheOptions(options)
    this.store = options.store ?? new CacheStore(options)
    const flights = new Flights(this.settings.clock, this.settings)
    this.#origin = new OriginFetch(this, flights)
  }

  get stats(): HttpCacheStats {
    return { ...this.counts, ...this.store.stats }
  }

  get shared(): boolean {
    return this.settings.mode === 'shared'
  }

  /**
   * @param namespace keeps what one service answers apart from what another does; few, and from the
   *   program: they are kept
   */
  wrap(next: HttpService, namespace = ''): HttpService {
    this.#namespaces.add(namespace)
    return (request, context) => this.#serve(next, namespace, request, context)
  }

  /** Forgets every stored response of a request's target. @returns how many there were */
  invalidate(request: HttpRequest): number {
    let count = 0
    for (const namespace of this.#namespaces) {
      count += this.store.invalidate(this.#keyOf(namespace, request))
    }
    this.counts.invalidated += count
    return count
  }

  #serve(
    next: HttpService,
    namespace: string,
    request: HttpRequest,
    context: CallContext,
  ): MaybePromise<HttpResponse> {
    const { method, fields } = request
    const isGet = method === 'GET'
    if (!isGet && method !== 'HEAD') return this.#passMethod(next, request, context)
    const control = this.#controlOf(fields)
    if (this.#mustBypass(request, control)) return this.#bypass(next, request, context, control)
    const key = this.#keyOf(namespace, request)
    const authenticated = this.shared && this.settings.isAuthenticated(request, context)
    const lookup: CacheLookup = { next, request, context, key, control, authenticated }
    const stored = this.store.find(key, fields)
    if (stored === undefined) {
      if (control.onlyIfCached) return this.#notCached()
      this.counts.misses++
      const known = this.store.varyNamesOf(key) !== undefined
      return this.#origin.fetch(lookup, undefined, known ? 'vary-miss' : 'uri-miss')
    }
    const answer = this.#reuse(lookup, stored)
    if (answer !== undefined) return answer
    if (control.onlyIfCached) return this.#notCached()
    const { settings, shared } = this
    const reuse = judgeReuse(stored, control, settings.clock.now(), shared)
    this.counts.misses++
    const why = reuse.type === 'validate' && reuse.because === 'request' ? 'request' : 'stale'
    return this.#origin.fetch(lookup, stored, why)
  }

  #reuse(lookup: CacheLookup, stored: StoredResponse): HttpResponse | undefined {
    const reuse = judgeReuse(stored, lookup.control, this.settings.clock.now(), this.shared)
    const { ttlSeconds } = reuse
    switch (reuse.type) {
      case 'fresh':
        this.counts.hits++
        return this.answer(lookup.request, stored, { forwarded: undefined, ttlSeconds })
      case 'stale':
        this.counts.stale++
        return this.answer(lookup.request, stored, { forwarded: undefined, ttlSeconds })
      case 'refresh': {
        this.counts.stale++
        this.#origin.refresh(lookup, stored)
        const detail = 'stale-while-revalidate'
        return this.answer(lookup.request, stored, { forwarded: undefined, ttlSeconds, detail })
      }
      case 'validate':
        return undefined
    }
  }

  answer(
    request: HttpRequest,
    stored: StoredResponse,
    outcome: CacheOutcome,
    cookies: readonly string[] = NO_COOKIES,
  ): HttpResponse {
    const { clock, shareBodies } = this.settings
    const { status, reason, body } = stored
    const age = Math.floor(ageSeconds(stored, clock.now()))
    const has =
      isConditional(request.fields) &&
      status === 200 &&
      isNotModified(request.fields, stored.fields, clock.wallNow())
    const fields = has ? notModifiedFields(stored.fields) : new HttpFields(stored.fields)
    fields.append('age', String(age))
    for (const cookie of cookies) fields.append('set-cookie', cookie)
    this.note(fields, outcome)
    if (has) return new HttpResponse({ status: 304, fields })
    if (request.method === 'HEAD' || body.length === 0) {
      return new HttpResponse({ status, fields, ...(reason && { reason }) })
    }
    const content = shareBodies ? body : body.slice()
    return new HttpResponse({ status, fields, body: content, ...(reason && { reason }) })
  }

  note(fields: HttpFields, outcome: CacheOutcome): void {
    const { cacheStatus, name } = this.settings
    if (cacheStatus) fields.append('cache-status', formatCacheStatus(name, outcome))
  }

  #controlOf(fields: HttpFields): CacheControl {
    const control = readCacheControl(fields)
    if (this.settings.requestDirectives || control === NO_CACHE_CONTROL) return control
    return control.noStore ? NO_STORE : NO_CACHE_CONTROL
  }

  #mustBypass({ fields, body }: HttpRequest, control: CacheControl): boolean {
    // A request with content may mean something else than the target says.
    if (control.noStore || !body.isEmpty) return true
    if (fields.has('range') || fields.has('upgrade') || asksOrigin(fields)) return true
    for (const name of this.settings.bypassFields) if (fields.has(name)) return true
    return false
  }

  #bypass(
    next: HttpService,
    request: HttpRequest,
    context: CallContext,
    control: CacheControl,
  ): MaybePromise<HttpResponse> {
    if (control.onlyIfCached) return this.#notCached()
    this.counts.bypassed++
    return this.#pass(next(request, context), { forwarded: 'bypass' })
  }

  #passMethod(
    next: HttpService,
    request: HttpRequest,
    context: CallContext,
  ): MaybePromise<HttpResponse> {
    const { method } = request
    // A tunnel is no answer of the target, and nothing is said about it.
    if (method === 'CONNECT') return next(request, context)
    this.counts.bypassed++
    const outcome: CacheOutcome = { forwarded: 'method' }
    const reply = next(request, context)
    if (isSafeMethod(method)) return this.#pass(reply, outcome)
    const settled = (response: HttpResponse): HttpResponse => {
      this.#onUnsafe(request, response)
      return this.noted(response, outcome)
    }
    return reply instanceof Promise ? reply.then(settled) : settled(reply)
  }

  /** RFC 9111 4.4: the target, and what Location and Content-Location name of the same origin. */
  #onUnsafe(request: HttpRequest, response: HttpResponse): void {
    if (response.status < 200 || response.status >= 400) return
    this.invalidate(request)
    for (const name of ['location', 'content-location']) {
      const target = sameOriginTarget(request, response.fields.get(name))
      if (target !== undefined) this.invalidate(withTarget(request, target))
    }
  }

  #pass(reply: MaybePromise<HttpResponse>, outcome: CacheOutcome): MaybePromise<HttpResponse> {
    if (reply instanceof Promise) return reply.then((response) => this.noted(response, outcome))
    return this.noted(reply, outcome)
  }

  noted(response: HttpResponse, outcome: CacheOutcome): HttpResponse {
    if (!this.settings.cacheStatus || response.connection !== undefined) return response
    const fields = new HttpFields(response.fields)
    this.note(fields, outcome)
    return withFields(response, fields)
  }

  /** RFC 9111 5.2.1.7. */
  #notCached(): HttpResponse {
    this.counts.bypassed++
    const fields = HttpFields.fromTrusted(['cache-control', 'no-store'])
    this.note(fields, { forwarded: 'none', detail: 'only-if-cached' })
    return new HttpResponse({ status: 504, fields })
  }

  #keyOf(namespace: string, request: HttpRequest): string {
    // None of the parts holds a line feed; the target stays as it is, its query included.
    return `${namespace}\n${this.settings.scopeOf(request)}\n${request.target}`
  }
}

function sameOriginTarget(request: HttpRequest, reference: string | undefined): string | undefined {
  if (reference === undefined || !URL.canParse(reference, request.url)) return undefined
  const url = new URL(reference, request.url)
  return url.origin === request.url.origin ? url.pathname + url.search : undefined
}

function withTarget(request: HttpRequest, target: string): HttpRequest {
  const { scheme, authority, fields, note } = request
  const other = new HttpRequest({ target, scheme, authority, fields })
  other.note = note
  return other
}

const NO_COOKIES: readonly string[] = Object.freeze([])
const NO_STORE: CacheControl = Object.freeze({ ...NO_CACHE_CONTROL, noStore: true })
