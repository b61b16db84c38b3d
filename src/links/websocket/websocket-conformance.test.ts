import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { type TransportFixture, transportConformance } from '../../testing/transport-conformance.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { type MemoryOptions, memory } from '../../transports/memory/memory-transport.ts'
import { byteStream } from '../byte-stream/byte-stream.ts'
import { type WebSocketTransportOptions, webSocket } from './websocket.ts'

const traits = { halfClose: false, secure: false, messageBoundaries: false }

function fixture(
  options: Partial<MemoryOptions>,
  own: WebSocketTransportOptions = {},
): TransportFixture {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const carrier = memory({ clock, network, strict: true, ...options })
  return {
    transport: byteStream(webSocket({ clock, carrier, ...own }), { clock }),
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

const VARIANTS: readonly (readonly [string, number, () => TransportFixture])[] = [
  ['WebSocket byte stream', 100_000, () => fixture({})],
  [
    'WebSocket byte stream, 7 bytes a chunk, fragments of 100, deflate',
    10_000,
    () => fixture({ maxChunkBytes: 7 }, { sendFrameBytes: 100, compression: { minBytes: 64 } }),
  ],
]
for (const [name, bulkBytes, create] of VARIANTS) {
  const subject = { traits, create, bulkBytes, maxTurns: 5_000 }
  transportConformance(name, subject, { test, ok: assert.ok, skip: test.skip })
}
