/**
 * Keeps every metric of a process: the `Meter` that layers are given, and what exporters read.
 *
 *     const requests = registry.counter('heddle.demo.requests', { unit: '{request}' }, { route })
 *     requests.add()                       // an addition, nothing else
 *     const text = renderPrometheus(registry, 'prometheus')
 *
 * Instruments are bound to their attributes once and kept by who counts. What is a number somewhere
 * already (pool sizes, breaker states) is read by an observer when somebody collects.
 *
 * **Bounded.** A metric has at most `maxSeriesPerMetric` combinations of attributes. Further ones
 * share one series whose every attribute is `_OTHER`, so that sums stay right whatever a peer sends.
 */
import { checkInteger, UsageError } from '../core/errors.ts'
import type { Attributes, InstrumentOptions, Meter } from '../core/metrics.ts'
import { CounterSeries, GaugeSeries, HistogramSeries } from './instruments.ts'
import { type MetricKind, prometheusName } from './metric-names.ts'

export interface RegistryOptions {
  /**
   * Most combinations of attributes of one metric, `_OTHER` included.
   *
   * @default 2_000, the cardinality limit of the OpenTelemetry SDKs
   */
  maxSeriesPerMetric?: number
  /**
   * Longest attribute value in UTF-16 units; the rest is cut off.
   *
   * @default 256: longer than any route or host name worth a label
   */
  maxValueLength?: number
  /** Describes the process (`service.name`, `service.version`), exposed once as `target_info`. */
  resource?: Attributes
  /** Milliseconds since the Unix epoch. @default none: exemplars carry no time */
  wallNow?: () => number
  /**
   * Is told every measurement of histograms as well. `bridgeRegistry` hands the rest on.
   *
   * @default none
   */
  histogramMirror?: Meter
}

export const registryDefaults: Readonly<{ maxSeriesPerMetric: number; maxValueLength: number }> =
  Object.freeze({ maxSeriesPerMetric: 2_000, maxValueLength: 256 })

/** One metric with all its series, as exporters see it. */
export interface MetricFamily {
  readonly name: string
  readonly prometheusName: string
  readonly kind: MetricKind
  readonly unit: string
  readonly description: string
  readonly series: readonly Series[]
}
export type Series = CounterSeries | GaugeSeries | HistogramSeries

/** Tells values while somebody collects. Reports of the same attributes add up. */
export type Observer = (report: (value: number, attributes?: Attributes) => void) => void

export class Registry implements Meter {
  readonly resource: Attributes
  readonly #families = new Map<string, Family>()
  readonly #maxSeries: number
  readonly #maxValueLength: number
  readonly #wallNow: (() => number) | undefined
  readonly #mirror: Meter | undefined
  readonly #overflows: CounterSeries
  readonly #observerErrors: CounterSeries

