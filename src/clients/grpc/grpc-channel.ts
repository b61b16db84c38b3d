/**
 * An HTTP client that knows gRPC: what a status means for retries and breakers, how calls are named in
 * spans and metrics, how the service config balances. Services share it: connections, balancing and
 * limits are of the channel.
 */

import { grpcClassifier } from '../../protocols/grpc/classifier.ts'
import { grpcMetricNames, grpcSemantics } from '../../protocols/grpc/semantics.ts'
import type { ServiceConfig } from '../../protocols/grpc/service-config.ts'
import { parseServiceConfig } from '../../protocols/grpc/service-config.ts'
import type { BalancerFactory } from '../../runtime/balancer/balancer.ts'
import { leastRequest } from '../../runtime/balancer/least-request.ts'
import { pickFirst } from '../../runtime/balancer/pick-first.ts'
import { random } from '../../runtime/balancer/random.ts'
import { roundRobin } from '../../runtime/balancer/round-robin.ts'
import { type HttpClient, type HttpClientOptions, httpClient } from '../http/http-client.ts'

export interface GrpcChannelOptions extends HttpClientOptions {
  /**
   * How its owner wants the service to be called, as JSON text or as an object: here its
   * `loadBalancingConfig` counts; what it says of methods, in `grpcClient`.
   *
   * @default none: `balancer` says how, as for every client
   */
  serviceConfig?: unknown
}

/** @param target an origin, as `httpClient` takes it */
export function grpcChannel(target: string | URL, options: GrpcChannelOptions = {}): HttpClient {
  const { serviceConfig, ...rest } = options
  const balancer =
    serviceConfig === undefined ? undefined : balancerOf(parseServiceConfig(serviceConfig))
  return httpClient(target, {
    classifier: grpcClassifier,
    semantics: grpcSemantics,
    metricNames: grpcMetricNames.client,
    // gRPC of others speaks nothing else.
    version: '2',
    // Calls bring their deadlines, and a stream may take as long as it likes to begin.
    timeoutMs: Number.POSITIVE_INFINITY,
    ...(balancer !== undefined && { balancer }),
    ...rest,
  })
}

/** The first policy of the list that is known here; undefined: none is, or none is named. */
export function balancerOf(config: ServiceConfig): BalancerFactory | undefined {
  for (const { name } of config.loadBalancing) {
    const make = BALANCERS.get(name)
    if (make !== undefined) return make()
  }
  return undefined
}

const BALANCERS: ReadonlyMap<string, () => BalancerFactory> = new Map([
  ['pick_first', pickFirst],
  ['round_robin', roundRobin],
  // Weights are those of discovery.
  ['weighted_round_robin', roundRobin],
  ['least_request_experimental', () => leastRequest()],
  ['random_experimental', random],
])
