/**
 * `rate_limits`, `concurrency`, `bulkhead`: how much a listener, a route or a cluster takes.
 */
import { z } from 'zod'
import { count, duration, headerName, name } from './primitives.ts'

const rate = {
  requests: count(1, 1_000_000_000).describe('Taken in each period, for each key'),
  per: duration(1).default('1s').describe('The period'),
  burst: count(1, 1_000_000_000)
    .optional()
    .describe('Taken at once after a rest, token_bucket only; default as many as requests'),
}

const keyed = {
  name: name().optional().describe('In RateLimit headers and metrics; default what the key is'),
  ...rate,
  header: headerName().optional().describe('key header: its name; requests without it share'),
  ipv6_prefix: count(1, 128)
    .default(64)
    .describe('key address: bits of an IPv6 address that are one client'),
  algorithm: z
    .enum(['token_bucket', 'sliding_window'])
    .default('token_bucket')
    .describe('sliding_window: never more than requests in any period, wherever it begins'),
  max_keys: count(1, 10_000_000)
    .default(50_000)
    .describe('Told apart at a time; who has used up least is forgotten first'),
}

const headerNamed = (limit: { key: string; header?: string | undefined }): boolean =>
  (limit.key === 'header') === (limit.header !== undefined)
const HEADER_NAMED = 'a limit with key: header, and only that, names its header'

/** Of a listener: before anything is known but the connection and the head. */
export const listenerRateLimit = z
  .strictObject({
    ...keyed,
    key: z
      .enum(['all', 'address', 'connection', 'header'])
      .default('address')
      .describe('Whose share it is; address: the client’s, behind trusted hops'),
  })
  .refine(headerNamed, { path: ['header'], error: HEADER_NAMED })
  .describe('How often requests are taken; others are answered 429')

/** Of a route: behind authentication. */
export const routeRateLimit = z
  .strictObject({
    ...keyed,
    key: z
      .enum(['all', 'address', 'connection', 'principal', 'header'])
      .default('address')
      .describe('Whose share it is; principal: who calls, by address where nobody said so'),
  })
  .refine(headerNamed, { path: ['header'], error: HEADER_NAMED })
  .describe('How often requests are taken; others are answered 429')

/** Of a cluster: what is sent. */
export const clusterRateLimit = z
  .strictObject({
    ...rate,
    max_wait: duration(0)
      .default('0s')
      .describe('A request may wait so long for its turn; 0s: it is refused with 503 at once'),
  })
  .describe('How often requests are sent, retries included')

export const connectionRateLimit = z
  .strictObject({
    connections: count(1, 1_000_000_000).describe('Taken in each period, for each address'),
    per: duration(1).default('1s'),
    burst: count(1, 1_000_000_000).optional().describe('At once; default as many as connections'),
    ipv6_prefix: count(1, 128).default(64),
    max_keys: count(1, 10_000_000).default(50_000),
  })
  .describe('How often an address may connect; more are closed before a byte is read')

const adaptive = z
  .strictObject({
    algorithm: z
      .enum(['gradient', 'aimd'])
      .default('gradient')
      .describe('gradient: by latency; aimd: until it is refused or times out'),
    initial: count(1, 1_000_000).default(20),
    min: count(1, 1_000_000).default(4),
    max: count(1, 1_000_000).default(1_000),
  })
  .refine((limit) => limit.min <= limit.initial && limit.initial <= limit.max, {
    path: ['initial'],
    error: 'initial lies between min and max',
  })
  .describe('A limit that finds itself')

const queue = {
  max_queued: count(0, 1_000_000).default(0).describe('May wait for a place, best priority first'),
  max_queue_time: duration(0)
    .default('1s')
    .describe('Longest wait; the route’s timeout counts too'),
}

const places = {
  max_requests: count(1, 1_000_000).optional().describe('At a time; either this or adaptive'),
  adaptive: adaptive.optional(),
  ...queue,
}

const eitherLimit = (limit: { max_requests?: unknown; adaptive?: unknown }): boolean =>
  (limit.max_requests === undefined) !== (limit.adaptive === undefined)
const EITHER_LIMIT = {
  path: ['max_requests'],
  error: 'a concurrency limit has either max_requests or adaptive',
}

/** Of a cluster: what is sent to each endpoint. */
export const clusterConcurrency = z
  .strictObject(places)
  .refine(eitherLimit, EITHER_LIMIT)
  .describe('How many requests at a time; others are answered 503 with Retry-After')

/** Of a listener or a route: what is taken. */
export const concurrency = z
  .strictObject({
    ...places,
    report: z
      .boolean()
      .default(false)
      .describe('Tells each client how full the limit is: Heddle-Load: depth=12, limit=200'),
  })
  .refine(eitherLimit, EITHER_LIMIT)
  .describe('How many requests at a time; others are answered 503 with Retry-After')

export const bulkhead = z
  .strictObject({
    key: z.enum(['address', 'connection', 'principal', 'header']).default('principal'),
    header: headerName().optional().describe('key header: its name; requests without it share'),
    ipv6_prefix: count(1, 128).default(64),
    max_requests: count(1, 1_000_000).describe('At a time, for each key'),
    ...queue,
  })
  .refine(headerNamed, { path: ['header'], error: HEADER_NAMED })
  .describe('Separate places for each key: one that is slow fills only its own')

export type ListenerRateLimitConfig = z.output<typeof listenerRateLimit>
export type RouteRateLimitConfig = z.output<typeof routeRateLimit>
export type ClusterRateLimitConfig = z.output<typeof clusterRateLimit>
export type ConnectionRateLimitConfig = z.output<typeof connectionRateLimit>
export type ConcurrencyConfig = z.output<typeof concurrency>
export type BulkheadConfig = z.output<typeof bulkhead>
