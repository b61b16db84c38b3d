/**
 * What the parts of a cache share: what is known of a request, counts, and how an answer is made.
 */
import type { CallContext } from '../../../core/context.ts'
import type { HttpFields } from '../fields.ts'
import type { HttpRequest, HttpResponse, HttpService } from '../messages.ts'
import type { CacheControl } from './cache-control.ts'
import type { CacheOutcome } from './cache-status.ts'
import type { CacheStore, CacheStoreStats } from './cache-store.ts'
import type { HttpCacheSettings } from './http-cache-options.ts'
import type { StoredResponse } from './stored-response.ts'

/** Counted since it was made. */
export interface HttpCacheStats extends CacheStoreStats {
  /** Answered with what was stored and fresh. */
  readonly hits: number
  /** Answered with what was stale, where that was allowed. */
  readonly stale: number
  /** Went to the origin: nothing was stored that could be used. */
  readonly misses: number
  /** The origin said that what was stored still holds. */
  readonly revalidated: number
  /** Of a kind that the cache does not touch. */
  readonly bypassed: number
  /** Waited for another request's answer, and had it. */
  readonly collapsed: number
  readonly stored: number
  /** Responses forgotten because of an unsafe method. */
  readonly invalidated: number
}

/** Numbers that the parts of a cache count up. */
export type CacheCounts = {
  -readonly [Name in keyof Omit<HttpCacheStats, keyof CacheStoreStats>]: number
}

/** What is found out about a request before anybody is asked. */
export interface CacheLookup {
  readonly next: HttpService
  readonly request: HttpRequest
  readonly context: CallContext
  readonly key: string
  /** Of the request. */
  readonly control: CacheControl
  /** Of interest to a shared cache only. */
  readonly authenticated: boolean
}

/** A cache as its way to the origin sees it. */
export interface CacheParts {
  readonly store: CacheStore
  readonly settings: HttpCacheSettings
  readonly counts: CacheCounts
  readonly shared: boolean
  /**
   * A stored response as the answer to a request, 304 where its client has it already.
   *
   * @param cookies of a 304 of the origin: they are this client's, and not stored
   */
  answer(
    request: HttpRequest,
    stored: StoredResponse,
    outcome: CacheOutcome,
    cookies?: readonly string[],
  ): HttpResponse
  /** Says in Cache-Status what was done. `fields` are changed. */
  note(fields: HttpFields, outcome: CacheOutcome): void
  /** The response with Cache-Status, otherwise untouched. */
  noted(response: HttpResponse, outcome: CacheOutcome): HttpResponse
}
