/**
 * The instruments behind a bound set of attributes: plain fields, so that counting costs an
 * addition. Nothing here looks anything up, allocates or waits.
 */
import type { TraceContext } from '../core/context.ts'
import type { Attributes, Counter, Gauge, Histogram } from '../core/metrics.ts'

export class CounterSeries implements Counter {
  readonly attributes: Attributes
  value = 0

  constructor(attributes: Attributes) {
    this.attributes = attributes
  }

  /** A negative amount or NaN is not counted: a counter never falls. */
  add(amount = 1): void {
    if (amount > 0) this.value += amount
  }
}

export class GaugeSeries implements Gauge {
  readonly attributes: Attributes
  value = 0

  constructor(attributes: Attributes) {
    this.attributes = attributes
  }

  set(value: number): void {
    this.value = value
  }

  add(amount: number): void {
    this.value += amount
  }
}

export class HistogramSeries implements Histogram {
  readonly attributes: Attributes
  /** Upper bounds, inclusive, ascending; shared by all series of a metric. */
  readonly bounds: Float64Array
  /** One per bound and one for what is above the last, each for its own bucket only. */
  readonly counts: Float64Array
  count = 0
  sum = 0
  /** The last sampled trace of each bucket; made when the first one comes. */
  exemplars: (Exemplar | undefined)[] | undefined
  /** Is told every measurement too: sums of buckets cannot be handed on later. */
  readonly #mirror: Histogram | undefined
  readonly #wallNow: (() => number) | undefined

  constructor(
    attributes: Attributes,
    bounds: Float64Array,
    wallNow?: () => number,
    mirror?: Histogram,
  ) {
    this.attributes = attributes
    this.#mirror = mirror
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
    this.#wallNow = wallNow
  }

  /** What is negative, infinite or NaN is not recorded: it would spoil the sum for ever. */
  record(value: number, trace?: TraceContext): void {
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) return
    const { bounds, counts } = this
    // From below: with buckets made for slow calls, a usual one is found in a step or two.
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++
    counts[bucket] = (counts[bucket] as number) + 1
    this.count++
    this.sum += value
    this.#mirror?.record(value, trace)
    if (trace !== undefined && (trace.flags & SAMPLED) !== 0) this.#keep(bucket, value, trace)
  }

  #keep(bucket: number, value: number, trace: TraceContext): void {
    this.exemplars ??= new Array<Exemplar | undefined>(this.counts.length).fill(undefined)
    this.exemplars[bucket] = {
      value,
      traceId: trace.traceId,
      spanId: trace.spanId,
      wallMs: this.#wallNow?.(),
    }
  }
}

/** A measurement that a trace can be looked up for. */
export interface Exemplar {
  readonly value: number
  readonly traceId: string
  readonly spanId: string
  readonly wallMs: number | undefined
}

const SAMPLED = 1
