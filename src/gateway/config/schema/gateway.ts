/**
 * The configuration as a whole. Strict: a key that is not here is an error, never ignored.
 */
import { z } from 'zod'
import { auditLog } from './audit.ts'
import { cluster } from './cluster.ts'
import { listener } from './listener.ts'
import { count, duration, fileName, listenAddress, size } from './primitives.ts'
import { route } from './route.ts'

const admin = z
  .strictObject({
    address: listenAddress()
      .default('127.0.0.1:9901')
      .describe('Off loopback, put it behind a wall'),
    enabled: z.boolean().default(true),
    allowed_hosts: z
      .array(z.string().min(1))
      .default([])
      .describe('Host values that are accepted besides the address itself and localhost'),
  })
  .describe('Probes, metrics, dashboard')

const accessLog = z
  .strictObject({
    path: z
      .union([z.literal('stdout'), z.literal('stderr'), z.literal('off'), fileName()])
      .default('off')
      .describe('stdout, stderr, off, or a file; SIGUSR1 opens the file again'),
    max_buffered: size(4_096, 1_073_741_824)
      .default('4MiB')
      .describe('Lines that wait for a slow disk; beyond it lines are dropped, and counted'),
    headers: z
      .array(z.string().min(1))
      .max(32)
      .default([])
      .describe('Request headers to log; Authorization, Cookie and their like are always redacted'),
    query: z.boolean().default(false).describe('Log the query too; it often holds secrets'),
  })
  .describe('One line of JSON for each request')

const slowLog = z
  .strictObject({
    threshold: duration(0)
      .optional()
      .describe(
        'Requests that take longer are logged. Default 1s, or none where p99_factor is set',
      ),
    p99_factor: z
      .number()
      .min(1)
      .max(1_000)
      .optional()
      .describe('So are those that take so many times the 99th percentile of the last 30s'),
    max_per_minute: count(1, 1_000_000)
      .default(60)
      .describe('More are counted, and the next line says how many'),
  })
  .describe('A line, with where the time went, for each request that took too long to be answered')

const drain = z
  .strictObject({
    delay: duration(0)
      .default('0s')
      .describe('Between not ready and not accepting: time for load balancers to notice'),
    timeout: duration(0).default('10s').describe('For requests in flight; then they are cut'),
  })
  .describe('What SIGTERM does')

export const gatewayConfig = z
  .strictObject({
    admin: admin.prefault({}),
    access_log: accessLog.prefault({}),
    slow_log: slowLog.optional(),
    audit_log: auditLog.prefault({}),
    drain: drain.prefault({}),
    watch: z.boolean().default(true).describe('Reload when the file changes; SIGHUP always does'),
    max_recent_errors: count(1, 10_000).default(100).describe('Shown by the dashboard'),
    listeners: z.array(listener).min(1, 'a gateway needs a listener').max(256),
    routes: z
      .array(route)
      .max(100_000)
      .default([])
      .describe('Of every HTTP listener without its own'),
    clusters: z.array(cluster).max(10_000).default([]),
    demo: z
      .boolean()
      .default(false)
      .describe(
        'Start the demo upstreams and add their clusters: demo-api, demo-echo, demo-flaky, demo-library',
      ),
  })
  .describe('heddle gateway configuration')

export type GatewayConfig = z.output<typeof gatewayConfig>
export type GatewayConfigInput = z.input<typeof gatewayConfig>
export type AccessLogConfig = z.output<typeof accessLog>
