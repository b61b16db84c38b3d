import assert from 'node:assert/strict'
import test from 'node:test'
import { type MetricKind, prometheusLabel, prometheusName, prometheusUnit } from './metric-names.ts'

test('prometheusName follows the OpenTelemetry mapping', () => {
  const table: [string, MetricKind, string, string][] = [
    ['http.server.request.duration', 'histogram', 's', 'http_server_request_duration_seconds'],
    ['http.server.active_requests', 'gauge', '{request}', 'http_server_active_requests'],
    ['heddle.client.retries', 'counter', '{try}', 'heddle_client_retries_total'],
    ['heddle.transport.read', 'counter', 'By', 'heddle_transport_read_bytes_total'],
    ['heddle.bytes.read', 'counter', 'By', 'heddle_bytes_read_total'],
    ['heddle.total.things', 'counter', '', 'heddle_things_total'],
    ['pool.usage', 'gauge', '1', 'pool_usage_ratio'],
    ['pool.usage', 'counter', '1', 'pool_usage_total'],
    ['disk.speed', 'gauge', 'By/s', 'disk_speed_bytes_per_second'],
    ['cpu.load', 'gauge', '%', 'cpu_load_percent'],
    ['room.heat', 'gauge', 'Cel', 'room_heat_Cel'],
    ['a..b--c', 'gauge', '', 'a_b_c'],
    ['3g.calls', 'gauge', '', '_3g_calls'],
  ]
  for (const [name, kind, unit, expected] of table) {
    assert.equal(prometheusName(name, kind, unit), expected, `${name} ${kind} ${unit}`)
  }
})

test('prometheusUnit leaves annotations and 1 out', () => {
  assert.equal(prometheusUnit('s'), 'seconds')
  assert.equal(prometheusUnit('By/s'), 'bytes_per_second')
  assert.equal(prometheusUnit('{request}'), '')
  assert.equal(prometheusUnit('By{payload}'), 'bytes')
  assert.equal(prometheusUnit('1'), '')
})

test('prometheusLabel holds only what a label may', () => {
  assert.equal(prometheusLabel('http.request.method'), 'http_request_method')
  assert.equal(prometheusLabel('9lives'), '_9lives')
  assert.equal(prometheusLabel('a:b'), 'a_b')
})
