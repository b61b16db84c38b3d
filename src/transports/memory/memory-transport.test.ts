import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import type { Connection, ConnectionHandler } from '../../core/connection.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { MemoryNetwork } from './memory-network.ts'
import { type MemoryOptions, memory, memoryPair } from './memory-transport.ts'

test('memory connects to a listener by name, each with its role and addresses', async () => {
  const { clock, transport, network } = setUp()
  const accepted: Connection[] = []
  const listener = await transport.listen(address('a'), {
    onConnection: (connection) => accepted.push(connection),
  })
  const connecting = transport.connect(address('a'))
  clock.flush()
  const client = await connecting
  const server = accepted[0]!
  assert.equal(client.facts.role, 'initiating')
  assert.equal(server.facts.role, 'accepting')
  assert.deepEqual(client.facts.remote, listener.address)
  assert.deepEqual(server.facts.remote, client.facts.local)
  assert.ok(server.id !== client.id)
  assert.equal(listener.connectionCount, 1)

  const clientLog = record(client)
  const serverLog = record(server)
  client.write(bytes('hello'))
  server.write(bytes('world'))
  clock.flush()
  client.end()
  server.end()
  clock.flush()
  assert.deepEqual(serverLog, ['hello', 'end', 'close undefined'])
  assert.deepEqual(clientLog, ['world', 'end', 'close undefined'])
  assert.equal(listener.connectionCount, 0)
  await listener.close()
  assert.equal(network.listenerCount, 0)
  assert.equal(clock.pendingTimers, 0)
})

test('memory has no room for a peer that is gone, until its reset is told', async () => {
  const { clock, transport } = setUp()
  const accepted: Connection[] = []
  await transport.listen(address('a'), {
    onConnection: (connection) => accepted.push(connection),
  })
  const connecting = transport.connect(address('a'))
  clock.flush()
  const client = await connecting
  const server = accepted[0]!
  const log = record(server)
  assert.equal(server.write(bytes('x')), true)
  client.destroy()
  // Else who writes whenever there is room, in one turn, would never hear of it.
  assert.equal(server.write(bytes('x')), false)
  assert.equal(server.writeAll([bytes('x')]), false)
  assert.deepEqual(log, [])
  clock.flush()
  assert.deepEqual(log, ['close ERR_RESET'])
})

test('memory gives the name 0 a fresh name, as port 0 a port', async () => {
  const { transport } = setUp()
  const one = await transport.listen(address('0'), { onConnection() {} })
  const two = await transport.listen(address('0'), { onConnection() {} })
  assert.notDeepEqual(one.address, two.address)
  assert.notDeepEqual(one.address, address('0'))
})

test('memory refuses a taken name, an absent listener and a wrong address by code', async () => {
  const { clock, transport } = setUp()
  await transport.listen(address('a'), { onConnection() {} })
  const taken = transport.listen(address('a'), { onConnection() {} })
  await assert.rejects(taken, { code: 'ERR_ADDRESS_IN_USE', sent: 'nothing' })
  const nobody = transport.connect(address('b'))
  clock.flush()
  await assert.rejects(nobody, { code: 'ERR_CONNECT_REFUSED', sent: 'nothing', retryable: 'yes' })
  assert.throws(() => transport.connect({ kind: 'unix', path: '/x' }), {
    code: 'ERR_ADDRESS_INVALID',
  })
  assert.throws(() => transport.listen(address('c'), { onConnection() {}, descriptor: 3 }), {
    code: 'ERR_OPTION_UNSUPPORTED',
  })
})

test('memory checks each option at its limit and one past', () => {
  const clock = new ManualClock()
  for (const good of [{ bufferBytes: 1 }, { highWaterMarkBytes: 0 }, { maxChunkBytes: 1 }]) {
    memory({ clock, ...good })
  }
  for (const bad of [
    { bufferBytes: 0 },
    { highWaterMarkBytes: -1 },
    { maxChunkBytes: 0 },
    { minDelayMs: -1 },
    { minDelayMs: 2, maxDelayMs: 1, random: Math.random },
  ]) {
    assert.throws(() => memory({ clock, ...bad }), { code: 'ERR_OPTION_RANGE' })
  }
  assert.throws(() => memory({ clock, maxDelayMs: 1 }), { code: 'ERR_ARGUMENT' })
})

