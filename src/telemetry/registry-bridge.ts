/**
 * Hands what a registry counts to OpenTelemetry: counters and gauges are read when the SDK collects.
 * Histograms are told as they are recorded (`histogramMirror` of the registry).
 *
 *     const sdk = openTelemetryMeter()
 *     const registry = new Registry({ histogramMirror: sdk })
 *     using bridge = bridgeRegistry(registry)
 *
 * A metric that is new is there from the next collection on.
 */
import {
  metrics,
  type Observable,
  type ObservableCallback,
  type Meter as OtelMeter,
} from '@opentelemetry/api'
import { isCountable, type OpenTelemetryMeterOptions } from './open-telemetry-meter.ts'
import type { MetricFamily, Registry } from './registry.ts'

export function bridgeRegistry(
  registry: Registry,
  options: OpenTelemetryMeterOptions = {},
): Disposable {
  const { provider = metrics.getMeterProvider(), name = 'heddle', version } = options
  return new Bridge(registry, provider.getMeter(name, version))
}

class Bridge implements Disposable {
  readonly #registry: Registry
  readonly #meter: OtelMeter
  readonly #observed = new Map<string, { observable: Observable; callback: ObservableCallback }>()
  /** One collection of the SDK asks for every metric: the registry is read once for all of them. */
  #collected: ReadonlyMap<string, MetricFamily> | undefined

  constructor(registry: Registry, meter: OtelMeter) {
    this.#registry = registry
    this.#meter = meter
    this.#collect()
  }

  [Symbol.dispose](): void {
    for (const { observable, callback } of this.#observed.values()) {
      observable.removeCallback(callback)
    }
    this.#observed.clear()
  }

  #collect(): ReadonlyMap<string, MetricFamily> {
    if (this.#collected !== undefined) return this.#collected
    const families = new Map(this.#registry.collect().map((family) => [family.name, family]))
    this.#collected = families
    queueMicrotask(() => {
      this.#collected = undefined
    })
    for (const family of families.values()) {
      if (family.kind !== 'histogram' && !this.#observed.has(family.name)) this.#observe(family)
    }
    return families
  }

  #observe({ name, kind, unit, description }: MetricFamily): void {
    const options = { unit, description }
    const observable =
      kind === 'counter'
        ? this.#meter.createObservableCounter(name, options)
        : isCountable(unit)
          ? this.#meter.createObservableUpDownCounter(name, options)
          : this.#meter.createObservableGauge(name, options)
    const callback: ObservableCallback = (result) => {
      for (const series of this.#collect().get(name)?.series ?? []) {
        if ('value' in series) result.observe(series.value, series.attributes)
      }
    }
    observable.addCallback(callback)
    this.#observed.set(name, { observable, callback })
  }
}
