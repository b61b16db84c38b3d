/**
 * The client's stack: the one list that says what stands around a call, and why there.
 *
 *     tracing → slow calls → metrics → deadline → middleware → bulkhead → call limiter → retry(budget) → hedge →
 *         rate limit → credentials → balancer → [per endpoint: breaker → attempt tracing → attempt metrics → attempt timeout →
 *             endpoint limiter → pool → limiter → exchanger]
 *
 * Each line below has its position rule; `test/pins/stack-order.test.ts` pins the order.
 */
import type { Clock, Random } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import type { MetricNames } from '../../core/metric-names.ts'
import { type Meter, noopMeter } from '../../core/metrics.ts'
import type { Classifier, RetryBudget, RetryPolicy } from '../../core/policy.ts'
import { plainSemantics } from '../../core/semantics.ts'
import type { Middleware } from '../../core/service.ts'
import type { CircuitBreaker } from '../breaker.ts'
import type { ClientPolicies } from '../client-policies.ts'
import type { Exchanger } from '../exchanger.ts'
import type { HedgePolicy } from '../hedge-policy.ts'
import type { LoadHost } from '../load-host.ts'
import { attemptTimeout } from '../middleware/attempt-timeout.ts'
import { breaker } from '../middleware/breaker.ts'
import { deadline } from '../middleware/deadline.ts'
import { hedge } from '../middleware/hedge.ts'
import { metrics } from '../middleware/metrics.ts'
import { type PastAttempt, retry } from '../middleware/retry.ts'
import { tracing } from '../middleware/tracing.ts'
import type { ConnectionPool } from '../pool.ts'
import type { TimerWheel } from '../timer-wheel.ts'
import { bulkheadLayer, type Concurrency, concurrencyLayer } from './concurrency-layer.ts'
import type { Facts, Layer } from './layer.ts'
import { rateLimitLayer } from './rate-limit-layer.ts'
import { slowCallLayer } from './slow-call-layer.ts'

export interface CallLayersOptions<Req, Res> {
  clock: Clock
  random: Random
  wheel: TimerWheel
  meter: Meter
  names: MetricNames<Req, Res>
  /** Whether calls are counted, beside attempts. */
  measured: boolean
  classifier: Classifier<Req, Res>
  timeoutMs: number
  retryPolicy: RetryPolicy | undefined
  retryFacts: Facts
  retryBudget: RetryBudget
  hedgePolicy: HedgePolicy | undefined
  onHedge: ((hedge: number, delayMs: number, context: CallContext) => void) | undefined
  policies: ClientPolicies<Req, Res>
  host: LoadHost
  onRetry: ((attempt: PastAttempt, delayMs: number, context: CallContext) => void) | undefined
}

