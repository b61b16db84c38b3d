import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type DeadlineHeader,
  formatGrpcTimeout,
  formatRemaining,
  parseGrpcTimeout,
  readRemainingMs,
} from './deadline-header.ts'
import { HttpFields } from './fields.ts'

test('formatRemaining follows its table', () => {
  const table: [DeadlineHeader, ms: number, text: string][] = [
    ['x-envoy-expected-rq-timeout-ms', 1_500, '1500'],
    ['x-envoy-expected-rq-timeout-ms', 1_500.9, '1500'],
    ['x-envoy-expected-rq-timeout-ms', 0.4, '1'],
    ['x-envoy-expected-rq-timeout-ms', -5, '1'],
    ['connect-timeout-ms', 1e12, '9999999999'], // ten digits and no more
    ['grpc-timeout', 1_500, '1500000u'],
    ['grpc-timeout', 99.999_999, '99999999n'],
    ['grpc-timeout', 100, '100000u'],
    ['grpc-timeout', 0, '1n'],
    ['grpc-timeout', 3_600_000, '3600000m'],
    ['grpc-timeout', 1e12, '16666666M'],
  ]
  for (const [header, ms, text] of table) {
    assert.equal(formatRemaining(header, ms), text, `${header} ${ms}`)
  }
  assert.equal(formatGrpcTimeout(Number.MAX_VALUE), '99999999H')
})

test('readRemainingMs takes the least of what is valid', () => {
  const table: [list: [string, string][], ms: number | undefined][] = [
    [[], undefined],
    [[['x-envoy-expected-rq-timeout-ms', '250']], 250],
    [[['x-envoy-expected-rq-timeout-ms', '0']], 0],
    [[['connect-timeout-ms', '9999999999']], 9_999_999_999],
    [[['connect-timeout-ms', '99999999999']], undefined], // one digit too many
    [[['x-envoy-expected-rq-timeout-ms', '2.5']], undefined],
    [[['x-envoy-expected-rq-timeout-ms', '-1']], undefined],
    [[['x-envoy-expected-rq-timeout-ms', '1, 2']], undefined],
    [[['grpc-timeout', '2S']], 2_000],
    [[['grpc-timeout', '500u']], 0.5],
    [[['grpc-timeout', '100000000m']], undefined],
    [[['grpc-timeout', '5x']], undefined],
    [
      [
        ['grpc-timeout', '1H'],
        ['connect-timeout-ms', '40'],
        ['x-other', '1'],
      ],
      40,
    ],
    [
      [
        ['grpc-timeout', 'soon'],
        ['connect-timeout-ms', '40'],
      ],
      40,
    ],
  ]
  for (const [list, ms] of table) {
    assert.equal(readRemainingMs(new HttpFields(list)), ms, JSON.stringify(list))
  }
})

test('a grpc-timeout never promises more than there is, and loses little', () => {
  const property = fc.property(fc.double({ min: 0.001, max: 1e12, noNaN: true }), (ms) => {
    const text = formatGrpcTimeout(ms)
    const read = parseGrpcTimeout(text) as number
    assert.ok(read <= ms * (1 + 1e-9), `${ms} ${text}`)
    assert.ok(read >= ms * 0.999_99 - 0.000_001, `${ms} ${text}`)
  })
  fc.assert(property, { numRuns: 300 })
})
