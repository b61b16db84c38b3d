/**
 * Everything of a client that belongs to one endpoint: breaker, pool, and the layers around them. A
 * balancer picks one of these for each attempt.
 */
import { formatAddress } from '../core/address.ts'
import { OverloadError } from '../core/errors.ts'
import { noopMeter } from '../core/metrics.ts'
import type { Endpoint } from '../core/policy.ts'
import type { Service } from '../core/service.ts'
import type { BalancerNode } from './balancer/balancer.ts'
import { CircuitBreaker } from './breaker.ts'
import type { ClientOptions } from './client-options.ts'
import { useEndpointPool } from './endpoint-pool.ts'
import { endpointKey } from './endpoint-set.ts'
import type { Exchanger } from './exchanger.ts'
import { loadHost } from './load-host.ts'
import type { ConnectionPool } from './pool.ts'
import type { PoolUse } from './shared-pools.ts'
import { endpointLayers } from './stack/client-stack.ts'
import { exchange } from './stack/exchange.ts'
import { type Layer, stackLayers } from './stack/layer.ts'
import type { TimerWheel } from './timer-wheel.ts'

export class EndpointStack<Req, Res> implements BalancerNode {
  endpoint: Endpoint
  readonly address: string
  readonly breaker: CircuitBreaker | undefined
  readonly pool: ConnectionPool<Exchanger<Req, Res>>
  readonly layers: readonly Layer<Req, Res>[]
  readonly service: Service<Req, Res>
  readonly #use: PoolUse<Exchanger<Req, Res>>

  /** @param onAvailability `available` may say something else now */
  constructor(
    endpoint: Endpoint,
    options: ClientOptions<Req, Res>,
    wheel: TimerWheel,
    onAvailability: () => void,
  ) {
    const { clock, classifier, meter = noopMeter } = options
    this.endpoint = endpoint
    this.address = formatAddress(endpoint.address)
    this.breaker =
      options.breaker === false ? undefined : makeBreaker(this, options, onAvailability)
    this.#use = useEndpointPool(() => this.endpoint, this.address, options, wheel)
    this.pool = this.#use.pool
    this.pool.start()
    this.layers = endpointLayers({
      clock,
      wheel,
      meter,
      classifier,
      names: options.metricNames ?? {},
      apart: options.metricScope?.endpoints ?? true,
      address: this.address,
      breaker: this.breaker,
      attemptTimeoutMs: options.attemptTimeoutMs,
      policies: options,
      limiter:
        typeof options.endpointLimiter === 'function'
          ? options.endpointLimiter(endpoint)
          : options.endpointLimiter,
      host: loadHost(options, wheel),
      pool: this.pool,
      maxConcurrentPerConnection: options.maxConcurrentPerConnection,
    })
    this.service = stackLayers(this.layers, exchange(this.pool, clock, classifier))
  }

  available(now: number): boolean {
    return this.breaker === undefined || this.breaker.allows(now)
  }

  /** Lets go of the pool: calls in flight are waited for, unless other clients share it. */
  close(): Promise<void> {
    this.breaker?.release()
    return this.#use.close()
  }

  destroy(reason: Error): void {
    this.#use.destroy(reason)
  }
}

function makeBreaker<Req, Res>(
  stack: EndpointStack<Req, Res>,
  options: ClientOptions<Req, Res>,
  onAvailability: () => void,
): CircuitBreaker {
  const { random, classifier, observer, breaker = {} } = options
  const { shared, ...breakerOptions } = breaker === false ? {} : breaker
  return new CircuitBreaker(
    random,
    breakerOptions,
    (next, previous, error) => {
      onAvailability()
      // Those that wait for a connection here passed the breaker while it was closed. In a shared
      // pool some of them are another client's, whose breaker has not opened.
      if (next === 'open' && options.sharedPools === undefined) {
        stack.pool.refuseWaiters(0, () => opened(stack.address))
      }
      observer?.onBreaker?.(stack.endpoint, next, previous, error)
    },
    shared?.cellFor(`${classifier.protocol} ${endpointKey(stack.endpoint)}`),
  )
}

function opened(address: string): OverloadError {
  const message = `the circuit breaker of ${address} opened while the call waited`
  return new OverloadError('ERR_BREAKER_OPEN', message)
}