/** The layers that every call passes once. The balancer follows. */
export function callLayers<Req, Res>(options: CallLayersOptions<Req, Res>): Layer<Req, Res>[] {
  const { clock, random, wheel, classifier, timeoutMs, retryPolicy: policy } = options
  const { retryBudget: budget, onRetry, policies } = options
  const name = options.names.callDuration ?? 'heddle.client.call.duration'
  return [
    {
      name: 'tracing',
      rule: 'outermost: one span for the call, attempts are its children; a duration is recorded within it, and keeps its id as an example',
      middleware: trace(options, 'call', policies.tracing),
      parameters: {
        spans: (policies.tracer !== undefined && policies.callSpans !== false) || undefined,
      },
    },
    slowCallLayer(policies.slowCalls, clock, classifier),
    {
      name: 'metrics',
      rule: 'outside retry: counts calls, as the caller sees them, and all their time',
      middleware: options.measured
        ? measure(options, name, options.names.callsActive ?? 'heddle.client.call.active')
        : undefined,
      parameters: { duration: options.measured && options.meter !== noopMeter ? name : undefined },
    },
    {
      name: 'deadline',
      rule: 'outside retry: one deadline for all attempts and every wait between them',
      middleware: deadline({ wheel, timeoutMs }),
      parameters: { timeoutMs },
    },
    {
      name: 'middleware',
      rule: 'inside the deadline, which it sees; outside retry, so that it runs once a call',
      middleware: compose(policies.middleware),
      parameters: { count: policies.middleware?.length },
    },
    {
      name: 'bulkhead',
      rule: 'outside the call limiter: one compartment cannot fill the queue that all share',
      ...bulkheadLayer(policies.bulkhead, options.host, classifier),
    },
    {
      name: 'call limiter',
      rule: 'outside retry: a call holds its place through every attempt and the waits between',
      ...concurrencyLayer(policies.limiter, options.host, classifier),
    },
    {
      name: 'retry',
      rule: 'outside balancer and breaker: another attempt may go to another endpoint',
      middleware:
        policy && retry({ clock, random, policy, budget, classifier, ...(onRetry && { onRetry }) }),
      parameters: options.retryFacts,
      state: () => ({ budget: Math.round(budget.balance * 100) / 100 }),
    },
    hedgeLayer(options),
    {
      name: 'rate limit',
      rule: 'inside retry: every attempt counts, as the peer counts; outside the balancer: for all endpoints together',
      ...rateLimitLayer(policies.rateLimit, options.host, classifier),
    },
    {
      name: 'credentials',
      rule: 'inside retry: an attempt after a refused token brings a new one',
      middleware: policies.credentials,
    },
  ]
}

function hedgeLayer<Req, Res>(options: CallLayersOptions<Req, Res>): Layer<Req, Res> {
  const { wheel, classifier, hedgePolicy: policy, retryBudget: budget, onHedge } = options
  const counts = { sent: 0, won: 0 }
  return {
    name: 'hedge',
    rule: 'inside retry: each attempt may be hedged, and the budget pays for both; outside the balancer, so that a hedge goes elsewhere',
    middleware:
      policy &&
      hedge(
        {
          wheel,
          classifier,
          policy,
          budget,
          deposits: (options.retryPolicy?.maxAttempts ?? 1) <= 1,
          ...(onHedge && { onHedge }),
        },
        counts,
      ),
    parameters: { ...policy?.options },
    state: () => (policy === undefined ? {} : { ...counts }),
  }
}

export interface EndpointLayersOptions<Req, Res> {
  clock: Clock
  wheel: TimerWheel
  meter: Meter
  names: MetricNames<Req, Res>
  /** Whether its attempts are counted apart from those of other endpoints. */
  apart: boolean
  classifier: Classifier<Req, Res>
  address: string
  breaker: CircuitBreaker | undefined
  attemptTimeoutMs: number | undefined
  policies: ClientPolicies<Req, Res>
  limiter: Concurrency<Req, Res> | undefined
  host: LoadHost
  pool: ConnectionPool<Exchanger<Req, Res>>
  maxConcurrentPerConnection: number | undefined
}