  constructor(options: RegistryOptions = {}) {
    const {
      maxSeriesPerMetric = registryDefaults.maxSeriesPerMetric,
      maxValueLength = registryDefaults.maxValueLength,
      resource = NO_ATTRIBUTES,
      wallNow,
      histogramMirror,
    } = options
    this.#maxSeries = checkInteger('maxSeriesPerMetric', maxSeriesPerMetric, 1, 1_000_000)
    this.#maxValueLength = checkInteger('maxValueLength', maxValueLength, 1, 65_536)
    this.#wallNow = wallNow
    this.#mirror = histogramMirror
    this.resource = Object.freeze({ ...resource })
    this.#overflows = this.counter('heddle.telemetry.series.overflows', {
      unit: '{series}',
      description: 'Attribute combinations that were counted under _OTHER because of the limit.',
    })
    this.#observerErrors = this.counter('heddle.telemetry.observer.errors', {
      unit: '{error}',
      description: 'Observers that threw while metrics were collected.',
    })
  }

  counter(name: string, options?: InstrumentOptions, attributes?: Attributes): CounterSeries {
    return this.#bind('counter', name, options, attributes, (bound) => new CounterSeries(bound))
  }

  gauge(name: string, options?: InstrumentOptions, attributes?: Attributes): GaugeSeries {
    return this.#bind('gauge', name, options, attributes, (bound) => new GaugeSeries(bound))
  }

  histogram(name: string, options?: InstrumentOptions, attributes?: Attributes): HistogramSeries {
    const make = (bound: Attributes, { bounds, unit, description }: Family): HistogramSeries => {
      const advice = { unit, description, buckets: [...bounds] }
      const mirrored = this.#mirror?.histogram(name, advice, bound)
      return new HistogramSeries(bound, bounds, this.#wallNow, mirrored)
    }
    return this.#bind('histogram', name, options, attributes, make)
  }

  /** Reads values when somebody collects, until disposed. */
  observe(
    kind: 'counter' | 'gauge',
    name: string,
    options: InstrumentOptions,
    observer: Observer,
  ): Disposable {
    const family = this.#family(kind, name, options)
    family.observers.push(observer)
    return {
      [Symbol.dispose]: () => {
        const at = family.observers.indexOf(observer)
        if (at >= 0) family.observers.splice(at, 1)
      },
    }
  }

  /**
   * Forgets series that nobody will count in again, as those of a removed endpoint. An instrument
   * that is still held counts on, unseen.
   * @returns how many there were
   */
  removeSeries(matches: (name: string, attributes: Attributes) => boolean): number {
    let removed = 0
    for (const family of this.#families.values()) {
      for (const [key, { attributes }] of family.series) {
        if (!matches(family.name, attributes)) continue
        family.series.delete(key)
        removed++
      }
    }
    return removed
  }

  /** What there is now, sorted by name. Metrics without a series are left out. */
  collect(): MetricFamily[] {
    const families: MetricFamily[] = []
    for (const family of this.#families.values()) {
      const series = [...family.series.values(), ...this.#runObservers(family)]
      if (series.length === 0) continue
      const { name, kind, unit, description } = family
      families.push({
        name,
        prometheusName: family.prometheusName,
        kind,
        unit,
        description,
        series,
      })
    }
    return families.sort((a, b) => (a.prometheusName < b.prometheusName ? -1 : 1))
  }

  #bind<S extends Series>(
    kind: MetricKind,
    name: string,
    options: InstrumentOptions = NO_OPTIONS,
    attributes: Attributes = NO_ATTRIBUTES,
    make: (attributes: Attributes, family: Family) => S,
  ): S {
    const family = this.#family(kind, name, options)
    return this.#admit(family.series as Map<string, S>, attributes, (bound) => make(bound, family))
  }

  /** The series of these attributes; the `_OTHER` one when there is no room for another. */
  #admit<S extends Series>(
    series: Map<string, S>,
    attributes: Attributes,
    make: (attributes: Attributes) => S,
  ): S {
    const bound = this.#shorten(attributes)
    const key = keyOf(bound)
    const existing = series.get(key)
    if (existing !== undefined) return existing
    if (key === '' || series.size < this.#maxSeries - 1) return addTo(series, key, make(bound))
    // One place is left. It is kept for `_OTHER`, unless that is there already.
    const other = overflowAttributes(bound)
    const otherKey = keyOf(other)
    const shared = series.get(otherKey)
    if (shared !== undefined && series.size < this.#maxSeries) {
      return addTo(series, key, make(bound))
    }
    this.#overflows.add()
    return shared ?? addTo(series, otherKey, make(other))
  }

  #family(kind: MetricKind, name: string, options: InstrumentOptions): Family {
    const existing = this.#families.get(name)
    if (existing === undefined) return this.#newFamily(kind, name, options)
    const unit = options.unit ?? existing.unit
    if (existing.kind !== kind || existing.unit !== unit) {
      const is = `${existing.kind} in '${existing.unit}'`
      const message = `metric ${name} is a ${is}, asked for as ${kind} in '${unit}'`
      throw new UsageError('ERR_ARGUMENT', message)
    }
    if (existing.description === '') existing.description = options.description ?? ''
    return existing
  }

  #newFamily(kind: MetricKind, name: string, options: InstrumentOptions): Family {
    const unit = options.unit ?? ''
    const exposed = prometheusName(name, kind, unit)
    if (!/^[a-zA-Z][a-zA-Z0-9_.:-]*$/.test(name)) {
      const message = `metric name ${JSON.stringify(name)}: expected letters, digits, '.', '_', '-'`
      throw new UsageError('ERR_ARGUMENT', message)
    }
    for (const other of this.#families.values()) {
      if (other.prometheusName !== exposed) continue
      const message = `metrics ${other.name} and ${name} would both be exposed as ${exposed}`
      throw new UsageError('ERR_ARGUMENT', message)
    }
    const family: Family = {
      name,
      prometheusName: exposed,
      kind,
      unit,
      description: options.description ?? '',
      bounds: kind === 'histogram' ? checkBounds(name, options.buckets ?? bucketsFor(unit)) : NONE,
      series: new Map(),
      observers: [],
    }
    this.#families.set(name, family)
    return family
  }

  #shorten(attributes: Attributes): Attributes {
    for (const value of Object.values(attributes)) {
      if (typeof value !== 'string' || value.length <= this.#maxValueLength) continue
      const entries = Object.entries(attributes).map(([key, one]) => [
        key,
        typeof one === 'string' ? one.slice(0, this.#maxValueLength) : one,
      ])
      return Object.fromEntries(entries) as Attributes
    }
    return attributes
  }

  #runObservers(family: Family): Iterable<Series> {
    if (family.observers.length === 0) return NO_SERIES
    const series = new Map<string, GaugeSeries>()
    const report = (value: number, attributes: Attributes = NO_ATTRIBUTES): void => {
      this.#admit(series, attributes, (bound) => new GaugeSeries(bound)).add(value)
    }
    for (const observer of family.observers) {
      // One observer that fails must not hide every other metric.
      try {
        observer(report)
      } catch {
        this.#observerErrors.add()
      }
    }
    return series.values()
  }
}

