/** The rows of timeouts in the table of docs/policies.md: each clock has its own. */
import type { PolicyRow } from './policies.ts'

export const TIMEOUT_POLICIES: readonly PolicyRow[] = [
  {
    policy: 'Timeout of a call',
    page: 'runtime.md#deadline',
    marks: {
      client: {
        test: [
          'src/runtime/client.test.ts',
          'ClientCore cancels at the deadline and leaves no timer',
        ],
        example: 'policies/timeouts.ts',
      },
      server: {
        test: [
          'src/runtime/stack/server-stack.test.ts',
          'serverStack answers in place of a service that is too slow',
        ],
        example: 'policies/timeouts.ts',
      },
      route: {
        test: ['test/gateway/gateway.test.ts', 'Gateway answers 504 after the route’s timeout'],
        example: 'gateway/dependable.yaml',
      },
    },
  },
  {
    policy: 'Timeout of an attempt',
    page: 'runtime.md#deadline',
    marks: {
      client: {
        test: [
          'src/runtime/client.test.ts',
          'ClientCore tries again elsewhere after an attempt timed out waiting, whatever the method',
        ],
        example: 'policies/timeouts.ts',
      },
      cluster: {
        test: [
          'test/gateway/timeouts.test.ts',
          'Gateway cluster gives up on an attempt after per_try_timeout, and the route on the call',
        ],
        example: 'gateway/dependable.yaml',
      },
    },
  },
  {
    policy: 'Timeout of connecting',
    page: 'runtime.md#deadline',
    marks: {
      client: {
        test: [
          'src/runtime/pool.test.ts',
          'ConnectionPool gives up connecting at connectTimeoutMs and destroys what comes late',
        ],
        example: 'policies/timeouts.ts',
      },
      cluster: {
        test: [
          'test/gateway/timeouts.test.ts',
          'Gateway cluster gives up on a connection that is not made within connect_timeout',
        ],
        example: 'gateway/dependable.yaml',
      },
    },
  },
  {
    policy: 'Timeout of a request’s head and body',
    page: 'protocols/http1.md',
    marks: {
      server: {
        test: [
          'src/protocols/http1/server-session.test.ts',
          'a body without progress is answered 408, only while it is wanted',
        ],
        example: 'policies/timeouts.ts',
      },
      listener: {
        test: [
          'test/gateway/timeouts.test.ts',
          'Gateway listener gives up on a body that pauses for request_body_timeout',
        ],
        example: 'gateway/dependable.yaml',
      },
    },
  },
  {
    policy: 'Timeout of unused connections: idle, keep-alive',
    page: 'pools.md',
    marks: {
      client: {
        test: ['src/runtime/pool.test.ts', 'ConnectionPool closes what is idle for idleTimeoutMs'],
        example: 'policies/timeouts.ts',
      },
      server: {
        test: [
          'src/protocols/http1/server-session.test.ts',
          'an idle connection is closed after keepAliveTimeoutMs',
        ],
        example: 'policies/timeouts.ts',
      },
      listener: {
        test: [
          'test/gateway/timeouts.test.ts',
          'Gateway listener closes a connection that is unused for keepalive_timeout',
        ],
        example: 'gateway/dependable.yaml',
      },
      cluster: {
        test: [
          'test/gateway/timeouts.test.ts',
          'Gateway cluster closes a pooled connection that is unused for idle_timeout',
        ],
        example: 'gateway/pools.yaml',
      },
    },
  },
]
