import assert from 'node:assert/strict'
import test from 'node:test'
import { noopMeter } from '../core/metrics.ts'
import { ConnectionMetrics, HttpClientMetrics, HttpServerMetrics } from './call-metrics.ts'
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
    metrics.started()
    metrics.ended(method, status, 0.001)
  }
  metrics.started()
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
  for (const status of [0, 99, 600, 999, Number.NaN]) metrics.ended('GET', status, 0.001)
  metrics.ended('GET', 100, 0.001)
  metrics.ended('GET', 599, 0.001)
  const name = 'http_server_request_duration_seconds_count'
  const samples = read(registry)
  assert.equal(samples.get(`${name}{error_type="_OTHER",http_request_method="GET"}`), 5)
  assert.equal(samples.get(`${name}{http_request_method="GET",http_response_status_code="100"}`), 1)
})

test('HttpClientMetrics counts failures by their code and errors from 400 on', () => {
  const registry = new Registry()
  const metrics = new HttpClientMetrics(registry, { 'heddle.cluster': 'api' })
  metrics.started()
  metrics.failed('GET', 'ERR_RESET', 0.2)
  metrics.started()
  metrics.ended('GET', 404, 0.01)
  metrics.retries.add()
  const samples = read(registry)
  const name = 'http_client_request_duration_seconds_count'
  const tail = 'heddle_cluster="api",http_request_method="GET"'
  assert.equal(samples.get(`${name}{error_type="ERR_RESET",${tail}}`), 1)
  assert.equal(samples.get(`${name}{error_type="404",${tail},http_response_status_code="404"}`), 1)
  assert.equal(samples.get('heddle_client_retries_total{heddle_cluster="api"}'), 1)
  assert.equal(samples.get('http_client_active_requests{heddle_cluster="api"}'), 0)
})

test('ConnectionMetrics follows a connection from open to closed', () => {
  const registry = new Registry()
  const metrics = new ConnectionMetrics(registry, { 'network.transport': 'tcp' })
  metrics.open.add(1)
  metrics.opened.add()
  metrics.bytesRead.add(10)
  metrics.closed(3)
  const samples = read(registry)
  assert.equal(samples.get('heddle_connection_open{network_transport="tcp"}'), 0)
  assert.equal(samples.get('heddle_connection_opened_total{network_transport="tcp"}'), 1)
  assert.equal(samples.get('heddle_connection_read_bytes_total{network_transport="tcp"}'), 10)
  assert.equal(samples.get('heddle_connection_duration_seconds_sum{network_transport="tcp"}'), 3)
})

test('HttpServerMetrics works on a meter that counts nothing', () => {
  const metrics = new HttpServerMetrics(noopMeter, {})
  metrics.started()
  metrics.ended('GET', 200, 0.1)
  metrics.failed('GET', 'ERR_RESET', 0.1)
})
