/**
 * What happens to a client beside its calls, counted: retries, breakers, discovery. Durations are
 * counted by the metrics layers, connections by the pools (pool-metrics.ts).
 */
import { formatAddress } from '../core/address.ts'
import type { Attributes, Gauge, Meter } from '../core/metrics.ts'
import type { BreakerState, Endpoint } from '../core/policy.ts'
import type { ClientObserver } from './client-options.ts'
import { errorType } from './middleware/metrics.ts'

/** @param endpoints breakers are told apart by endpoint */
export function clientMetrics(meter: Meter, own: Attributes, endpoints = true): ClientObserver {
  const breakers = new BreakerMetrics(meter, own, endpoints)
  const endpointCount = meter.gauge(
    'heddle.client.endpoints',
    { unit: '{endpoint}', description: 'Endpoints that discovery knows.' },
    own,
  )
  const resolveErrors = meter.counter(
    'heddle.client.resolve.errors',
    { unit: '{error}', description: 'Times that discovery failed.' },
    own,
  )
  const ejections = meter.counter(
    'heddle.client.ejections',
    { unit: '{ejection}', description: 'Endpoints taken out of service by how they behaved.' },
    own,
  )
  const hedges = meter.counter(
    'heddle.client.hedges',
    { unit: '{attempt}', description: 'Attempts made beside one that was slow.' },
    own,
  )
  return {
    onHedge: () => hedges.add(),
    onEjected: () => ejections.add(),
    onRetry({ error }) {
      // A response that is tried again has no error; its status is in the durations of attempts.
      const type = error === undefined ? 'response' : errorType(error)
      meter
        .counter(
          'heddle.client.retries',
          {
            unit: '{attempt}',
            description: 'Attempts after the first, by what the one before got.',
          },
          { ...own, 'error.type': type },
        )
        .add()
    },
    onBreaker: (endpoint, next) => breakers.set(endpoint, next),
    onEndpoints(known) {
      endpointCount.set(known.length)
      breakers.keep(known)
    },
    onResolveError: () => resolveErrors.add(),
  }
}

/** Changes of breakers, and 1 for the state that an endpoint's is in, 0 for the others. */
class BreakerMetrics {
  readonly #meter: Meter
  readonly #own: Attributes
  readonly #apart: boolean
  readonly #endpoints = new Map<string, Map<BreakerState, Gauge>>()

  constructor(meter: Meter, own: Attributes, apart: boolean) {
    this.#meter = meter
    this.#own = own
    this.#apart = apart
  }

  set(endpoint: Endpoint, state: BreakerState): void {
    if (this.#apart) {
      for (const [name, gauge] of this.#of(endpoint)) gauge.set(name === state ? 1 : 0)
    }
    this.#meter
      .counter(
        'heddle.client.breaker.transitions',
        { unit: '{transition}', description: 'Changes of a breaker, by the state it came to.' },
        { ...this.#own, state },
      )
      .add()
  }

  /** Of an endpoint that is gone nothing is open any more. */
  keep(known: readonly Endpoint[]): void {
    const addresses = new Set(known.map(({ address }) => formatAddress(address)))
    for (const [address, gauges] of this.#endpoints) {
      if (addresses.has(address)) continue
      for (const gauge of gauges.values()) gauge.set(0)
      this.#endpoints.delete(address)
    }
  }

  #of(endpoint: Endpoint): Map<BreakerState, Gauge> {
    const address = formatAddress(endpoint.address)
    const known = this.#endpoints.get(address)
    if (known !== undefined) return known
    const options = { description: '1 for the state the breaker is in.' }
    const gauges = new Map<BreakerState, Gauge>()
    for (const state of STATES) {
      const attributes = { ...this.#own, 'network.peer.address': address, state }
      gauges.set(state, this.#meter.gauge('heddle.client.breaker', options, attributes))
    }
    this.#endpoints.set(address, gauges)
    return gauges
  }
}

const STATES: readonly BreakerState[] = ['closed', 'open', 'half-open']
