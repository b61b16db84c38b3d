/**
 * How clusters and endpoints did lately, from counters that only rise: rates and success over the
 * last seconds, and since when a state holds. Sampled once a second; bounded by the configuration.
 */
import type { ClusterStatus, EndpointStatus } from '../status.ts'

export interface Trend {
  /** Mean of the last ten seconds. */
  readonly requestsPerSecond: number
  /** 0 to 1, of the last minute; undefined without a request. */
  readonly successRate: number | undefined
  /** Wall time since which the state is what it is; undefined until it changes while we look. */
  readonly stateSince: number | undefined
}

export class EndpointTrends {
  #counters = new Map<string, RecentCounters>()

  sample(clusters: readonly ClusterStatus[], wallNow: number): void {
    const kept = new Map<string, RecentCounters>()
    const note = (key: string, requests: number, failures: number, state: string): void => {
      const counters = this.#counters.get(key) ?? new RecentCounters(state)
      counters.push(requests, failures, state, wallNow)
      kept.set(key, counters)
    }
    for (const cluster of clusters) {
      note(clusterKey(cluster.name), cluster.requests, cluster.failures, '')
      for (const endpoint of cluster.endpoints) {
        const { requests, failures } = endpoint
        note(endpointKey(cluster.name, endpoint.address), requests, failures, stateOf(endpoint))
      }
    }
    // What the configuration no longer has is forgotten.
    this.#counters = kept
  }

  ofCluster(name: string): Trend {
    return this.#counters.get(clusterKey(name))?.trend() ?? NO_TREND
  }

  ofEndpoint(cluster: string, address: string): Trend {
    return this.#counters.get(endpointKey(cluster, address))?.trend() ?? NO_TREND
  }
}

/** The last minute of two counters, one value a second. */
class RecentCounters {
  readonly #requests = new Float64Array(KEPT)
  readonly #failures = new Float64Array(KEPT)
  #size = 0
  #next = 0
  #state: string
  #stateSince: number | undefined

  constructor(state: string) {
    this.#state = state
  }

  push(requests: number, failures: number, state: string, wallNow: number): void {
    // A counter that fell belongs to a successor of the same name: the past is not its own.
    if (this.#size > 0 && requests < this.#back(this.#requests, 1)) this.#size = 0
    this.#requests[this.#next] = requests
    this.#failures[this.#next] = failures
    this.#next = (this.#next + 1) % KEPT
    this.#size = Math.min(this.#size + 1, KEPT)
    if (state === this.#state) return
    this.#state = state
    this.#stateSince = wallNow
  }

  trend(): Trend {
    const requests = this.#risen(this.#requests, KEPT - 1)
    const failures = this.#risen(this.#failures, KEPT - 1)
    const seconds = Math.min(RATE_SECONDS, this.#size - 1)
    return {
      requestsPerSecond: seconds > 0 ? this.#risen(this.#requests, seconds) / seconds : 0,
      successRate: requests > 0 ? Math.max(0, 1 - failures / requests) : undefined,
      stateSince: this.#stateSince,
    }
  }

  #risen(values: Float64Array, seconds: number): number {
    const steps = Math.min(seconds, this.#size - 1)
    return steps <= 0 ? 0 : this.#back(values, 1) - this.#back(values, 1 + steps)
  }

  #back(values: Float64Array, steps: number): number {
    return values[(this.#next - steps + KEPT * 2) % KEPT] as number
  }
}

/** What an endpoint's badge says, most important first. */
export function stateOf(endpoint: EndpointStatus): EndpointState {
  if (endpoint.breaker === 'open') return 'breaker-open'
  if (endpoint.ejected) return 'ejected'
  if (endpoint.health === 'unhealthy') return 'unhealthy'
  return endpoint.breaker === 'half-open' ? 'breaker-half-open' : endpoint.health
}

export type EndpointState =
  | 'breaker-open'
  | 'ejected'
  | 'unhealthy'
  | 'breaker-half-open'
  | 'healthy'
  | 'unknown'

function clusterKey(name: string): string {
  return `c\0${name}`
}

function endpointKey(cluster: string, address: string): string {
  return `e\0${cluster}\0${address}`
}

const RATE_SECONDS = 10
const KEPT = 61
const NO_TREND: Trend = Object.freeze({
  requestsPerSecond: 0,
  successRate: undefined,
  stateSince: undefined,
})
