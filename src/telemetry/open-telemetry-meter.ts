/**
 * heddle's metrics for OpenTelemetry: a `Meter` over `@opentelemetry/api`. The SDK is the user's.
 *
 *     httpClient(origin, { meter: openTelemetryMeter() })
 *
 * Counters and histograms are the API's own. A gauge of countable things (unit `{connection}`, `By`)
 * is an UpDownCounter, as the conventions have it for requests in progress and for connections, and
 * is told differences; any other is a Gauge. Attributes are bound once. The advice about buckets goes
 * along. Without an SDK the API drops everything.
 */
import {
  type Context,
  createNoopMeter,
  type MeterProvider,
  type MetricOptions,
  metrics,
  type Meter as OtelMeter,
  ROOT_CONTEXT,
  trace as traces,
} from '@opentelemetry/api'
import type { TraceContext } from '../core/context.ts'
import {
  type Attributes,
  type Counter,
  type Gauge,
  type Histogram,
  type InstrumentOptions,
  type Meter,
  noopMeter,
} from '../core/metrics.ts'
import { isSampled } from '../core/trace-context.ts'

export interface OpenTelemetryMeterOptions {
  /** @default the globally registered provider, as it is now */
  provider?: MeterProvider
  /** Instrumentation scope. @default 'heddle' */
  name?: string
  version?: string
}

/**
 * Unlike its tracers, the API's meters do not notice an SDK that is registered after them. Where none
 * is, this is the meter that counts nothing, and the metrics layers vanish.
 */
export function openTelemetryMeter(options: OpenTelemetryMeterOptions = {}): Meter {
  const { provider = metrics.getMeterProvider(), name = 'heddle', version } = options
  const meter = provider.getMeter(name, version)
  return meter === createNoopMeter() ? noopMeter : new ApiMeter(meter)
}

class ApiMeter implements Meter {
  readonly #meter: OtelMeter
  readonly #instruments = new Map<string, unknown>()

  constructor(meter: OtelMeter) {
    this.#meter = meter
  }

  counter(name: string, options: InstrumentOptions = {}, attributes: Attributes = {}): Counter {
    const counter = this.#once(name, () => this.#meter.createCounter(name, adviceOf(options)))
    return {
      // As in our own registry: what is no amount is not counted.
      add(amount = 1) {
        if (amount > 0) counter.add(amount, attributes)
      },
    }
  }

  gauge(name: string, options: InstrumentOptions = {}, attributes: Attributes = {}): Gauge {
    const advice = adviceOf(options)
    if (isCountable(options.unit)) {
      const counter = this.#once(name, () => this.#meter.createUpDownCounter(name, advice))
      return new SteppedGauge((step) => counter.add(step, attributes))
    }
    const gauge = this.#once(name, () => this.#meter.createGauge(name, advice))
    return new SetGauge((value) => gauge.record(value, attributes))
  }

  histogram(name: string, options: InstrumentOptions = {}, attributes: Attributes = {}): Histogram {
    const histogram = this.#once(name, () => this.#meter.createHistogram(name, adviceOf(options)))
    return {
      record(value, trace) {
        if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) return
        if (trace === undefined || !isSampled(trace)) histogram.record(value, attributes)
        else histogram.record(value, attributes, contextOf(trace))
      },
    }
  }

  /** The SDK makes one of a name as well, and says so when it is asked again. */
  #once<Instrument>(name: string, create: () => Instrument): Instrument {
    let instrument = this.#instruments.get(name) as Instrument | undefined
    if (instrument === undefined) this.#instruments.set(name, (instrument = create()))
    return instrument
  }
}

/** Tells by how much it moved. Two of the same attributes add up, as they should. */
class SteppedGauge implements Gauge {
  readonly #step: (step: number) => void
  #value = 0

  constructor(step: (step: number) => void) {
    this.#step = step
  }

  set(value: number): void {
    if (value !== this.#value) this.add(value - this.#value)
  }

  add(amount: number): void {
    this.#value += amount
    this.#step(amount)
  }
}

class SetGauge implements Gauge {
  readonly #record: (value: number) => void
  #value = 0

  constructor(record: (value: number) => void) {
    this.#record = record
  }

  set(value: number): void {
    this.#value = value
    this.#record(value)
  }

  add(amount: number): void {
    this.set(this.#value + amount)
  }
}

/** For exemplars, which an SDK takes from the context of the measurement. */
function contextOf({ traceId, spanId, flags }: TraceContext): Context {
  return traces.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: flags & 1 })
}

function adviceOf({ unit, description, buckets }: InstrumentOptions): MetricOptions {
  return {
    ...(unit !== undefined && { unit }),
    ...(description !== undefined && { description }),
    ...(buckets !== undefined && { advice: { explicitBucketBoundaries: [...buckets] } }),
  }
}

/** Things that are counted go up and down; anything else is measured. */
export function isCountable(unit: string | undefined): boolean {
  return unit === 'By' || (unit?.startsWith('{') ?? false)
}
