import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { type MessageFixture, messageConformance } from '../../testing/message-conformance.ts'
import { type TransportFixture, transportConformance } from '../../testing/transport-conformance.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { type MemoryOptions, memory } from '../../transports/memory/memory-transport.ts'
import { byteStream } from '../byte-stream/byte-stream.ts'
import { type WebSocketTransportOptions, webSocket } from './websocket.ts'

const harness = { test, ok: assert.ok, skip: test.skip }
const traits = { halfClose: false, secure: false, messageBoundaries: true }

function fixture(
  options: Partial<MemoryOptions>,
  own: WebSocketTransportOptions = {},
): MessageFixture {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const carrier = memory({ clock, network, strict: true, ...options })
  return {
    transport: webSocket({ clock, carrier, maxMessageBytes: 200_000, ...own }),
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

const VARIANTS: readonly (readonly [string, number, () => MessageFixture])[] = [
  ['WebSocket', 100_000, () => fixture({})],
  [
    'WebSocket, 61 bytes a chunk, fragments of 100, deflate',
    20_000,
    () =>
      fixture(
        { maxChunkBytes: 61, bufferBytes: 4_096, highWaterMarkBytes: 4_096 },
        { sendFrameBytes: 100, maxMessageBytes: 20_000, compression: { minBytes: 64 } },
      ),
  ],
]
for (const [name, bulkBytes, create] of VARIANTS) {
  messageConformance(name, { traits, create, bulkBytes, maxTurns: 5_000 }, harness)
}

function streamFixture(): TransportFixture {
  const { transport, clock, turn, leaks = {}, address: at } = fixture({})
  return { transport: byteStream(transport, { clock }), address: at, clock, turn, leaks }
}
const stream = { traits: { ...traits, messageBoundaries: false }, create: streamFixture }
transportConformance(
  'WebSocket byte stream',
  { ...stream, bulkBytes: 100_000, maxTurns: 5_000 },
  harness,
)
