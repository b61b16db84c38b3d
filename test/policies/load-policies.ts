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
      listener: {
        test: ['test/gateway/load.test.ts', 'Gateway listener limits addresses before routing'],
        example: 'gateway/load.yaml',
      },
      route: {
        test: ['test/gateway/load.test.ts', 'Gateway route refuses with 429'],
        example: 'gateway/load.yaml',
      },
      cluster: {
        test: ['test/gateway/load.test.ts', 'Gateway cluster is sent no more than its rate'],
        example: 'gateway/load.yaml',
      },
    },
  },
  {
    policy: 'Limits on calls at a time, adaptive',
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
      listener: {
        test: [
          'test/gateway/adaptive.test.ts',
          'Gateway ${where} with gradient shrinks when latency grows, and says it with 503',
        ],
        example: 'gateway/load.yaml',
      },
      route: {
        test: [
          'test/gateway/adaptive.test.ts',
          'Gateway ${where} with gradient shrinks when latency grows, and says it with 503',
        ],
        example: 'gateway/load.yaml',
      },
      cluster: {
        test: [
          'test/gateway/adaptive.test.ts',
          'Gateway ${where} with gradient shrinks when latency grows, and says it with 503',
        ],
        example: 'gateway/load.yaml',
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
      listener: {
        test: ['test/gateway/load.test.ts', 'Gateway route has its own places, serves by priority'],
        example: 'gateway/load.yaml',
      },
      route: {
        test: ['test/gateway/load.test.ts', 'Gateway route has its own places, serves by priority'],
        example: 'gateway/load.yaml',
      },
    },
  },
  {
    policy: 'Queue depth, told to callers',
    page: 'load.md#limits-on-calls-at-a-time',
    marks: {
      client: {
        test: ['test/runtime/load.test.ts', 'a server tells its clients how full it is'],
        example: 'policies/load-report.ts',
      },
      server: {
        test: ['test/runtime/load.test.ts', 'a server tells its clients how full it is'],
        example: 'policies/load-report.ts',
      },
      route: {
        test: ['test/gateway/load.test.ts', 'Gateway tells how full a limit is'],
        example: 'gateway/load.yaml',
      },
    },
  },
  {
    policy: 'Backpressure by bytes, from end to end',
    page: 'load.md#bytes',
    marks: {
      client: {
        test: ['test/gateway/backpressure.test.ts', 'a slow reader of a request holds up server'],
        example: 'policies/backpressure.ts',
      },
      server: {
        test: ['test/gateway/backpressure.test.ts', 'a slow reader of an answer holds up client'],
        example: 'policies/backpressure.ts',
      },
      route: {
        test: ['test/gateway/backpressure.test.ts', 'a slow reader of an answer holds up client'],
        example: 'gateway/load.yaml',
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
      route: {
        test: ['test/gateway/load.test.ts', 'Gateway route: a bulkhead keeps'],
        example: 'gateway/load.yaml',
      },
    },
  },
]
