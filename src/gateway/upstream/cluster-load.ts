/** What the configuration says of a cluster's load, as the runtime takes it; and what it did. */
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import type { ClientCore } from '../../runtime/client.ts'
import type { ClientPolicies } from '../../runtime/client-policies.ts'
import type { Facts, Layer } from '../../runtime/stack/layer.ts'
import { durationMs } from '../config/quantity.ts'
import type { ClusterConfig } from '../config/schema/cluster.ts'
import type { LimitStatus } from '../status.ts'

export function loadOf(
  config: ClusterConfig,
): Pick<ClientPolicies<HttpRequest, HttpResponse>, 'endpointLimiter' | 'rateLimit'> {
  const { concurrency, rate_limit: rate, name } = config
  return {
    ...(concurrency && {
      endpointLimiter: {
        name: `cluster ${name}`,
        ...(concurrency.max_requests !== undefined && { maxConcurrent: concurrency.max_requests }),
        ...(concurrency.adaptive && { adaptive: concurrency.adaptive }),
        maxQueued: concurrency.max_queued,
        maxQueueMs: durationMs(concurrency.max_queue_time),
      },
    }),
    ...(rate && {
      rateLimit: {
        name: `cluster ${name}`,
        limit: rate.requests,
        windowMs: durationMs(rate.per),
        ...(rate.burst !== undefined && { burst: rate.burst }),
        maxWaitMs: durationMs(rate.max_wait),
      },
    }),
  }
}

/** What the limits of a cluster did, those of its endpoints added up. */
export function limitsOf(
  config: ClusterConfig,
  client: ClientCore<HttpRequest, HttpResponse>,
  now: number,
): LimitStatus[] {
  const statuses: LimitStatus[] = []
  const name = `cluster ${config.name}`
  if (config.rate_limit !== undefined) {
    const { allowed, refused, waiting } = stateOf(client.layers, 'rate limit', now)
    statuses.push({
      name,
      policy: 'rate limit',
      refused: Number(refused ?? 0),
      allowed: Number(allowed ?? 0),
      limit: undefined,
      inFlight: undefined,
      queued: Number(waiting ?? 0),
    })
  }
  if (config.concurrency !== undefined) {
    const sum = { refused: 0, limit: 0, inFlight: 0, queued: 0 }
    for (const { layers } of client.endpoints.nodes) {
      const state = stateOf(layers, 'endpoint limiter', now)
      for (const fact of ['refused', 'limit', 'inFlight', 'queued'] as const) {
        sum[fact] += Number(state[fact] ?? 0)
      }
    }
    statuses.push({ name, policy: 'concurrency', allowed: undefined, ...sum })
  }
  return statuses
}

function stateOf(
  layers: readonly Layer<HttpRequest, HttpResponse>[],
  name: string,
  now: number,
): Facts {
  return layers.find((layer) => layer.name === name)?.state?.(now) ?? {}
}
