import assert from 'node:assert/strict'
import { test } from 'node:test'
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
