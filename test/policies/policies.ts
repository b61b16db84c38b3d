/**
 * Where each policy applies: the table of docs/policies.md. Every mark names the test that fails
 * without it and an example that runs; `policies.test.ts` looks that both are there.
 */
import { BALANCING_POLICIES } from './balancing-policies.ts'
import { DISCOVERY_POLICIES } from './discovery-policies.ts'
import { LOAD_POLICIES } from './load-policies.ts'
import { TIMEOUT_POLICIES } from './timeout-policies.ts'
import { TLS_POLICIES } from './tls-policies.ts'

export const PLACES = ['client', 'server', 'listener', 'route', 'cluster'] as const

export type Place = (typeof PLACES)[number]

export interface Mark {
  /** A test file, and a test in it, as written there. */
  readonly test: readonly [file: string, name: string]
  /** Below `examples/`: `policies/x.ts` is run, `gateway/x.yaml` is checked and started. */
  readonly example: string
}

export interface PolicyRow {
  readonly policy: string
  /** Its section, below `docs/`. */
  readonly page: string
  readonly marks: Readonly<Partial<Record<Place, Mark>>>
}

export const POLICIES: readonly PolicyRow[] = [
  {
    policy: 'Circuit breakers: failures in a row, failure rate, slow calls, ramp-up',
    page: 'runtime.md#breaker',
    marks: {
      client: {
        test: ['src/runtime/breaker.test.ts', 'CircuitBreaker opens when too many calls are slow'],
        example: 'policies/breaker.ts',
      },
      cluster: {
        test: ['test/gateway/calls.test.ts', 'Gateway opens a breaker for slow calls'],
        example: 'gateway/dependable.yaml',
      },
    },
  },
  {
    policy: 'Breakers shared by worker threads',
    page: 'runtime.md#breaker',
    marks: {
      client: {
        test: ['test/runtime/shared-breakers.test.ts', 'a breaker that one thread opened refuses'],
        example: 'policies/shared-breakers.ts',
      },
    },
  },
  {
    policy: 'Fan-out: all, any, quorum, partial results, a deadline for each branch',
    page: 'patterns.md#fan-out',
    marks: {
      client: {
        test: ['test/patterns/fan-out.test.ts', 'fanOut partial: each branch has its deadline'],
        example: 'patterns/fan-out.ts',
      },
    },
  },
  {
    policy: 'Batches by size, bytes or time',
    page: 'patterns.md#batches',
    marks: {
      client: {
        test: ['test/patterns/batch.test.ts', 'batching gives each caller its own answer or error'],
        example: 'patterns/batching.ts',
      },
    },
  },
  {
    policy: 'Outbox on disk: at least once, in order, dead letters',
    page: 'patterns.md#outbox',
    marks: {
      client: {
        test: ['test/patterns/outbox.test.ts', 'Outbox opens after a crash at any byte'],
        example: 'patterns/outbox.ts',
      },
    },
  },
  {
    policy: 'Streams with credit in items and bytes',
    page: 'patterns.md#streams',
    marks: {
      client: {
        test: ['test/patterns/streaming.test.ts', 'creditChannel: the writer has credit'],
        example: 'patterns/streams.ts',
      },
      server: {
        test: ['test/patterns/streaming.test.ts', 'serverStream: a generator goes no further'],
        example: 'patterns/streams.ts',
      },
    },
  },
  {
    policy: 'Request and reply over messages, bounded',
    page: 'patterns.md#request-and-reply-over-messages',
    marks: {
      client: {
        test: ['test/patterns/request-reply.test.ts', 'RequestReply is bounded in calls that wait'],
        example: 'patterns/request-reply.ts',
      },
      server: {
        test: ['test/patterns/request-reply.test.ts', 'answerRequests hears cancellation'],
        example: 'patterns/request-reply.ts',
      },
    },
  },
  {
    policy: 'Pools: fixed, dynamic, limits that change at run time',
    page: 'pools.md#kinds',
    marks: {
      client: {
        test: ['test/runtime/pool-limits.test.ts', 'reconfigure: a higher max serves who waits'],
        example: 'policies/pools.ts',
      },
      cluster: {
        test: ['test/gateway/pools.test.ts', 'Gateway changes the limits of pools by a reload'],
        example: 'gateway/pools.yaml',
      },
    },
  },
  {
    policy: 'Connections that may be dead: pings, health checks, clock jumps',
    page: 'pools.md#whether-a-connection-lives',
    marks: {
      client: {
        test: ['test/runtime/pool-health.test.ts', 'ConnectionPool pings what was idle for longer'],
        example: 'policies/connection-health.ts',
      },
      cluster: {
        test: ['test/gateway/pools.test.ts', 'Gateway pings a connection that was unused for long'],
        example: 'gateway/pools.yaml',
      },
    },
  },
  {
    policy: 'One bound on connections for several clients and worker threads',
    page: 'pools.md#worker-threads',
    marks: {
      client: {
        test: [
          'test/runtime/pool-workers.test.ts',
          'pools of several worker threads draw on one bound of connections',
        ],
        example: 'policies/shared-pools.ts',
      },
    },
  },
  {
    policy: 'Pinned connections',
    page: 'pools.md#pinning',
    marks: {
      client: {
        test: ['test/runtime/client-pools.test.ts', 'ClientCore.pin gives one connection'],
        example: 'policies/pin.ts',
      },
    },
  },
  {
    policy: 'Hedging of slow idempotent calls',
    page: 'runtime.md#hedging',
    marks: {
      client: {
        test: [
          'src/runtime/middleware/hedge.test.ts',
          'hedge takes the first answer and cancels the other attempt',
        ],
        example: 'policies/hedging.ts',
      },
      cluster: {
        test: ['test/gateway/calls.test.ts', 'Gateway hedges a slow request'],
        example: 'gateway/dependable.yaml',
      },
    },
  },
  {
    policy: 'Deadlines between services',
    page: 'runtime.md#deadline',
    marks: {
      client: {
        test: [
          'test/pains/pain-61.test.ts',
          'pain 61: each hop is told what remains, not what was configured',
        ],
        example: 'policies/deadlines.ts',
      },
      server: {
        test: [
          'test/pains/pain-61.test.ts',
          'pain 61: a service is cut off when its caller’s time is up',
        ],
        example: 'policies/deadlines.ts',
      },
      listener: {
        test: [
          'test/gateway/calls.test.ts',
          'Gateway gives up when the client’s own deadline has passed',
        ],
        example: 'gateway/dependable.yaml',
      },
      cluster: {
        test: ['test/gateway/calls.test.ts', 'Gateway tells an endpoint what remains'],
        example: 'gateway/dependable.yaml',
      },
    },
  },
  {
    policy: 'Bodies that can be sent again',
    page: 'runtime.md#retries',
    marks: {
      client: {
        test: [
          'test/pains/pain-15.test.ts',
          'pain 15: a retry after an answer sends the whole body again, or is not made',
        ],
        example: 'policies/replayable-bodies.ts',
      },
      cluster: {
        test: [
          'src/gateway/upstream/replayable-body.test.ts',
          'keepSmallBodies keeps an idempotent body up to its limit',
        ],
        example: 'gateway/dependable.yaml',
      },
    },
  },
  ...TIMEOUT_POLICIES,
  {
    policy: 'Retries with a budget',
    page: 'runtime.md#retries',
    marks: {
      client: {
        test: ['src/runtime/middleware/retry.test.ts', 'retry gives the last response itself'],
        example: 'policies/retries.ts',
      },
      cluster: {
        test: ['test/gateway/gateway.test.ts', 'Gateway retries a failing endpoint on another one'],
        example: 'gateway/dependable.yaml',
      },
    },
  },
  {
    policy: 'Happy Eyeballs',
    page: 'discovery.md#dns',
    marks: {
      client: {
        test: [
          'src/transports/tcp/happy-eyeballs.test.ts',
          'raceAddresses starts the next address after the delay',
        ],
        example: 'policies/happy-eyeballs.ts',
      },
    },
  },
  ...DISCOVERY_POLICIES,
  {
    policy: 'Address lists (CIDR)',
    page: 'security.md#address-lists',
    marks: {
      server: {
        test: ['test/gateway/address-lists.test.ts', 'httpServer over TLS reads not a byte'],
        example: 'policies/address-lists.ts',
      },
      listener: {
        test: ['test/gateway/address-lists.test.ts', 'Gateway listener refuses by address'],
        example: 'gateway/guarded.yaml',
      },
    },
  },
  ...BALANCING_POLICIES,
  {
    policy: 'Lockout after failed logins',
    page: 'security.md#lockout',
    marks: {
      server: {
        test: ['test/security/lockout.test.ts', 'httpServer answers 429 with Retry-After'],
        example: 'policies/lockout.ts',
      },
      listener: {
        test: ['test/gateway/access.test.ts', 'Gateway locks out who fails too often'],
        example: 'gateway/access.yaml',
      },
    },
  },
  ...LOAD_POLICIES,
  {
    policy: 'Audit log',
    page: 'security.md#audit-log',
    marks: {
      server: {
        test: [
          'src/security/audit/audit-log.test.ts',
          'AuditLog closes its gate while the disk is',
        ],
        example: 'policies/audit-log.ts',
      },
      listener: {
        test: ['test/gateway/audit-log.test.ts', 'Gateway records starts, refusals by address'],
        example: 'gateway/guarded.yaml',
      },
    },
  },
  {
    policy: 'Traces',
    page: 'telemetry.md#traces',
    marks: {
      client: {
        test: ['test/telemetry/tracing.test.ts', 'a call is a span, its attempts are children'],
        example: 'policies/traces.ts',
      },
      server: {
        test: ['test/telemetry/tracing.test.ts', 'an error of a service is recorded with its span'],
        example: 'policies/traces.ts',
      },
      listener: {
        test: ['test/gateway/tracing.test.ts', 'with tracing upstreams get a parent'],
        example: 'gateway/observed.yaml',
      },
      cluster: {
        test: ['test/gateway/tracing.test.ts', 'with an SDK a request is a server span'],
        example: 'gateway/observed.yaml',
      },
    },
  },
  {
    policy: 'Trace context, baggage and request ids between services',
    page: 'telemetry.md#traces',
    marks: {
      client: {
        test: ['test/telemetry/propagation.test.ts', 'a service that calls another passes trace'],
        example: 'policies/propagation.ts',
      },
      server: {
        test: ['test/telemetry/propagation.test.ts', 'a server makes the request id'],
        example: 'policies/propagation.ts',
      },
      listener: {
        test: ['test/gateway/tracing.test.ts', 'an edge that trusts nobody begins a trace'],
        example: 'gateway/observed.yaml',
      },
    },
  },
  {
    policy: 'Metrics, with exemplars',
    page: 'telemetry.md',
    marks: {
      client: {
        test: ['test/telemetry/metrics.test.ts', 'what a client and a server count flows'],
        example: 'policies/metrics.ts',
      },
      server: {
        test: ['test/telemetry/metrics.test.ts', 'a sampled call leaves its trace'],
        example: 'policies/metrics.ts',
      },
      listener: {
        test: [
          'test/gateway/tracing.test.ts',
          'the exemplar of a request’s duration is the gateway’s own span',
        ],
        example: 'gateway/observed.yaml',
      },
      cluster: {
        test: [
          'test/pins/metrics-docs.test.ts',
          'docs/telemetry.md lists every metric of the gateway',
        ],
        example: 'gateway/observed.yaml',
      },
    },
  },
  {
    policy: 'Access log',
    page: 'gateway.md',
    marks: {
      listener: {
        test: ['test/gateway/gateway.test.ts', 'Gateway writes the access log and opens it again'],
        example: 'gateway/observed.yaml',
      },
    },
  },
  {
    policy: 'Slow-call log',
    page: 'telemetry.md#slow-calls',
    marks: {
      client: {
        test: ['src/runtime/middleware/slow-calls.test.ts', 'a slow call says where its time went'],
        example: 'policies/slow-calls.ts',
      },
      server: {
        test: [
          'src/runtime/stack/server-stack.test.ts',
          'serverStack reports a call that took too',
        ],
        example: 'policies/slow-calls.ts',
      },
      listener: {
        test: ['test/gateway/slow-log.test.ts', 'slow_log writes a request that took too long'],
        example: 'gateway/observed.yaml',
      },
    },
  },
  {
    policy: 'Diagnostics channels',
    page: 'telemetry.md#diagnostics-channels',
    marks: {
      client: {
        test: ['test/telemetry/channels.test.ts', 'connections, breakers, retries and discovery'],
        example: 'policies/channels.ts',
      },
      server: {
        test: ['test/telemetry/channels.test.ts', 'calls of clients and servers are on tracing'],
        example: 'policies/channels.ts',
      },
      listener: {
        test: ['test/gateway/channels.test.ts', 'a gateway tells requests, connections'],
        example: 'gateway/observed.yaml',
      },
      cluster: {
        test: ['test/gateway/channels.test.ts', 'a gateway tells requests, connections'],
        example: 'gateway/observed.yaml',
      },
    },
  },
  {
    policy: 'Authentication: several ways to log in, tried in order',
    page: 'authentication.md#a-server',
    marks: {
      server: {
        test: [
          'src/servers/http/authentication/authentication.test.ts',
          'authenticate answers 401 with every way to log in',
        ],
        example: 'policies/authentication.ts',
      },
      listener: {
        test: ['test/gateway/access.test.ts', 'Gateway tries every way to log in'],
        example: 'gateway/access.yaml',
      },
      route: {
        test: ['test/gateway/access.test.ts', 'Gateway routes have access of their own'],
        example: 'gateway/access.yaml',
      },
    },
  },
  {
    policy: 'Name and password',
    page: 'authentication.md#basic',
    marks: {
      server: {
        test: [
          'src/servers/http/authentication/authentication.test.ts',
          'authenticate serves a caller by name and password',
        ],
        example: 'policies/authentication.ts',
      },
      listener: {
        test: ['test/gateway/access.test.ts', 'Gateway reloads users'],
        example: 'gateway/access.yaml',
      },
    },
  },
  {
    policy: 'Bearer tokens, with keys that rotate',
    page: 'authentication.md#bearer-tokens',
    marks: {
      server: {
        test: [
          'src/servers/http/authentication/authentication.test.ts',
          'authenticate serves a caller by token',
        ],
        example: 'policies/authentication.ts',
      },
      listener: {
        test: ['test/gateway/access.test.ts', 'Gateway follows an issuer that rotates its keys'],
        example: 'gateway/access.yaml',
      },
    },
  },
  {
    policy: 'API keys',
    page: 'authentication.md#api-keys',
    marks: {
      server: {
        test: [
          'src/servers/http/authentication/authentication.test.ts',
          'authenticate serves a caller by key',
        ],
        example: 'policies/authentication.ts',
      },
      listener: {
        test: ['test/gateway/access.test.ts', 'Gateway tries every way to log in'],
        example: 'gateway/access.yaml',
      },
    },
  },
  {
    policy: 'Client certificates as a login',
    page: 'authentication.md#client-certificates',
    marks: {
      server: {
        test: [
          'src/servers/http/authentication/authentication.test.ts',
          'mutualTls names the caller by the certificate of its connection',
        ],
        example: 'policies/client-certificates.ts',
      },
      listener: {
        test: ['test/gateway/access.test.ts', 'Gateway names callers by their client certificates'],
        example: 'gateway/policy-service.yaml',
      },
    },
  },
  {
    policy: 'Challenge-response',
    page: 'authentication.md#schemes-of-your-own',
    marks: {
      server: {
        test: [
          'src/servers/http/authentication/authentication.test.ts',
          'schemeAuthenticator carries a dialogue of several steps',
        ],
        example: 'policies/challenge.ts',
      },
    },
  },
  {
    policy: 'SASL: SCRAM and PLAIN',
    page: 'authentication.md#sasl',
    marks: {
      client: {
        test: ['src/protocols/sasl/sasl.test.ts', 'SCRAM logs in over every hash'],
        example: 'policies/sasl.ts',
      },
      server: {
        test: [
          'src/protocols/sasl/sasl.test.ts',
          'SCRAM refuses a wrong password and an unknown name',
        ],
        example: 'policies/sasl.ts',
      },
    },
  },
  {
    policy: 'Credentials of a client',
    page: 'authentication.md#a-client',
    marks: {
      client: {
        test: [
          'src/clients/http/oauth-tokens.test.ts',
          'credentials that cannot be sent are refused',
        ],
        example: 'policies/credentials.ts',
      },
      cluster: {
        test: ['test/gateway/access.test.ts', 'Gateway shows its own credentials to a cluster'],
        example: 'gateway/access.yaml',
      },
    },
  },
  {
    policy: 'OAuth 2.0 tokens that renew themselves',
    page: 'authentication.md#a-client',
    marks: {
      client: {
        test: [
          'src/clients/http/oauth-tokens.test.ts',
          'oauthTokens refreshes behind the back of callers',
        ],
        example: 'policies/oauth.ts',
      },
      cluster: {
        test: ['test/gateway/access.test.ts', 'Gateway renews a token that an endpoint refuses'],
        example: 'gateway/access.yaml',
      },
    },
  },
  {
    policy: 'Authorization by roles and conditions',
    page: 'authorization.md#rules',
    marks: {
      server: {
        test: [
          'src/runtime/middleware/authorization.test.ts',
          'authorization refuses without telling the caller why',
        ],
        example: 'policies/authorization.ts',
      },
      listener: {
        test: ['test/gateway/access.test.ts', 'Gateway allows what roles allow'],
        example: 'gateway/access.yaml',
      },
      route: {
        test: ['test/gateway/access.test.ts', 'Gateway allows what roles allow'],
        example: 'gateway/access.yaml',
      },
    },
  },
  {
    policy: 'Authorization of connections',
    page: 'authorization.md#three-levels',
    marks: {
      server: {
        test: [
          'src/runtime/middleware/authorization.test.ts',
          'connectionAdmission asks before a byte is read',
        ],
        example: 'policies/connection-rules.ts',
      },
      listener: {
        test: ['test/gateway/access.test.ts', 'Gateway refuses connections by rule'],
        example: 'gateway/policy-service.yaml',
      },
    },
  },
  {
    policy: 'A policy service',
    page: 'authorization.md#a-policy-service',
    marks: {
      server: {
        test: [
          'src/security/authorization/external-authorizer.test.ts',
          'ExternalAuthorizer denies on failure',
        ],
        example: 'policies/policy-service.ts',
      },
      listener: {
        test: ['test/gateway/access.test.ts', 'Gateway asks a policy service'],
        example: 'gateway/policy-service.yaml',
      },
    },
  },
  ...TLS_POLICIES,
]

/** As Markdown; `npm run gen` writes it into docs/policies.md. */
export function policiesTable(): string {
  const head = `| policy | ${PLACES.map((place) => HEADINGS[place]).join(' | ')} |`
  const rule = `|---|${PLACES.map(() => ':-:|').join('')}`
  const rows = POLICIES.map(({ policy, page, marks }) => {
    const cells = PLACES.map((place) => {
      const mark = marks[place]
      return mark === undefined ? '–' : `[✓](../examples/${mark.example})`
    })
    return `| [${policy}](${page}) | ${cells.join(' | ')} |`
  })
  return [head, rule, ...rows].join('\n')
}

const HEADINGS: Readonly<Record<Place, string>> = {
  client: 'library client',
  server: 'library server',
  listener: 'gateway listener',
  route: 'gateway route',
  cluster: 'gateway cluster',
}
