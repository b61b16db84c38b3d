/**
 * Pain 35, WebSocket without backpressure for who sends (websockets/ws #1218, #15, feross/simple-websocket
 * #4); pain 36, nor for who receives (nodejs/undici #5503, whatwg/websockets #17); pain 37, memory of
 * permessage-deflate (websockets/ws #497, #804; cometd #1001).
 *
 * Invariants: what waits for a reader that does not read is bounded and said (`send` is false,
 * `writableLength` is exact, `await send()` waits); a paused reader makes its peer wait through the
 * socket; connections that compress share one context, however many there are.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import zlib from 'node:zlib'
import { ip, memory as memoryAddress } from '../../src/core/address.ts'
import { messageStream } from '../../src/links/message-stream/message-stream.ts'
import { type WebSocketTransportOptions, webSocket } from '../../src/links/websocket/websocket.ts'
import type { WebSocketConnection } from '../../src/links/websocket/websocket-connection.ts'
import { systemClock as clock } from '../../src/platform/system-clock.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'

const MESSAGE = new Uint8Array(100_000)

test('pain 35, 36: a reader that pauses stops the sender over a real socket, and nothing is lost', async () => {
  let received = 0
  const accepted = Promise.withResolvers<WebSocketConnection>()
  const listener = await webSocket().listen(ip('127.0.0.1', 0), { onConnection: accepted.resolve })
  const client = await webSocket().connect(listener.address)
  const server = await accepted.promise
  const all = Promise.withResolvers<void>()
  let sent = 0
  server.open({
    onMessage: () => {
      received += 1
      if (received === sent) all.resolve()
    },
    onDrain() {},
    onEnd() {},
    onClose() {},
  })
  server.pause()
  const drained = Promise.withResolvers<void>()
  client.open({ onMessage() {}, onDrain: drained.resolve, onEnd() {}, onClose() {} })
  let writable = true
  while (writable) {
    writable = client.send(MESSAGE)
    sent += 1
    assert.ok(sent < 1_000, 'a hundred megabytes were taken, and nobody reads')
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(received, 0, 'a paused reader heard something')
  assert.ok(client.writableLength > 0)
  server.resume()
  await Promise.all([drained.promise, all.promise])
  assert.deepEqual([received, client.writableLength], [sent, 0])
  client.destroy()
  await listener.close()
})

test('pain 35: await send() waits for room', async () => {
  const carrier = memory({ clock, network: new MemoryNetwork(), bufferBytes: 1_000 })
  const accepted = Promise.withResolvers<WebSocketConnection>()
  const transport = webSocket({ clock, carrier })
  await transport.listen(memoryAddress('a'), { onConnection: accepted.resolve })
  const sender = messageStream(await transport.connect(memoryAddress('a')))
  const reader = messageStream(await accepted.promise, { maxQueuedMessages: 1 })
  let done = 0
  const sending = (async () => {
    for (; done < 20; done++) await sender.send(MESSAGE)
  })()
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(done < 5, `${done} sends were done, and nobody reads`)
  let read = 0
  for await (const _ of reader) if (++read === 20) break
  await sending
  sender.connection.destroy()
})

test('pain 37: connections that compress have no context of their own', async (t) => {
  const carrier = memory({ clock, network: new MemoryNetwork() })
  const options: WebSocketTransportOptions = { clock, carrier, compression: true }
  const connections: WebSocketConnection[] = []
  await webSocket(options).listen(memoryAddress('a'), {
    onConnection(connection) {
      connections.push(connection)
      connection.open({ ...nothing, onText: (text) => void connection.sendText(text) })
    },
  })
  const connect = async (): Promise<void> => {
    const connection = await webSocket(options).connect(memoryAddress('a'))
    assert.ok(connection.compressed)
    connections.push(connection)
    await new Promise<void>((resolve) => {
      connection.open({ ...nothing, onText: () => resolve() })
      connection.sendText('heddle '.repeat(500))
    })
  }
  await connect() // what all share is there
  // Each context of zlib is some 300 KB, outside of the heap.
  const made = (
    ['createDeflateRaw', 'createInflateRaw', 'deflateRawSync', 'inflateRawSync'] as const
  ).map((name) => t.mock.method(zlib, name))
  for (let count = 0; count < 100; count++) await connect()
  assert.deepEqual(
    made.map(({ mock }) => mock.callCount()),
    [0, 0, 0, 0],
  )
  for (const connection of connections) connection.destroy()
})

const nothing = { onMessage() {}, onDrain() {}, onEnd() {}, onClose() {} }
