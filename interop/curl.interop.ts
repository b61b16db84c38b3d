/** The peer framework itself, shown on the smallest case: a real curl reads from a real socket. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { requirePeer } from './peers.ts'

const curl = requirePeer('curl')

test('curl is recent enough for the options the suites use', { skip: curl.skip }, () => {
  const [major = 0, minor = 0] = curl.version.split('.').map(Number)
  assert.ok(major > 7 || (major === 7 && minor >= 68), `curl ${curl.version} is older than 7.68`)
})

test('curl fetches over loopback', { skip: curl.skip }, async () => {
  const server = createServer((request, response) => response.end(`path ${request.url}`))
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  try {
    const { port } = server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}/a?b`
    const { stdout } = await promisify(execFile)(curl.path, ['--silent', '--max-time', '10', url])
    assert.equal(stdout, 'path /a?b')
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
