/**
 * Slice: WebSocket as a transport that carries HTTP/1.1 again, all of it on one port.
 *
 *     HTTP/1.1 client ─ bytes ─ WebSocket ─ upgraded HTTP/1.1 ─ memory ─ … ─ HTTP/1.1 server
 *
 * What it proves: an upgrade hands the connection over with its unread bytes; a transport made of a
 * protocol and a carrier is a `Connection` like any other; a session does not notice. The client's
 * upgrade is made by hand, to show that the session needs nobody's handshake.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpClientConnection } from '../../src/clients/http/http-client-connection.ts'
import { memory as memoryAddress } from '../../src/core/address.ts'
import type { Connection } from '../../src/core/connection.ts'
import { Call } from '../../src/core/context.ts'
import { byteStreamConnection } from '../../src/links/byte-stream/byte-stream.ts'
import { WebSocketConnection } from '../../src/links/websocket/websocket-connection.ts'
import { webSocketUpgrade } from '../../src/links/websocket/websocket-upgrade.ts'
import { nodeHost } from '../../src/platform/node-host.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { HttpRequest, HttpResponse } from '../../src/protocols/http/messages.ts'
import { Http1ClientSession } from '../../src/protocols/http1/client-session.ts'
import { Http1ServerSession } from '../../src/protocols/http1/server-session.ts'
import {
  checkUpgradeResponse,
  makeUpgradeRequest,
} from '../../src/protocols/websocket/handshake.ts'
import { resolveWebSocketOptions } from '../../src/protocols/websocket/options.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { HttpServerConnection } from '../../src/servers/http/http-server-connection.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'

const clock = systemClock
const host = nodeHost

function clientOver(connection: Connection): HttpClientConnection {
  const client = new HttpClientConnection(connection, new Http1ClientSession(), { clock })
  client.start()
  return client
}

/** The service inside the WebSocket. */
function serveOver(connection: Connection): void {
  const served = new HttpServerConnection(
    connection,
    new Http1ServerSession(),
    {
      service: async (request) =>
        HttpResponse.text(`${request.method} ${request.path}: ${await request.body.text()}`),
      scheme: 'http',
      clock,
      requestTimeoutMs: Number.POSITIVE_INFINITY,
      observer: undefined,
      errorResponse: () => new HttpResponse({ status: 500 }),
    },
    () => {},
  )
  served.start()
}

for (const maxChunkBytes of [1, 3, 65_536]) {
  test(`HTTP/1.1 over WebSocket over upgraded HTTP/1.1, ${maxChunkBytes} bytes a chunk`, async () => {
    const transport = memory({ clock, network: new MemoryNetwork(), maxChunkBytes, strict: true })
    const upgrade = webSocketUpgrade((connection) => serveOver(byteStreamConnection(connection)))
    await using outer = httpServer(upgrade)
    await outer.listen(transport, memoryAddress('outer'))

    const carrier = clientOver(await transport.connect(memoryAddress('outer')))
    const options = resolveWebSocketOptions()
    const asked = makeUpgradeRequest(host, options, [], undefined)
    const upgraded = await carrier.call(
      new HttpRequest({ authority: 'outer', fields: asked.fields }),
      new Call(),
    )
    assert.equal(upgraded.status, 101)
    assert.ok(upgraded.connection)
    checkUpgradeResponse(host, options, asked, upgraded.fields)

    const messages = new WebSocketConnection(upgraded.connection, { role: 'client', clock, host })
    const inner = clientOver(byteStreamConnection(messages))
    for (const body of ['ping', 'x'.repeat(Math.min(100_000, maxChunkBytes * 1_000))]) {
      const request = new HttpRequest({ method: 'PUT', target: '/inner', authority: 'inner', body })
      const response = await inner.call(request, new Call())
      assert.equal(response.status, 200)
      assert.equal(await response.body.text(), `PUT /inner: ${body}`)
    }
    assert.equal(inner.connection.facts.transport, 'websocket')
    inner.destroy(new Error('over'))
  })
}
