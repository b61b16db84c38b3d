import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, memory as memoryAddress } from '../../core/address.ts'
import { HeddleError, RemoteError } from '../../core/errors.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { type MemoryOptions, memory } from '../../transports/memory/memory-transport.ts'
import { type WebSocketTransportOptions, webSocket } from './websocket.ts'
import type { WebSocketConnection, WebSocketHandler } from './websocket-connection.ts'

/** Writes down what one side hears. */
class Log implements WebSocketHandler {
  readonly connection: WebSocketConnection
  readonly messages: Uint8Array[] = []
  readonly texts: string[] = []
  drains = 0
  ended = false
  closed: { reason: Error | undefined } | undefined
  onNext: (() => void) | undefined

  constructor(connection: WebSocketConnection) {
    this.connection = connection
    connection.open(this)
  }
  onMessage(message: Uint8Array): void {
    this.messages.push(message.slice())
    this.onNext?.()
  }
  onText(text: string): void {
    this.texts.push(text)
  }
  onDrain(): void {
    assert.equal(this.connection.writableLength, 0)
    this.drains += 1
  }
  onEnd(): void {
    this.ended = true
  }
  onClose(reason: Error | undefined): void {
    this.closed = { reason }
  }
}

interface World {
  readonly clock: ManualClock
  readonly client: Log
  readonly server: Log
  readonly errors: Error[]
}

async function setUp(
  server: WebSocketTransportOptions = {},
  client: WebSocketTransportOptions = server,
  link: Partial<MemoryOptions> = {},
): Promise<World> {
  const clock = new ManualClock()
  const carrier = memory({ clock, network: new MemoryNetwork(), strict: true, ...link })
  const accepted: WebSocketConnection[] = []
  const errors: Error[] = []
  const listening = webSocket({ clock, carrier, ...server }).listen(memoryAddress('a'), {
    onConnection: (connection) => void accepted.push(connection),
    onError: (error) => void errors.push(error),
  })
  await settled(clock, listening)
  const connecting = webSocket({ clock, carrier, ...client }).connect(memoryAddress('a'))
  const connection = await settled(clock, connecting)
  await clock.settle()
  const [one] = accepted
  assert.ok(one)
  const world = { clock, client: new Log(connection), server: new Log(one), errors }
  await clock.settle()
  return world
}

async function settled<Value>(clock: ManualClock, promise: Promise<Value>): Promise<Value> {
  promise.catch(() => {})
  for (let turns = 0; turns < 5; turns++) await clock.settle()
  return promise
}

const codeOf = (log: Log): string | undefined =>
  log.closed?.reason instanceof HeddleError ? log.closed.reason.code : undefined

test('webSocket carries text and bytes both ways, with their boundaries', async () => {
  const { clock, client, server } = await setUp()
  client.connection.send(Uint8Array.of(1, 2))
  client.connection.send(new Uint8Array(0))
  client.connection.sendText('héllo')
  server.connection.sendText('')
  server.connection.send(new Uint8Array(100_000).fill(7))
  await clock.settle()
  assert.deepEqual(server.messages, [Uint8Array.of(1, 2), new Uint8Array(0)])
  assert.deepEqual([server.texts, client.texts], [['héllo'], ['']])
  assert.equal(client.messages[0]?.length, 100_000)
})

test('webSocket takes a handshake and messages that drip in byte by byte', async () => {
  const { clock, client, server } = await setUp({}, {}, { maxChunkBytes: 1 })
  client.connection.sendText('héllo')
  client.connection.send(new Uint8Array(300).fill(1))
  server.connection.sendText('€')
  server.connection.end()
  await clock.settle()
  assert.deepEqual([server.texts, client.texts], [['héllo'], ['€']])
  assert.deepEqual(server.messages, [new Uint8Array(300).fill(1)])
  assert.deepEqual([client.closed, server.closed], [{ reason: undefined }, { reason: undefined }])
})

