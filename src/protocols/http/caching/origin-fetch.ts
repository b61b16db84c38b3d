/**
 * The way of a cache to the origin: one goes where many ask for the same, stale responses are
 * validated, and what comes back is stored if it may be.
 */
import { Call } from '../../../core/context.ts'
import type { MaybePromise } from '../../../core/service.ts'
import { Body } from '../body.ts'
import { HttpFields } from '../fields.ts'
import { HttpRequest, HttpResponse } from '../messages.ts'
import { type ArrivalEnd, ArrivingBody } from './arriving-body.ts'
import { readCacheControl } from './cache-control.ts'
import type { CacheLookup, CacheParts } from './cache-parts.ts'
import type { CacheOutcome, ForwardReason } from './cache-status.ts'
import type { Flight, FlightOutcome, Flights } from './flights.ts'
import { type FreshnessRules, freshnessLifetime } from './freshness.ts'
import { withFields } from './response-copy.ts'
import { isOriginError, judgeReuse, mayReplaceError } from './reuse.ts'
import { type NotStored, type StoreRules, whyNotStored } from './storability.ts'
import { type Arrival, freshened, type StoredResponse, storedResponse } from './stored-response.ts'
import {
  hasValidator,
  isAbout,
  isConditional,
  isNotModified,
  notModifiedFields,
  validationFields,
} from './validators.ts'
import { varyKey } from './vary.ts'

export class OriginFetch {
  readonly #cache: CacheParts
  readonly #flights: Flights
  readonly #rules: FreshnessRules & StoreRules
  #background = 0

