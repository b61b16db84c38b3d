/**
 * The service kit over the runtime's middleware, one by one and as the client's whole stack.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../src/core/address.ts'
import { noopMeter } from '../../src/core/metrics.ts'
import type { Middleware, Service } from '../../src/core/service.ts'
import { CircuitBreaker } from '../../src/runtime/breaker.ts'
import { createClient } from '../../src/runtime/client.ts'
import { attemptTimeout } from '../../src/runtime/middleware/attempt-timeout.ts'
import { breaker } from '../../src/runtime/middleware/breaker.ts'
import { deadline } from '../../src/runtime/middleware/deadline.ts'
import { metrics } from '../../src/runtime/middleware/metrics.ts'
import { rateLimit } from '../../src/runtime/middleware/rate-limit.ts'
import { retry } from '../../src/runtime/middleware/retry.ts'
import { RateLimit } from '../../src/runtime/rate-limit/rate-limit.ts'
import { SlidingRetryBudget } from '../../src/runtime/retry-budget.ts'
import { BackoffRetryPolicy } from '../../src/runtime/retry-policy.ts'
import {
  type ConcurrencyOptions,
  concurrencyLayer,
} from '../../src/runtime/stack/concurrency-layer.ts'
import { TimerWheel } from '../../src/runtime/timer-wheel.ts'
import { seededRandom } from '../../src/testing/seeded-random.ts'
import { type ServiceSubject, serviceConformance } from '../../src/testing/service-conformance.ts'
import { ScriptedExchanger, scriptedClassifier } from './scripted-exchanger.ts'

/** The wheel's one timer stays set when its last entry is gone (timer-wheel.ts), and fires once. */
const LINGER_MS = 60_000

const harness = { test, ok: assert.ok }

const traits: Readonly<Record<string, Partial<ServiceSubject<string, string>>>> = {
  'deadline that races': { enforcesDeadline: true },
}

const middlewares: Readonly<Record<string, (wheel: TimerWheel) => Middleware<string, string>>> = {
  deadline: (wheel) => deadline({ wheel, timeoutMs: 30_000 }),
  'deadline that races': (wheel) => deadline({ wheel, race: true }),
  'attempt timeout': (wheel) => attemptTimeout({ wheel, timeoutMs: 1_000 }),
  'concurrency limit': (wheel) => concurrencyOf(wheel, { maxConcurrent: 10, maxQueued: 10 }),
  'adaptive limit': (wheel) => concurrencyOf(wheel, { adaptive: 'gradient' }),
  'rate limit': (wheel) =>
    rateLimit([new RateLimit({ limit: 1_000, windowMs: 1_000 })], { wheel }, scriptedClassifier),
  breaker: ({ clock }) =>
    breaker({ clock, breaker: new CircuitBreaker(() => 0.5), classifier: scriptedClassifier }),
  retry: ({ clock }) =>
    retry({
      clock,
      random: seededRandom(1),
      policy: new BackoffRetryPolicy(),
      budget: new SlidingRetryBudget(),
      classifier: scriptedClassifier,
    }),
  metrics: ({ clock }) =>
    metrics({
      clock,
      meter: noopMeter,
      duration: 'duration',
      operationAttribute: 'operation',
      operation: (request) => request,
    }),
}

function concurrencyOf(
  wheel: TimerWheel,
  options: ConcurrencyOptions<string>,
): Middleware<string, string> {
  const { middleware } = concurrencyLayer(options, { wheel }, scriptedClassifier)
  if (middleware === undefined) throw new Error('no middleware')
  return middleware
}

for (const [name, create] of Object.entries(middlewares)) {
  serviceConformance<string, string>(
    name,
    {
      create: (next, clock) => {
        const wheel = new TimerWheel({ clock })
        return { service: create(wheel)(next), dispose: () => assertEmpty(wheel) }
      },
      request: 'get',
      response: 'answer',
      lingerMs: LINGER_MS,
      ...traits[name],
    },
    harness,
  )
}

serviceConformance<string, string>(
  'client stack',
  {
    create: (next, clock) => {
      const wheel = new TimerWheel({ clock })
      const client = createClient<string, string>({
        endpoints: [{ address: ip('10.0.0.1', 80) }],
        connectEndpoint: async () => new ScriptedExchanger({ answer: asExchange(next) }),
        classifier: scriptedClassifier,
        clock,
        wheel,
        random: seededRandom(1),
      })
      return {
        service: client.call,
        async dispose() {
          await client.close()
          assertEmpty(wheel)
        },
      }
    },
    request: 'get',
    response: 'answer',
    retries: true,
    lingerMs: LINGER_MS,
  },
  harness,
)

/** An exchanger hears the cancellation of its calls, as the kit's own `next` does. */
function asExchange(next: Service<string, string>): Service<string, string> {
  return (request, context) => next(request, context)
}

function assertEmpty(wheel: TimerWheel): void {
  assert.equal(wheel.size, 0, 'timeouts left in the wheel')
}