test('webSocket closes cleanly from either side, with code and reason', async () => {
  const { clock, client, server } = await setUp()
  server.connection.sendText('last')
  server.connection.close(1001, 'going')
  assert.equal(server.connection.send(Uint8Array.of(1)), false, 'nothing is sent behind a close')
  await clock.settle()
  assert.deepEqual(client.texts, ['last'])
  assert.deepEqual(client.connection.peerClose, { code: 1001, reason: 'going' })
  assert.ok(client.ended && server.ended)
  assert.deepEqual([client.closed, server.closed], [{ reason: undefined }, { reason: undefined }])
  assert.deepEqual([clock.pendingTimers, clock.pendingDeferred], [0, 0])
})

test('webSocket says why a peer closed when it was not content', async () => {
  const { clock, client, server } = await setUp()
  server.connection.close(1008, 'not you')
  await clock.settle()
  const reason = client.closed?.reason
  assert.ok(reason instanceof RemoteError)
  assert.deepEqual([reason.code, reason.status, reason.retryable], ['ERR_REMOTE', 1008, 'no'])
  assert.match(reason.message, /closed with 1008 not you/)
  assert.equal(server.closed?.reason, undefined)
})

test('webSocket tells a connection lost without a close frame from a clean end', async () => {
  const { clock, client, server } = await setUp()
  server.connection.destroy()
  await clock.settle()
  assert.equal(codeOf(client), 'ERR_RESET')
})

test('webSocket refuses text where the handler understands bytes only: 1003', async () => {
  const { clock, client, server } = await setUp()
  const handler = server as WebSocketHandler
  Object.defineProperty(handler, 'onText', { value: undefined })
  client.connection.sendText('words')
  await clock.settle()
  assert.equal(codeOf(server), 'ERR_PROTOCOL')
  assert.equal(client.connection.peerClose?.code, 1003)
})

test('webSocket refuses a message over maxMessageBytes on both sides', async () => {
  const { clock, client, server } = await setUp({ maxMessageBytes: 1_000 }, {})
  assert.throws(() => server.connection.send(new Uint8Array(1_001)), {
    code: 'ERR_FRAME_TOO_LARGE',
  })
  client.connection.send(new Uint8Array(1_000))
  await clock.settle()
  assert.equal(server.messages.length, 1)
  client.connection.send(new Uint8Array(1_001))
  await clock.settle()
  assert.equal(codeOf(server), 'ERR_FRAME_TOO_LARGE')
  assert.equal(client.connection.peerClose?.code, 1009)
})

test('webSocket: send says false to a peer that does not read, whose pause is felt', async () => {
  const link = { bufferBytes: 1_000, highWaterMarkBytes: 1_000 }
  const { clock, client, server } = await setUp({}, {}, link)
  server.connection.pause()
  let sent = 0
  let writable = true
  while (writable) {
    writable = client.connection.send(new Uint8Array(500))
    sent += 1
    await clock.settle()
    assert.ok(sent < 100, 'pressure never came')
  }
  assert.equal(server.messages.length, 0)
  assert.ok(client.connection.writableLength > 1_000)
  const { drains } = client
  server.connection.resume()
  await clock.settle()
  assert.equal(server.messages.length, sent)
  assert.equal(client.drains, drains + 1)
  assert.equal(client.connection.writableLength, 0)
})

test('webSocket: a pause inside onMessage is one after that message', async () => {
  const { clock, client, server } = await setUp()
  server.onNext = () => server.connection.pause()
  for (let index = 0; index < 4; index++) client.connection.send(Uint8Array.of(index))
  client.connection.end()
  for (let count = 1; count <= 4; count++) {
    await clock.settle()
    assert.deepEqual([server.messages.length, server.ended], [count, false])
    server.connection.resume()
  }
  await clock.settle()
  assert.ok(server.ended)
})

test('webSocket: writableLength counts what waits for the end of the tick', async () => {
  const { clock, client } = await setUp()
  client.connection.send(new Uint8Array(10))
  assert.equal(client.connection.writableLength, 2 + 4 + 10)
  await clock.settle()
  assert.deepEqual([client.connection.writableLength, client.drains], [0, 1])
})

