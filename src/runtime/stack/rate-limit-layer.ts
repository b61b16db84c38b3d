/** What a user gives as a rate limit, as a layer of a stack: options, several, or a middleware. */
import type { Middleware } from '../../core/service.ts'
import type { LoadHost } from '../load-host.ts'
import { type RateLimitWords, rateLimit } from '../middleware/rate-limit.ts'
import { RateLimit, type RateLimitOptions } from '../rate-limit/rate-limit.ts'
import type { Facts, Layer } from './layer.ts'

/**
 * Options of one limit; a list of limits that hold together, the one most often reached first (a
 * `RateLimit` in it shares its counts with whoever else was given it); or a middleware.
 */
export type RateLimits<Req, Res> =
  | RateLimitOptions<Req>
  | readonly (RateLimitOptions<Req> | RateLimit<Req>)[]
  | Middleware<Req, Res>

export function rateLimitLayer<Req, Res>(
  given: RateLimits<Req, Res> | undefined,
  host: LoadHost,
  words: RateLimitWords<Req, Res>,
): Pick<Layer<Req, Res>, 'middleware' | 'parameters' | 'state'> {
  if (given === undefined) return { middleware: undefined }
  if (typeof given === 'function') return { middleware: given }
  const list: readonly (RateLimitOptions<Req> | RateLimit<Req>)[] = isList(given) ? given : [given]
  const limits = list.map((one) => (one instanceof RateLimit ? one : new RateLimit<Req>(one)))
  return {
    middleware: rateLimit(limits, host, words),
    parameters: facts(limits, (limit) => limit.facts()),
    state: () => facts(limits, ({ allowed, refused, waiting }) => ({ allowed, refused, waiting })),
  }
}

/** One limit's facts as they are; those of several with its name in front. */
function facts<Req>(
  limits: readonly RateLimit<Req>[],
  of: (limit: RateLimit<Req>) => Facts,
): Facts {
  const [only] = limits
  if (only !== undefined && limits.length === 1) return of(only)
  return Object.fromEntries(
    limits.flatMap((limit) =>
      Object.entries(of(limit))
        .filter(([name]) => name !== 'name')
        .map(([name, value]) => [`${limit.name}.${name}`, value]),
    ),
  )
}

/** `Array.isArray` does not narrow a readonly array away. */
function isList<Item>(value: unknown): value is readonly Item[] {
  return Array.isArray(value)
}
