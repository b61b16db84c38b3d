/** Blocks over memory, TCP and Unix sockets: one behaviour, mixed with raw messages. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Connection } from '../../core/connection.ts'
import { ed25519Key, nodeSigning } from '../../platform/node-signing.ts'
import { webSigning } from '../../platform/web-signing.ts'
import type { Block } from '../../protocols/olocus/block.ts'
import { createGenesis } from '../../protocols/olocus/create.ts'
import { encodeBlock } from '../../protocols/olocus/encodings/encodings.ts'
import { bytesPayload, jsonPayload } from '../../protocols/olocus/payload.ts'
import { WireFormat } from '../../protocols/olocus/wire-format.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { memoryPair } from '../../transports/memory/memory-transport.ts'
import { BlockConnection } from './block-connection.ts'
import type { BlockOptions } from './block-options.ts'
import { networkErrorKind } from './network-error.ts'
import { type BlockTransportOptions, settingsOf, tcpBlocks, unixBlocks } from './stream-blocks.ts'
import { StreamCarrier } from './stream-carrier.ts'

const key = ed25519Key(new Uint8Array(32).fill(7))
const bob = ed25519Key(new Uint8Array(32).fill(8))
const clock0 = new ManualClock()
const SECONDS = Math.floor(clock0.wallNow() / 1_000)

function blockOf(n: unknown, timestamp = SECONDS): Block {
  return createGenesis(jsonPayload(n), { key, host: nodeSigning, timestamp }) as Block
}

interface Pair {
  readonly clock: ManualClock
  readonly a: BlockConnection
  readonly b: BlockConnection
}

/** Two ends over a memory link whose time is the test's. */
function pair(options: BlockOptions = {}, chunk?: number): Pair {
  const clock = new ManualClock()
  const link = chunk === undefined ? {} : { maxChunkBytes: chunk }
  const ends = memoryPair({ clock, ...link })
  const settings = settingsOf({ ...options, clock })
  const [a, b] = ends.map(
    (end) => new BlockConnection('Memory', new StreamCarrier(end, settings), settings),
  ) as [BlockConnection, BlockConnection]
  return { clock, a, b }
}

/** One end for blocks, the other as it is. */
function halfPair(options: BlockOptions = {}): {
  clock: ManualClock
  a: BlockConnection
  raw: Connection
  got: Uint8Array[]
  events: string[]
} {
  const clock = new ManualClock()
  const [raw, end] = memoryPair({ clock })
  const settings = settingsOf({ ...options, clock })
  const a = new BlockConnection('Memory', new StreamCarrier(end, settings), settings)
  const got: Uint8Array[] = []
  const events: string[] = []
  raw.open({
    onData: (chunk) => void got.push(new Uint8Array(chunk)),
    onDrain() {},
    onEnd: () => void events.push('end'),
    onClose: (reason) => void events.push(`close ${reason === undefined ? '' : 'reset'}`.trim()),
  })
  return { clock, a, raw, got, events }
}

async function kindOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'none',
    (error: unknown) => networkErrorKind(error),
  )
}

const frame = (bytes: Uint8Array): Uint8Array => {
  const out = new Uint8Array(4 + bytes.length)
  new DataView(out.buffer).setUint32(0, bytes.length)
  out.set(bytes, 4)
  return out
}

for (const format of [
  'binary',
  'json',
  'messagepack',
  'protobuf',
  'ssz',
  'binary+gzip',
  'json+lz4',
]) {
  test(`a block and raw bytes travel in turn as ${format}, a byte at a time`, async () => {
    const { clock, a, b } = pair({ format: WireFormat.parse(format) }, 1)
    const block = blockOf({ n: 1 })
    const sent = [a.sendBlock(block), a.send(Uint8Array.of(1, 2, 3)), a.sendBlock(blockOf(2))]
    const received: unknown[] = []
    const reading = (async () => {
      received.push((await b.recvBlock<{ n: number }>()).payload?.n)
      received.push(await b.recv())
      received.push((await b.recvBlock()).payload)
    })()
    await settle(clock, Promise.all([...sent, reading]))
    assert.deepEqual(received, [1, Uint8Array.of(1, 2, 3), 2])
  })
}

