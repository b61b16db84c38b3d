/**
 * What a cluster knows of each endpoint: counters, latency, and what active checks say. Passive
 * checks (outlier detection) are the balancer's (runtime/balancer/outlier-detector.ts); they are
 * told on from here, as events.
 */
import type { Endpoint } from '../../core/policy.ts'
import { endpointKey } from '../../runtime/endpoint-set.ts'
import { LatencyWindow } from '../../telemetry/latency-window.ts'
import type { EndpointHealth } from '../status.ts'

/** One endpoint. Counters are added to once an attempt is over. */
export class EndpointRecord {
  requests = 0
  failures = 0
  /** Of active checks. */
  health: EndpointHealth = 'unknown'
  healthReason: string | undefined
  readonly latency = new LatencyWindow({ slotMs: 10_000, slots: 6 })
}

export interface HealthEvent {
  readonly endpoint: string
  readonly type: 'ejected' | 'returned' | 'unhealthy' | 'healthy'
  readonly reason: string | undefined
}

export class ClusterHealth {
  readonly #onEvent: (event: HealthEvent) => void
  readonly #records = new Map<string, EndpointRecord>()
  /** The same records: a key is a text that would be made for each attempt. */
  #byEndpoint = new Map<Endpoint, EndpointRecord>()

  constructor(onEvent: (event: HealthEvent) => void) {
    this.#onEvent = onEvent
  }

  /** The record of an endpoint, made when it is first asked for. */
  of(endpoint: string): EndpointRecord {
    let record = this.#records.get(endpoint)
    if (record === undefined) {
      record = new EndpointRecord()
      this.#records.set(endpoint, record)
    }
    return record
  }

  /** Forgets endpoints that are gone. */
  keepOnly(endpoints: readonly Endpoint[]): void {
    this.#byEndpoint = new Map(
      endpoints.map((endpoint) => [endpoint, this.of(endpointKey(endpoint))]),
    )
    const kept = new Set(this.#byEndpoint.values())
    for (const [key, record] of this.#records) if (!kept.has(record)) this.#records.delete(key)
  }

  /** A real request to an endpoint is over. */
  onAttempt(endpoint: Endpoint, now: number, latencyMs: number | undefined, failed: boolean): void {
    const record = this.#byEndpoint.get(endpoint)
    // It began before the endpoint was gone.
    if (record === undefined) return
    record.requests++
    if (failed) record.failures++
    if (latencyMs !== undefined) record.latency.record(latencyMs, now)
  }

  /** What an active check found. */
  setActive(endpoint: string, healthy: boolean, reason: string | undefined): void {
    const record = this.of(endpoint)
    const next = healthy ? 'healthy' : 'unhealthy'
    record.healthReason = reason
    if (record.health === next) return
    record.health = next
    this.#onEvent({ endpoint, type: next, reason })
  }

  onEjected(endpoint: Endpoint, reason: string): void {
    this.#onEvent({ endpoint: endpointKey(endpoint), type: 'ejected', reason })
  }

  onReturned(endpoint: Endpoint): void {
    this.#onEvent({ endpoint: endpointKey(endpoint), type: 'returned', reason: undefined })
  }
}
