import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '../core/connection.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { SeededRandom } from '../testing/seeded-random.ts'
import { MemoryNetwork } from '../transports/memory/memory-network.ts'
import { type MemoryOptions, memoryPair } from '../transports/memory/memory-transport.ts'
import { type SpliceOptions, type SpliceOutcome, splice } from './splice.ts'

/** client — near | splice | far — server */
function chain(options: Partial<MemoryOptions> = {}, spliceOptions: SpliceOptions = {}) {
  const clock = new ManualClock()
  const link: MemoryOptions = {
    clock,
    strict: true,
    highWaterMarkBytes: 1_024,
    bufferBytes: 1_024,
    ...options,
  }
  const [client, near] = memoryPair(link)
  const [far, server] = memoryPair(link)
  let outcome: SpliceOutcome | undefined
  const joined = splice(near, far, {
    clock,
    ...spliceOptions,
    onDone: (value) => {
      assert.equal(outcome, undefined, 'onDone was called twice')
      outcome = value
    },
  })
  return {
    clock,
    joined,
    client: new Peer(client),
    server: new Peer(server),
    near,
    far,
    outcome: () => outcome,
  }
}

/** Collects what arrives; sends with respect for backpressure. */
class Peer {
  readonly connection: Connection
  readonly received: Uint8Array[] = []
  ended = false
  closed: { reason: Error | undefined } | undefined
  #queue: Uint8Array[] = []
  #endWhenSent = false

  constructor(connection: Connection) {
    this.connection = connection
    connection.open({
      onData: (chunk) => void this.received.push(chunk.slice()),
      onDrain: () => this.#send(),
      onEnd: () => {
        this.ended = true
      },
      onClose: (reason) => {
        this.closed = { reason }
      },
    })
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received)
  }

  send(bytes: Uint8Array, pieceBytes = 700): void {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      this.#queue.push(bytes.slice(at, at + pieceBytes))
    }
    this.#send()
  }

  endWhenSent(): void {
    this.#endWhenSent = true
    this.#send()
  }

  #send(): void {
    while (this.connection.writableLength === 0) {
      const piece = this.#queue.shift()
      if (piece === undefined) break
      this.connection.write(piece)
    }
    if (this.#endWhenSent && this.#queue.length === 0) this.connection.end()
  }
}

test('splice passes bytes and half-closes both ways', async () => {
  const { clock, client, server, outcome, joined } = chain()
  client.send(Buffer.from('ping'))
  client.endWhenSent()
  await clock.settle()
  assert.equal(server.bytes.toString(), 'ping')
  assert.equal(server.ended, true)
  assert.equal(client.ended, false)
  server.send(Buffer.from('pong!'))
  await clock.settle()
  assert.equal(client.bytes.toString(), 'pong!')
  assert.equal(outcome(), undefined)
  server.endWhenSent()
  await clock.settle()
  assert.deepEqual(outcome(), { bytesFromA: 4, bytesFromB: 5, reason: undefined })
  assert.deepEqual([joined.bytesFromA, joined.bytesFromB], [4, 5])
  assert.deepEqual(client.closed, { reason: undefined })
  assert.deepEqual(server.closed, { reason: undefined })
  assert.equal(clock.pendingTimers, 0)
})

for (const seed of [1, 2, 3, 4, 5]) {
  test(`splice keeps order and content both ways at once, seed ${seed}`, async () => {
    const random = new SeededRandom(seed)
    const { clock, client, server, outcome } = chain({
      random: () => random.next(),
      maxChunkBytes: 300,
      maxDelayMs: seed % 2 === 0 ? 5 : 0,
    })
    const up = random.bytes(20_000)
    const down = random.bytes(30_000)
    client.send(up)
    server.send(down)
    client.endWhenSent()
    server.endWhenSent()
    await clock.advanceAsync(60_000)
    assert.deepEqual(server.bytes, Buffer.from(up))
    assert.deepEqual(client.bytes, Buffer.from(down))
    assert.deepEqual(outcome(), { bytesFromA: 20_000, bytesFromB: 30_000, reason: undefined })
  })
}

test('splice stops reading from a sender whose receiver does not read', async () => {
  const { clock, client, server, joined } = chain()
  server.connection.pause()
  client.send(new Uint8Array(100_000))
  await clock.settle()
  // Two pipes of 1 KiB, two high-water marks and a chunk on the way: far from 100,000.
  assert.ok(joined.bytesFromA < 8_000, `${joined.bytesFromA} bytes were taken`)
  const before = joined.bytesFromA
  await clock.advanceAsync(1_000)
  assert.equal(joined.bytesFromA, before)
  server.connection.resume()
  await clock.settle()
  assert.equal(server.bytes.length, 100_000)
})

test('splice takes the other side down with one that breaks', async () => {
  const { clock, client, server, outcome } = chain()
  server.send(Buffer.from('half'))
  await clock.settle()
  client.connection.destroy(new Error('gone'))
  await clock.settle()
  assert.ok(server.closed !== undefined)
  assert.ok(outcome()?.reason !== undefined)
})

test('splice takes the other side down even when it is stuck', async () => {
  const { clock, client, server, outcome } = chain()
  server.connection.pause()
  client.send(new Uint8Array(50_000))
  await clock.settle()
  server.connection.destroy(new Error('gone'))
  await clock.settle()
  assert.ok(client.closed !== undefined)
  assert.ok(outcome() !== undefined)
})

test('splice ends after idleTimeoutMs without a byte either way', async () => {
  const { clock, client, server, outcome } = chain({}, { idleTimeoutMs: 1_000 })
  for (let round = 0; round < 5; round++) {
    await clock.advanceAsync(900)
    const peer = round % 2 === 0 ? client : server
    peer.send(Uint8Array.of(1))
    await clock.settle()
  }
  assert.equal(outcome(), undefined)
  await clock.advanceAsync(999)
  assert.equal(outcome(), undefined)
  await clock.advanceAsync(1)
  assert.equal((outcome()?.reason as { code?: string } | undefined)?.code, 'ERR_IDLE')
  assert.ok(client.closed !== undefined && server.closed !== undefined)
  assert.equal(clock.pendingTimers, 0)
})

test('splice can be destroyed', async () => {
  const { clock, client, server, joined, outcome } = chain()
  const reason = new Error('enough')
  joined.destroy(reason)
  await clock.settle()
  assert.equal(outcome()?.reason, reason)
  assert.ok(client.closed !== undefined && server.closed !== undefined)
})

test('splice releases a lease whose drain was overtaken by the next chunk', () => {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const [client, near] = memoryPair({ clock, network })
  const [far] = memoryPair({ clock, network })
  // A target that takes a while for everything, and tells late that it has: 0 before `onDrain`.
  let waiting = 0
  Object.defineProperty(far, 'writableLength', { get: () => waiting })
  far.write = (chunk) => {
    waiting += chunk.length
    return true
  }
  splice(near, far)
  const peer = new Peer(client)
  for (let round = 0; round < 3; round++) {
    peer.connection.write(Uint8Array.of(round))
    clock.flush()
    assert.equal(network.leaseCount, 1)
    waiting = 0
  }
  near.destroy()
  far.destroy()
  clock.flush()
  assert.equal(network.leaseCount, 0)
})
