/**
 * Slice: WebSocket as a transport that carries HTTP/1.1 again.
 *
 *     HTTP/1.1 client ─ WebSocketConnection ─ upgraded HTTP/1.1 ─ memory ─ … ─ HTTP/1.1 server
 *
 * What it proves: an upgrade hands the connection over with its unread bytes; a transport made of a
 * protocol and a carrier is a `Connection` like any other; a session does not notice.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Http1ClientConnection } from '../../src/clients/http/http1-client-connection.ts'
import { memory as memoryAddress } from '../../src/core/address.ts'
import type { Connection } from '../../src/core/connection.ts'
import { Call } from '../../src/core/context.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { HttpRequest, HttpResponse } from '../../src/protocols/http/messages.ts'
import { Http1ClientSession } from '../../src/protocols/http1/client-session.ts'
import { Http1ServerSession } from '../../src/protocols/http1/server-session.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { Http1ServerConnection } from '../../src/servers/http/http1-server-connection.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'
import { WebSocketConnection } from './websocket-connection.ts'

const clock = systemClock

function clientOver(connection: Connection): Http1ClientConnection {
  const client = new Http1ClientConnection(connection, new Http1ClientSession(), { clock })
  client.start()
  return client
}

/** The service inside the WebSocket. */
function serveOver(connection: Connection): void {
  const served = new Http1ServerConnection(
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
    await using outer = httpServer((request) => {
      if (request.fields.get('upgrade') !== 'websocket') return new HttpResponse({ status: 426 })
      return new HttpResponse({
        status: 101,
        fields: { connection: 'upgrade', upgrade: 'websocket' },
        upgrade: (carrier) => serveOver(new WebSocketConnection(carrier, 'server')),
      })
    })
    await outer.listen(transport, memoryAddress('outer'))

    const carrier = clientOver(await transport.connect(memoryAddress('outer')))
    const upgraded = await carrier.call(
      new HttpRequest({
        authority: 'outer',
        fields: { connection: 'upgrade', upgrade: 'websocket' },
      }),
      new Call(),
    )
    assert.equal(upgraded.status, 101)
    assert.ok(upgraded.connection)

    const inner = clientOver(new WebSocketConnection(upgraded.connection, 'client'))
    for (const body of ['ping', 'x'.repeat(Math.min(100_000, maxChunkBytes * 1_000))]) {
      const request = new HttpRequest({ method: 'PUT', target: '/inner', authority: 'inner', body })
      const response = await inner.call(request, new Call())
      assert.equal(response.status, 200)
      assert.equal(await response.body.text(), `PUT /inner: ${body}`)
    }
    assert.match(inner.connection.facts.transport, /^websocket\+memory$/)
    inner.destroy(new Error('over'))
  })
}
