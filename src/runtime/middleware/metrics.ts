/**
 * Durations and calls in flight, as OpenTelemetry names them. The same middleware outside the retry
 * counts calls, inside it counts attempts: a stack has both.
 *
 * One instrument per operation and outcome is made once and kept, within a bound: what is over it
 * is counted as operation `_OTHER`.
 */
import type { Clock } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import { HeddleError } from '../../core/errors.ts'
import {
  type Attributes,
  type Gauge,
  type Histogram,
  type Meter,
  noopMeter,
} from '../../core/metrics.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { type Settlement, settle } from '../settle.ts'

export interface MetricsOptions<Req, Res> {
  clock: Clock
  meter: Meter
  /** Name of the histogram of durations, in seconds: `http.client.request.duration`. */
  duration: string
  /** Name of the gauge of calls under way. */
  active?: string
  /** On every instrument: `server.address`, … */
  attributes?: Attributes
  /** Name and value of the operation, low in cardinality: `http.request.method`, `GET`. */
  operationAttribute: string
  operation(request: Req): string
  /** Name and value of the outcome of a response: `http.response.status_code`, `200`. */
  outcomeAttribute?: string
  outcome?(response: Res): string | number | undefined
  /** `error.type` of a response that counts as a failure. */
  failure?(response: Res): string | undefined
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
  const { clock, operation } = options
  return (next) => (request, context) => {
    const series = instruments.of(operation(request))
    series.active?.add(1)
    return settle(next, request, context, new MeasuredCall(context, clock, series, options))
  }
}

class MeasuredCall<Req, Res> implements Settlement<Res> {
  readonly #clock: Clock
  readonly #series: Series
  readonly #options: MetricsOptions<Req, Res>
  readonly #context: CallContext
  readonly #startedAt: number

  constructor(
    context: CallContext,
    clock: Clock,
    series: Series,
    options: MetricsOptions<Req, Res>,
  ) {
    this.#context = context
    this.#clock = clock
    this.#series = series
    this.#options = options
    this.#startedAt = clock.now()
  }

  onReply(reply: Res): MaybePromise<Res> {
    const { outcome, failure } = this.#options
    this.#record(outcome?.(reply), failure?.(reply))
    return reply
  }

  onError(error: unknown): MaybePromise<Res> {
    this.#record(undefined, errorType(error))
    throw error
  }

  #record(outcome: string | number | undefined, error: string | undefined): void {
    const seconds = (this.#clock.now() - this.#startedAt) / 1_000
    this.#series.active?.add(-1)
    this.#series.duration(outcome, error).record(seconds, this.#context.trace)
  }
}

/** OpenTelemetry's `error.type`: our code, or the name of a foreign error. */
export function errorType(error: unknown): string {
  if (error instanceof HeddleError) return error.code
  return error instanceof Error ? error.name : '_OTHER'
}

interface Series {
  readonly active: Gauge | undefined
  duration(outcome: string | number | undefined, error: string | undefined): Histogram
}

class Instruments<Req, Res> {
  readonly #options: MetricsOptions<Req, Res>
  readonly #maxSeries: number
  readonly #series = new Map<string, Series>()

  constructor(options: MetricsOptions<Req, Res>) {
    this.#options = options
    this.#maxSeries = options.maxSeries ?? 256
  }

  of(operation: string): Series {
    const known = this.#series.get(operation)
    if (known !== undefined) return known
    const other = this.#series.size >= this.#maxSeries
    const name = other ? '_OTHER' : operation
    const series = this.#series.get(name) ?? this.#create(name)
    this.#series.set(name, series)
    return series
  }

  #create(operation: string): Series {
    const { meter, duration, active, attributes, operationAttribute, outcomeAttribute } =
      this.#options
    const base: Attributes = { ...attributes, [operationAttribute]: operation }
    const histograms = new Map<string, Histogram>()
    const most = this.#maxSeries
    return {
      active: active === undefined ? undefined : meter.gauge(active, { unit: '{request}' }, base),
      duration(outcome, error) {
        const key = String(outcome ?? error ?? '')
        const known = histograms.get(key)
        if (known !== undefined) return known
        if (histograms.size >= most && key !== '_OTHER') return this.duration('_OTHER', undefined)
        const histogram = meter.histogram(
          duration,
          { unit: 's', buckets: DURATION_BUCKETS },
          {
            ...base,
            ...(error !== undefined && { 'error.type': error }),
            ...(outcome !== undefined && { [outcomeAttribute ?? 'outcome']: outcome }),
          },
        )
        histograms.set(key, histogram)
        return histogram
      },
    }
  }
}
