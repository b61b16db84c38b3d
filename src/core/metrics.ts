/**
 * The metrics a layer emits, as an interface: the telemetry layer implements it, tests count.
 *
 * Names and units are OpenTelemetry's (seconds, bytes, `{request}`). Instruments are made once and
 * kept; a call with bound attributes costs an addition.
 */
import type { TraceContext } from './context.ts'

export type Attributes = Readonly<Record<string, string | number | boolean>>

export interface Counter {
  add(amount?: number): void
}
export interface Gauge {
  set(value: number): void
  add(amount: number): void
}
export interface Histogram {
  /**
   * In the instrument's unit: seconds for durations. A sampled `trace` may be kept as an example of
   * its bucket (an exemplar).
   */
  record(value: number, trace?: TraceContext): void
}

export interface InstrumentOptions {
  unit?: string
  description?: string
  /** Upper bounds of the buckets, ascending. */
  buckets?: readonly number[]
}

export interface Meter {
  counter(name: string, options?: InstrumentOptions, attributes?: Attributes): Counter
  gauge(name: string, options?: InstrumentOptions, attributes?: Attributes): Gauge
  histogram(name: string, options?: InstrumentOptions, attributes?: Attributes): Histogram
}

/** Counts nothing, costs nothing. */
export const noopMeter: Meter = Object.freeze({
  counter: () => NOOP_COUNTER,
  gauge: () => NOOP_GAUGE,
  histogram: () => NOOP_HISTOGRAM,
})

const NOOP_COUNTER: Counter = Object.freeze({ add() {} })
const NOOP_GAUGE: Gauge = Object.freeze({ set() {}, add() {} })
const NOOP_HISTOGRAM: Histogram = Object.freeze({ record() {} })
