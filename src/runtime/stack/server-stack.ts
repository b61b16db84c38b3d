/**
 * The server's stack: the one list that says what stands around a service, and why there.
 *
 *     tracing → slow calls → access log → metrics → errors → admission → authentication → authorization →
 *         rate limit → bulkhead → limiter → deadline → the user's own → service
 *
 * Limits on connections come before it (server.ts), limits on messages are the session's. Each line
 * below has its position rule; `test/pins/stack-order.test.ts` pins the order.
 */
import type { Clock, Random } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import type { ServerMetricNames } from '../../core/metric-names.ts'
import { type Meter, noopMeter } from '../../core/metrics.ts'
import type { Classifier } from '../../core/policy.ts'
import { plainSemantics } from '../../core/semantics.ts'
import type { Middleware, Service } from '../../core/service.ts'
import type { CallSemantics, Tracer } from '../../core/tracing.ts'
import type { LoadObserver } from '../load-host.ts'
import { deadline } from '../middleware/deadline.ts'
import { errors } from '../middleware/errors.ts'
import { metrics } from '../middleware/metrics.ts'
import type { SlowCallOptions } from '../middleware/slow-calls.ts'
import { recordError, tracing } from '../middleware/tracing.ts'
import type { TimerWheel } from '../timer-wheel.ts'
import {
  type BulkheadOptions,
  bulkheadLayer,
  type Concurrency,
  concurrencyLayer,
} from './concurrency-layer.ts'
import { type Layer, stackLayers } from './layer.ts'
import { type RateLimits, rateLimitLayer } from './rate-limit-layer.ts'
import { slowCallLayer } from './slow-call-layer.ts'

export interface ServerStackOptions<Req, Res> extends ServerPolicies<Req, Res>, LoadObserver {
  clock: Clock
  wheel: TimerWheel
  classifier: Classifier<Req, Res>
  /** @default counts nothing */
  meter?: Meter
  metricNames?: ServerMetricNames<Req, Res>
  /** False: whoever calls the stack measures calls itself, to the end of their bodies. @default true */
  measured?: boolean
  /**
   * Time for one answer, in milliseconds, for calls that bring no earlier deadline. When it has
   * passed the caller gets an error, whatever the service does.
   *
   * @default Infinity: the protocol cannot know how long an answer may take
   */
  timeoutMs?: number
  /** For the times of probes of an adaptive limit. @default none is moved by chance */
  random?: Random
  /** Told when the store of a rate limit failed. */
  onStoreError?(error: Error, limit: string): void
  /** Told of each error of the service, or of a policy that refused. */
  onError?(error: unknown, request: Req, context: CallContext): void
}

/** What may stand around a service; each has its place, whatever the order it is given in. */
export interface ServerPolicies<Req, Res> {
  accessLog?: Middleware<Req, Res>
  /**
   * Makes a span for each call, the child of the caller's. `openTelemetryTracer()` gives them to
   * the SDK of the process.
   *
   * @default none
   */
  tracer?: Tracer
  /** How the protocol's calls look in spans. @default the operation's name, nothing else */
  semantics?: CallSemantics<Req, Res>
  /** Reports calls that took too long, with where their time went. @default none */
  slowCalls?: SlowCallOptions<Req, Res>
  /** In place of the tracer's spans. */
  tracing?: Middleware<Req, Res>
  /** Limits by connection and address, before credentials are looked at. */
  admission?: RateLimits<Req, Res>
  /** Says who calls: makes the `principal` of the context, or refuses. */
  authentication?: Middleware<Req, Res>
  /** Whether the principal may. */
  authorization?: Middleware<Req, Res>
  /** Limits by principal and operation. */
  rateLimit?: RateLimits<Req, Res>
  /** Calls under way at a time; more are refused at once. @default no limit */
  maxConcurrent?: number
  /** A limit of concurrency other than `maxConcurrent`: adaptive, with priorities, bulkheads. */
  limiter?: Concurrency<Req, Res>
  /** Separate places for separate kinds of calls: one that is slow fills only its own. */
  bulkhead?: BulkheadOptions<Req>
  /** The user's own, outermost first. */
  middleware?: readonly Middleware<Req, Res>[]
}

/** Whether any of them is there: a server without policies calls its service directly. */
export function hasPolicies<Req, Res>(policies: ServerPolicies<Req, Res>): boolean {
  return POLICIES.some((name) => policies[name] !== undefined)
}

