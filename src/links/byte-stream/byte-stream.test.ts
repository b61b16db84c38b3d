import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { ConnectionLog, pattern } from '../../testing/transport/connection-log.ts'
import { type TransportFixture, transportConformance } from '../../testing/transport-conformance.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { type MemoryOptions, memory, memoryPair } from '../../transports/memory/memory-transport.ts'
import { framed } from '../framed/framed.ts'
import { lengthPrefixedMessages } from '../framed/framed-connection.ts'
import { byteStream, byteStreamConnection } from './byte-stream.ts'

function fixture(options: Partial<MemoryOptions>, maxMessageBytes: number): TransportFixture {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const carrier = memory({ clock, network, strict: true, ...options })
  return {
    transport: byteStream(framed(carrier, { clock, maxMessageBytes }), { clock }),
    address: address('0'),
    clock,
    turn: () => clock.settle(),
    leaks: {
      timers: () => clock.pendingTimers,
      'deferred calls': () => clock.pendingDeferred,
      leases: () => network.leaseCount,
      listeners: () => network.listenerCount,
    },
  }
}

const traits = { halfClose: true, secure: false, messageBoundaries: false }
const VARIANTS: readonly (readonly [string, number, () => TransportFixture])[] = [
  ['byte stream', 100_000, () => fixture({}, 1_000_000)],
  [
    'byte stream, messages of 100 bytes, 7 bytes a chunk',
    10_000,
    () => fixture({ maxChunkBytes: 7 }, 100),
  ],
]
for (const [name, bulkBytes, create] of VARIANTS) {
  const subject = { traits, create, bulkBytes, maxTurns: 5_000 }
  transportConformance(name, subject, { test, ok: assert.ok, skip: test.skip })
}

class Messages implements MessageHandler {
  readonly sizes: number[] = []
  onMessage(message: Uint8Array): void {
    this.sizes.push(message.length)
  }
  onDrain(): void {}
  onEnd(): void {}
  onClose(): void {}
}

test('byteStream splits a write at maxChunkBytes: one at the limit, two one past it', () => {
  const clock = new ManualClock()
  const [a, b] = memoryPair({ clock })
  const stream = byteStreamConnection(lengthPrefixedMessages(a, { clock }), {
    clock,
    maxChunkBytes: 1_000,
  })
  const received = new Messages()
  lengthPrefixedMessages(b, { clock }).open(received)
  stream.write(pattern(0, 0, 1_000))
  stream.write(pattern(0, 0, 1_001))
  stream.write(new Uint8Array(0))
  clock.flush()
  assert.deepEqual(received.sizes, [1_000, 1_000, 1])
})

test('byteStream splits a write at the largest message of its connection where that is less', () => {
  const clock = new ManualClock()
  const [a, b] = memoryPair({ clock })
  const messages = lengthPrefixedMessages(a, { clock, maxMessageBytes: 300 })
  const stream = byteStreamConnection(messages, { clock })
  const received = new Messages()
  lengthPrefixedMessages(b, { clock }).open(received)
  stream.write(pattern(0, 0, 700))
  clock.flush()
  assert.deepEqual(received.sizes, [300, 300, 100])
})

test('byteStream hands an empty message on as nothing', () => {
  const clock = new ManualClock()
  const [a, b] = memoryPair({ clock })
  const messages = lengthPrefixedMessages(a, { clock })
  const log = new ConnectionLog(
    byteStreamConnection(lengthPrefixedMessages(b, { clock }), { clock }),
  ).open()
  messages.send(new Uint8Array(0))
  messages.send(pattern(1, 0, 3))
  clock.flush()
  assert.equal(log.chunks, 1)
  assert.deepEqual(log.violations, [])
})

/** Lends its messages, and counts who keeps one. */
class LendingConnection implements MessageConnection {
  readonly id = 1
  readonly facts = memoryPair({ clock: new ManualClock() })[0].facts
  readonly maxMessageBytes = 100
  readonly writableLength = 0
  readonly ownsMessages = false
  handler: MessageHandler | undefined
  leases = 0
  open(handler: MessageHandler): void {
    this.handler = handler
  }
  send = (): boolean => true
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
  leaseMessage() {
    this.leases += 1
    return { release: () => void (this.leases -= 1) }
  }
}

test('byteStream keeps the memory of a lent message by a lease of its connection, uncopied', () => {
  const messages = new LendingConnection()
  const stream = byteStreamConnection(messages, { clock: new ManualClock() })
  const message = pattern(1, 0, 10)
  const log = new ConnectionLog(stream)
  log.hooks = {
    onData(chunk) {
      assert.equal(chunk, message)
      const lease = stream.leaseChunk()
      assert.equal(messages.leases, 1)
      lease.release()
    },
  }
  log.open()
  messages.handler?.onMessage(message)
  assert.equal(messages.leases, 0)
  assert.equal(log.received, 10)
})

test('byteStream loses nothing of a connection that does not stop at once when it is detached', () => {
  const messages = new LendingConnection()
  const clock = new ManualClock()
  const stream = byteStreamConnection(messages, { clock })
  new ConnectionLog(stream).open()
  stream.detach(pattern(4, 0, 2))
  messages.handler?.onMessage(pattern(4, 2, 3))
  messages.handler?.onEnd()
  const next = new ConnectionLog(stream)
  next.expectedKey = 4
  next.open()
  clock.flush()
  assert.equal(next.received, 5)
  assert.ok(next.ended)
  assert.deepEqual(next.violations, [])
})

test('byteStream refuses a maxChunkBytes of 0', () => {
  const messages = new LendingConnection()
  const make = () => byteStreamConnection(messages, { maxChunkBytes: 0 })
  assert.throws(make, { code: 'ERR_OPTION_RANGE' })
})
