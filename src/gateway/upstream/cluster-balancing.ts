/** What the configuration says of choosing an endpoint, as the runtime takes it. */
import type { HashKey } from '../../core/policy.ts'
import {
  hashByCookie,
  hashByHeader,
  hashByPath,
  hashByQueryParameter,
} from '../../protocols/http/hash-key.ts'
import { HttpRequest } from '../../protocols/http/messages.ts'
import type { BalancerFactory } from '../../runtime/balancer/balancer.ts'
import type { BalancingOptions } from '../../runtime/balancer/balancing-options.ts'
import {
  firstHashKey,
  hashByPeerAddress,
  hashByPrincipal,
} from '../../runtime/balancer/hash-key.ts'
import { leastRequest } from '../../runtime/balancer/least-request.ts'
import { maglev } from '../../runtime/balancer/maglev.ts'
import type { OutlierOptions } from '../../runtime/balancer/outlier-detector.ts'
import { p2c } from '../../runtime/balancer/p2c.ts'
import { random } from '../../runtime/balancer/random.ts'
import { ringHash } from '../../runtime/balancer/ring-hash.ts'
import { roundRobin } from '../../runtime/balancer/round-robin.ts'
import { durationMs } from '../config/quantity.ts'
import type { HashKeyConfig, OutlierDetectionConfig } from '../config/schema/balancing.ts'
import type { ClusterConfig } from '../config/schema/cluster.ts'
import { ProxiedRequest } from '../http/http-proxy.ts'

export function balancerOf(config: ClusterConfig): BalancerFactory<HttpRequest> {
  const { hash_balance_factor: factor } = config
  const bounded = factor === undefined ? {} : { boundedLoad: factor / 100 }
  switch (config.lb_policy) {
    case 'p2c':
      return p2c()
    case 'least_request':
      return leastRequest()
    case 'round_robin':
      return roundRobin()
    case 'random':
      return random()
    case 'ring_hash': {
      const { points_per_endpoint: pointsPerEndpoint } = config.ring_hash
      return ringHash({ key: keyOf(config.hash_policy), pointsPerEndpoint, ...bounded })
    }
    case 'maglev': {
      const { table_size: tableSize } = config.maglev
      return maglev({ key: keyOf(config.hash_policy), tableSize, ...bounded })
    }
  }
}

export function balancingOf(config: ClusterConfig): Omit<BalancingOptions, 'observer'> {
  const { slow_start, locality, subset, outlier_detection: outlier } = config
  return {
    panicThreshold: config.panic_threshold / 100,
    overprovisioning: config.overprovisioning_factor / 100,
    ...(outlier && { outlierEjection: outlierOf(outlier) }),
    ...(slow_start && {
      slowStart: {
        windowMs: durationMs(slow_start.window),
        minShare: slow_start.min_weight_percent / 100,
        aggression: slow_start.aggression,
      },
    }),
    ...(locality && {
      locality: { zone: locality.zone, maxLoad: locality.max_requests_per_endpoint },
    }),
    ...(subset && { subset }),
  }
}

function outlierOf(config: OutlierDetectionConfig): OutlierOptions {
  const { stdev_factor, request_volume, minimum_hosts } = config.success_rate
  return {
    consecutiveFailures: config.consecutive_failures,
    intervalMs: durationMs(config.interval),
    baseEjectionMs: durationMs(config.base_ejection_time),
    maxEjectionMs: durationMs(config.max_ejection_time),
    maxEjectedShare: config.max_ejection_percent / 100,
    successRate: {
      deviations: stdev_factor,
      minCalls: request_volume,
      minEndpoints: minimum_hosts,
    },
  }
}

/** Layer-4 connections have no request: only what the connection itself tells is a key. */
function keyOf(policy: readonly HashKeyConfig[]): HashKey<HttpRequest> {
  const key = firstHashKey(...policy.map(partOf))
  const ofConnection = firstHashKey(...policy.filter((part) => part.source_ip).map(partOf))
  return (request: HttpRequest | undefined, context) =>
    request === undefined ? ofConnection(NO_REQUEST, context) : key(request, context)
}

function partOf(part: HashKeyConfig): HashKey<HttpRequest> {
  if (part.header !== undefined) return hashByHeader(part.header)
  if (part.cookie !== undefined) return hashByCookie(part.cookie)
  if (part.query_parameter !== undefined) return hashByQueryParameter(part.query_parameter)
  if (part.path) return hashByPath()
  if (part.principal) return hashByPrincipal()
  const byPeer = hashByPeerAddress()
  // After trusted hops, where there was a request.
  return (request, context) =>
    request.note instanceof ProxiedRequest ? request.note.clientAddress : byPeer(request, context)
}

const NO_REQUEST = new HttpRequest()