export function serverLayers<Req, Res>(options: ServerStackOptions<Req, Res>): Layer<Req, Res>[] {
  // size: a list of layers, each with its reason.
  const {
    clock,
    wheel,
    classifier,
    timeoutMs = Number.POSITIVE_INFINITY,
    maxConcurrent,
    onError,
  } = options
  const limit = maxConcurrent === undefined ? undefined : { maxConcurrent }
  return [
    {
      name: 'tracing',
      rule: 'outermost: a refused call has a span as well; the log’s line and the duration are within it',
      middleware: trace(options),
      parameters: { spans: options.tracer !== undefined || undefined },
    },
    slowCallLayer(options.slowCalls, clock, classifier),
    {
      name: 'access log',
      rule: 'outside errors and limits: logs what the caller got, refusals and errors included',
      middleware: options.accessLog,
    },
    {
      name: 'metrics',
      rule: 'outside errors: counts what the caller got, with all the time it took',
      middleware: measure(options),
    },
    {
      name: 'errors',
      rule: 'outside limiter and deadline: their refusals are answered like errors of the service',
      middleware: errors({
        classifier,
        onError(error, request, context) {
          recordError(context, error)
          onError?.(error, request, context)
        },
      }),
    },
    {
      name: 'admission',
      rule: 'before authentication: guessing credentials is limited as well, and checking them costs',
      ...rateLimitLayer(options.admission, options, classifier),
    },
    {
      name: 'authentication',
      rule: 'before everything that depends on who calls',
      middleware: options.authentication,
    },
    {
      name: 'authorization',
      rule: 'before the rate limit: what is forbidden uses up nobody’s share',
      middleware: options.authorization,
    },
    {
      name: 'rate limit',
      rule: 'inside authentication: the share is the principal’s',
      ...rateLimitLayer(options.rateLimit, options, classifier),
    },
    {
      name: 'bulkhead',
      rule: 'outside the limiter: one compartment cannot fill the queue that all share',
      ...bulkheadLayer(options.bulkhead, options, classifier),
    },
    {
      name: 'limiter',
      rule: 'outside the deadline: a refused call costs no timer',
      ...concurrencyLayer(options.limiter ?? limit, options, classifier),
    },
    {
      name: 'deadline',
      rule: 'around the service only; answers in its place when it does not listen',
      middleware: deadline({
        wheel,
        timeoutMs,
        race: true,
        ...(classifier.discardResponse && {
          discard: (reply: Res) => classifier.discardResponse?.(reply),
        }),
      }),
      parameters: { timeoutMs },
    },
    {
      name: 'middleware',
      rule: 'innermost: sees the deadline, and its errors are answered',
      middleware:
        options.middleware &&
        ((next) => (options.middleware ?? []).reduceRight((inner, wrap) => wrap(inner), next)),
    },
  ]
}

/** `service` with all of that around it. */
export function serverStack<Req, Res>(
  service: Service<Req, Res>,
  options: ServerStackOptions<Req, Res>,
): Service<Req, Res> {
  return stackLayers(serverLayers(options), service)
}

function trace<Req, Res>(options: ServerStackOptions<Req, Res>): Middleware<Req, Res> | undefined {
  const { tracer, semantics, classifier, tracing: own } = options
  if (own !== undefined || tracer === undefined) return own
  return tracing({ tracer, semantics: semantics ?? plainSemantics(classifier), side: 'server' })
}

function measure<Req, Res>(
  options: ServerStackOptions<Req, Res>,
): Middleware<Req, Res> | undefined {
  const { clock, classifier, meter = noopMeter, metricNames: names = {} } = options
  if (meter === noopMeter || options.measured === false) return undefined
  return metrics({
    ...names,
    clock,
    meter,
    duration: names.callDuration ?? 'heddle.server.call.duration',
    active: names.callsActive ?? 'heddle.server.call.active',
    operation: names.operation ?? ((request) => classifier.operation(request)),
  })
}

const POLICIES = [
  'tracer',
  'slowCalls',
  'accessLog',
  'tracing',
  'admission',
  'authentication',
  'authorization',
  'rateLimit',
  'maxConcurrent',
  'limiter',
  'bulkhead',
  'middleware',
] as const satisfies readonly (keyof ServerPolicies<never, never>)[]
