/** Every protocol over every transport, both roles: what the README's table claims. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpClient } from '../../src/clients/http/http-client.ts'
import type { ConnectionHandler } from '../../src/core/connection.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { CARRIERS, missing } from './carriers.ts'
import { PROTOCOLS, type Protocol, TRANSPORTS, type TransportName } from './matrix.ts'
import { exerciseBlocks, exerciseGrpc, exerciseWebSocket } from './other-protocols.ts'

/** Made once: every pair of HTTP sends them. */
const PATTERN = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => (index * 7) & 0xff))
const BODIES = [0, 1, 1_000, 65_536, 1_000_000].map((size) => PATTERN.subarray(0, size))

const nothing: ConnectionHandler = {
  onData() {},
  onDrain() {},
  onEnd() {},
  onClose() {},
}

const WITH_TLS: ReadonlySet<TransportName> = new Set([
  'TLS',
  'TLS over memory',
  'WebSocket over TLS',
  'QUIC',
  'WebRTC',
])

async function exerciseHttp(protocol: 'HTTP/1.1' | 'HTTP/2', name: TransportName): Promise<void> {
  const isHttp2 = protocol === 'HTTP/2'
  using carrier = await CARRIERS[name](isHttp2 ? 'h2' : 'http/1.1')
  await using server = httpServer((request, context) => {
    if (request.path === '/never') {
      return new Promise((_resolve, reject) => context.onCancel(reject))
    }
    if (request.path === '/upgrade') {
      assert.equal(request.version, isHttp2 ? '2' : '1.1')
      return new HttpResponse({
        status: isHttp2 ? 200 : 101,
        fields: isHttp2 ? {} : { connection: 'upgrade', upgrade: 'echo' },
        upgrade: (connection) =>
          connection.open({
            ...nothing,
            onData: (chunk) => void connection.write(chunk.slice()),
            onEnd: () => connection.end(),
          }),
      })
    }
    if (request.body.isEmpty) return HttpResponse.text(request.path)
    return new HttpResponse({ body: request.body })
  })
  const { address } = await server.listen(carrier.server, carrier.address)
  // HTTP/2 says the scheme, and a server checks that it fits.
  await using client = httpClient(`${WITH_TLS.has(name) ? 'https' : 'http'}://localhost`, {
    transport: carrier.client,
    endpoints: [{ address, hostname: 'localhost' }],
    version: isHttp2 ? '2' : '1.1',
  })

  for (const sent of BODIES) {
    const response = await client.post('/echo', sent)
    assert.equal(response.status, 200)
    const body = await response.body.bytes()
    if (sent.length > 0) assert.ok(sent.equals(body), `${sent.length} bytes`)
  }

  const paths = Array.from({ length: 30 }, (_, index) => `/p${index}`)
  const texts = await Promise.all(paths.map(async (path) => (await client.get(path)).body.text()))
  assert.deepEqual(texts, paths)

  await assert.rejects(client.get('/never', { timeoutMs: 50 }), { code: 'ERR_DEADLINE' })

  const upgraded = await client.request(
    isHttp2
      ? { method: 'CONNECT', protocol: 'echo', target: '/upgrade' }
      : { target: '/upgrade', fields: { connection: 'upgrade', upgrade: 'echo' } },
  )
  assert.equal(upgraded.status, isHttp2 ? 200 : 101)
  const { connection } = upgraded
  assert.ok(connection)
  const echoed = Promise.withResolvers<string>()
  let text = ''
  connection.open({
    ...nothing,
    onData(chunk) {
      text += Buffer.from(chunk).toString()
      if (text.length === 4) echoed.resolve(text)
    },
    onClose: () => echoed.resolve(text),
  })
  connection.write(Buffer.from('ping'))
  assert.equal(await echoed.promise, 'ping')
  connection.destroy()
}

const EXERCISES: Readonly<
  Record<Protocol, readonly [what: string, run: (name: TransportName) => Promise<void>]>
> = {
  'HTTP/1.1': ['bodies, concurrency, deadline, upgrade', (name) => exerciseHttp('HTTP/1.1', name)],
  'HTTP/2': ['bodies, concurrency, deadline, upgrade', (name) => exerciseHttp('HTTP/2', name)],
  gRPC: [
    'calls of all kinds, an error, one given up',
    async (name) => {
      using carrier = await CARRIERS[name]('h2')
      await exerciseGrpc(carrier, WITH_TLS.has(name) ? 'https' : 'http')
    },
  ],
  WebSocket: [
    'messages of all lengths, text, a clean end',
    async (name) => {
      using carrier = await CARRIERS[name]('http/1.1')
      await exerciseWebSocket(carrier)
    },
  ],
  'signed blocks': [
    'a chain both ways, raw bytes, an end',
    async (name) => {
      using carrier = await CARRIERS[name]('olocus/1')
      await exerciseBlocks(carrier, WITH_TLS.has(name) || name === 'sealed TCP')
    },
  ],
}

for (const protocol of PROTOCOLS) {
  const [what, run] = EXERCISES[protocol]
  for (const name of TRANSPORTS) {
    test(`${protocol} over ${name}: ${what}`, { skip: missing(name) ?? false }, () => run(name))
  }
}
