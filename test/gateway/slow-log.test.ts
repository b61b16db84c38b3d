/** `slow_log`: which requests are written, and what the line says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { jsonLogger } from '../../src/telemetry/log.ts'
import { HTTP, start, upstream } from './running-gateway.ts'

test('slow_log writes a request that took too long, with where its time went', async (t) => {
  let calls = 0
  const address = await upstream(t, () =>
    HttpResponse.text('', { status: ++calls === 1 ? 503 : 200 }),
  )
  const lines: string[] = []
  const log = jsonLogger((line) => void lines.push(line), { wallNow: () => 0 })
  const config = (threshold: string) => ({
    listeners: [{ ...HTTP, tracing: {} }],
    slow_log: { threshold },
    routes: [{ name: 'all', cluster: 'api' }],
    clusters: [
      {
        name: 'api',
        endpoints: [address],
        retry_policy: { retry_back_off: { base_interval: '1ms' } },
      },
    ],
  })
  const { url, change, gateway } = await start(t, config('0s'), log)
  const response = await fetch(url('/orders?token=secret'))
  assert.equal(response.status, 200)
  const slow = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'slow request')
  assert.equal(slow.length, 1)
  const [line] = slow
  assert.deepEqual(
    [line.name, line.operation, line.path, line.status, line.route, line.cluster, line.upstream],
    ['http', 'GET', '/orders', 200, 'all', 'api', address],
  )
  assert.deepEqual(
    line.attempts.map((one: { endpoint: string; failed?: boolean }) => [one.endpoint, one.failed]),
    [
      [address, true],
      [address, undefined],
    ],
  )
  assert.ok(line.duration_ms > 0 && line.backoff_ms >= 0 && line.connect_ms >= 0)
  assert.match(line.trace_id, /^[0-9a-f]{32}$/)
  assert.equal(line.correlation_id, response.headers.get('x-request-id'))
  assert.doesNotMatch(lines.join(''), /secret/)

  change(config('1h'))
  assert.equal((await gateway.reload()).status, 'applied')
  lines.length = 0
  await fetch(url('/'))
  assert.deepEqual(
    lines.filter((one) => one.includes('slow request')),
    [],
  )
})
