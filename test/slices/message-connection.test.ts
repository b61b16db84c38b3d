/**
 * Slice: `MessageConnection`, a byte stream that keeps message boundaries by framing.
 *
 * What it proves: any `Decoder` and `Encode` make a message connection of any connection; messages
 * are borrowed and need no copy; a pause in the middle of a chunk keeps the chunk by a lease instead
 * of copying what was not looked at yet.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../src/core/byte-writer.ts'
import type { Decoder, Encode } from '../../src/core/codec.ts'
import type {
  ChunkLease,
  Connection,
  ConnectionFacts,
  ConnectionHandler,
} from '../../src/core/connection.ts'
import { ProtocolError, toError, UsageError } from '../../src/core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../src/core/message-connection.ts'
import {
  encodeLengthPrefixed,
  LengthPrefixedDecoder,
} from '../../src/protocols/framing/length-prefixed.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { type MemoryOptions, memoryPair } from '../../src/transports/memory/memory-transport.ts'

class FramedConnection implements MessageConnection, ConnectionHandler {
  readonly ownsMessages = false
  readonly maxMessageBytes: number
  readonly #carrier: Connection
  readonly #decoder: Decoder<Uint8Array>
  readonly #encode: Encode<Uint8Array>
  readonly #out = new ByteWriter()
  #handler: MessageHandler | undefined
  #paused = false
  #delivering = false
  /** Holds the chunk that messages are still in. */
  #lease: ChunkLease | undefined
  #ended = false

  constructor(
    carrier: Connection,
    decoder: Decoder<Uint8Array>,
    encode: Encode<Uint8Array>,
    maxMessageBytes: number,
  ) {
    this.#carrier = carrier
    this.#decoder = decoder
    this.#encode = encode
    this.maxMessageBytes = maxMessageBytes
  }

  get id(): number {
    return this.#carrier.id
  }
  get facts(): ConnectionFacts {
    return this.#carrier.facts
  }
  get writableLength(): number {
    return this.#carrier.writableLength
  }

  open(handler: MessageHandler): void {
    if (this.#handler !== undefined) throw new UsageError('ERR_ALREADY_OPEN', 'has a handler')
    this.#handler = handler
    this.#carrier.open(this)
  }

  send(message: Uint8Array): boolean {
    ByteWriter.checkLength('message', message.length, this.maxMessageBytes)
    this.#encode(message, this.#out)
    return this.#out.flushTo(this.#carrier)
  }

  pause(): void {
    this.#paused = true
    this.#carrier.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#carrier.resume()
    if (!this.#delivering) this.#deliver()
  }

  end(): void {
    this.#carrier.end()
  }
  destroy(reason?: Error): void {
    this.#carrier.destroy(reason)
  }

  onData(chunk: Uint8Array): void {
    this.#decoder.push(chunk)
    if (!this.#deliver()) this.#lease = this.#carrier.leaseChunk()
  }

  onDrain(): void {
    this.#out.recycle()
    this.#handler?.onDrain()
  }

  onEnd(): void {
    this.#ended = true
    this.#deliverEnd()
  }

  onClose(reason: Error | undefined): void {
    this.#releaseLease()
    this.#handler?.onClose(reason)
  }

  /** @returns false when paused with messages left */
  #deliver(): boolean {
    this.#delivering = true
    try {
      while (!this.#paused) {
        const message = this.#decoder.next()
        if (message === undefined) {
          this.#releaseLease()
          if (this.#ended) this.#deliverEnd()
          return true
        }
        this.#handler?.onMessage(message)
      }
      return false
    } catch (error) {
      this.#carrier.destroy(toError(error))
      return true
    } finally {
      this.#delivering = false
    }
  }

  #deliverEnd(): void {
    if (this.#lease !== undefined) return // messages are left
    try {
      this.#decoder.end()
      this.#handler?.onEnd()
    } catch (error) {
      this.#carrier.destroy(toError(error))
    }
  }

  #releaseLease(): void {
    this.#lease?.release()
    this.#lease = undefined
  }
}

const MAX = 10_000

class MessageLog implements MessageHandler {
  readonly connection: FramedConnection
  readonly messages: Uint8Array[] = []
  onNext: (() => void) | undefined
  drains = 0
  ended = false
  closed: { reason: Error | undefined } | undefined

  constructor(carrier: Connection) {
    const decoder = new LengthPrefixedDecoder({ maxFrameBytes: MAX })
    this.connection = new FramedConnection(carrier, decoder, encodeLengthPrefixed, MAX)
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
  return { clock, network, carrier: a, client: new MessageLog(a), server: new MessageLog(b) }
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
