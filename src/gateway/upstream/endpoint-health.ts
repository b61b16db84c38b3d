/**
 * What a cluster knows of each endpoint: counters, latency, what active checks say, and whether
 * passive checks took it out.
 *
 *     serving = not unhealthy by active checks, not ejected by passive ones
 *
 * Passive checks (outlier detection): so many failures of real requests in a row eject an endpoint
 * for a time that grows with each ejection. Never more than a share of the endpoints, so that a
 * fault of the requests does not empty the cluster.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import { LatencyWindow } from '../../telemetry/latency-window.ts'
import { durationMs } from '../config/quantity.ts'
import type { OutlierDetectionConfig } from '../config/schema/cluster.ts'
import type { EndpointHealth } from '../status.ts'

/** One endpoint. Counters are added to by the balancer, once an attempt is over. */
export class EndpointRecord {
  requests = 0
  failures = 0
  consecutiveFailures = 0
  /** Of active checks. */
  health: EndpointHealth = 'unknown'
  healthReason: string | undefined
  ejections = 0
  /** Monotonic; undefined: not ejected. */
  ejectedUntil: number | undefined
  timer: Timer | undefined
  readonly latency = new LatencyWindow({ slotMs: 10_000, slots: 6 })

  get serving(): boolean {
    return this.health !== 'unhealthy' && this.ejectedUntil === undefined
  }
}

export interface ClusterHealthOptions {
  readonly clock: Clock
  readonly outlier: OutlierDetectionConfig | undefined
  /** Which endpoints serve has changed. */
  readonly onChange: () => void
  readonly onEvent?: (event: HealthEvent) => void
}

export interface HealthEvent {
  readonly endpoint: string
  readonly type: 'ejected' | 'returned' | 'unhealthy' | 'healthy'
  readonly reason: string | undefined
}

export class ClusterHealth {
  readonly #options: ClusterHealthOptions
  readonly #records = new Map<string, EndpointRecord>()

  constructor(options: ClusterHealthOptions) {
    this.#options = options
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
  keepOnly(endpoints: ReadonlySet<string>): void {
    for (const [endpoint, record] of this.#records) {
      if (endpoints.has(endpoint)) continue
      record.timer?.cancel()
      this.#records.delete(endpoint)
    }
  }

  /** A real request to an endpoint is over. */
  onAttempt(
    endpoint: string,
    record: EndpointRecord,
    now: number,
    latencyMs: number | undefined,
    failed: boolean,
  ): void {
    record.requests++
    if (latencyMs !== undefined) record.latency.record(latencyMs, now)
    if (!failed) {
      record.consecutiveFailures = 0
      return
    }
    record.failures++
    record.consecutiveFailures++
    const { outlier } = this.#options
    if (outlier === undefined || record.consecutiveFailures < outlier.consecutive_failures) return
    if (record.ejectedUntil === undefined && this.#mayEject(outlier)) {
      this.#eject(endpoint, record, now, outlier)
    }
  }

  /** What an active check found. */
  setActive(endpoint: string, healthy: boolean, reason: string | undefined): void {
    const record = this.of(endpoint)
    const next = healthy ? 'healthy' : 'unhealthy'
    record.healthReason = reason
    if (record.health === next) return
    const { serving } = record
    record.health = next
    this.#options.onEvent?.({ endpoint, type: next, reason })
    if (record.serving !== serving) this.#options.onChange()
  }

  close(): void {
    for (const record of this.#records.values()) record.timer?.cancel()
  }

  #mayEject(outlier: OutlierDetectionConfig): boolean {
    let ejected = 0
    for (const record of this.#records.values()) if (record.ejectedUntil !== undefined) ejected++
    const total = this.#records.size
    // The last one that serves stays: half of two is one, but one of one is all.
    if (ejected + 1 >= total) return false
    return ejected === 0 || (ejected + 1) * 100 <= total * outlier.max_ejection_percent
  }

  #eject(
    endpoint: string,
    record: EndpointRecord,
    now: number,
    outlier: OutlierDetectionConfig,
  ): void {
    const { clock, onChange, onEvent } = this.#options
    record.ejections++
    const longest = durationMs(outlier.max_ejection_time)
    const ms = Math.min(longest, durationMs(outlier.base_ejection_time) * record.ejections)
    record.ejectedUntil = now + ms
    const reason = `${record.consecutiveFailures} failures in a row`
    record.consecutiveFailures = 0
    record.timer = clock.setTimer(record.ejectedUntil, () => {
      record.ejectedUntil = undefined
      record.timer = undefined
      onEvent?.({ endpoint, type: 'returned', reason: undefined })
      onChange()
    })
    record.timer.unref()
    onEvent?.({ endpoint, type: 'ejected', reason })
    onChange()
  }
}
