/** What a user gives as a limit of calls at a time, as a layer of a stack. */

import type { CallContext } from '../../core/context.ts'
import { UsageError } from '../../core/errors.ts'
import type { Classifier } from '../../core/policy.ts'
import type { Middleware } from '../../core/service.ts'
import { type CallKey, type CallKeyName, callKey } from '../call-key.ts'
import type { AdaptiveLimit } from '../concurrency/adaptive-limit.ts'
import { AimdLimit, type AimdLimitOptions } from '../concurrency/aimd-limit.ts'
import { type BulkheadLimits, Bulkheads } from '../concurrency/bulkheads.ts'
import { ConcurrencyGate, type QueueOptions } from '../concurrency/concurrency-gate.ts'
import { GradientLimit, type GradientLimitOptions } from '../concurrency/gradient-limit.ts'
import { countRefusals, type LoadHost } from '../load-host.ts'
import { bulkhead } from '../middleware/bulkhead.ts'
import { concurrency, reportLoad } from '../middleware/concurrency.ts'
import type { Layer } from './layer.ts'

export interface ConcurrencyOptions<Req> extends QueueOptions {
  /** For messages and metrics. @default 'limiter' */
  name?: string
  /** Calls at a time. Either this or `adaptive`. */
  maxConcurrent?: number
  /** A limit that finds itself. @default none */
  adaptive?: AdaptiveConcurrency
  /** 0 is shed last, 7 first (RFC 9218's urgency). @default the context's */
  priority?(request: Req, context: CallContext): number
  /**
   * Of a server: tells each caller how many calls are under way or wait, and how many may, where the
   * protocol has words for it (HTTP: `Heddle-Load`).
   *
   * @default false: how busy a server is, is nobody else's business
   */
  report?: boolean
}

export type AdaptiveConcurrency =
  | 'gradient'
  | 'aimd'
  | ({ algorithm: 'gradient' } & GradientLimitOptions)
  | ({ algorithm: 'aimd' } & AimdLimitOptions)

export interface BulkheadOptions<Req> extends BulkheadLimits {
  /**
   * The compartment of a call: one for each `operation` as the classifier names it, `principal`,
   * `address`, `connection`, or of what a function says; undefined: the call needs no place.
   *
   * @default 'operation'
   */
  key?: CallKeyName | CallKey<Req>
  /** 0 is shed last, 7 first. @default the context's */
  priority?(request: Req, context: CallContext): number
}

/** Options, or a middleware of one's own. */
export type Concurrency<Req, Res> = ConcurrencyOptions<Req> | Middleware<Req, Res>

type LayerParts<Req, Res> = Pick<Layer<Req, Res>, 'middleware' | 'parameters' | 'state'>

export function concurrencyLayer<Req, Res>(
  given: Concurrency<Req, Res> | undefined,
  host: LoadHost,
  classifier: Classifier<Req, Res>,
): LayerParts<Req, Res> {
  if (given === undefined) return { middleware: undefined }
  if (typeof given === 'function') return { middleware: given }
  const { name = 'limiter', maxConcurrent, adaptive, priority, report = false, ...queue } = given
  if ((maxConcurrent === undefined) === (adaptive === undefined)) {
    throw new UsageError('ERR_ARGUMENT', 'a limiter has either maxConcurrent or adaptive')
  }
  const limit = maxConcurrent ?? adaptiveLimit(adaptive ?? 'gradient', host)
  const gate = new ConcurrencyGate(
    { ...queue, policy: 'limiter', name, key: '', limit, report },
    countRefusals(host, 'limiter'),
  )
  const algorithm = typeof adaptive === 'object' ? adaptive.algorithm : adaptive
  const limiting = concurrency<Req, Res>(gate, {
    wheel: host.wheel,
    classifier,
    ...(priority && { priority }),
  })
  return {
    middleware: report ? (next) => reportLoad(gate, classifier, limiting(next)) : limiting,
    parameters: {
      maxConcurrent,
      algorithm,
      report: report || undefined,
      ...gate.adaptive?.options,
      maxQueued: gate.maxQueued === 0 ? undefined : gate.maxQueued,
    },
    state: () => ({
      limit: gate.limit,
      inFlight: gate.inFlight,
      queued: gate.queued,
      refused: gate.refused,
      baselineMs: rounded(gate.adaptive?.baselineMs),
    }),
  }
}

export function bulkheadLayer<Req, Res>(
  given: BulkheadOptions<Req> | undefined,
  host: LoadHost,
  classifier: Classifier<Req, Res>,
): LayerParts<Req, Res> {
  if (given === undefined) return { middleware: undefined }
  const { key = 'operation', priority, ...limits } = given
  const bulkheads = new Bulkheads(limits, countRefusals(host, 'bulkhead'))
  return {
    middleware: bulkhead(bulkheads, {
      wheel: host.wheel,
      classifier,
      key: callKey(key, classifier),
      ...(priority && { priority }),
    }),
    parameters: {
      key: typeof key === 'string' ? key : 'custom',
      maxConcurrent: limits.maxConcurrent,
      maxQueued: limits.maxQueued,
    },
    state: () => ({ compartments: bulkheads.size, refused: bulkheads.refused }),
  }
}

/** @param given what the options say, or only the name of an algorithm */
export function adaptiveLimit(given: AdaptiveConcurrency, host: LoadHost): AdaptiveLimit {
  const { algorithm, ...options } = typeof given === 'string' ? { algorithm: given } : given
  return algorithm === 'aimd'
    ? new AimdLimit(options as AimdLimitOptions)
    : new GradientLimit(options as GradientLimitOptions, host.random ?? (() => 0.5))
}

function rounded(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value * 100) / 100
}
