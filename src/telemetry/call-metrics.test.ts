import assert from 'node:assert/strict'
import test from 'node:test'
import { memory as memoryAddress } from '../core/address.ts'
import { TransportError } from '../core/errors.ts'
import { noopMeter } from '../core/metrics.ts'
import { systemClock } from '../platform/system-clock.ts'
import { HttpResponse } from '../protocols/http/messages.ts'
import { httpServer } from '../servers/http/http-server.ts'
import { memory } from '../transports/memory/memory-transport.ts'
import { HttpServerMetrics } from './call-metrics.ts'
import { parseExposition } from './exposition-parser.ts'
import { renderPrometheus } from './prometheus.ts'
import { Registry } from './registry.ts'

const read = (registry: Registry): Map<string, number> =>
  parseExposition(renderPrometheus(registry, 'openmetrics'), 'openmetrics')

test('HttpServerMetrics records by method and status, with error.type from 500 on', () => {
  const registry = new Registry()
  const metrics = new HttpServerMetrics(registry, { 'http.route': '/a' })
  for (const [method, status] of [
    ['GET', 200],
    ['GET', 200],
    ['GET', 499],
    ['POST', 500],
    ['BREW', 418],
    ['get', 200],
  ] as const) {
    end(metrics, method, status)
  }
  metrics.onRequest()
  const samples = read(registry)
  const count = (labels: string): number | undefined =>
    samples.get(`http_server_request_duration_seconds_count{${labels}}`)
  const of = (method: string, status: number): number | undefined =>
    count(`http_request_method="${method}",http_response_status_code="${status}",http_route="/a"`)
  assert.equal(of('GET', 200), 2)
  assert.equal(of('GET', 499), 1)
  assert.equal(of('_OTHER', 418), 1)
  assert.equal(of('_OTHER', 200), 1)
  const failed = 'http_request_method="POST",http_response_status_code="500",http_route="/a"'
  assert.equal(count(`error_type="500",${failed}`), 1)
  assert.equal(samples.get('http_server_active_requests{http_route="/a"}'), 1)
})

test('HttpServerMetrics keeps statuses that are none together', () => {
  const registry = new Registry()
  const metrics = new HttpServerMetrics(registry, {})
  for (const status of [1, 99, 600, 999, Number.NaN]) end(metrics, 'GET', status)
  end(metrics, 'GET', 100)
  end(metrics, 'GET', 599)
  const name = 'http_server_request_duration_seconds_count'
  const samples = read(registry)
  assert.equal(samples.get(`${name}{error_type="_OTHER",http_request_method="GET"}`), 5)
  assert.equal(samples.get(`${name}{http_request_method="GET",http_response_status_code="100"}`), 1)
})

test('HttpServerMetrics counts exchanges without an answer by their code', () => {
  const registry = new Registry()
  const metrics = new HttpServerMetrics(registry)
  end(metrics, 'GET', 0, new TransportError('ERR_RESET', 'reset'))
  end(metrics, 'GET', 0, new Error('foreign'))
  end(metrics, 'GET', 0)
  end(metrics, 'GET', 200, new TransportError('ERR_RESET', 'reset'))
  const samples = read(registry)
  const count = (labels: string): number | undefined =>
    samples.get(`http_server_request_duration_seconds_count{${labels}}`)
  assert.equal(count('error_type="ERR_RESET",http_request_method="GET"'), 1)
  assert.equal(count('error_type="_OTHER",http_request_method="GET"'), 2)
  assert.equal(count('http_request_method="GET",http_response_status_code="200"'), 1)
})

test('HttpServerMetrics is an observer of a real server', async () => {
  const registry = new Registry()
  const observer = new HttpServerMetrics(registry)
  const link = memory({ clock: systemClock })
  const server = httpServer(() => HttpResponse.text('hello'), { observer })
  await server.listen(link, 'mem:metrics')
  const connection = await link.connect(memoryAddress('metrics'))
  await new Promise<void>((answered) => {
    connection.open({ onData: () => answered(), onDrain() {}, onEnd() {}, onClose() {} })
    connection.write(new TextEncoder().encode('GET / HTTP/1.1\r\nHost: a\r\n\r\n'))
  })
  connection.destroy()
  await server.close()
  const samples = read(registry)
  const labels =
    'http_request_method="GET",http_response_status_code="200",network_protocol_version="1.1",url_scheme="http"'
  assert.equal(samples.get(`http_server_request_duration_seconds_count{${labels}}`), 1)
  assert.equal(samples.get('http_server_active_requests{}'), 0)
})

test('HttpServerMetrics tells 256 kinds of routes apart; further ones are _OTHER', () => {
  const registry = new Registry()
  const metrics = new HttpServerMetrics(registry)
  for (let index = 0; index < 300; index++) {
    const request = { method: 'GET', scheme: 'http', version: '1.1', route: `/${index}` }
    metrics.onRequest()
    metrics.onExchange({ request, status: 200, durationMs: 1, error: undefined })
  }
  const samples = read(registry)
  const count = (route: string): number | undefined =>
    samples.get(
      `http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="${route}",network_protocol_version="1.1",url_scheme="http"}`,
    )
  assert.deepEqual([count('/255'), count('/256'), count('_OTHER')], [1, undefined, 44])
})

test('HttpServerMetrics works on a meter that counts nothing', () => {
  const metrics = new HttpServerMetrics(noopMeter, {})
  end(metrics, 'GET', 200)
  end(metrics, 'GET', 0, new Error('x'))
})

function end(metrics: HttpServerMetrics, method: string, status: number, error?: Error): void {
  metrics.onRequest()
  metrics.onExchange({ request: { method }, status, durationMs: 1, error })
}
