/**
 * `clusters`: where requests go. Endpoints, who picks one, and what protects both sides.
 */
import { z } from 'zod'
import { DEADLINE_HEADERS } from '../../../protocols/http/deadline-header.ts'
import { upstreamCredentials } from './access.ts'
import {
  hashBalanceFactor,
  hashPolicy,
  lbPolicy,
  locality,
  maglev,
  outlierDetection,
  overprovisioningFactor,
  panicThreshold,
  ringHash,
  slowStart,
  subset,
} from './balancing.ts'
import { discovery } from './discovery.ts'
import { clusterConcurrency, clusterRateLimit } from './load.ts'
import {
  address,
  count,
  duration,
  fileName,
  methodName,
  name,
  percent,
  pin,
  port,
  size,
  urlPath,
} from './primitives.ts'

const endpointObject = z
  .strictObject({
    address: address().describe('host:port, [v6]:port or unix:/path'),
    weight: count(1, 1_000).default(1).describe('Share of requests, against its siblings'),
    priority: count(0, 15)
      .default(0)
      .describe('0 is preferred; others get what it cannot carry (overprovisioning_factor)'),
    zone: z.string().min(1).max(256).optional().describe('Where it is, for locality'),
  })
  .describe('An upstream server')

export const endpoint = z.union([address(), endpointObject])

export const upstreamTls = z
  .strictObject({
    server_name: z
      .string()
      .optional()
      .describe('For SNI and the certificate check; default the host'),
    ca_file: fileName().optional().describe('Trust these certificates instead of the system’s'),
    cert_file: fileName().optional().describe('Client certificate chain, PEM'),
    key_file: fileName().optional().describe('Its private key, PEM'),
    verify: z.boolean().default(true).describe('false accepts any certificate: for tests only'),
    min_version: z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.2'),
    ciphers: z.string().min(1).optional().describe('OpenSSL’s list; default Node’s'),
    pins: z
      .array(pin())
      .min(1)
      .optional()
      .describe(
        'Public keys (SPKI), one of which the chain must have; name a second, kept offline',
      ),
    crl_file: fileName().optional().describe('Revoked certificates, PEM, of every issuer'),
  })
  .describe('Speak TLS to the endpoints')

const healthCheck = z
  .strictObject({
    type: z
      .enum(['http', 'tcp', 'grpc'])
      .default('http')
      .describe('tcp: a connection is enough; grpc: grpc.health.v1 says SERVING'),
    service: z
      .string()
      .max(256)
      .default('')
      .describe('grpc: whose health; default the server as a whole'),
    path: urlPath().default('/').describe('http: what to GET'),
    host: z.string().optional().describe('http: the Host to send; default the endpoint’s address'),
    expected_statuses: z
      .array(z.union([count(100, 599), z.string().regex(/^[1-5]\d\d-[1-5]\d\d$/)]))
      .min(1)
      .default(['200-299'])
      .describe('http: statuses that mean healthy, single or as a range'),
    port: port().optional().describe('Check this port instead of the endpoint’s'),
    interval: duration(10).default('5s'),
    timeout: duration(1).default('1s'),
    healthy_threshold: count(1, 100).default(2).describe('Successes in a row that bring it back'),
    unhealthy_threshold: count(1, 100).default(3).describe('Failures in a row that take it out'),
  })
  .describe('An active health check')

const circuitBreakers = z
  .strictObject({
    thresholds: z
      .strictObject({
        max_connections: count(1, 65_535).default(256).describe('Connections to each endpoint'),
        max_pending_requests: count(0, 1_000_000)
          .default(1_024)
          .describe(
            'Requests that wait for a connection to one endpoint; more are refused with 503',
          ),
      })
      .prefault({}),
    consecutive_failures: count(1, 10_000)
      .default(5)
      .describe('Failures in a row that open the breaker of an endpoint'),
    failure_percent: count(1, 100)
      .default(50)
      .describe('Failures among recent calls that open it, once there are min_calls'),
    slow_call_duration: duration(1)
      .optional()
      .describe('A call that takes so long is slow, also when it succeeds; default none is'),
    slow_call_percent: count(1, 100)
      .default(50)
      .describe('Slow calls among recent calls that open it, once there are min_calls'),
    min_calls: count(1, 1_000_000).default(20),
    window: duration(100).default('10s').describe('What recent means'),
    open_time: duration(1)
      .default('1s')
      .describe('Until a probe call may pass; half of it and up to all of it, by chance'),
    max_open_time: duration(1)
      .default('30s')
      .describe('open_time doubles with each failed probe up to this'),
    max_probes: count(1, 1_000).default(1).describe('Probe calls at a time'),
    successes_to_close: count(1, 1_000).default(2).describe('Probe calls that must succeed'),
    ramp_up: duration(0)
      .default('10s')
      .describe(
        'After recovery calls at a time are limited for so long: 2 at first, one more with each ' +
          'success. 0s: not at all',
      ),
  })
  .describe('Stop calling an endpoint that fails, and limit what waits for it')

