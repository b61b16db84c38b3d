/**
 * The limits of a plan: of listeners and routes. A reload that leaves a limit as it is keeps it with
 * its counts: whoever was at its limit before a change of another route is there after it.
 */
import type { Address } from '../../core/address.ts'
import { OverloadError } from '../../core/errors.ts'
import type { Middleware } from '../../core/service.ts'
import { httpClassifier } from '../../protocols/http/classifier.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { addressKey } from '../../runtime/call-key.ts'
import type { LoadHost } from '../../runtime/load-host.ts'
import { rateLimit } from '../../runtime/middleware/rate-limit.ts'
import { MemoryRateLimitStore } from '../../runtime/rate-limit/memory-rate-limit-store.ts'
import { RateLimit } from '../../runtime/rate-limit/rate-limit.ts'
import { bulkheadLayer, concurrencyLayer } from '../../runtime/stack/concurrency-layer.ts'
import type { Facts } from '../../runtime/stack/layer.ts'
import { durationMs } from '../config/quantity.ts'
import type {
  BulkheadConfig,
  ConcurrencyConfig,
  ConnectionRateLimitConfig,
  ListenerRateLimitConfig,
  RouteRateLimitConfig,
} from '../config/schema/load.ts'
import type { LimitStatus } from '../status.ts'
import { requestKey } from './request-key.ts'

type HttpMiddleware = Middleware<HttpRequest, HttpResponse>

export class GatewayLimits {
  readonly #host: LoadHost
  readonly #previous: ReadonlyMap<string, Kept>
  readonly #kept = new Map<string, Kept>()

  /** @param previous the limits of the plan before, of which those that stay are taken over */
  constructor(host: LoadHost, previous?: GatewayLimits) {
    this.#host = host
    this.#previous = previous === undefined ? new Map() : previous.#kept
  }

  /** @param where the listener or route, as `route api` */
  rateLimits(
    where: string,
    configs: readonly (ListenerRateLimitConfig | RouteRateLimitConfig)[],
  ): HttpMiddleware | undefined {
    if (configs.length === 0) return undefined
    const limits = configs.map((config, index) => {
      return this.#keep(`${where} rate ${index}`, config, () => makeRateLimit(where, config)).limit
    })
    return rateLimit(limits, this.#host, httpClassifier)
  }

  concurrency(
    where: string,
    config: ConcurrencyConfig | undefined,
    priority: (request: HttpRequest) => number,
  ): HttpMiddleware | undefined {
    if (config === undefined) return undefined
    const { max_requests: max, adaptive, max_queued, max_queue_time, report } = config
    return this.#keep(`${where} concurrency`, config, () => {
      const layer = concurrencyLayer<HttpRequest, HttpResponse>(
        {
          name: where,
          ...(max !== undefined && { maxConcurrent: max }),
          ...(adaptive && { adaptive }),
          maxQueued: max_queued,
          maxQueueMs: durationMs(max_queue_time),
          priority,
          report,
        },
        this.#host,
        httpClassifier,
      )
      return { ...layer, status: (facts) => ({ name: where, policy: 'concurrency', ...facts }) }
    }).middleware
  }

  bulkhead(where: string, config: BulkheadConfig | undefined): HttpMiddleware | undefined {
    if (config === undefined) return undefined
    return this.#keep(`${where} bulkhead`, config, () => {
      const layer = bulkheadLayer<HttpRequest, HttpResponse>(
        {
          name: where,
          key: requestKey(config),
          maxConcurrent: config.max_requests,
          maxQueued: config.max_queued,
          maxQueueMs: durationMs(config.max_queue_time),
        },
        this.#host,
        httpClassifier,
      )
      return { ...layer, status: (facts) => ({ name: where, policy: 'bulkhead', ...facts }) }
    }).middleware
  }

  /** Asked for each connection, before a byte of it is read. */
  connectionRate(
    where: string,
    config: ConnectionRateLimitConfig | undefined,
  ): ((remote: Address) => Error | undefined) | undefined {
    if (config === undefined) return undefined
    const { connections, per, burst, ipv6_prefix: prefix } = config
    const kept = this.#keep(`${where} connections`, config, () => {
      const store = new MemoryRateLimitStore({
        limit: connections,
        windowMs: durationMs(per),
        ...(burst !== undefined && { burst }),
        maxKeys: config.max_keys,
      })
      const counted = { allowed: 0, refused: 0 }
      return {
        store,
        counted,
        state: () => counted,
        status: (facts) => ({ name: where, policy: 'connection rate', ...facts }),
      }
    })
    return (remote) => {
      const key = addressKey(remote, prefix)
      if (kept.store.take(key, 1, this.#host.wheel.clock.now()).allowed) {
        kept.counted.allowed++
        return undefined
      }
      kept.counted.refused++
      const message = `${key} connects more often than ${connections} times in ${per}`
      return new OverloadError('ERR_RATE_LIMITED', message)
    }
  }

  /** Every limit with what it did. */
  status(): LimitStatus[] {
    const now = this.#host.wheel.clock.now()
    return [...this.#kept.values()].map((one) => one.status(numbersOf(one.state?.(now) ?? {})))
  }

  #keep<Made extends Partial<Kept>>(
    key: string,
    config: unknown,
    make: () => Made & Pick<Kept, 'status'>,
  ): Made & Kept {
    const whole = `${key} ${JSON.stringify(config)}`
    const known = this.#kept.get(whole) ?? this.#previous.get(whole) ?? (make() as Kept)
    this.#kept.set(whole, known)
    return known as Made & Kept
  }
}

/** What is kept over a reload: a middleware with its state, or a limit. */
interface Kept {
  readonly middleware?: HttpMiddleware | undefined
  state?(now: number): Facts
  status(facts: Omit<LimitStatus, 'name' | 'policy'>): LimitStatus
}

function makeRateLimit(where: string, config: ListenerRateLimitConfig | RouteRateLimitConfig) {
  const { key, requests, per, burst, algorithm, max_keys, name = key } = config
  const limit = new RateLimit<HttpRequest>({
    name,
    key: requestKey(config),
    limit: requests,
    windowMs: durationMs(per),
    ...(burst !== undefined && { burst }),
    algorithm: algorithm === 'token_bucket' ? 'token-bucket' : 'sliding-window',
    maxKeys: max_keys,
  })
  return {
    limit,
    state: () => ({ allowed: limit.allowed, refused: limit.refused }),
    status: (facts: Omit<LimitStatus, 'name' | 'policy'>): LimitStatus => ({
      name: `${where} ${name}`,
      policy: 'rate limit',
      ...facts,
    }),
  }
}

function numbersOf(facts: Facts): Omit<LimitStatus, 'name' | 'policy'> {
  const { allowed, refused, limit, inFlight, queued } = facts
  return {
    refused: Number(refused ?? 0),
    allowed: numberOrNone(allowed),
    limit: numberOrNone(limit),
    inFlight: numberOrNone(inFlight),
    queued: numberOrNone(queued),
  }
}

function numberOrNone(value: Facts[string]): number | undefined {
  return value === undefined ? undefined : Number(value)
}