test('memory connect passes its deadline by clock: ERR_CONNECT_TIMEOUT', async () => {
  const { clock, transport } = setUp({ minDelayMs: 50 })
  await transport.listen(address('a'), { onConnection: () => assert.fail('too late') })
  const late = transport.connect(address('a'), { deadline: clock.now() + 49 })
  const check = assert.rejects(late, { code: 'ERR_CONNECT_TIMEOUT', sent: 'nothing' })
  clock.advance(49)
  await check
  clock.advance(100)
  assert.equal(clock.pendingTimers, 0)
  const passed = transport.connect(address('a'), { deadline: clock.now() })
  const checkPassed = assert.rejects(passed, { code: 'ERR_CONNECT_TIMEOUT' })
  clock.flush()
  await checkPassed
})

test('memory listener holds as many newcomers as its backlog while paused, and refuses one more', async () => {
  const { clock, transport } = setUp()
  const accepted: Connection[] = []
  const listener = await transport.listen(address('a'), {
    onConnection: (connection) => accepted.push(connection),
    backlog: 2,
  })
  listener.pause()
  const first = transport.connect(address('a'))
  const second = transport.connect(address('a'))
  clock.flush()
  await Promise.all([first, second])
  assert.equal(accepted.length, 0)
  const third = transport.connect(address('a'))
  clock.flush()
  await assert.rejects(third, { code: 'ERR_CONNECT_REFUSED' })
  listener.resume()
  clock.flush()
  assert.equal(accepted.length, 2)
})

test('memory write counts what the full pipe did not take, and drains in order', () => {
  const clock = new ManualClock()
  const [client, server] = memoryPair({ clock, bufferBytes: 10, highWaterMarkBytes: 4 })
  const received: number[] = []
  let drains = 0
  client.open({ ...ignore, onDrain: () => drains++ })
  server.open({ ...ignore, onData: (chunk) => void received.push(...chunk) })
  server.pause()
  assert.equal(client.write(Uint8Array.from({ length: 10 }, (_, index) => index)), true)
  assert.equal(client.writableLength, 0)
  assert.equal(client.write(Uint8Array.of(10, 11, 12, 13)), true) // 4: at the mark
  assert.equal(client.write(Uint8Array.of(14)), false) // 5: one past
  assert.equal(client.writableLength, 5)
  clock.flush()
  assert.deepEqual(received, [])
  server.resume()
  clock.flush()
  assert.deepEqual(
    received,
    Array.from({ length: 15 }, (_, index) => index),
  )
  assert.equal(client.writableLength, 0)
  assert.equal(drains, 1)
})

test('memory strict: a chunk kept after onData reads as poison, a leased one does not', () => {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const [client, server] = memoryPair({ clock, network })
  const kept: Uint8Array[] = []
  let lease: { release(): void } | undefined
  client.open(ignore)
  server.open({
    ...ignore,
    onData(chunk) {
      if (kept.length === 1) lease = server.leaseChunk()
      kept.push(chunk)
    },
  })
  client.write(bytes('one'))
  clock.flush()
  assert.deepEqual([...kept[0]!], [0xdb, 0xdb, 0xdb])
  client.write(bytes('two'))
  clock.flush()
  client.write(bytes('three'))
  clock.flush()
  assert.equal(text(kept[1]!), 'two')
  assert.equal(network.leaseCount, 1)
  lease!.release()
  lease!.release()
  assert.equal(network.leaseCount, 0)
  assert.deepEqual([...kept[1]!], [0xdb, 0xdb, 0xdb])
  assert.throws(() => server.leaseChunk(), { code: 'ERR_STATE' })
})

