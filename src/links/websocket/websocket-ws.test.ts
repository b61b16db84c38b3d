/** The npm package `ws` as the other side, both ways, over TCP; more of it is in interop. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { ip } from '../../core/address.ts'
import { HttpResponse } from '../../protocols/http/messages.ts'
import { httpServer } from '../../servers/http/http-server.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { webSocket } from './websocket.ts'
import type { WebSocketConnection, WebSocketHandler } from './websocket-connection.ts'
import { webSocketUpgrade } from './websocket-upgrade.ts'

const SIZES = [0, 1, 125, 126, 5_000, 65_535, 65_536, 300_000]
const filled = (length: number): Buffer => Buffer.alloc(length, 'heddle and ws, ')

/** Sends everything back; `done` when it has closed. */
function echo(connection: WebSocketConnection): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const handler: WebSocketHandler = {
      onMessage: (message) => void connection.send(message.slice()),
      onText: (text) => void connection.sendText(text),
      onDrain() {},
      onEnd() {},
      onClose: resolve,
    }
    connection.open(handler)
  })
}

for (const compression of [false, true]) {
  const how = compression ? 'with deflate' : 'without deflate'

  test(`webSocketUpgrade on an HTTP server serves ws, ${how}, beside HTTP`, async () => {
    const closed = Promise.withResolvers<Error | undefined>()
    const upgrade = webSocketUpgrade((connection) => closed.resolve(echo(connection)), {
      compression,
      subprotocols: ['echo'],
    })
    await using server = httpServer((request) =>
      request.path === '/echo' ? upgrade(request) : HttpResponse.text('plain'),
    )
    const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
    assert.ok(address.kind === 'ip')
    const base = `127.0.0.1:${address.port}`
    assert.equal(await (await fetch(`http://${base}/`)).text(), 'plain')
    const wrong = await fetch(`http://${base}/echo`)
    assert.deepEqual([wrong.status, wrong.headers.get('upgrade')], [426, 'websocket'])
    await wrong.text()

    const client = new WebSocket(`ws://${base}/echo`, ['x', 'echo'], {
      perMessageDeflate: compression,
    })
    await once(client, 'open')
    assert.equal(client.protocol, 'echo')
    assert.equal(client.extensions.includes('permessage-deflate'), compression)
    for (const size of SIZES) {
      client.send(filled(size))
      const [data, isBinary] = await once(client, 'message')
      assert.ok(isBinary && filled(size).equals(data), `${size} bytes`)
    }
    client.send('héllo €')
    const [text, isBinary] = await once(client, 'message')
    assert.deepEqual([String(text), isBinary], ['héllo €', false])
    client.ping('p')
    assert.equal(String((await once(client, 'pong'))[0]), 'p')
    client.close(4_000, 'bye')
    const [code] = await once(client, 'close')
    assert.equal(code, 4_000)
    const reason = await closed.promise
    assert.match(String(reason), /closed with 4000 bye/)
  })

  test(`webSocket connects to a server of ws, ${how}`, async () => {
    const server = new WebSocketServer({
      host: '127.0.0.1',
      port: 0,
      perMessageDeflate: compression,
      handleProtocols: () => 'echo',
    })
    await once(server, 'listening')
    server.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    })
    const transport = webSocket({ compression, subprotocols: ['echo'] })
    const { port } = server.address() as AddressInfo
    const connection = await transport.connect(ip('127.0.0.1', port))
    assert.deepEqual([connection.subprotocol, connection.compressed], ['echo', compression])
    const received: Buffer[] = []
    const closed = Promise.withResolvers<Error | undefined>()
    connection.open({
      onMessage(message) {
        received.push(Buffer.from(message))
        if (received.length === SIZES.length) connection.sendText('done €')
      },
      onText(text) {
        assert.equal(text, 'done €')
        connection.close(1_000)
      },
      onDrain() {},
      onEnd() {},
      onClose: closed.resolve,
    })
    for (const size of SIZES) connection.send(filled(size))
    assert.equal(await closed.promise, undefined)
    for (const [index, size] of SIZES.entries())
      assert.ok(filled(size).equals(received[index] as Buffer))
    server.close()
  })
}
