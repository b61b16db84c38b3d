import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseH2load } from './h2load.ts'
import { requestBytes } from './jobs.ts'
import { parseWrk } from './load.ts'

test('parseWrk reads the totals and adds up the errors', () => {
  const output = 'Running 2s test\n  Latency 1ms\ntotals 123456 2000000 3 4 450 1200\n'
  assert.deepEqual(parseWrk(output), {
    requests: 123_456,
    errors: 7,
    seconds: 2,
    p50Ms: 0.45,
    p99Ms: 1.2,
  })
})

test('parseWrk refuses output without totals', () => {
  assert.throws(() => parseWrk('unable to connect'), /unable to connect/)
})

test('requestBytes gives a body its length', () => {
  const request = requestBytes({ method: 'POST', path: '/echo', bodyBytes: 3 })
  assert.match(
    request.toString(),
    /^POST \/echo HTTP\/1\.1\r\n[\s\S]*Content-Length: 3\r\n\r\nxxx$/,
  )
})

const H2LOAD_JOB = {
  ...{ port: 1, path: '/', connections: 1, streams: 100 },
  ...{ milliseconds: 200, bodyBytes: 13 },
}

function h2loadOutput(failed: number, ok: number, data: number): string {
  return [
    'finished in 201.61ms, 19000.00 req/s, 612.30KB/s',
    `requests: 3900 total, 3900 started, 3800 done, 3800 succeeded, ${failed} failed, 0 errored, 0 timeout`,
    `status codes: ${ok} 2xx, 0 3xx, 0 4xx, 0 5xx`,
    `traffic: 122.46KB (125400) total, 8.03KB (8223) headers (space savings 95.34%), 52KB (${data}) data`,
  ].join('\n')
}

test('parseH2load counts answers that are done, by the time that was asked for', () => {
  const { requests, errors, seconds } = parseH2load(h2loadOutput(0, 3800, 3850 * 13), H2LOAD_JOB)
  assert.deepEqual({ requests, errors, seconds }, { requests: 3800, errors: 0, seconds: 0.2 })
})

test('parseH2load counts failures, other statuses and bodies that do not add up', () => {
  const errors = (output: string): number => parseH2load(output, H2LOAD_JOB).errors
  assert.equal(errors(h2loadOutput(3, 3797, 3800 * 13)), 3)
  assert.equal(errors(h2loadOutput(0, 3700, 3800 * 13)), 100)
  assert.equal(errors(h2loadOutput(0, 3800, 3900 * 13)), 0)
  assert.equal(errors(h2loadOutput(0, 3800, 3901 * 13)), 1)
  assert.equal(errors(h2loadOutput(0, 3800, 0)), 3700)
})

test('parseH2load refuses output without totals', () => {
  assert.throws(() => parseH2load('could not connect', H2LOAD_JOB), /could not connect/)
})
