import assert from 'node:assert/strict'
import test from 'node:test'
import { parseExposition } from './exposition-parser.ts'
import { EXPOSITION_TYPES, negotiateExposition, renderPrometheus } from './prometheus.ts'
import { Registry } from './registry.ts'

test('renderPrometheus text form, byte by byte', () => {
  const registry = filled()
  assert.equal(
    renderPrometheus(registry, 'prometheus'),
    [
      '# HELP target_info What this process is.',
      '# TYPE target_info gauge',
      'target_info{service_name="heddle"} 1',
      '# HELP heddle_demo_calls_total Calls, with a \\\\ and a\\nline.',
      '# TYPE heddle_demo_calls_total counter',
      'heddle_demo_calls_total{http_route="/a\\"b\\\\c\\nd"} 3',
      '# TYPE heddle_demo_level gauge',
      'heddle_demo_level -Inf',
      '# TYPE heddle_demo_time_seconds histogram',
      'heddle_demo_time_seconds_bucket{method="GET",le="0.1"} 1',
      'heddle_demo_time_seconds_bucket{method="GET",le="1"} 2',
      'heddle_demo_time_seconds_bucket{method="GET",le="+Inf"} 3',
      'heddle_demo_time_seconds_sum{method="GET"} 2.55',
      'heddle_demo_time_seconds_count{method="GET"} 3',
      '# HELP heddle_telemetry_observer_errors_total Observers that threw while metrics were collected.',
      '# TYPE heddle_telemetry_observer_errors_total counter',
      'heddle_telemetry_observer_errors_total 0',
      '# HELP heddle_telemetry_series_overflows_total Attribute combinations that were counted under _OTHER because of the limit.',
      '# TYPE heddle_telemetry_series_overflows_total counter',
      'heddle_telemetry_series_overflows_total 0',
      '',
    ].join('\n'),
  )
})

test('renderPrometheus OpenMetrics has units, exemplars and an end', () => {
  const lines = renderPrometheus(filled(), 'openmetrics').split('\n')
  assert.deepEqual(lines.slice(0, 3), [
    '# HELP target What this process is.',
    '# TYPE target info',
    'target_info{service_name="heddle"} 1',
  ])
  assert.ok(lines.includes('# TYPE heddle_demo_calls counter'))
  assert.ok(lines.includes('# HELP heddle_demo_calls Calls, with a \\\\ and a\\nline.'))
  assert.ok(lines.includes('# UNIT heddle_demo_time_seconds seconds'))
  const exemplar = `{trace_id="${'a'.repeat(32)}",span_id="${'b'.repeat(16)}"} 0.5 1700000000.123`
  const bucket = `heddle_demo_time_seconds_bucket{method="GET",le="1.0"} 2 # ${exemplar}`
  assert.ok(lines.includes(bucket), lines.join('\n'))
  assert.deepEqual(lines.slice(-2), ['# EOF', ''])
})

test('renderPrometheus reads back with a strict parser in both formats', () => {
  for (const format of ['prometheus', 'openmetrics'] as const) {
    const samples = parseExposition(renderPrometheus(filled(), format), format)
    const calls = samples.get('heddle_demo_calls_total{http_route="/a"b\\c\nd"}')
    assert.equal(calls, 3)
    assert.equal(samples.get('heddle_demo_level{}'), Number.NEGATIVE_INFINITY)
    assert.equal(samples.get('heddle_demo_time_seconds_bucket{le="+Inf",method="GET"}'), 3)
  }
})

test('renderPrometheus joins attributes that become one label', () => {
  const registry = new Registry()
  registry.gauge('heddle.demo.g', {}, { 'a.b': 1, a_b: 2 }).set(1)
  assert.match(renderPrometheus(registry, 'prometheus'), /heddle_demo_g\{a_b="1;2"\} 1\n/)
})

test('negotiateExposition answers what the scraper prefers', () => {
  const prometheus2 =
    'application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'
  const table: [string | undefined, string][] = [
    [undefined, 'prometheus'],
    ['*/*', 'prometheus'],
    ['text/html,application/xhtml+xml', 'prometheus'],
    [prometheus2, 'openmetrics'],
    ['application/openmetrics-text', 'openmetrics'],
    ['application/openmetrics-text; version=1.0.0; charset=utf-8', 'openmetrics'],
    ['application/openmetrics-text;version=0.0.1', 'prometheus'],
    ['application/openmetrics-text;q=0', 'prometheus'],
    ['application/openmetrics-text;q=0.2, text/plain;q=0.9', 'prometheus'],
    ['application/openmetrics-text;q=nonsense', 'prometheus'],
  ]
  for (const [accept, expected] of table) {
    assert.equal(negotiateExposition(accept), expected, String(accept))
  }
  assert.equal(EXPOSITION_TYPES.prometheus, 'text/plain; version=0.0.4; charset=utf-8')
})

function filled(): Registry {
  const registry = new Registry({
    resource: { 'service.name': 'heddle' },
    wallNow: () => 1_700_000_000_123,
  })
  registry
    .counter(
      'heddle.demo.calls',
      { unit: '{call}', description: 'Calls, with a \\ and a\nline.' },
      { 'http.route': '/a"b\\c\nd' },
    )
    .add(3)
  registry.gauge('heddle.demo.level').set(Number.NEGATIVE_INFINITY)
  const time = registry.histogram(
    'heddle.demo.time',
    { unit: 's', buckets: [0.1, 1] },
    { method: 'GET' },
  )
  const sampled = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: 1 }
  time.record(0.05)
  time.record(0.5, { ...sampled, state: undefined, baggage: undefined })
  time.record(2)
  return registry
}
