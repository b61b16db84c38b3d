/** What we accept, node:http does not read differently: the corpus and seeded changes of it. */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import {
  difference,
  inputs,
  type ReadRequest,
  readAsHeddle,
  withoutAuthority,
} from '../../../test/support/http1-differential.ts'

const SEED = 9112
const CHANGES = 3_000

/** Complete requests that node:http reads from `bytes`, over a stream that is no socket. */
async function readAsNode(bytes: Uint8Array): Promise<ReadRequest[]> {
  const requests: ReadRequest[] = []
  const server = createServer({ keepAliveTimeout: 0, requireHostHeader: false })
  server.on('request', (request: IncomingMessage, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', rawHeaders } = request
      const fields: [string, string][] = []
      for (let at = 0; at < rawHeaders.length; at += 2) {
        fields.push([(rawHeaders[at] as string).toLowerCase(), rawHeaders[at + 1] as string])
      }
      const target = withoutAuthority(url, method)
      requests.push({ method, target, fields, body: Buffer.concat(chunks).toString('latin1') })
      response.writeHead(404).end()
    })
  })
  // Not destroyed yet: what stood before the error is still to be handed out.
  server.on('clientError', () => {})
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  stream.on('error', () => {})
  server.emit('connection', stream)
  stream.push(bytes)
  // Everything is there: what the parser gets out of it, it gets in a few turns.
  for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve))
  stream.destroy()
  server.closeAllConnections()
  return requests
}

test('Http1ServerSession and node:http read the same requests', async () => {
  let accepted = 0
  let both = 0
  for (const { name, bytes } of inputs(SEED, CHANGES)) {
    const ours = readAsHeddle(bytes)
    // Where we read nothing there is nothing to compare.
    if (ours.requests.length === 0) continue
    accepted++
    const theirs = await readAsNode(bytes)
    if (theirs.length > 0) both++
    const problem = difference(ours, theirs)
    assert.equal(problem, undefined, `${name}: ${JSON.stringify(bytes.toString('latin1'))}`)
  }
  // The comparison is worth something only if both read much.
  assert.ok(accepted > 500, `we read something in ${accepted} inputs`)
  assert.ok(both > accepted * 0.9, `node:http read something in ${both} of these`)
})
