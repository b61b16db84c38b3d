/** gRPC over HTTP/2 over whatever carries bytes: all four kinds of calls, an error and a cancellation. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { grpcChannel } from '../../src/clients/grpc/grpc-channel.ts'
import { grpcClient } from '../../src/clients/grpc/grpc-client.ts'
import { type Address, ip, unix as unixAddress } from '../../src/core/address.ts'
import type { Transport } from '../../src/core/transport.ts'
import { byteStream } from '../../src/links/byte-stream/byte-stream.ts'
import { webSocket } from '../../src/links/websocket/websocket.ts'
import { yamuxStreams } from '../../src/links/yamux/yamux-streams.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { createDevCertificate } from '../../src/security/dev-certificate.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { quicAvailability } from '../../src/transports/quic/quic-availability.ts'
import { quicStreams } from '../../src/transports/quic/quic-streams.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import { unix } from '../../src/transports/unix/unix.ts'
import { Echo } from '../fixtures/echo/echo_pb.ts'
import { echoService } from '../support/echo-service.ts'

const folder = mkdtempSync(join(tmpdir(), 'heddle-grpc-'))
after(() => rmSync(folder, { recursive: true, force: true }))

interface Carrier {
  readonly transport: Transport
  /** Where the client's is another one. */
  readonly client?: Transport
  readonly address: Address
}

const CARRIERS: Readonly<Record<string, () => Carrier | Promise<Carrier>>> = {
  TCP: () => ({ transport: tcp(), address: ip('127.0.0.1', 0) }),
  'a Unix socket': () => ({ transport: unix(), address: unixAddress(join(folder, 'grpc.sock')) }),
  WebSocket: () => ({
    transport: byteStream(webSocket()),
    address: { kind: 'url', url: 'ws://127.0.0.1:0/grpc' },
  }),
  'streams of QUIC': async () => {
    const { certificate, key, ca } = await createDevCertificate(systemClock)
    const server = quicStreams({ credentials: { certificate, key } })
    const client = quicStreams({ ca, serverName: 'localhost' })
    return { transport: server, client, address: ip('127.0.0.1', 0) }
  },
  'streams of yamux': () => ({ transport: yamuxStreams(tcp()), address: ip('127.0.0.1', 0) }),
}

for (const [name, carry] of Object.entries(CARRIERS)) {
  const skip = name.endsWith('QUIC') ? (quicAvailability().reason ?? false) : false
  test(`gRPC over HTTP/2 over ${name}`, { skip }, async () => {
    const { transport, client: from = transport, address: where } = await carry()
    await using server = httpServer(echoService())
    const { address } = await server.listen(transport, where)
    // What comes over TLS is https.
    const scheme = name.endsWith('QUIC') ? 'https' : 'http'
    await using channel = grpcChannel(`${scheme}://localhost`, {
      transport: from,
      endpoints: [{ address }],
    })
    const client = grpcClient(Echo, channel)
    assert.equal((await client.say({ text: name })).text, name)
    const payload = new Uint8Array(100_000).fill(7)
    assert.equal((await client.collect([{ payload }, { payload }])).bytes, 200_000n)
    let count = 0
    for await (const { number } of client.expand({ count: 50, payloadBytes: 10_000 })) {
      assert.equal(number, count++)
    }
    for await (const { text } of client.chat([{ text: 'x' }])) assert.equal(text, 'x')
    for await (const _ of client.expand({ count: 10_000, payloadBytes: 100 })) break
    await assert.rejects(client.fail({ code: 5, message: 'no' }), { status: 'NOT_FOUND' })
  })
}
