/** The rows of balancing in the table of docs/policies.md. */
import type { PolicyRow } from './policies.ts'

export const BALANCING_POLICIES: readonly PolicyRow[] = [
  {
    policy: 'Round robin, weighted',
    page: 'balancing.md#ways-to-choose',
    marks: {
      client: {
        test: ['src/runtime/balancer/balancer.test.ts', 'roundRobin spreads weights smoothly'],
        example: 'policies/balancers.ts',
      },
      cluster: {
        test: [
          'test/gateway/balancing.test.ts',
          'Gateway follows weights with round_robin, smoothly',
        ],
        example: 'gateway/balancing.yaml',
      },
    },
  },
  {
    policy: 'Random',
    page: 'balancing.md#ways-to-choose',
    marks: {
      client: {
        test: ['src/runtime/balancer/balancer.test.ts', '${name} follows weights'],
        example: 'policies/balancers.ts',
      },
      cluster: {
        test: ['test/gateway/balancing.test.ts', 'Gateway follows weights with random, by chance'],
        example: 'gateway/balancing.yaml',
      },
    },
  },
  {
    policy: 'Least request',
    page: 'balancing.md#ways-to-choose',
    marks: {
      client: {
        test: ['src/runtime/balancer/balancer.test.ts', 'leastRequest follows weights under load'],
        example: 'policies/balancers.ts',
      },
      cluster: {
        test: [
          'test/gateway/balancing.test.ts',
          'Gateway with least_request counts weights, and looks at every endpoint',
        ],
        example: 'gateway/balancing.yaml',
      },
    },
  },
  {
    policy: 'Power of two choices, peak EWMA',
    page: 'balancing.md#ways-to-choose',
    marks: {
      client: {
        test: ['src/runtime/balancer/balancer.test.ts', 'p2c prefers the fast endpoint'],
        example: 'policies/balancers.ts',
      },
      cluster: {
        test: [
          'test/gateway/balancing.test.ts',
          'Gateway with p2c turns from an endpoint that holds its requests',
        ],
        example: 'gateway/balancing.yaml',
      },
    },
  },
  {
    policy: 'Ring hash',
    page: 'balancing.md#consistent-hashing',
    marks: {
      client: {
        test: [
          'src/runtime/balancer/consistent.test.ts',
          '${name} moves about its share of the keys',
        ],
        example: 'policies/consistent-hashing.ts',
      },
      cluster: {
        test: [
          'test/gateway/balancing.test.ts',
          'Gateway sends the same key to the same endpoint with',
        ],
        example: 'gateway/balancing.yaml',
      },
    },
  },
  {
    policy: 'Maglev',
    page: 'balancing.md#consistent-hashing',
    marks: {
      client: {
        test: ['src/runtime/balancer/consistent.test.ts', 'makeTable fills every place'],
        example: 'policies/consistent-hashing.ts',
      },
      cluster: {
        test: [
          'test/gateway/balancing.test.ts',
          'Gateway sends the same key to the same endpoint with',
        ],
        example: 'gateway/balancing.yaml',
      },
    },
  },
  {
    policy: 'Outlier ejection',
    page: 'balancing.md#outlier-ejection',
    marks: {
      client: {
        test: [
          'src/runtime/balancer/outlier-detector.test.ts',
          'OutlierDetector ejects whose success rate is far below',
        ],
        example: 'policies/outlier-ejection.ts',
      },
      cluster: {
        test: [
          'test/gateway/balancing.test.ts',
          'Gateway takes out an endpoint that fails in a row',
        ],
        example: 'gateway/balancing.yaml',
      },
    },
  },
  {
    policy: 'Slow start',
    page: 'balancing.md#slow-start',
    marks: {
      client: {
        test: [
          'src/runtime/balancer/balancing.test.ts',
          '${name} gives a new endpoint a growing share',
        ],
        example: 'policies/slow-start.ts',
      },
      cluster: {
        test: [
          'test/gateway/balancing.test.ts',
          'Gateway gives an endpoint that returns a growing share',
        ],
        example: 'gateway/balancing.yaml',
      },
    },
  },
  {
    policy: 'Priorities with spill-over',
    page: 'balancing.md#priorities-zones-panic',
    marks: {
      client: {
        test: [
          'src/runtime/balancer/balancing.test.ts',
          '${name} divides calls between priorities by their health',
        ],
        example: 'policies/zones.ts',
      },
      cluster: {
        test: [
          'test/gateway/balancing.test.ts',
          'Gateway spills over to the next priority by what the first cannot carry',
        ],
        example: 'gateway/balancing.yaml',
      },
    },
  },
  {
    policy: 'Locality',
    page: 'balancing.md#priorities-zones-panic',
    marks: {
      client: {
        test: ['src/runtime/balancer/balancing.test.ts', '${name} prefers the own zone'],
        example: 'policies/zones.ts',
      },
      cluster: {
        test: ['test/gateway/balancing.test.ts', 'Gateway prefers endpoints of its own zone'],
        example: 'gateway/balancing.yaml',
      },
    },
  },
  {
    policy: 'Panic threshold',
    page: 'balancing.md#priorities-zones-panic',
    marks: {
      client: {
        test: [
          'src/runtime/balancer/balancing.test.ts',
          'EndpointBalancer turns to all of a priority below',
        ],
        example: 'policies/zones.ts',
      },
      cluster: {
        test: ['test/gateway/balancing.test.ts', 'Gateway uses all endpoints in a panic'],
        example: 'gateway/balancing.yaml',
      },
    },
  },
  {
    policy: 'Deterministic subsets',
    page: 'balancing.md#subsets',
    marks: {
      client: {
        test: ['src/runtime/balancer/subset.test.ts', 'subsetOf loads every server the same'],
        example: 'policies/subset.ts',
      },
      cluster: {
        test: ['test/gateway/balancing.test.ts', 'Gateway uses the endpoints of its subset only'],
        example: 'gateway/balancing.yaml',
      },
    },
  },
]
