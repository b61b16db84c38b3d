/**
 * What one policy costs around a call that succeeds, against cockatiel and opossum for the same: a
 * retry, a circuit breaker, a time limit, a bulkhead, and all four at once.
 *
 * Everybody is told the same and gets the same service, an async function. Breakers look at the share
 * of failures in a window of ten seconds. A retry of ours draws on a budget as well, which the others
 * have not. opossum is a breaker that may have a time limit: it appears for these two.
 */
import {
  bulkhead,
  circuitBreaker,
  retry as cockatielRetry,
  ExponentialBackoff,
  handleAll,
  type IPolicy,
  SamplingBreaker,
  TimeoutStrategy,
  timeout,
  wrap,
} from 'cockatiel'
import { Call } from '../../src/core/context.ts'
import type { Classifier } from '../../src/core/policy.ts'
import type { Middleware, Service } from '../../src/core/service.ts'
import { SUCCEEDED, verdictOfError } from '../../src/core/verdicts.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { CircuitBreaker } from '../../src/runtime/breaker.ts'
import { ConcurrencyGate } from '../../src/runtime/concurrency/concurrency-gate.ts'
import { attemptTimeout } from '../../src/runtime/middleware/attempt-timeout.ts'
import { breaker } from '../../src/runtime/middleware/breaker.ts'
import { concurrency } from '../../src/runtime/middleware/concurrency.ts'
import { retry } from '../../src/runtime/middleware/retry.ts'
import { SlidingRetryBudget } from '../../src/runtime/retry-budget.ts'
import { BackoffRetryPolicy } from '../../src/runtime/retry-policy.ts'
import { TimerWheel } from '../../src/runtime/timer-wheel.ts'
import type { Benchmark, Variant } from '../benchmark.ts'

export const benchmark: Benchmark = {
  about: 'one call of an async function that succeeds, 64 in flight',
  variants: {
    'no policy': () => loop(answer),
    'retry: heddle': () => ours(retries()),
    'retry: cockatiel': () => theirs(cockatielRetries()),
    'breaker: heddle': () => ours(breakers()),
    'breaker: cockatiel': () => theirs(cockatielBreaker()),
    'breaker: opossum': () => opossum({ timeout: false }),
    'time limit: heddle': () => ours(limits()),
    'time limit: cockatiel': () => theirs(cockatielTimeout()),
    'time limit and breaker: heddle': () => ours(breakers(), limits()),
    'time limit and breaker: opossum': () => opossum({ timeout: TIMEOUT_MS }),
    'bulkhead: heddle': () => ours(places()),
    'bulkhead: cockatiel': () => theirs(bulkhead(PLACES)),
    'all four: heddle': () => ours(retries(), breakers(), limits(), places()),
    'all four: cockatiel': () =>
      theirs(wrap(cockatielRetries(), cockatielBreaker(), cockatielTimeout(), bulkhead(PLACES))),
  },
}

const IN_FLIGHT = 64
const TIMEOUT_MS = 30_000
const PLACES = 1_000

interface Request {
  readonly id: number
}

const REQUEST: Request = { id: 1 }
const answer = async (): Promise<number> => 1

const classifier: Classifier<Request, number> = {
  protocol: 'bench',
  isIdempotent: () => true,
  isReplayable: () => true,
  classifyResponse: () => SUCCEEDED,
  classifyError: (_request, error, context) => verdictOfError(error, context),
  errorResponse: () => 0,
  operation: () => 'call',
}
const wheel = new TimerWheel({ clock: systemClock })
const clock = systemClock
type Policy = Middleware<Request, number>

const retries = (): Policy =>
  retry({
    clock,
    random: Math.random,
    policy: new BackoffRetryPolicy({ maxAttempts: 3 }),
    budget: new SlidingRetryBudget(),
    classifier,
  })
const breakers = (): Policy =>
  breaker({ clock, breaker: new CircuitBreaker(Math.random), classifier })
const limits = (): Policy => attemptTimeout({ wheel, timeoutMs: TIMEOUT_MS })
const places = (): Policy =>
  concurrency(
    new ConcurrencyGate({ policy: 'bulkhead', name: 'bench', key: '', limit: PLACES }, { wheel }),
    { wheel, classifier },
  )

function ours(...policies: readonly Policy[]): Variant {
  const service = policies.reduceRight<Service<Request, number>>(
    (inner, policy) => policy(inner),
    answer,
  )
  return loop((context) => service(REQUEST, context))
}

const cockatielRetries = (): IPolicy =>
  cockatielRetry(handleAll, { maxAttempts: 2, backoff: new ExponentialBackoff() })
const cockatielBreaker = (): IPolicy =>
  circuitBreaker(handleAll, {
    halfOpenAfter: 1_000,
    breaker: new SamplingBreaker({ threshold: 0.5, duration: 10_000 }),
  })
const cockatielTimeout = (): IPolicy => timeout(TIMEOUT_MS, TimeoutStrategy.Cooperative)

const theirs = (policy: IPolicy): Variant => loop(() => policy.execute(answer))

async function opossum(options: { timeout: number | false }): Promise<Variant> {
  // It has no types of its own.
  const name = 'opossum'
  const { default: Opossum } = (await import(name)) as { default: OpossumConstructor }
  const guarded = new Opossum(answer, options)
  return { ...loop(() => guarded.fire()), close: () => guarded.shutdown() }
}

interface OpossumConstructor {
  new (
    action: () => Promise<number>,
    options: { timeout: number | false },
  ): { fire(): Promise<number>; shutdown(): void }
}

function loop(call: (context: Call) => number | Promise<number>): Variant {
  return {
    async run(count) {
      const calls: (number | Promise<number>)[] = []
      for (let done = 0; done < count; done += IN_FLIGHT) {
        calls.length = 0
        const context = new Call()
        for (let index = 0; index < IN_FLIGHT; index++) calls.push(call(context))
        for (const each of calls) await each
      }
    },
  }
}
