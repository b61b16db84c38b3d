import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import { webSocket } from '../../links/websocket/websocket.ts'
import type {
  WebSocketConnection,
  WebSocketHandler,
} from '../../links/websocket/websocket-connection.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { MessageRelay } from './message-relay.ts'

/** A client, a relay, a server, on a manual clock. */
async function world() {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const transport = webSocket({ carrier: memory({ clock, network }), clock })
  const pair = async (name: string) => {
    let accepted: WebSocketConnection | undefined
    const onConnection = (connection: WebSocketConnection): void => {
      accepted = connection
    }
    const listening = transport.listen(address(name), { onConnection })
    await clock.settle()
    await listening
    const connecting = transport.connect(address(name))
    await clock.settle()
    return { near: await connecting, far: accepted as unknown as WebSocketConnection }
  }
  const front = await pair('front')
  const back = await pair('back')
  let done = 0
  const relay = new MessageRelay(
    { connection: front.far, peerClose: () => front.far.peerClose },
    { connection: back.near, peerClose: () => back.near.peerClose },
    () => {
      done += 1
    },
  )
  const client = { connection: front.near, heard: listen(front.near) }
  const server = { connection: back.far, heard: listen(back.far) }
  return { clock, relay, client, server, doneCount: () => done }
}

function listen(connection: WebSocketConnection): string[] {
  const heard: string[] = []
  const handler: WebSocketHandler = {
    onMessage: (message) => void heard.push(`bytes ${message.length}`),
    onText: (text) => void heard.push(`text ${text}`),
    onDrain() {},
    onEnd: () => void heard.push(`end ${connection.peerClose?.code}`),
    onClose: (reason) => void heard.push(`close ${reason === undefined ? 'clean' : 'error'}`),
  }
  connection.open(handler)
  return heard
}

/** Sends until it is told to stop. @returns how many */
async function fill(clock: ManualClock, connection: MessageConnection): Promise<number> {
  let sent = 0
  while (sent < 10_000) {
    const more = connection.send(new Uint8Array(10_000))
    sent += 1
    await clock.settle()
    if (!more && connection.writableLength > 0) break
  }
  return sent
}

test('MessageRelay passes bytes and text both ways, and a close with its code', async () => {
  const { clock, relay, client, server, doneCount } = await world()
  client.connection.send(new Uint8Array(3))
  client.connection.sendText('é')
  server.connection.send(new Uint8Array(0))
  await clock.settle()
  assert.deepEqual(server.heard, ['bytes 3', 'text é'])
  assert.deepEqual(client.heard, ['bytes 0'])
  assert.deepEqual([relay.bytesFromA, relay.bytesFromB], [5, 0])
  server.connection.close(4_002, 'go')
  await clock.settle()
  assert.deepEqual(client.heard.slice(1), ['end 4002', 'close error'])
  assert.deepEqual([client.connection.peerClose?.reason, doneCount()], ['go', 1])
  assert.equal(clock.pendingTimers, 0)
})

test('MessageRelay stops a sender whose receiver does not read, and loses nothing', async () => {
  const { clock, relay, client, server } = await world()
  server.connection.pause()
  const sent = await fill(clock, client.connection)
  assert.ok(sent < 1_000, `${sent} messages without a reader`)
  server.connection.resume()
  await clock.settle()
  assert.equal(server.heard.length, sent)
  relay.destroy()
  await clock.settle()
})

test('MessageRelay reads on for the close of a side whose other one has gone', async () => {
  const { clock, client, server, doneCount } = await world()
  client.connection.pause()
  await fill(clock, server.connection)
  client.connection.destroy()
  await clock.settle()
  assert.equal(server.heard.at(-1), 'close error')
  assert.equal(doneCount(), 1)

  const other = await world()
  other.client.connection.close(1_000)
  for (let sent = 0; sent < 100; sent++) other.server.connection.send(new Uint8Array(100_000))
  await other.clock.settle()
  assert.equal(other.server.heard.at(-1), 'close clean')
  assert.equal(other.doneCount(), 1)
  assert.equal(other.clock.pendingTimers, 0)
})