test('webSocket: a lease keeps a message, as it was lent by a server and by a client', async () => {
  const { clock, client, server } = await setUp()
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    assert.throws(() => to.connection.leaseMessage(), { code: 'ERR_STATE' })
    let kept: { message: Uint8Array; release(): void } | undefined
    const original = to.onMessage.bind(to)
    to.onMessage = (message) => {
      original(message)
      kept ??= { message, release: to.connection.leaseMessage().release }
    }
    for (let index = 1; index <= 3; index++) from.connection.send(new Uint8Array(50).fill(index))
    await clock.settle()
    from.connection.send(new Uint8Array(50).fill(9))
    await clock.settle()
    assert.deepEqual(kept?.message, new Uint8Array(50).fill(1))
    kept.release()
  }
})

test('webSocket: a silent peer is pinged, answers unseen, and its round trip is known', async () => {
  const { clock, client } = await setUp()
  await clock.advanceAsync(30_000)
  assert.equal(typeof client.connection.facts.roundTripMs(), 'number')
  await clock.advanceAsync(120_000)
  assert.equal(client.closed, undefined)
})

test('webSocket: a peer that falls silent is closed with 1001 after two pings', async () => {
  const { clock, client, server } = await setUp()
  server.connection.pause() // answers nothing, as if it had frozen
  await clock.advanceAsync(89_999)
  assert.equal(client.closed, undefined)
  await clock.advanceAsync(2_100)
  assert.equal(codeOf(client), 'ERR_IDLE')
})

test('webSocket agrees on the first subprotocol of the client that the server speaks', async () => {
  const { client, server } = await setUp(
    { subprotocols: ['b', 'a'] },
    { subprotocols: ['x', 'a', 'b'] },
  )
  assert.deepEqual([client.connection.subprotocol, server.connection.subprotocol], ['a', 'a'])
})

/** What the client hears of a handshake, and the server. */
async function refused(
  server: WebSocketTransportOptions,
  client: WebSocketTransportOptions,
): Promise<{ client: HeddleError; server: HeddleError | undefined }> {
  const clock = new ManualClock()
  const carrier = memory({ clock, network: new MemoryNetwork() })
  const errors: Error[] = []
  await webSocket({ clock, carrier, ...server }).listen(memoryAddress('a'), {
    onConnection: (connection) => connection.destroy(),
    onError: (error) => void errors.push(error),
  })
  const connecting = webSocket({ clock, carrier, ...client }).connect(memoryAddress('a'))
  const outcome = settled(clock, connecting).then(
    () => assert.fail('connected'),
    (error) => error,
  )
  const error = await outcome
  await clock.advanceAsync(3_000)
  assert.ok(error instanceof HeddleError)
  return { client: error, server: errors[0] as HeddleError | undefined }
}

test('webSocket refuses subprotocols that are not spoken with 400', async () => {
  const heard = await refused({ subprotocols: ['olocus-v1'] }, { subprotocols: ['chat'] })
  assert.deepEqual([heard.client.code, heard.client.status], ['ERR_CONNECT', 400])
  assert.deepEqual([heard.client.sent, heard.client.retryable], ['nothing', 'no'])
  assert.deepEqual([heard.server?.code, heard.server?.status], ['ERR_ACCEPT', 400])
  assert.match(heard.server?.message ?? '', /olocus-v1/)
  const none = await refused({ subprotocols: ['olocus-v1'], requireSubprotocol: true }, {})
  assert.equal(none.client.status, 400)
})

test('webSocket: a client whose subprotocols were not answered does not connect', async () => {
  const heard = await refused({}, { subprotocols: ['chat'] })
  assert.equal(heard.client.code, 'ERR_CONNECT')
  assert.equal((heard.client.cause as HeddleError).code, 'ERR_WRONG_PROTOCOL')
  assert.match(heard.client.message, /chose no subprotocol/)
})