const connectionPing = z
  .strictObject({
    after: duration(0)
      .optional()
      .describe('A connection unused for longer answers a ping before it gets a request'),
    interval: duration(100).optional().describe('Unused connections are pinged this often'),
    timeout: duration(1).default('1s').describe('No answer within it: the connection is closed'),
    method: methodName().default('OPTIONS'),
    path: z
      .union([z.literal('*'), urlPath()])
      .default('*')
      .describe('* asks the server as a whole'),
    host: z.string().optional().describe('The Host to send; default the name of the cluster'),
  })
  .describe('Ask a connection whether it lives; any answer will do')

const connectionPool = z
  .strictObject({
    kind: z
      .enum(['dynamic', 'fixed'])
      .default('dynamic')
      .describe('fixed: always max_connections. dynamic: as many as are needed'),
    min_connections: count(0, 65_535)
      .default(0)
      .describe('dynamic: to each endpoint, kept even when nobody uses them'),
    max_connecting: count(1, 65_535)
      .default(16)
      .describe('Connections being made to one endpoint at a time'),
    max_pending_time: duration(0)
      .default('30s')
      .describe('Longest wait for a connection, where the request has no earlier deadline'),
    shrink_delay: duration(1)
      .default('30s')
      .describe('Connections that were not needed at any moment of it are closed'),
    clock_jump: duration(1)
      .default('2s')
      .describe('When the gateway did not run for longer, unused connections are suspect'),
    suspects: z
      .enum(['drop', 'ping'])
      .default('drop')
      .describe('What is done with them: closed, or pinged before they get a request'),
    ping: connectionPing.optional(),
  })
  .superRefine((pool, context) => {
    if (pool.suspects === 'ping' && pool.ping === undefined) {
      const message = 'suspects: ping needs ping: {}'
      context.addIssue({ code: 'custom', path: ['suspects'], message })
    }
  })
  .describe('Connections to each endpoint; all of it can be changed by a reload without a cut')

/** Statuses of gRPC; they say nothing about other calls. */
export const GRPC_RETRY_CONDITIONS = [
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
] as const

export const RETRY_CONDITIONS = [
  'connect-failure',
  'reset',
  'attempt-timeout',
  'gateway-error',
  '5xx',
  'overloaded',
  ...GRPC_RETRY_CONDITIONS,
] as const

const retryPolicy = z
  .strictObject({
    num_retries: count(0, 10)
      .default(2)
      .describe('Attempts after the first; 0 switches retries off'),
    retry_on: z
      .array(z.enum(RETRY_CONDITIONS))
      .default(['connect-failure', 'reset', 'attempt-timeout', 'gateway-error'])
      .describe(
        'connect-failure: nothing was sent. reset: the connection broke before the answer. ' +
          'attempt-timeout: per_try_timeout passed. gateway-error: 502, 503, 504. 5xx: any of them. ' +
          'overloaded: 429. Requests that are not idempotent are retried only when nothing was sent.',
      ),
    per_try_timeout: duration(1)
      .optional()
      .describe('Limit of one attempt; default only the deadline'),
    retry_back_off: z
      .strictObject({
        type: z
          .enum(['exponential', 'fixed', 'decorrelated', 'adaptive'])
          .default('exponential')
          .describe(
            'exponential: doubling from base to max. fixed: always base. decorrelated: from base to ' +
              'three times the last. adaptive: exponential from the median latency of the cluster',
          ),
        base_interval: duration(1).default('25ms'),
        max_interval: duration(1).default('250ms'),
        jitter: z
          .enum(['full', 'equal', 'none'])
          .optional()
          .describe(
            'exponential and adaptive: anywhere in the interval (full, the default), in its second ' +
              'half, or all of it',
          ),
      })
      .refine(
        ({ type, jitter }) => jitter === undefined || type === 'exponential' || type === 'adaptive',
        'jitter is for the types exponential and adaptive',
      )
      .prefault({})
      .describe('How long to wait before another attempt'),
    max_elapsed: duration(1)
      .optional()
      .describe('No attempt begins later than this after the first; default only the deadline'),
    max_retry_after: duration(0)
      .default('10s')
      .describe('Asked by Retry-After to wait for longer, the answer goes to the client'),
    retry_budget: z
      .strictObject({
        budget_percent: percent().default(20).describe('Retries as a share of requests'),
        min_retries_per_second: count(0, 10_000).default(1),
      })
      .prefault({})
      .describe('So that retries never multiply an outage'),
    max_replay_body: size(0, 16 * 1024 * 1024)
      .default('64KiB')
      .describe(
        'Bodies of idempotent requests up to this are read whole before they are sent, so that ' +
          'a retry can send them again; 0: every body is streamed, and a request with one is ' +
          'retried only when nothing was sent',
      ),
  })
  .describe('When a failed attempt is made again')

