/**
 * Slice: `MessageConnection`, a byte stream that keeps message boundaries by framing.
 *
 * What it proves: any `Decoder` and `Encode` make a message connection of any connection; messages
 * are borrowed and need no copy; a pause in the middle of a chunk keeps the chunk by a lease instead
 * of copying what was not looked at yet.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '../../src/core/connection.ts'
import { ProtocolError } from '../../src/core/errors.ts'
import type { MessageHandler } from '../../src/core/message-connection.ts'
import { FramedConnection } from '../../src/links/framed/framed-connection.ts'
import {
  encodeLengthPrefixed,
  LengthPrefixedDecoder,
} from '../../src/protocols/framing/length-prefixed.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { type MemoryOptions, memoryPair } from '../../src/transports/memory/memory-transport.ts'

const MAX = 10_000

class MessageLog implements MessageHandler {
  readonly connection: FramedConnection
  readonly messages: Uint8Array[] = []
  onNext: (() => void) | undefined
  drains = 0
  ended = false
  closed: { reason: Error | undefined } | undefined

  constructor(carrier: Connection, clock: ManualClock) {
    const decoder = new LengthPrefixedDecoder({ maxFrameBytes: MAX })
    this.connection = new FramedConnection(carrier, decoder, encodeLengthPrefixed, MAX, { clock })
    this.connection.open(this)
  }

  onMessage(message: Uint8Array): void {
    this.messages.push(message.slice()) // borrowed
    this.onNext?.()
  }
  onDrain(): void {
    this.drains += 1
  }
  onEnd(): void {
    this.ended = true
  }
  onClose(reason: Error | undefined): void {
    this.closed = { reason }
  }
}

function setUp(options: Partial<MemoryOptions> = {}) {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const [a, b] = memoryPair({ clock, network, ...options })
  return {
    clock,
    network,
    carrier: a,
    client: new MessageLog(a, clock),
    server: new MessageLog(b, clock),
  }
}

for (const maxChunkBytes of [1, 3, 65_536]) {
  test(`messages keep their boundaries, ${maxChunkBytes} bytes a chunk`, () => {
    const { clock, client, server } = setUp({ maxChunkBytes })
    const random = new SeededRandom(1)
    const sent = Array.from({ length: 50 }, () => random.bytes(random.integer(0, 300)))
    sent.push(random.bytes(MAX))
    for (const message of sent) client.connection.send(message)
    client.connection.end()
    server.connection.end()
    clock.flush()
    assert.deepEqual(server.messages, sent)
    assert.ok(server.ended && client.ended)
    assert.deepEqual([server.closed, client.closed], [{ reason: undefined }, { reason: undefined }])
  })
}

test('a pause inside onMessage holds the rest of the chunk by a lease, until it is used up', () => {
  const { clock, network, client, server } = setUp()
  server.onNext = () => server.connection.pause()
  for (let index = 0; index < 5; index++) client.connection.send(Uint8Array.of(index))
  client.connection.end()
  clock.flush()
  for (let count = 1; count <= 5; count++) {
    assert.equal(server.messages.length, count)
    assert.equal(network.leaseCount, 1)
    assert.equal(server.ended, false)
    server.connection.resume()
    clock.flush()
  }
  assert.deepEqual(
    server.messages.map(([first]) => first),
    [0, 1, 2, 3, 4],
  )
  assert.ok(server.ended)
  assert.equal(network.leaseCount, 0)
})

test('a slow receiver makes send say false, and onDrain says when to go on', () => {
  const { clock, client, server } = setUp({ bufferBytes: 1_000, highWaterMarkBytes: 1_000 })
  server.connection.pause()
  let sent = 1
  while (client.connection.send(new Uint8Array(500))) sent += 1
  clock.flush()
  assert.equal(server.messages.length, 0)
  assert.ok(client.connection.writableLength > 1_000)
  server.connection.resume()
  clock.flush()
  assert.equal(server.messages.length, sent)
  assert.ok(client.drains >= 1)
})

test('a message at the limit passes, one past it is refused on both sides', () => {
  const { clock, carrier, client, server } = setUp()
  client.connection.send(new Uint8Array(MAX))
  assert.throws(() => client.connection.send(new Uint8Array(MAX + 1)), {
    code: 'ERR_FRAME_TOO_LARGE',
    message: `message of ${MAX + 1} bytes is over ${MAX}`,
  })
  clock.flush() // messages leave at the end of their tick
  carrier.write(Uint8Array.of(0, 0, 0x27, 0x11)) // announces MAX + 1
  clock.flush()
  assert.equal(server.messages.length, 1)
  assert.ok(server.closed?.reason instanceof ProtocolError)
})

test('an end inside a message is a truncation, not an end', () => {
  const { clock, carrier, server } = setUp()
  carrier.write(Uint8Array.of(0, 0, 0, 5, 1))
  carrier.end()
  clock.flush()
  assert.equal(server.ended, false)
  const reason = server.closed?.reason
  assert.ok(reason instanceof ProtocolError && reason.code === 'ERR_TRUNCATED')
})
