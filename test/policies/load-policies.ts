/** The rows of load in the table of docs/policies.md. */
import type { PolicyRow } from './policies.ts'

export const LOAD_POLICIES: readonly PolicyRow[] = [
  {
    policy: 'Rate limits',
    page: 'load.md#rate-limits',
    marks: {
      client: {
        test: [
          'src/runtime/middleware/rate-limit.test.ts',
          'rateLimit lets calls wait in the order they came',
        ],
        example: 'policies/client-rate-limit.ts',
      },
      server: {
        test: ['test/runtime/load.test.ts', 'httpServer refuses with 429'],
        example: 'policies/rate-limit.ts',
      },
    },
  },
  {
    policy: 'Adaptive concurrency',
    page: 'load.md#limits-on-calls-at-a-time',
    marks: {
      client: {
        test: ['test/runtime/load.test.ts', 'httpClient limits attempts at an endpoint adaptively'],
        example: 'policies/client-adaptive-concurrency.ts',
      },
      server: {
        test: ['test/runtime/load.test.ts', 'httpServer with an adaptive limit'],
        example: 'policies/adaptive-concurrency.ts',
      },
    },
  },
  {
    policy: 'Shedding by priority',
    page: 'load.md#limits-on-calls-at-a-time',
    marks: {
      server: {
        test: ['test/runtime/load.test.ts', 'httpServer sheds by priority'],
        example: 'policies/shedding.ts',
      },
    },
  },
  {
    policy: 'Bulkheads',
    page: 'load.md#bulkheads',
    marks: {
      client: {
        test: [
          'src/runtime/middleware/concurrency.test.ts',
          'bulkhead: a compartment that is full refuses its own calls',
        ],
        example: 'policies/client-bulkheads.ts',
      },
      server: {
        test: ['test/runtime/load.test.ts', 'httpServer with an adaptive limit, and its bulkheads'],
        example: 'policies/bulkheads.ts',
      },
    },
  },
]
