import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import { systemClock as clock } from '../../platform/system-clock.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory, memoryPair } from '../../transports/memory/memory-transport.ts'
import { lengthPrefixedMessages } from '../framed/framed-connection.ts'
import { webSocket } from '../websocket/websocket.ts'
import type { WebSocketConnection } from '../websocket/websocket-connection.ts'
import { messageStream } from './message-stream.ts'

async function pair(bufferBytes = 65_536) {
  const carrier = memory({
    clock,
    network: new MemoryNetwork(),
    bufferBytes,
    highWaterMarkBytes: bufferBytes,
  })
  const transport = webSocket({ clock, carrier })
  const accepted = Promise.withResolvers<WebSocketConnection>()
  await transport.listen(address('a'), { onConnection: accepted.resolve })
  const client = await transport.connect(address('a'))
  return { client, server: await accepted.promise }
}

test('messageStream echoes bytes and text, and ends with the connection', async () => {
  const sides = await pair()
  const server = messageStream(sides.server)
  const echoing = (async () => {
    for await (const message of server) await server.send(message)
  })()
  const client = messageStream(sides.client)
  await client.send('héllo')
  await client.send(Uint8Array.of(1, 2))
  const received: unknown[] = []
  for await (const message of client) {
    received.push(message)
    if (received.length === 2) client.connection.end()
  }
  assert.deepEqual(received, ['héllo', Uint8Array.of(1, 2)])
  await echoing
  await client.close()
  await assert.rejects(client.send('late'), { code: 'ERR_CLOSED' })
})

test('messageStream: send waits for room, reading pauses at maxQueuedMessages', async () => {
  const sides = await pair(1_000)
  const server = messageStream(sides.server, { maxQueuedMessages: 2 })
  const client = messageStream(sides.client)
  let sent = 0
  const sending = (async () => {
    for (; sent < 50; sent++) await client.send(new Uint8Array(40_000).fill(sent))
  })()
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(sent < 20, `${sent} messages were taken although nobody reads`)
  let received = 0
  for await (const message of server) {
    assert.equal((message as Uint8Array)[0], received)
    received += 1
    if (received === 50) break
  }
  await sending
  assert.equal(sent, 50)
  sides.client.destroy()
})

test('messageStream: a lost connection ends readers and whoever waits for room', async () => {
  const sides = await pair(1_000)
  const client = messageStream(sides.client)
  sides.server.pause()
  const reason = new Error('cut')
  const writing = Promise.all(Array.from({ length: 10 }, () => client.send(new Uint8Array(40_000))))
  const reading = client[Symbol.asyncIterator]().next()
  writing.catch(() => {})
  reading.catch(() => {})
  await new Promise((resolve) => setImmediate(resolve))
  sides.client.destroy(reason)
  await assert.rejects(writing, reason)
  await assert.rejects(reading, reason)
  await client.close()
})

test('messageStream: a signal ends waiting with its reason, and one reader reads', async () => {
  const sides = await pair(1_000)
  const client = messageStream(sides.client)
  sides.server.pause()
  const controller = new AbortController()
  const { signal } = controller
  const writing = Promise.all(
    Array.from({ length: 10 }, () => client.send(new Uint8Array(40_000), { signal })),
  )
  writing.catch(() => {})
  controller.abort(new Error('enough'))
  await assert.rejects(writing, /enough/)
  const first = client[Symbol.asyncIterator]()
  first.next().catch(() => {})
  await assert.rejects(client[Symbol.asyncIterator]().next(), { code: 'ERR_STATE' })
  sides.client.destroy()
})

test('messageStream refuses text on a connection of bytes, and a queue of none', async () => {
  const [carrier] = memoryPair({ clock })
  const stream = messageStream(lengthPrefixedMessages(carrier))
  await assert.rejects(stream.send('text'), { code: 'ERR_ARGUMENT' })
  const [other] = memoryPair({ clock })
  const make = () => messageStream(lengthPrefixedMessages(other), { maxQueuedMessages: 0 })
  assert.throws(make, { code: 'ERR_OPTION_RANGE' })
})
