/**
 * Slice: everything that has addresses of IP works over IPv6 and says so: TCP, TLS with a name that is
 * an address, WebSocket with and without TLS, streams of yamux, sealed and compressed, QUIC. UDP is in
 * src/transports/udp/udp-conformance.test.ts.
 */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { type Address, ip } from '../../src/core/address.ts'
import type { Connection } from '../../src/core/connection.ts'
import type { Transport } from '../../src/core/transport.ts'
import { byteStream } from '../../src/links/byte-stream/byte-stream.ts'
import { compressed } from '../../src/links/compressed/compressed.ts'
import { sealed } from '../../src/links/sealed/sealed.ts'
import { webSocket } from '../../src/links/websocket/websocket.ts'
import { yamuxStreams } from '../../src/links/yamux/yamux-streams.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { createDevCertificate } from '../../src/security/dev-certificate.ts'
import { quicAvailability } from '../../src/transports/quic/quic-availability.ts'
import { quicStreams } from '../../src/transports/quic/quic-streams.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import { tls } from '../../src/transports/tls/tls.ts'

const { certificate, key, ca } = await createDevCertificate(systemClock)
const credentials = { certificate, key }
const secret = { keys: [{ id: 'six', key: new Uint8Array(32).fill(6) }] }
const noIpv6 = await new Promise<string | false>((resolve) => {
  const server = createServer()
  server.once('error', ({ message }) => resolve(`no IPv6 here: ${message}`))
  server.listen(0, '::1', () => server.close(() => resolve(false)))
})

/** One exchange: `six` there and back. */
function exchange(connection: Connection): Promise<string> {
  return new Promise((resolve, reject) => {
    connection.open({
      onData: (chunk) => {
        resolve(Buffer.from(chunk).toString())
        connection.destroy()
      },
      onDrain() {},
      onEnd() {},
      onClose: (reason) => reject(reason ?? new Error('closed')),
    })
    connection.write(Buffer.from('six'))
  })
}

const PAIRS: Readonly<Record<string, () => readonly [server: Transport, client: Transport]>> = {
  tcp: () => [tcp(), tcp()],
  tls: () => [tls({ credentials }), tls({ ca })],
  webSocket: () => [byteStream(webSocket()), byteStream(webSocket())],
  'webSocket over tls': () => [
    byteStream(webSocket({ carrier: tls({ credentials }) })),
    byteStream(webSocket({ carrier: tls({ ca }) })),
  ],
  yamuxStreams: () => [yamuxStreams(tcp()), yamuxStreams(tcp(), { idleMs: 0 })],
  sealed: () => [sealed(tcp(), secret), sealed(tcp(), secret)],
  compressed: () => [compressed(tcp()), compressed(tcp())],
  quicStreams: () => [quicStreams({ credentials }), quicStreams({ ca, lingerMs: 0 })],
}

for (const [name, make] of Object.entries(PAIRS)) {
  const skip = noIpv6 || (name === 'quicStreams' && (quicAvailability().reason ?? false))
  test(`${name} works over IPv6`, { skip }, async () => {
    const [server, client] = make()
    let remote: Address | undefined
    const listener = await server.listen(ip('::1', 0), {
      onConnection: (connection) => {
        remote = connection.facts.remote
        connection.open({
          onData: (chunk) => void connection.write(chunk.slice()),
          onDrain() {},
          onEnd: () => connection.end(),
          onClose() {},
        })
      },
    })
    assert.equal((listener.address as { host?: string }).host, '::1')
    assert.equal(await exchange(await client.connect(listener.address)), 'six')
    assert.equal((remote as { host?: string } | undefined)?.host, '::1')
    await listener.close({ signal: AbortSignal.abort() })
  })
}
