/**
 * Everything of a client that belongs to one endpoint: breaker, pool, and the layers around them. A
 * balancer picks one of these for each attempt.
 */
import { formatAddress } from '../core/address.ts'
import { noopMeter } from '../core/metrics.ts'
import type { Endpoint } from '../core/policy.ts'
import type { Service } from '../core/service.ts'
import type { BalancerNode } from './balancer/balancer.ts'
import { CircuitBreaker } from './breaker.ts'
import type { ClientOptions } from './client-options.ts'
import { type Exchanger, limitExchanger } from './exchanger.ts'
import { ConnectionPool } from './pool.ts'
import { poolMetrics } from './pool-metrics.ts'
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

  constructor(endpoint: Endpoint, options: ClientOptions<Req, Res>, wheel: TimerWheel) {
    const { clock, random, classifier, observer, meter = noopMeter } = options
    this.endpoint = endpoint
    this.address = formatAddress(endpoint.address)
    this.breaker =
      options.breaker === false
        ? undefined
        : new CircuitBreaker(random, options.breaker, (next, previous, error) => {
            observer?.onBreaker?.(this.endpoint, next, previous, error)
          })
    this.pool = makePool(this, options, wheel)
    this.pool.start()
    this.layers = endpointLayers({
      clock,
      wheel,
      meter,
      classifier,
      names: options.metricNames ?? {},
      address: this.address,
      breaker: this.breaker,
      attemptTimeoutMs: options.attemptTimeoutMs,
      policies: options,
      limiter: options.endpointLimiter?.(endpoint),
      pool: this.pool,
      maxConcurrentPerConnection: options.maxConcurrentPerConnection,
    })
    this.service = stackLayers(this.layers, exchange(this.pool))
  }

  available(now: number): boolean {
    return this.breaker === undefined || this.breaker.allows(now)
  }
}

function makePool<Req, Res>(
  stack: EndpointStack<Req, Res>,
  options: ClientOptions<Req, Res>,
  wheel: TimerWheel,
): ConnectionPool<Exchanger<Req, Res>> {
  const { connectEndpoint, maxConcurrentPerConnection: limit, meter = noopMeter } = options
  const poolName = `${options.name ?? options.target ?? ''} ${stack.address}`.trim()
  const observed = poolMetrics(meter, poolName, () => pool.stats)
  const pool: ConnectionPool<Exchanger<Req, Res>> = new ConnectionPool({
    ...options.pool,
    wheel,
    random: options.random,
    async connect(context) {
      const connected = await connectEndpoint(stack.endpoint, context)
      const exchanger = limit === undefined ? connected : limitExchanger(connected, limit)
      exchanger.onChange = () => {
        if (exchanger.state === 'closed' || exchanger.state === 'error') pool.remove(exchanger)
        else pool.update(exchanger)
      }
      return exchanger
    },
    destroy: (exchanger, reason) => exchanger.destroy(reason),
    close: (exchanger) => exchanger.close(),
    validate: (exchanger) => exchanger.state === 'ready',
    idleTimeoutOf: (exchanger) => exchanger.idleTimeoutMs,
    occupancy: {
      available: (exchanger) => exchanger.available,
      inFlight: (exchanger) => exchanger.inFlight,
    },
    hold: (exchanger, hold) => (hold ? exchanger.ref() : exchanger.unref()),
    observer: {
      ...observed,
      connectFailed(error) {
        observed?.connectFailed?.(error)
        options.observer?.onConnectError?.(stack.endpoint, error)
      },
    },
  })
  return pool
}
