/**
 * Durations and calls in flight, as OpenTelemetry names them. The same middleware outside the retry
 * counts calls, inside it counts attempts: a stack has both.
 *
 * One instrument per kind of request and outcome is made once and kept, within a bound: what is over
 * it is counted as operation `_OTHER`.
 */
import type { Clock } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import { HeddleError } from '../../core/errors.ts'
import type { CallMetricNames } from '../../core/metric-names.ts'
import {
  type Attributes,
  type Counter,
  type Gauge,
  type Histogram,
  type Meter,
  noopMeter,
} from '../../core/metrics.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { type Settlement, settle } from '../settle.ts'

export interface MetricsOptions<Req, Res> extends CallMetricNames<Req, Res> {
  clock: Clock
  meter: Meter
  /** Name of the histogram of durations, in seconds: `http.client.request.duration`. */
  duration: string
  /** Name of the gauge of calls under way. */
  active?: string
  operation(request: Req): string | undefined
  /** Most operations told apart, and most outcomes of each. @default 256 */
  maxSeries?: number
}

/** Upper bounds in seconds that OpenTelemetry recommends for HTTP and RPC. */
export const DURATION_BUCKETS: readonly number[] = Object.freeze([
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
])

export function metrics<Req, Res>(options: MetricsOptions<Req, Res>): Middleware<Req, Res> {
  // Nobody counts: the layer vanishes.
  if (options.meter === noopMeter) return (next) => next
  const instruments = new Instruments(options)
  return (next) => (request, context) => {
    const series = instruments.of(request)
    series.active?.add(1)
    return settle(next, request, context, new MeasuredCall(request, context, series, options))
  }
}

class MeasuredCall<Req, Res> implements Settlement<Res> {
  readonly #series: Series
  readonly #options: MetricsOptions<Req, Res>
  readonly #request: Req
  readonly #context: CallContext
  readonly #startedAt: number

  constructor(
    request: Req,
    context: CallContext,
    series: Series,
    options: MetricsOptions<Req, Res>,
  ) {
    this.#request = request
    this.#context = context
    this.#series = series
    this.#options = options
    this.#startedAt = options.clock.now()
  }

  onReply(reply: Res): MaybePromise<Res> {
    const { outcome, failure } = this.#options
    this.#record(outcome?.(reply), failure?.(reply), reply)
    return reply
  }

  onError(error: unknown): MaybePromise<Res> {
    const outcome = this.#options.errorOutcome?.(error)
    this.#record(outcome, outcome ?? errorType(error), undefined)
    throw error
  }

  #record(
    outcome: string | number | undefined,
    error: string | undefined,
    reply: Res | undefined,
  ): void {
    const { clock, counts } = this.#options
    const series = this.#series
    const seconds = (clock.now() - this.#startedAt) / 1_000
    series.active?.add(-1)
    series.duration(outcome, error).record(seconds, this.#context.trace)
    if (counts === undefined) return
    for (const { name, unit, of } of counts) {
      const amount = of(this.#request, reply)
      if (amount > 0) series.counter(name, unit, error).add(amount)
    }
  }
}

/** OpenTelemetry's `error.type`: our code, or the name of a foreign error. */
export function errorType(error: unknown): string {
  if (error instanceof HeddleError) return error.code
  return error instanceof Error ? error.name : '_OTHER'
}

/** The instruments of one kind of request. */
class Series {
  readonly active: Gauge | undefined
  readonly #meter: Meter
  readonly #name: string
  readonly #base: Attributes
  readonly #outcomeAttribute: string
  readonly #buckets: readonly number[]
  readonly #most: number
  readonly #histograms = new Map<string, Histogram>()
  readonly #counters = new Map<string, Counter>()

  constructor(options: MetricsOptions<never, never>, name: string, base: Attributes, most: number) {
    const { meter, active, outcomeAttribute = 'outcome', buckets = DURATION_BUCKETS } = options
    this.active =
      active === undefined ? undefined : meter.gauge(active, { unit: '{request}' }, base)
    this.#meter = meter
    this.#name = name
    this.#base = base
    this.#outcomeAttribute = outcomeAttribute
    this.#buckets = buckets
    this.#most = most
  }

  duration(outcome: string | number | undefined, error: string | undefined): Histogram {
    const key =
      outcome === undefined
        ? (error ?? '')
        : error === undefined
          ? String(outcome)
          : `${outcome} ${error}`
    const known = this.#histograms.get(key)
    if (known !== undefined) return known
    if (this.#histograms.size >= this.#most && key !== OTHER) return this.duration(OTHER, undefined)
    const histogram = this.#meter.histogram(
      this.#name,
      { unit: 's', buckets: this.#buckets },
      {
        ...this.#base,
        ...(error !== undefined && { 'error.type': error }),
        ...(outcome !== undefined && { [this.#outcomeAttribute]: outcome }),
      },
    )
    this.#histograms.set(key, histogram)
    return histogram
  }

  counter(name: string, unit: string, error: string | undefined): Counter {
    const key = error === undefined ? name : `${name} ${error}`
    const known = this.#counters.get(key)
    if (known !== undefined) return known
    if (this.#counters.size >= this.#most && error !== OTHER) return this.counter(name, unit, OTHER)
    const attributes = error === undefined ? this.#base : { ...this.#base, 'error.type': error }
    const counter = this.#meter.counter(name, { unit }, attributes)
    this.#counters.set(key, counter)
    return counter
  }
}

class Instruments<Req, Res> {
  readonly #options: MetricsOptions<Req, Res>
  readonly #maxSeries: number
  readonly #series = new Map<string, Series>()

  constructor(options: MetricsOptions<Req, Res>) {
    this.#options = options
    this.#maxSeries = options.maxSeries ?? 256
  }

  of(request: Req): Series {
    const { operation, requestAttributes } = this.#options
    let key = operation(request) ?? ''
    if (requestAttributes !== undefined) {
      for (const { of } of requestAttributes) key += `\n${of(request) ?? ''}`
    }
    const known = this.#series.get(key)
    if (known !== undefined) return known
    const duration = this.#options.durationOf?.(request) ?? this.#options.duration
    const other = this.#series.size >= this.#maxSeries
    // What there is no room for is told apart by its duration alone, of which there are two or three.
    if (other) key = duration === this.#options.duration ? OTHER : `${OTHER}\n${duration}`
    const series =
      this.#series.get(key) ??
      new Series(this.#options, duration, this.#attributesOf(request, other), this.#maxSeries)
    this.#series.set(key, series)
    return series
  }

  #attributesOf(request: Req, other: boolean): Attributes {
    const { attributes, operationAttribute = 'heddle.operation' } = this.#options
    const { operation, requestAttributes = [] } = this.#options
    const found: Record<string, string | number | boolean> = { ...attributes }
    const operationName = other ? OTHER : operation(request)
    if (operationName !== undefined) found[operationAttribute] = operationName
    if (other) return found
    for (const { name, of } of requestAttributes) {
      const value = of(request)
      if (value !== undefined) found[name] = value
    }
    return found
  }
}

const OTHER = '_OTHER'