test('memory strict: changing a region before it has left is caught', () => {
  const clock = new ManualClock()
  const [client, server] = memoryPair({ clock, bufferBytes: 2 })
  client.open(ignore)
  server.open(ignore)
  const region = bytes('abcdef')
  client.write(region)
  region[5] = 0
  assert.throws(() => clock.flush(), /was changed while writableLength was not 0/)
})

test('memory merges writes and splits reads: a chunk is never a message by accident', () => {
  const clock = new ManualClock()
  const chunks: string[] = []
  const [client, server] = memoryPair({ clock, maxChunkBytes: 3 })
  client.open(ignore)
  server.open({ ...ignore, onData: (chunk) => void chunks.push(text(chunk)) })
  client.writeAll([bytes('ab'), bytes('cd'), bytes('ef'), bytes('g')])
  clock.flush()
  assert.deepEqual(chunks, ['abc', 'def', 'g'])
})

test('memory delays each write in its range and keeps order', () => {
  const clock = new ManualClock({ startMs: 0 })
  let value = 0.9
  const random = (): number => value
  const [client, server] = memoryPair({
    clock,
    minDelayMs: 10,
    maxDelayMs: 20,
    random,
    maxChunkBytes: 100,
  })
  const log: string[] = []
  client.open(ignore)
  server.open({
    ...ignore,
    onData: (chunk) => void log.push(`${text(chunk)}@${clock.now()}`),
    onEnd: () => void log.push(`end@${clock.now()}`),
  })
  client.write(bytes('a')) // arrives at 19
  clock.flush()
  value = 0.05
  client.write(bytes('b')) // would arrive at 10.5, but not before what was sent first
  client.end()
  clock.advance(18)
  assert.deepEqual(log, [])
  value = 0.99
  clock.advance(1)
  assert.deepEqual(log, ['ab@19', 'end@19'])
  assert.equal(clock.pendingTimers, 0)
})

test('memory lets timers run between two ends that answer each other for ever', async () => {
  const clock = new ManualClock({ maxCallbacks: 100_000 })
  const [client, server] = memoryPair({ clock, strict: false })
  let rounds = 0
  let stopped = false
  const echo = (connection: Connection): ConnectionHandler => ({
    ...ignore,
    onData(chunk) {
      rounds += 1
      if (!stopped) connection.write(chunk)
    },
  })
  client.open(echo(client))
  server.open(echo(server))
  clock.setTimer(clock.now(), () => {
    stopped = true
  })
  client.write(bytes('x'))
  clock.flush()
  assert.ok(stopped && rounds > 0 && rounds < 100_000)
})

test('memory listener destroys a connection whose onConnection throws, and goes on', async () => {
  const { clock, transport } = setUp()
  const errors: Error[] = []
  let calls = 0
  const listener = await transport.listen(address('a'), {
    onConnection() {
      calls += 1
      throw new Error('mine')
    },
    onError: (error) => errors.push(error),
  })
  for (const round of [1, 2]) {
    const connecting = transport.connect(address('a'))
    clock.flush()
    const log = record(await connecting)
    clock.flush()
    assert.deepEqual(log, ['close ERR_RESET'])
    assert.equal(calls, round)
  }
  assert.equal(errors.length, 2)
  assert.equal(listener.connectionCount, 0)
})

function setUp(options: Partial<MemoryOptions> = {}) {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const transport = memory({ clock, network, strict: true, ...options })
  return { clock, network, transport }
}

function record(connection: Connection): string[] {
  const log: string[] = []
  connection.open({
    onData: (chunk) => void log.push(text(chunk)),
    onDrain() {},
    onEnd: () => void log.push('end'),
    onClose: (reason) => void log.push(`close ${(reason as { code?: string } | undefined)?.code}`),
  })
  return log
}

const ignore: ConnectionHandler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} }
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)
const text = (value: Uint8Array): string => new TextDecoder().decode(value)