const hedgePolicy = z
  .strictObject({
    delay: duration(1)
      .optional()
      .describe('Always after so long; default the time in which hedge_percentile of calls end'),
    hedge_percentile: count(50, 99).default(95),
    min_delay: duration(0).default('5ms').describe('Never sooner'),
    max_hedges: count(1, 10).default(1).describe('Of one attempt, one delay after the other'),
  })
  .describe(
    'Send idempotent requests that are slower than others a second time, to another endpoint if ' +
      'there is one, and take the first answer. Counts against retry_budget',
  )

export const cluster = z
  .strictObject({
    name: name(),
    endpoints: z
      .array(endpoint)
      .max(4_096)
      .default([])
      .describe('The servers; or discovery finds them'),
    discovery: discovery.optional(),
    lb_policy: lbPolicy,
    hash_policy: hashPolicy,
    ring_hash: ringHash.prefault({}),
    maglev: maglev.prefault({}),
    hash_balance_factor: hashBalanceFactor,
    slow_start: slowStart.optional(),
    locality: locality.optional(),
    subset: subset.optional(),
    panic_threshold: panicThreshold,
    overprovisioning_factor: overprovisioningFactor,
    tls: upstreamTls.optional(),
    http_version: z
      .enum(['auto', '1.1', '2'])
      .default('auto')
      .describe(
        'auto: over TLS what the endpoint chooses by ALPN, else 1.1. 2: without TLS by prior knowledge',
      ),
    credentials: upstreamCredentials.optional(),
    proxy_protocol: z
      .enum(['none', 'v1', 'v2'])
      .default('none')
      .describe(
        'Tell the endpoint who the client is before the first byte; pools are not used then',
      ),
    connect_timeout: duration(1).default('3s'),
    idle_timeout: duration(1)
      .default('4s')
      .describe(
        'Close pooled connections unused this long; below the 5s after which Node servers close',
      ),
    max_connection_age: duration(1)
      .default('10m')
      .describe('Then a connection is replaced when it is free, so that new addresses are used'),
    max_response_header_bytes: size(256, 1_048_576).default('32KiB'),
    dns_refresh: duration(5_000)
      .default('30s')
      .describe(
        'Resolve host names again at least this often; sooner when their TTL says so, but not within 5s',
      ),
    connection_pool: connectionPool.prefault({}),
    circuit_breakers: circuitBreakers.prefault({}),
    outlier_detection: outlierDetection.optional(),
    health_checks: z.array(healthCheck).max(4).default([]),
    retry_policy: retryPolicy.prefault({}),
    hedge_policy: hedgePolicy.optional(),
    deadline_header: z
      .enum(['none', ...DEADLINE_HEADERS])
      .default('none')
      .describe(
        'Tell the endpoint how long the client still waits, in this field: what remains of the ' +
          'route’s timeout, of per_try_timeout and of a trusted client’s own deadline',
      ),
    concurrency: clusterConcurrency
      .optional()
      .describe('Requests at a time at each endpoint; others go to another one, or wait'),
    rate_limit: clusterRateLimit.optional(),
  })
  .superRefine(({ connection_pool: pool, proxy_protocol }, context) => {
    if (proxy_protocol === 'none' || pool.ping === undefined) return
    const message = 'with proxy_protocol no connection is kept, so there is none to ping'
    context.addIssue({ code: 'custom', path: ['connection_pool', 'ping'], message })
  })
  .superRefine(({ connection_pool: pool, circuit_breakers: { thresholds } }, context) => {
    if (pool.min_connections <= thresholds.max_connections) return
    const message = `${pool.min_connections} is over max_connections, ${thresholds.max_connections}`
    context.addIssue({ code: 'custom', path: ['connection_pool', 'min_connections'], message })
  })
  .describe('Endpoints that serve the same thing')

export type ClusterConfig = z.output<typeof cluster>
export type EndpointConfig = z.output<typeof endpoint>
export type HealthCheckConfig = z.output<typeof healthCheck>
export type UpstreamTlsConfig = z.output<typeof upstreamTls>
export type RetryPolicyConfig = z.output<typeof retryPolicy>
export type ConnectionPoolConfig = z.output<typeof connectionPool>
export type CircuitBreakersConfig = z.output<typeof circuitBreakers>
export type RetryCondition = (typeof RETRY_CONDITIONS)[number]