/** Lets time stand still and everything else happen, compression included. */
async function settle(clock: ManualClock, until: Promise<unknown>): Promise<void> {
  let over = false
  const watched = until.finally(() => {
    over = true
  })
  watched.catch(() => {})
  for (let turn = 0; turn < 2_000 && !over; turn++) {
    await clock.settle()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await watched
}

test('recvBlock decodes what recv gives, sendBlock sends what send would', async () => {
  const { clock, a, b } = pair()
  const block = blockOf('same')
  await a.send(encodeBlock(block))
  await a.sendBlock(block)
  await clock.settle()
  assert.deepEqual((await b.recvBlock()).bytes, block.bytes)
  assert.deepEqual(await b.recv(), block.bytes)
})

test('the frame of the first vector begins with 000000cc', async () => {
  const { clock, a, got } = halfPair()
  await a.sendBlock(
    createGenesis(bytesPayload(new Uint8Array(18)), {
      key,
      host: nodeSigning,
      timestamp: SECONDS,
    }) as Block,
  )
  await clock.settle()
  assert.deepEqual([...(got[0] as Uint8Array).subarray(0, 6)], [0, 0, 0, 0xcc, 1, 5])
})

for (const [what, length] of [
  ['of length 0', 0],
  ['one byte over the limit', 1_001],
  ['of length 2^32−1', 0xffff_ffff],
] as const) {
  test(`a message ${what} ends the connection before a byte of it is held`, async () => {
    const { clock, a, raw } = halfPair({ maxMessageBytes: 1_000 })
    const head = new Uint8Array(4)
    new DataView(head.buffer).setUint32(0, length)
    raw.write(head)
    const kind = kindOf(a.recv())
    await clock.settle()
    assert.equal(await kind, length === 0 ? 'ProtocolViolation' : 'PacketTooLarge')
    assert.ok((await a.closed) instanceof Error)
  })
}

test('a message at the limit is taken, one past it is not sent', async () => {
  const { clock, a, b } = pair({ maxMessageBytes: 1_000 })
  await a.send(new Uint8Array(1_000))
  await assert.rejects(a.send(new Uint8Array(1_001)), { code: 'ERR_FRAME_TOO_LARGE' })
  await assert.rejects(a.send(new Uint8Array(0)), { code: 'ERR_ARGUMENT' })
  await clock.settle()
  assert.equal((await b.recv()).length, 1_000)
})

test('an end between messages is ConnectionClosed, one inside a message is Io', async () => {
  for (const [tail, expected] of [
    [[], 'ConnectionClosed'],
    [[0, 0], 'Io'],
    [[0, 0, 0, 9, 1], 'Io'],
  ] as const) {
    const { clock, a, raw } = halfPair()
    raw.write(frame(Uint8Array.of(5)))
    raw.write(Uint8Array.from(tail))
    raw.end()
    await clock.settle()
    // What was whole is received first, unless the connection broke.
    const first = await a.recv().catch(() => undefined)
    if (expected === 'ConnectionClosed') assert.deepEqual(first, Uint8Array.of(5))
    assert.equal(await kindOf(a.recv()), expected)
  }
})

test('a peer that has ended still gets what is sent', async () => {
  const { clock, a, raw, got, events } = halfPair()
  raw.end()
  await clock.settle()
  assert.equal(await kindOf(a.recv()), 'ConnectionClosed')
  await a.send(Uint8Array.of(9))
  const closing = a.close()
  await clock.settle()
  await closing
  assert.deepEqual(got[0], frame(Uint8Array.of(9)))
  assert.deepEqual(events, ['end', 'close'])
})

test('what is no block ends the connection with its code; with report it goes on', async () => {
  const forged = blockOf('x').bytes.slice()
  forged[130] = (forged[130] as number) ^ 1
  const strict = pair()
  await strict.a.send(forged)
  const refused = strict.b.recvBlock()
  refused.catch(() => {})
  await strict.clock.settle()
  await assert.rejects(refused, { status: 6, code: 'ERR_SIGNATURE' })
  assert.equal(((await strict.b.closed) as { status?: number }).status, 6)

  const lenient = pair({ onInvalid: 'report' })
  const problems: unknown[] = []
  lenient.b.onProblem = (error) => void problems.push((error as { status?: number }).status)
  await lenient.a.send(forged)
  await lenient.a.send(Uint8Array.of(1))
  await lenient.a.sendBlock(blockOf('y'))
  await lenient.clock.settle()
  assert.equal(await kindOf(lenient.b.recvBlock()), 'InvalidBlock')
  assert.equal(await kindOf(lenient.b.recvBlock()), 'Serialization')
  assert.equal((await lenient.b.recvBlock()).payload, 'y')
  assert.deepEqual(problems, [6, 7])

  const trusting = pair({ verify: false })
  await trusting.a.send(forged)
  await trusting.clock.settle()
  assert.equal((await trusting.b.recvBlock()).payload, 'x')
})

test('a live block may be a day old, unless the rules say otherwise', async () => {
  for (const [options, age, expected] of [
    [{}, 86_400, 'none'],
    [{}, 86_401, 'InvalidBlock'],
    [{ rules: {} }, 1e8, 'none'],
    [{}, -300, 'none'],
    [{}, -301, 'InvalidBlock'],
  ] as const) {
    const { clock, a, b } = pair(options)
    await a.sendBlock(blockOf('old', SECONDS + 1 - age))
    await clock.advanceAsync(1_000)
    assert.equal(await kindOf(b.recvBlock()), expected, `${age}`)
  }
})

test('onBlock hears every block in order, until it is taken away', async () => {
  const { clock, a, b } = pair()
  const heard: unknown[] = []
  const stop = b.onBlock((block) => void heard.push(block.payload))
  assert.throws(() => b.onBlock(() => {}), { code: 'ERR_STATE' })
  await assert.rejects(b.recv(), { code: 'ERR_STATE' })
  for (const n of [1, 2, 3]) await a.sendBlock(blockOf(n))
  await clock.settle()
  assert.deepEqual(heard, [1, 2, 3])
  stop()
  await a.sendBlock(blockOf(4))
  await clock.settle()
  assert.equal((await b.recvBlock()).payload, 4)
})

test('blocks whose signatures are computed elsewhere come in order as well', async () => {
  const { clock, a, b } = pair({ signing: webSigning })
  const heard: unknown[] = []
  b.onBlock((block) => void heard.push(block.payload))
  for (const n of [1, 2, 3, 4]) await a.sendBlock(blockOf(n))
  await settle(
    clock,
    until(() => heard.length === 4),
  )
  assert.deepEqual(heard, [1, 2, 3, 4])
})

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

test('one receiver at a time; an aborted one loses nothing', async () => {
  const { clock, a, b } = pair()
  const controller = new AbortController()
  const first = b.recvBlock({ signal: controller.signal })
  await assert.rejects(b.recv(), { code: 'ERR_STATE' })
  controller.abort(new Error('enough'))
  await assert.rejects(first, { message: 'enough' })
  await assert.rejects(b.recv({ signal: AbortSignal.abort() }), { name: 'AbortError' })
  assert.equal(await kindOf(b.recv({ signal: AbortSignal.abort() })), 'Aborted')
  const late = b.recvBlock({ timeoutMs: 50 })
  late.catch(() => {})
  await clock.advanceAsync(50)
  await assert.rejects(late, { code: 'ERR_DEADLINE' })
  await a.sendBlock(blockOf('kept'))
  await clock.settle()
  assert.equal((await b.recvBlock()).payload, 'kept')
  assert.equal(clock.pendingTimers, 1) // that of a message which stands still
})

test('an abort while a signature is computed leaves the block for the next', async () => {
  const { clock, a, b } = pair({ signing: webSigning })
  await a.sendBlock(blockOf('kept'))
  await clock.settle()
  const controller = new AbortController()
  const first = b.recvBlock({ signal: controller.signal })
  controller.abort()
  await assert.rejects(first, { name: 'AbortError' })
  const second = b.recvBlock()
  await settle(clock, second)
  assert.equal((await second).payload, 'kept')
})

test('what nobody receives is bounded: reading stops at the limit, and goes on below half of it', async () => {
  const { clock, a, raw } = halfPair({ maxQueuedMessages: 8 })
  const message = frame(new Uint8Array(1_000))
  for (let count = 0; count < 400; count++) raw.write(message)
  await clock.settle()
  assert.equal(a.queuedMessages, 8)
  assert.ok(raw.writableLength > 100_000, 'the writer feels nothing of it')
  for (let count = 0; count < 400; count++) {
    await a.recv()
    if (count % 4 === 3) await clock.settle()
    assert.ok(a.queuedMessages <= 8)
  }
  const bytes = halfPair({ maxQueuedBytes: 2_500 })
  for (let count = 0; count < 10; count++) bytes.raw.write(message)
  await bytes.clock.settle()
  assert.equal(bytes.a.queuedMessages, 3)
})

test('sending to a peer that does not read waits, is bounded, and gives up after the write timeout', async () => {
  const { clock, a, b } = pair({ maxQueuedMessages: 1, maxPendingSends: 3, writeTimeoutMs: 100 })
  const sends: Promise<void>[] = []
  for (let count = 0; count < 12; count++) sends.push(a.send(new Uint8Array(100_000)))
  for (const send of sends) send.catch(() => {})
  await clock.settle()
  await assert.rejects(sends.at(-1) as Promise<void>, { code: 'ERR_BUSY' })
  assert.equal(await kindOf(sends.at(-1) as Promise<void>), 'Overloaded')
  const controller = new AbortController()
  await assert.rejects(a.send(new Uint8Array(1), { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
  controller.abort()
  // What left at first was progress; from then on there is none.
  await clock.advanceAsync(100)
  await clock.advanceAsync(100)
  const failed = await Promise.all(sends.map((send) => kindOf(send)))
  assert.ok(failed.includes('Timeout'), failed.join())
  assert.equal(((await a.closed) as { code?: string }).code, 'ERR_IDLE')
  assert.ok(b.queuedMessages <= 1)
})

test('everything sent arrives when the slow reader reads after all, in order', async () => {
  const { clock, a, b } = pair({ maxQueuedMessages: 1 })
  const sends: Promise<void>[] = []
  for (let count = 0; count < 12; count++) sends.push(a.send(new Uint8Array(50_000).fill(count)))
  await clock.settle()
  for (let count = 0; count < 12; count++) {
    const message = b.recv()
    await clock.settle()
    assert.equal((await message)[0], count)
  }
  await Promise.all(sends)
})

test('a message that stands still ends the connection after the read timeout; drops keep it alive', async () => {
  const { clock, a, raw } = halfPair({ readTimeoutMs: 100 })
  raw.write(Uint8Array.of(0, 0, 0, 9))
  for (let count = 0; count < 4; count++) {
    await clock.advanceAsync(90)
    raw.write(Uint8Array.of(count))
    await clock.settle()
  }
  const kind = kindOf(a.recv())
  await clock.advanceAsync(250)
  assert.equal(await kind, 'Timeout')
  // Between messages a peer may be silent for ever.
  const idle = halfPair({ readTimeoutMs: 100 })
  idle.raw.write(frame(Uint8Array.of(1)))
  await idle.clock.advanceAsync(10_000)
  assert.deepEqual(await idle.a.recv(), Uint8Array.of(1))
})

test('close during recv and send is ConnectionClosed, on both sides', async () => {
  const { clock, a, b } = pair()
  const waiting = [kindOf(a.recv()), kindOf(b.recvBlock())]
  const closing = Promise.all([a.close(), b.close()])
  await clock.settle()
  await closing
  assert.deepEqual(await Promise.all(waiting), ['ConnectionClosed', 'ConnectionClosed'])
  assert.equal(await a.closed, undefined)
  assert.equal(await kindOf(a.send(Uint8Array.of(1))), 'ConnectionClosed')
  assert.equal(await kindOf(a.recv()), 'ConnectionClosed')
})

test('close waits for what is queued, and for the peer no longer than its timeout', async () => {
  const { clock, a, raw, got } = halfPair({ closeTimeoutMs: 100 })
  await a.send(Uint8Array.of(1))
  const closing = a.close()
  await clock.settle()
  assert.deepEqual(got[0], frame(Uint8Array.of(1)))
  raw.write(frame(Uint8Array.of(2))) // dropped: nobody receives any more
  await clock.advanceAsync(100)
  await closing
  assert.equal(networkErrorKind(await a.closed), 'ConnectionClosed')
  const aborted = halfPair()
  const controller = new AbortController()
  const ending = aborted.a.close({ signal: controller.signal })
  await aborted.clock.settle()
  controller.abort()
  await aborted.clock.settle()
  await ending
})

test('a reset is Io for whoever waits', async () => {
  const { clock, a, raw } = halfPair()
  const kind = kindOf(a.recv())
  raw.destroy()
  await clock.settle()
  assert.equal(await kind, 'Io')
})

test('for await gives every block, and ends when the peer does', async () => {
  const { clock, a, b } = pair()
  for (const n of [1, 2]) await a.sendBlock(blockOf(n))
  void a.close()
  const payloads: unknown[] = []
  const reading = (async () => {
    for await (const block of b) payloads.push(block.payload)
    await b.close()
  })()
  await settle(clock, reading)
  assert.deepEqual(payloads, [1, 2])
})

async function overSockets(
  t: TestContext,
  make: (options?: BlockTransportOptions) => ReturnType<typeof tcpBlocks>,
  address: string,
  options: BlockTransportOptions = {},
): Promise<{ client: BlockConnection; server: BlockConnection }> {
  const transport = make(options)
  const listener = await transport.listen(address)
  const [client, server] = await Promise.all([
    transport.connect(listener.localAddr),
    listener.accept(),
  ])
  t.after(async () => {
    client.destroy()
    server.destroy()
    await listener.close()
  })
  return { client, server }
}

const now = (): number => Math.floor(Date.now() / 1_000)

test('blocks over TCP: the seed’s example', async (t) => {
  const { client, server } = await overSockets(t, (o) => tcpBlocks({}, o), 'tcp://127.0.0.1:0')
  server.onBlock((block) => void server.sendBlock(block))
  await client.sendBlock(blockOf('hello', now()))
  assert.equal((await client.recvBlock()).payload, 'hello')
  assert.equal(client.transportType, 'TCP')
  assert.deepEqual(client.peerAddr, server.localAddr)
  assert.match(client.connectionId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-/)
  assert.deepEqual([client.supportsMultiplexing, client.supportsEncryption], [false, false])
  await Promise.all([client.close(), server.close()])
})

test('blocks over a Unix socket, 1 MiB of JSON and a message over it', async (t) => {
  const path = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(path, { recursive: true }))
  const options = { format: WireFormat.json() }
  const address = `unix:${join(path, 's')}`
  const { client, server } = await overSockets(t, unixBlocks, address, options)
  const payload = bytesPayload(new Uint8Array(700_000).fill(1))
  const block = await createGenesis(payload, { key, host: nodeSigning, timestamp: now() })
  const [, received] = await Promise.all([client.sendBlock(block), server.recvBlock()])
  assert.equal(Buffer.compare(received.bytes, block.bytes), 0)
  const large = await createGenesis(bytesPayload(new Uint8Array(800_000)), {
    key,
    host: nodeSigning,
    timestamp: now(),
  })
  assert.equal(await kindOf(client.sendBlock(large)), 'PacketTooLarge')
})

test('hellos are exchanged first: format, limit and key are agreed, or nothing is', async (t) => {
  const formats = [WireFormat.msgpack(), WireFormat.binary()]
  const listening = tcpBlocks({}, { negotiate: { key: bob, formats: [WireFormat.binary()] } })
  const errors: Error[] = []
  const listener = await listening.listen('tcp://127.0.0.1:0', {
    onError: (error) => void errors.push(error),
  })
  t.after(() => listener.close())
  const dial = (negotiate: NonNullable<BlockTransportOptions['negotiate']>) =>
    tcpBlocks({}, { negotiate }).connect(listener.localAddr)
  const [client, server] = await Promise.all([dial({ key, formats }), listener.accept()])
  assert.equal(String(client.agreement?.format), 'binary')
  assert.deepEqual(client.agreement?.peerKey, bob.publicKey)
  assert.deepEqual(server.agreement?.peerKey, key.publicKey)
  await client.sendBlock(blockOf('agreed', now()))
  assert.equal((await server.recvBlock()).payload, 'agreed')
  await Promise.all([client.close(), server.close()])

  const alone = dial({ key, formats: [WireFormat.json()] })
  assert.equal(await kindOf(alone), 'NegotiationFailed')
  const wrong = dial({ key, expectedKey: key.publicKey })
  await assert.rejects(wrong, { status: 6 })
  await until(() => errors.length >= 1)
})

test('a peer that says no hello is given up in time', async () => {
  const clock = new ManualClock()
  const [silent, end] = memoryPair({ clock })
  silent.open({ onData() {}, onDrain() {}, onEnd() {}, onClose() {} })
  const settings = settingsOf({ clock })
  const connection = new BlockConnection('Memory', new StreamCarrier(end, settings), settings)
  const { negotiate } = await import('./negotiate.ts')
  const attempt = negotiate(connection, { key, helloTimeoutMs: 100 }, settings)
  attempt.catch(() => {})
  await clock.advanceAsync(100)
  await assert.rejects(attempt, { code: 'ERR_CONNECT_TIMEOUT' })
})

test('connectTimeout and signals end an attempt; nobody there is Io', async () => {
  const transport = tcpBlocks()
  const listener = await transport.listen('127.0.0.1:0')
  const address = listener.localAddr
  await listener.close()
  assert.equal(await kindOf(transport.connectTimeout(address, 1_000)), 'Io')
  await assert.rejects(transport.connect(address, { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
  await assert.rejects(transport.connectTimeout(address, 0), { code: 'ERR_OPTION_RANGE' })
  assert.equal(await kindOf(transport.connect('tcp://')), 'InvalidAddress')
})

test('a listener keeps newcomers that nobody accepts, within its bound, and closes them', async () => {
  const transport = tcpBlocks()
  const listener = await transport.listen('127.0.0.1:0', { maxPendingConnections: 1 })
  const waiting = new AbortController()
  const aborted = listener.accept({ signal: waiting.signal })
  waiting.abort()
  await assert.rejects(aborted, { name: 'AbortError' })
  const clients = await Promise.all([1, 2].map(() => transport.connect(listener.localAddr)))
  await until(() => listener.connectionCount >= 1)
  const first = await listener.accept()
  const second = await listener.accept()
  assert.ok(first !== second)
  const third = listener.accept()
  const closing = listener.close()
  assert.equal(await kindOf(third), 'ConnectionClosed')
  for (const peer of [...clients, first, second]) peer.destroy()
  await closing
  await assert.rejects(listener.accept(), { code: 'ERR_CLOSED' })
})
