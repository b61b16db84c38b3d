import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, memory } from '../core/address.ts'
import { CallTiming } from '../core/call-timing.ts'
import type { Connection } from '../core/connection.ts'
import { Call } from '../core/context.ts'
import { jsonLogger, silentLogger } from './log.ts'
import { connectionFields, contextFields } from './log-fields.ts'
import { slowCallLog } from './slow-call-log.ts'

const trace = {
  traceId: 'a'.repeat(32),
  spanId: 'b'.repeat(16),
  flags: 1,
  state: undefined,
  baggage: undefined,
}
const connection = {
  id: 7,
  facts: { transport: 'tls', remote: ip('192.0.2.1', 5123), tls: { alpn: 'http/1.1' } },
} as unknown as Connection

test('contextFields names a call’s trace, request id and connection', () => {
  assert.deepEqual(contextFields(new Call({ trace, correlationId: 'r-1', connection })), {
    connection_id: 7,
    protocol: 'http/1.1',
    transport: 'tls',
    peer: '192.0.2.1:5123',
    trace_id: trace.traceId,
    span_id: trace.spanId,
    correlation_id: 'r-1',
  })
  const plain = { id: 1, facts: { transport: 'memory', remote: memory('x'), tls: undefined } }
  assert.deepEqual(connectionFields(plain as unknown as Connection), {
    connection_id: 1,
    protocol: undefined,
    transport: 'memory',
    peer: 'mem:x',
  })
})

test('slowCallLog writes one line with the times and the ids', () => {
  const lines: string[] = []
  const logger = jsonLogger((line) => void lines.push(line), { wallNow: () => 0 })
  const timing = new CallTiming()
  timing.waitedForConnection(40.04, 0)
  timing.backoffMs = 100
  timing.attempted('10.0.0.1:80', 60.06, true)
  timing.attempted('10.0.0.2:80', 20, false)
  const call = {
    operation: 'GET',
    errorType: undefined,
    tookMs: 230.123,
    thresholdMs: 150,
    suppressed: 2,
    timing,
    context: new Call({ trace, correlationId: 'r-1' }),
  }
  slowCallLog(logger, 'orders')(call, { route: 'all' })
  assert.deepEqual(JSON.parse(lines[0] ?? ''), {
    ts: '1970-01-01T00:00:00.000Z',
    level: 'warn',
    msg: 'slow call',
    name: 'orders',
    operation: 'GET',
    duration_ms: 230.1,
    threshold_ms: 150,
    suppressed: 2,
    resolve_ms: 0,
    queue_ms: 40,
    connect_ms: 0,
    backoff_ms: 100,
    attempts: [
      { endpoint: '10.0.0.1:80', ms: 60.1, failed: true },
      { endpoint: '10.0.0.2:80', ms: 20 },
    ],
    trace_id: trace.traceId,
    span_id: trace.spanId,
    correlation_id: 'r-1',
    route: 'all',
  })
  slowCallLog(silentLogger, 'orders')(call)
})
