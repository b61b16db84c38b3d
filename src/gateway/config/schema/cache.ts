/**
 * `cache` of a route: responses that are kept (docs/caching.md).
 */
import { z } from 'zod'
import { count, duration, headerName, size } from './primitives.ts'

export const cache = z
  .strictObject({
    max_size: size(64 * 1024)
      .default('32MiB')
      .describe('Of all stored responses together: bodies, fields and keys'),
    max_entries: count(1, 10_000_000)
      .default(10_000)
      .describe('Stored responses; what was used longest ago goes first'),
    max_entry_size: size(0).default('1MiB').describe('A longer body passes and is not stored'),
    max_variants: count(1, 1_024).default(32).describe('Of one resource, told apart by Vary'),
    max_arriving: size(0)
      .default('16MiB')
      .describe('Bytes of responses that are on their way; over it they pass and are not stored'),
    heuristic: z
      .boolean()
      .default(false)
      .describe('Store what names no lifetime, for a tenth of the time since Last-Modified'),
    stale_if_error: duration(0)
      .default('0s')
      .describe(
        'How long a stale response stands in for a failing cluster, unless it forbids that',
      ),
    client_directives: z
      .boolean()
      .default(true)
      .describe('false: no-cache, max-age and the like of clients are ignored; no-store never'),
    strip_set_cookie: z
      .boolean()
      .default(false)
      .describe('Store responses that set cookies, without the cookies'),
    bypass_headers: z
      .array(headerName())
      .max(64)
      .optional()
      .describe(
        'Requests with one of them pass by; default those that override method, host, path',
      ),
    max_waiters: count(0, 1_000_000)
      .default(1_000)
      .describe('Requests that wait for another one’s answer; one more goes to the cluster itself'),
    max_wait: duration(0).default('5s').describe('How long one waits for another’s answer'),
    cache_status: z.boolean().default(true).describe('Say in Cache-Status what was done'),
  })
  .describe('Keep responses to GET as RFC 9111 says, shared by all clients')

export type CacheConfig = z.output<typeof cache>
