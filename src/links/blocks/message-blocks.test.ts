/** Blocks over WebSocket and WebRTC. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeWebRtc } from '../../../test/transports/fake-web-rtc-driver.ts'
import { memory as name } from '../../core/address.ts'
import type { MessageHandler } from '../../core/message-connection.ts'
import { ed25519Key, nodeSigning } from '../../platform/node-signing.ts'
import type { Block } from '../../protocols/olocus/block.ts'
import { createGenesis } from '../../protocols/olocus/create.ts'
import { encodeBlock } from '../../protocols/olocus/encodings/encodings.ts'
import { fragmentBlock } from '../../protocols/olocus/fragments.ts'
import { bytesPayload, jsonPayload } from '../../protocols/olocus/payload.ts'
import { WireFormat } from '../../protocols/olocus/wire-format.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { webRtc } from '../../transports/webrtc/webrtc.ts'
import { webRtcAddress } from '../../transports/webrtc/webrtc-address.ts'
import { memorySignalling } from '../webrtc-signalling/memory-signalling.ts'
import { webSocket } from '../websocket/websocket.ts'
import type { WebSocketHandler } from '../websocket/websocket-connection.ts'
import type { BlockConnection } from './block-connection.ts'
import type { WebRtcConfig, WebSocketConfig } from './configs.ts'
import { networkErrorKind } from './network-error.ts'
import { webRtcBlocks } from './webrtc-blocks.ts'
import { type WebSocketBlocksOptions, webSocketBlocks } from './websocket-blocks.ts'

const key = ed25519Key(new Uint8Array(32).fill(7))

function blockOf(clock: ManualClock, payload: unknown): Block {
  const timestamp = Math.floor(clock.wallNow() / 1_000)
  const made = payload instanceof Uint8Array ? bytesPayload(payload) : jsonPayload(payload)
  return createGenesis(made, { key, host: nodeSigning, timestamp }) as Block
}

async function kindOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'none',
    (error: unknown) => networkErrorKind(error),
  )
}

/** Waits while everything but time goes on. */
async function after<Value>(clock: ManualClock, promise: Promise<Value>): Promise<Value> {
  let over = false
  promise
    .catch(() => {})
    .finally(() => {
      over = true
    })
  for (let turn = 0; turn < 500 && !over; turn++) {
    await clock.settle()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return await promise
}

interface World {
  readonly clock: ManualClock
  readonly client: BlockConnection
  readonly server: BlockConnection
  readonly network: MemoryNetwork
}

async function overWebSocket(
  config: WebSocketConfig = {},
  options: WebSocketBlocksOptions = {},
): Promise<World> {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const carrier = memory({ clock, network })
  const transport = webSocketBlocks(config, { ...options, clock, webSocket: { carrier } })
  const listener = await transport.listen(name('w'))
  const [client, server] = await after(
    clock,
    Promise.all([transport.connect(name('w')), listener.accept()]),
  )
  return { clock, client, server, network }
}

/** A plain WebSocket to a listener for blocks: what another implementation would send. */
async function foreignClient(subprotocols: readonly string[] = ['olocus-v1']) {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const carrier = memory({ clock, network })
  const transport = webSocketBlocks({}, { clock, webSocket: { carrier } })
  const listener = await transport.listen(name('w'))
  const socket = webSocket({ carrier, clock, subprotocols })
  const connection = await after(clock, socket.connect(name('w')))
  const texts: string[] = []
  const binaries: Uint8Array[] = []
  const handler: WebSocketHandler & MessageHandler = {
    onMessage: (message) => void binaries.push(new Uint8Array(message)),
    onText: (text) => void texts.push(text),
    onDrain() {},
    onEnd() {},
    onClose() {},
  }
  connection.open(handler)
  return { clock, connection, server: await listener.accept(), texts, binaries }
}

test('WebSocket: a block is JSON text, raw bytes are binary, and both are understood', async () => {
  const { clock, connection, server, texts, binaries } = await foreignClient()
  const block = blockOf(clock, { n: 1 })
  await server.sendBlock(block)
  await server.send(Uint8Array.of(1, 2))
  await clock.settle()
  assert.deepEqual(JSON.parse(texts[0] as string).header.version, 261)
  assert.deepEqual(binaries, [Uint8Array.of(1, 2)])
  connection.sendText(texts[0] as string)
  connection.send(encodeBlock(block)) // binary is the canonical encoding
  await clock.settle()
  for (let count = 0; count < 2; count++) {
    assert.deepEqual((await server.recvBlock()).bytes, block.bytes)
  }
})

test('WebSocket: close codes say what was wrong', async () => {
  const cases: [string | Uint8Array, number][] = [
    ['{', 1007],
    ['{"header":{}}', 1007],
    [Uint8Array.of(1, 2), 1008],
  ]
  for (const [message, code] of cases) {
    const { clock, connection, server } = await foreignClient()
    const kind = kindOf(server.recvBlock())
    if (typeof message === 'string') connection.sendText(message)
    else connection.send(message)
    await clock.settle()
    assert.equal(await kind, 'Serialization')
    assert.equal(connection.peerClose?.code, code)
  }
  const { clock, connection, server } = await foreignClient()
  const kind = kindOf(server.recvBlock())
  const forged = blockOf(clock, 'x').bytes.slice()
  forged[150] = (forged[150] as number) ^ 1
  connection.send(forged)
  await clock.settle()
  assert.equal(await kind, 'InvalidBlock')
  assert.equal(connection.peerClose?.code, 1008)
})

test('WebSocket: a client without the subprotocol is refused', async () => {
  for (const subprotocols of [[], ['other']]) {
    await assert.rejects(foreignClient(subprotocols), { code: 'ERR_CONNECT', status: 400 })
  }
})

test('WebSocket: blocks both ways, compressed, and in another format', async () => {
  for (const options of [{}, { format: WireFormat.msgpack() }, { format: WireFormat.binary() }]) {
    const { clock, client, server } = await overWebSocket({}, options)
    const block = blockOf(clock, 'a'.repeat(5_000))
    await client.sendBlock(block)
    assert.deepEqual((await after(clock, server.recvBlock())).bytes, block.bytes)
    await server.sendBlock(block)
    assert.deepEqual((await after(clock, client.recvBlock())).bytes, block.bytes)
    assert.equal(client.transportType, 'WebSocket')
    await after(clock, Promise.all([client.close(), server.close()]))
    assert.equal(await kindOf(client.recv()), 'ConnectionClosed')
  }
})

test('WebSocket: a message over the limit is not sent; one that comes is 1009', async () => {
  const { clock, client } = await overWebSocket({ maxMessageSize: 2_000 })
  assert.equal(await kindOf(client.sendBlock(blockOf(clock, 'a'.repeat(3_000)))), 'PacketTooLarge')
  assert.throws(() => webSocketBlocks({ maxFrameSize: 0 }), { code: 'ERR_OPTION_RANGE' })
})

async function overWebRtc(config: WebRtcConfig = {}): Promise<Omit<World, 'network'>> {
  const clock = new ManualClock()
  const driver = new FakeWebRtc(clock, {})
  const signalling = memorySignalling()
  const buffers = { maxMessageSize: 20_000_000 }
  const transport = webRtcBlocks(config, { signalling, clock, webRtc: { driver }, buffers })
  const listener = await transport.listen(webRtcAddress('peer'))
  const connecting = transport.connect('webrtc://peer')
  const [client, server] = await after(clock, Promise.all([connecting, listener.accept()]))
  return { clock, client, server }
}

test('WebRTC: a block of 15,360 bytes is one message of MessagePack, a longer one is fragments', async () => {
  const { clock, client, server } = await overWebRtc()
  for (const length of [0, 15_360 - 280, 15_361 - 280, 200_000]) {
    const block = blockOf(clock, new Uint8Array(length).fill(7))
    await client.sendBlock(block)
    assert.deepEqual((await after(clock, server.recvBlock())).bytes, block.bytes, `${length}`)
  }
  assert.deepEqual([client.supportsEncryption, client.supportsMultiplexing], [true, true])
  assert.equal(client.transportType, 'WebRTC')
})

test('WebRTC: fragments of another implementation, out of order; what contradicts itself is reported', async () => {
  const clock = new ManualClock()
  const driver = new FakeWebRtc(clock, {})
  const signalling = memorySignalling()
  const transport = webRtcBlocks({}, { signalling, clock, webRtc: { driver } })
  const listener = await transport.listen(webRtcAddress('peer'))
  const foreign = webRtc({ signalling, driver, clock, flowControl: false })
  const [channel, server] = await after(
    clock,
    Promise.all([foreign.connect(webRtcAddress('peer')), listener.accept()]),
  )
  const messages: Uint8Array[] = []
  channel.open({
    onMessage: (message) => void messages.push(new Uint8Array(message)),
    onDrain() {},
    onEnd() {},
    onClose() {},
  })
  const block = blockOf(clock, new Uint8Array(40_000).fill(3))
  await server.sendBlock(block)
  await clock.settle()
  assert.deepEqual(
    messages.map(({ length }) => length),
    [15_404, 15_404, 40_280 - 2 * 15_360 + 44],
  )
  for (const message of messages.toReversed()) channel.send(message)
  assert.deepEqual((await after(clock, server.recvBlock())).bytes, block.bytes)

  const problems: string[] = []
  server.onProblem = (error) => void problems.push(networkErrorKind(error))
  const [first] = messages as [Uint8Array]
  const other = first.slice()
  other[100] = (other[100] as number) ^ 1
  channel.send(first)
  channel.send(other)
  await clock.settle()
  assert.deepEqual(problems, ['ReassemblyFailed'])
  channel.send(first)
  await clock.advanceAsync(10_000)
  assert.deepEqual(problems, ['ReassemblyFailed', 'ReassemblyFailed'])

  // Fragments that say they are another block.
  const hash = new Uint8Array(32)
  for (const message of fragmentBlock(hash, encodeBlock(block, 'messagepack')))
    channel.send(message)
  await assert.rejects(after(clock, server.recvBlock()), { status: 5 })
})

test('WebRTC: both ways to lose messages are a mistake; a lossy channel cuts nothing', async () => {
  const signalling = memorySignalling()
  const both = { maxRetransmits: 3, maxPacketLifetimeMs: 3_000 }
  assert.throws(() => webRtcBlocks(both, { signalling }), { code: 'ERR_ARGUMENT' })
  assert.throws(() => webRtcBlocks({ maxMessageSize: 44 }, { signalling }), {
    code: 'ERR_OPTION_RANGE',
  })
  const { clock, client, server } = await overWebRtc({ maxRetransmits: 0, ordered: false })
  const small = blockOf(clock, new Uint8Array(15_000))
  await client.sendBlock(small)
  assert.deepEqual((await after(clock, server.recvBlock())).bytes, small.bytes)
  const large = blockOf(clock, new Uint8Array(16_000))
  assert.equal(await kindOf(client.sendBlock(large)), 'PacketTooLarge')
})

test('WebRTC: raw bytes travel beside blocks', async () => {
  const { clock, client, server } = await overWebRtc()
  await client.send(new Uint8Array(10_000).fill(1))
  assert.equal((await after(clock, server.recv())).length, 10_000)
})
