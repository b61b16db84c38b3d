import assert from 'node:assert/strict'
import test from 'node:test'
import { parseExposition } from './exposition-parser.ts'

const head = '# TYPE a_seconds histogram\n'

test('parseExposition refuses what a scraper would misread', () => {
  const table: [string, RegExp][] = [
    ['# TYPE a gauge\na 1', /last line/],
    ['a 1\n', /no type/],
    ['# TYPE a gauge\na 1\na 1\n', /sample twice/],
    ['# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\n', /not together/],
    ['# TYPE a gauge\na{x="1",x="2"} 1\n', /label twice/],
    ['# TYPE a gauge\na{x="1",} 1\n', /comma/],
    ['# TYPE a gauge\na{x="\\q"} 1\n', /not labels/],
    ['# TYPE a gauge\na one\n', /not a number/],
    ['# TYPE a counter\na 1\n', /counter a/],
    ['# TYPE a thing\n', /type of a/],
    ['# HELP a bad \\q\n', /bad escape/],
    ['# UNIT a_seconds seconds\n', /OpenMetrics only/],
    [`${head}a_seconds_bucket{le="1"} 1\na_seconds_count 1\n`, /no \+Inf/],
    [`${head}a_seconds_bucket{le="1"} 2\na_seconds_bucket{le="+Inf"} 1\n`, /falls/],
    [`${head}a_seconds_bucket{le="+Inf"} 1\na_seconds_count 2\n`, /not the last bucket/],
    [`${head}a_seconds_bucket 1\n`, /without le/],
    [`${head}a_seconds_bucket{le="+Inf"} 1 # {trace_id="a"} 1\n`, /exemplar on/],
    ['# TYPE a gauge\nb 1\n', /does not belong/],
  ]
  for (const [text, message] of table) {
    assert.throws(() => parseExposition(text, 'prometheus'), message, text)
  }
})

test('parseExposition refuses OpenMetrics without an end or with loose forms', () => {
  const table: [string, RegExp][] = [
    ['# TYPE a gauge\na 1\n', /no # EOF/],
    ['# UNIT a_seconds bytes\n# EOF\n', /not the end/],
    [`${head}a_seconds_bucket{le="1"} 1\n# EOF\n`, /canonical/],
    [`${head}a_seconds_bucket{le="+Inf"} 1 # trace 1\n# EOF\n`, /not an exemplar/],
    [`${head}a_seconds_bucket{le="+Inf"} 1 # {a="${'x'.repeat(128)}"} 1\n# EOF\n`, /over 128/],
  ]
  for (const [text, message] of table) {
    assert.throws(() => parseExposition(text, 'openmetrics'), message, text)
  }
})