interface Family {
  readonly name: string
  readonly prometheusName: string
  readonly kind: MetricKind
  readonly unit: string
  description: string
  readonly bounds: Float64Array
  readonly series: Map<string, Series>
  readonly observers: Observer[]
}

function addTo<S extends Series>(series: Map<string, S>, key: string, added: S): S {
  series.set(key, added)
  return added
}

function keyOf(attributes: Attributes): string {
  const keys = Object.keys(attributes)
  if (keys.length > 1) keys.sort()
  let key = ''
  for (const name of keys) key += `${name}\0${attributes[name]}\0`
  return key
}

function overflowAttributes(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.keys(attributes).map((key) => [key, OTHER]))
}

function bucketsFor(unit: string): readonly number[] {
  if (unit === 's') return DURATION_BUCKETS
  return unit === 'By' ? SIZE_BUCKETS : COUNT_BUCKETS
}

function checkBounds(name: string, bounds: readonly number[]): Float64Array {
  let previous = Number.NEGATIVE_INFINITY
  for (const bound of bounds) {
    if (!(bound > previous && bound < Number.POSITIVE_INFINITY)) {
      const message = `buckets of ${name}: ${bound} after ${previous}, expected finite and ascending`
      throw new UsageError('ERR_ARGUMENT', message)
    }
    previous = bound
  }
  return Float64Array.from(bounds)
}

/** What stands for every value beyond a limit, as in OpenTelemetry's conventions. */
export const OTHER = '_OTHER'

/** Seconds: OpenTelemetry's advice for HTTP and RPC. */
export const DURATION_BUCKETS: readonly number[] = Object.freeze([
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
])
/** Bytes: 256 B to 64 MiB in powers of four. */
export const SIZE_BUCKETS: readonly number[] = Object.freeze(
  Array.from({ length: 10 }, (_, power) => 256 * 4 ** power),
)
/** Plain numbers: OpenTelemetry's default. */
const COUNT_BUCKETS: readonly number[] = Object.freeze([
  0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000,
])
const NONE = new Float64Array(0)
const NO_SERIES: readonly Series[] = Object.freeze([])
const NO_OPTIONS: InstrumentOptions = Object.freeze({})
const NO_ATTRIBUTES: Attributes = Object.freeze({})