test('webSocket refuses pages of other origins with 403, unless it is told otherwise', async () => {
  const fields = { origin: 'https://evil.example' }
  assert.equal((await refused({}, { fields })).client.status, 403)
  await setUp({}, { fields: { origin: 'http://localhost' } })
  await setUp({ allowOrigin: (origin) => origin === fields.origin }, { fields })
})

test('webSocket refuses another path than the one it listens on with 404', async () => {
  const clock = new ManualClock()
  const carrier = memory({ clock, network: new MemoryNetwork() })
  const at: Address = { kind: 'url', url: 'ws://127.0.0.1:7/chat?x=1' }
  // A memory that is reached by host and port, for the sake of the URL.
  const named = {
    ...carrier,
    name: carrier.name,
    traits: carrier.traits,
    connect: () => carrier.connect(memoryAddress('b')),
    listen: (_: Address, options: Parameters<typeof carrier.listen>[1]) =>
      carrier.listen(memoryAddress('b'), options),
  }
  const transport = webSocket({ clock, carrier: named })
  await transport.listen(at, { onConnection: (connection) => connection.open(new Log(connection)) })
  const other = transport.connect({ kind: 'url', url: 'ws://127.0.0.1:7/other' })
  await assert.rejects(settled(clock, other), { status: 404 })
})

test('webSocket: a silent server is given up after handshakeTimeoutMs, a silent client too', async () => {
  const clock = new ManualClock()
  const carrier = memory({ clock, network: new MemoryNetwork() })
  const held = await carrier.listen(memoryAddress('mute'), { onConnection: () => {} })
  const connecting = webSocket({ clock, carrier, handshakeTimeoutMs: 500 }).connect(held.address)
  connecting.catch(() => {})
  await clock.advanceAsync(501)
  await assert.rejects(connecting, { code: 'ERR_CONNECT_TIMEOUT' })

  const errors: HeddleError[] = []
  const listener = await webSocket({ clock, carrier, handshakeTimeoutMs: 500 }).listen(
    memoryAddress('c'),
    { onConnection: () => assert.fail(), onError: (error) => errors.push(error as HeddleError) },
  )
  const silent = await settled(clock, carrier.connect(listener.address))
  silent.open({ onData() {}, onDrain() {}, onEnd() {}, onClose() {} })
  silent.write(Buffer.from('GET / HTTP/1.1\r\n'))
  await clock.advanceAsync(3_000)
  assert.deepEqual(
    errors.map((error) => error.code),
    ['ERR_REQUEST_TIMEOUT'],
  )
})

test('webSocket compresses when both sides want it, and not otherwise', async () => {
  for (const [server, client, compressed] of [
    [true, true, true],
    [true, false, false],
    [false, true, false],
  ] as const) {
    const world = await setUp({ compression: server }, { compression: client })
    assert.equal(world.client.connection.compressed, compressed)
    assert.equal(world.server.connection.compressed, compressed)
    world.client.connection.sendText('heddle '.repeat(1_000))
    assert.equal(world.client.connection.writableLength < 1_000, compressed)
    await world.clock.settle()
    assert.deepEqual(world.server.texts, ['heddle '.repeat(1_000)])
  }
})

test('webSocket refuses options out of range and subprotocols that cannot be sent', () => {
  for (const options of [
    { maxFrameBytes: 0 },
    { maxMessageBytes: 2 ** 31 },
    { sendFrameBytes: 0 },
    { pingIntervalMs: 0 },
    { maxMissedPings: 0 },
    { closeTimeoutMs: 0 },
    { maxAnswers: 0 },
    { handshakeTimeoutMs: 0 },
    { compression: { level: 10 } },
    { compression: { maxWindowBits: 8 } },
    { compression: { maxExpansion: 0 } },
  ]) {
    assert.throws(() => webSocket(options), { code: 'ERR_OPTION_RANGE' }, JSON.stringify(options))
  }
  for (const subprotocols of [['a b'], [''], ['a', 'a']]) {
    assert.throws(() => webSocket({ subprotocols }), { code: 'ERR_ARGUMENT' })
  }
})