/** The layers of one endpoint, which every attempt to it passes. The exchanger follows. */
export function endpointLayers<Req, Res>(
  options: EndpointLayersOptions<Req, Res>,
): Layer<Req, Res>[] {
  const { clock, wheel, classifier, attemptTimeoutMs: timeoutMs, pool } = options
  const name = options.names.attemptDuration ?? 'heddle.client.attempt.duration'
  return [
    {
      name: 'breaker',
      rule: 'below retry and balancer, which go elsewhere when it refuses; above timeout and pool, so that it sees their failures',
      middleware: options.breaker && breaker({ clock, breaker: options.breaker, classifier }),
      parameters: breakerFacts(options.breaker),
      state: (now) => breakerState(options.breaker, now),
    },
    {
      name: 'attempt tracing',
      rule: 'below the breaker: one span for each attempt that was made; its id goes to the peer',
      middleware: trace(options, 'attempt', options.policies.attemptTracing, options.address),
      parameters: { spans: options.policies.tracer !== undefined || undefined },
    },
    {
      name: 'attempt metrics',
      rule: 'below the breaker: counts attempts that were made, with their endpoint',
      middleware: measureAttempts(options, name),
      parameters: { duration: options.meter === noopMeter ? undefined : name },
    },
    {
      name: 'attempt timeout',
      rule: 'above the pool: waiting for a connection counts',
      middleware: timeoutMs === undefined ? undefined : attemptTimeout({ wheel, timeoutMs }),
      parameters: { timeoutMs },
    },
    {
      name: 'endpoint limiter',
      rule: 'below the attempt timeout, which its queue counts against; above the pool, so that what is refused takes no connection',
      ...concurrencyLayer(options.limiter, options.host, classifier),
    },
    {
      name: 'pool',
      rule: 'above the limiter, which belongs to one connection',
      middleware: undefined, // The service below: a pool leads to many exchangers.
      get parameters() {
        return { ...pool.limits } // They can be changed.
      },
      state: () => {
        const { max: _, ...stats } = pool.stats
        // Where one connection takes many calls, how they are spread over them.
        const inFlight = pool.limits.expectedCapacity > 1 ? pool.inFlight.join(' + ') : undefined
        return { state: pool.state, ...stats, inFlight: inFlight === '' ? 0 : inFlight }
      },
    },
    {
      name: 'limiter',
      rule: 'below the pool: a connection that is at its limit makes the pool take another one',
      middleware: undefined, // Part of the exchanger, whose `available` it lowers.
      parameters: { maxConcurrent: options.maxConcurrentPerConnection },
    },
  ]
}

/** Outermost first. */
function compose<Req, Res>(
  middleware: readonly Middleware<Req, Res>[] | undefined,
): Middleware<Req, Res> | undefined {
  if (middleware === undefined || middleware.length === 0) return undefined
  return (next) => middleware.reduceRight((inner, wrap) => wrap(inner), next)
}

/** A middleware of the user's own, or spans where there is a tracer. */
function trace<Req, Res>(
  options: {
    readonly policies: ClientPolicies<Req, Res>
    readonly classifier: Classifier<Req, Res>
  },
  side: 'call' | 'attempt',
  own: Middleware<Req, Res> | undefined,
  address?: string,
): Middleware<Req, Res> | undefined {
  const { tracer, semantics, callSpans = true } = options.policies
  if (own !== undefined || tracer === undefined) return own
  if (side === 'call' && !callSpans) return undefined
  return tracing({
    tracer,
    semantics: semantics ?? plainSemantics(options.classifier),
    side,
    ...(address !== undefined && { attributes: { 'network.peer.address': address } }),
  })
}

/** What the conventions describe is an attempt: a call has the attributes, and names of ours. */
function measure<Req, Res>(
  options: CallLayersOptions<Req, Res>,
  duration: string,
  active: string,
): Middleware<Req, Res> | undefined {
  const { clock, meter, names, classifier } = options
  if (meter === noopMeter) return undefined
  const { buckets: _, durationOf: _durationOf, counts: _counts, ...described } = names
  return metrics({
    ...described,
    clock,
    meter,
    duration,
    active,
    operation: names.operation ?? ((request) => classifier.operation(request)),
  })
}

function measureAttempts<Req, Res>(
  options: EndpointLayersOptions<Req, Res>,
  duration: string,
): Middleware<Req, Res> | undefined {
  const { clock, meter, names, classifier, apart, address } = options
  if (meter === noopMeter) return undefined
  return metrics({
    ...names,
    clock,
    meter,
    duration,
    attributes: { ...names.attributes, ...(apart && { 'network.peer.address': address }) },
    operation: names.operation ?? ((request) => classifier.operation(request)),
  })
}

function breakerFacts(breaker: CircuitBreaker | undefined): Facts {
  return breaker === undefined ? {} : { ...breaker.options }
}

function breakerState(breaker: CircuitBreaker | undefined, now: number): Facts {
  if (breaker === undefined) return {}
  const { state, retryAt } = breaker
  return {
    state,
    retryInMs: retryAt === undefined ? undefined : Math.max(0, Math.ceil(retryAt - now)),
    rampLimit: breaker.rampLimit(now),
    shared: breaker.shared || undefined,
  }
}