  constructor(cache: CacheParts, flights: Flights) {
    const { settings, shared } = cache
    this.#cache = cache
    this.#flights = flights
    this.#rules = {
      shared,
      stripSetCookie: settings.stripSetCookie,
      heuristicFraction: settings.heuristicFraction,
      maxHeuristicSeconds: settings.maxHeuristicMs / 1_000,
    }
  }

  /** @param stored what there is, to be validated */
  async fetch(
    lookup: CacheLookup,
    stored: StoredResponse | undefined,
    reason: ForwardReason,
  ): Promise<HttpResponse> {
    const trip = new Trip(lookup, stored, reason)
    if (lookup.request.method === 'HEAD') return this.#fetchHead(trip)
    // The second time it is known what tells the variants apart; a third time would be no better.
    for (let round = 0; round < MAX_ROUNDS; ) {
      if (!this.#collapses(trip)) break
      const key = this.#flightKey(lookup)
      const flight = this.#flights.find(key)
      if (flight === undefined) return this.#go(trip, this.#flights.begin(key))
      const outcome = await this.#flights.wait(flight, lookup.context)
      if (outcome.type === 'left') continue
      if (outcome.type === 'full' || outcome.type === 'unshared') break
      round++
      if (outcome.type === 'late') continue
      const answer = this.#afterWaiting(trip, outcome)
      if (answer !== undefined) return answer
    }
    return this.#go(trip, undefined)
  }

  /** Validates behind the back of a client that has been answered. */
  refresh(lookup: CacheLookup, stored: StoredResponse): void {
    const { clock, maxBackground, backgroundTimeoutMs } = this.#cache.settings
    const key = this.#flightKey(lookup)
    if (this.#background >= maxBackground || this.#flights.find(key) !== undefined) return
    const { target, scheme, authority, fields } = lookup.request
    const request = new HttpRequest({ target, scheme, authority, fields })
    const context = new Call({ deadline: clock.now() + backgroundTimeoutMs })
    const trip = new Trip({ ...lookup, request, context }, stored, 'stale')
    this.#background++
    const done = (): void => {
      this.#background--
      context.finish()
    }
    void this.#go(trip, this.#flights.begin(key)).then((response) => {
      response.body.discard()
      done()
    }, done)
  }

  #afterWaiting(trip: Trip, outcome: FlightOutcome): HttpResponse | undefined {
    const { lookup } = trip
    const { settings, shared, counts, store } = this.#cache
    if (outcome.type === 'failed') {
      counts.collapsed++
      return this.#instead(trip, outcome.error)
    }
    const now = settings.clock.now()
    const stored = store.find(lookup.key, lookup.request.fields)
    trip.stored = stored
    if (stored === undefined) return undefined
    if (outcome.type === 'stale') return this.#standIn(trip)
    const reuse = judgeReuse(stored, lookup.control, now, shared)
    if (reuse.type === 'validate') return undefined
    counts.collapsed++
    const { ttlSeconds } = reuse
    const { reason: forwarded } = trip
    return this.#cache.answer(lookup.request, stored, { forwarded, ttlSeconds, collapsed: true })
  }

  /** Whether somebody else's answer could be this one's as well. */
  #collapses({ lookup, stored, reason }: Trip): boolean {
    if (lookup.authenticated || reason === 'request') return false
    if (stored !== undefined && (stored.control.noCache || stored.lifetimeSeconds === 0))
      return false
    return !this.#cache.store.isUnshareable(lookup.key, this.#cache.settings.clock.now())
  }

  #flightKey({ key, request }: CacheLookup): string {
    const names = this.#cache.store.varyNamesOf(key)
    return names === undefined ? key : `${key}\n${varyKey(names, request.fields)}`
  }

  async #go(trip: Trip, flight: Flight | undefined): Promise<HttpResponse> {
    const { lookup } = trip
    const { clock } = this.#cache.settings
    const startedAt = clock.now()
    let response: HttpResponse
    try {
      response = await lookup.next(this.#outgoing(trip), lookup.context)
    } catch (error) {
      const left = lookup.context.cancelled
      flight?.land(left ? { type: 'left' } : { type: 'failed', error })
      return this.#instead(trip, error)
    }
    const now = clock.now()
    const arrival: Arrival = { now, wallMs: clock.wallNow(), exchangeMs: now - startedAt }
    try {
      return await this.#onReply(trip, response, arrival, flight)
    } catch (error) {
      flight?.land({ type: 'unshared' })
      throw error
    }
  }

  #onReply(
    trip: Trip,
    response: HttpResponse,
    arrival: Arrival,
    flight: Flight | undefined,
  ): MaybePromise<HttpResponse> {
    const { stored } = trip
    if (stored !== undefined && response.status === 304) {
      if (isAbout(response.fields, stored.fields)) {
        return this.#onNotModified(trip, stored, response, arrival, flight)
      }
      // It is about something that is not here: once more, without conditions.
      response.body.discard()
      this.#cache.store.remove(stored)
      trip.stored = undefined
      return this.#go(trip, flight)
    }
    if (isOriginError(response.status)) {
      const answer = this.#standIn(trip)
      if (answer !== undefined) {
        response.body.discard()
        flight?.land({ type: 'stale' })
        return answer
      }
    }
    return this.#onResponse(trip, response, arrival, flight)
  }

  /** With the conditions of what is stored; a client's own would bring a 304 that stores nothing. */
  #outgoing({ lookup, stored }: Trip): HttpRequest {
    const { request, key } = lookup
    const { store, settings } = this.#cache
    const validates = stored !== undefined && hasValidator(stored.fields)
    if (!validates) {
      if (!isConditional(request.fields)) return request
      // What could not be stored a moment ago is not fetched whole for a client that has it.
      if (lookup.authenticated || store.isUnshareable(key, settings.clock.now())) return request
    }
    const { method, target, scheme, authority, fields, version, route } = request
    const sent = new HttpRequest({
      method,
      target,
      scheme,
      authority,
      version,
      route,
      fields: validationFields(fields, validates ? stored.fields : undefined),
    })
    sent.trace = request.trace
    sent.connection = request.connection
    sent.inform = request.inform
    sent.note = request.note
    return sent
  }

  #onNotModified(
    trip: Trip,
    stored: StoredResponse,
    response: HttpResponse,
    arrival: Arrival,
    flight: Flight | undefined,
  ): HttpResponse {
    const { lookup, reason: forwarded } = trip
    const { store, counts } = this.#cache
    const fresh = freshened(stored, lookup.request.fields, response.fields, arrival, this.#rules)
    const { status, fields, control, lifetimeSeconds } = fresh
    const { authenticated, control: requestControl } = lookup
    const candidate = { status, fields, control, lifetimeSeconds, authenticated, requestControl }
    const why = whyNotStored({ method: 'GET', ...candidate }, this.#rules)
    response.body.discard()
    counts.revalidated++
    const wasStored = why === undefined && this.#put(fresh)
    // What one known caller may see says nothing about what the others have.
    if (!wasStored && why !== 'authorization') store.remove(stored)
    flight?.land({ type: wasStored ? 'stored' : 'unshared' })
    const outcome: CacheOutcome = {
      forwarded,
      forwardStatus: 304,
      ttlSeconds: lifetimeSeconds - fresh.initialAgeSeconds,
      stored: wasStored,
      ...(why && { detail: why }),
    }
    const cookies = response.fields.getAll('set-cookie')
    return this.#cache.answer(lookup.request, fresh, outcome, cookies)
  }

  #onResponse(
    trip: Trip,
    response: HttpResponse,
    arrival: Arrival,
    flight: Flight | undefined,
  ): HttpResponse {
    const { lookup, reason: forwarded, stored } = trip
    const { store, settings } = this.#cache
    const { body, status, fields } = response
    const why = this.#whyNot(trip, response, arrival)
    if (why !== undefined) {
      // What a known caller gets tells nothing about others; a 304, nothing about the whole.
      if (!lookup.authenticated && status !== 304) {
        store.noteUnshareable(lookup.key, arrival.now + settings.unshareableMs)
      }
      // The origin has another answer now, which is not for keeping.
      if (stored !== undefined && status < 500 && status !== 304 && why !== 'authorization')
        store.remove(stored)
      flight?.land({ type: 'unshared' })
      return this.#cache.noted(response, { forwarded, detail: why })
    }
    const finish = (end: ArrivalEnd): boolean =>
      this.#onArrived(trip, response, arrival, flight, end)
    let passed = body
    let kept = true
    let arriving: ArrivingBody | undefined
    if (body.isEmpty || body.content !== undefined) {
      kept = finish({ bytes: this.#contentOf(body) })
    } else {
      arriving = new ArrivingBody(body, store, finish)
      passed = Body.from(arriving, body.length)
      arriving.start()
    }
    const given = new HttpFields(fields)
    const outcome: CacheOutcome = { forwarded, stored: kept }
    const { wallMs } = arrival
    const { fields: asked } = lookup.request
    if (status === 200 && isConditional(asked) && isNotModified(asked, fields, wallMs)) {
      // It goes on arriving for the others.
      arriving?.cancel()
      const headers = notModifiedFields(given)
      this.#cache.note(headers, { ...outcome, forwardStatus: 200 })
      return new HttpResponse({ status: 304, fields: headers, version: response.version })
    }
    this.#cache.note(given, outcome)
    return withFields(response, given, passed)
  }

  #whyNot(trip: Trip, response: HttpResponse, arrival: Arrival): NotStored | undefined {
    const { authenticated, control: requestControl, request } = trip.lookup
    const { status, fields, body } = response
    const control = readCacheControl(fields)
    const { wallMs } = arrival
    const lifetimeSeconds = freshnessLifetime(status, fields, control, wallMs, this.#rules)
    const of = { status, fields, control, lifetimeSeconds, authenticated, requestControl }
    const why = whyNotStored({ method: request.method, ...of }, this.#rules)
    if (why !== undefined) return why
    if (response.connection !== undefined) return 'status'
    const { maxEntryBytes } = this.#cache.store.options
    return (body.length ?? 0) > maxEntryBytes ? 'too-large' : undefined
  }

  /** @returns whether it is stored */
  #onArrived(
    { lookup }: Trip,
    { status, reason, fields }: HttpResponse,
    arrival: Arrival,
    flight: Flight | undefined,
    end: ArrivalEnd,
  ): boolean {
    const { store, settings, counts } = this.#cache
    const { key, request } = lookup
    if (end === 'lost' || end instanceof Error) {
      if (end === 'lost') store.noteUnshareable(key, arrival.now + settings.unshareableMs)
      const cut: FlightOutcome =
        end === 'lost'
          ? { type: 'unshared' }
          : lookup.context.cancelled
            ? { type: 'left' }
            : { type: 'failed', error: end }
      flight?.land(cut)
      return false
    }
    const head = { status, reason, fields }
    const stored = storedResponse(key, request.fields, head, end.bytes, arrival, this.#rules)
    const kept = this.#put(stored)
    if (kept) counts.stored++
    flight?.land({ type: kept ? 'stored' : 'unshared' })
    return kept
  }

  #put(stored: StoredResponse): boolean {
    const { store, settings } = this.#cache
    const kept = store.put(stored)
    const { control, lifetimeSeconds, initialAgeSeconds } = stored
    const shareable = kept && !control.noCache && lifetimeSeconds > initialAgeSeconds
    if (!shareable) store.noteUnshareable(stored.key, stored.storedAt + settings.unshareableMs)
    return kept
  }

  #contentOf({ content }: Body): Uint8Array {
    if (content === undefined) return EMPTY
    if (typeof content === 'string') return new TextEncoder().encode(content)
    // The client of a library may write to what it is given.
    return this.#cache.settings.shareBodies ? content : content.slice()
  }

  /** There is no answer. */
  #instead(trip: Trip, error: unknown): HttpResponse {
    const answer = trip.lookup.context.cancelled ? undefined : this.#standIn(trip)
    if (answer === undefined) throw error
    return answer
  }

  /** What is stored, where it may be used in need. */
  #standIn({ lookup, stored, reason: forwarded }: Trip): HttpResponse | undefined {
    const { settings, shared, counts } = this.#cache
    if (stored === undefined) return undefined
    const now = settings.clock.now()
    const seconds = settings.staleIfErrorMs / 1_000
    if (!mayReplaceError(stored, lookup.control, now, shared, seconds)) return undefined
    counts.stale++
    const { ttlSeconds } = judgeReuse(stored, lookup.control, now, shared)
    const outcome: CacheOutcome = { forwarded, ttlSeconds, detail: 'stale-if-error' }
    return this.#cache.answer(lookup.request, stored, outcome)
  }

  /** RFC 9111 4.3.5: an answer that tells of another content makes the stored one invalid. */
  async #fetchHead({ lookup, stored, reason: forwarded }: Trip): Promise<HttpResponse> {
    const response = await lookup.next(lookup.request, lookup.context)
    const { fields, status } = response
    if (stored !== undefined && status === 200) {
      const differs = (name: string): boolean => {
        const value = fields.get(name)
        return value !== undefined && value !== stored.fields.get(name)
      }
      if (DESCRIBES.some(differs)) this.#cache.store.remove(stored)
    }
    return this.#cache.noted(response, { forwarded, detail: 'method' })
  }
}

/** One request on its way. */
class Trip {
  readonly lookup: CacheLookup
  readonly reason: ForwardReason
  stored: StoredResponse | undefined

  constructor(lookup: CacheLookup, stored: StoredResponse | undefined, reason: ForwardReason) {
    this.lookup = lookup
    this.stored = stored
    this.reason = reason
  }
}

const MAX_ROUNDS = 2
const EMPTY = new Uint8Array(0)
const DESCRIBES = ['etag', 'last-modified', 'content-length']
