import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { seededRandom } from '../../testing/seeded-random.ts'
import { type TransportFixture, transportConformance } from '../../testing/transport-conformance.ts'
import { MemoryNetwork } from './memory-network.ts'
import { type MemoryOptions, memory } from './memory-transport.ts'

const traits = { halfClose: true, secure: false, messageBoundaries: false }

function fixture(options: Partial<MemoryOptions>): TransportFixture {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  return {
    transport: memory({ clock, network, strict: true, ...options }),
    address: address('0'),
    clock,
    async turn() {
      await clock.settle()
      // Only delays set timers: let what is under way arrive.
      if (options.maxDelayMs !== undefined) await clock.advanceAsync(options.maxDelayMs)
    },
    leaks: {
      timers: () => clock.pendingTimers,
      'deferred calls': () => clock.pendingDeferred,
      leases: () => network.leaseCount,
      listeners: () => network.listenerCount,
    },
  }
}

const VARIANTS: readonly (readonly [
  name: string,
  bulkBytes: number,
  () => Partial<MemoryOptions>,
])[] = [
  ['memory', 1_048_576, () => ({})],
  ['memory, a byte per chunk', 8_192, () => ({ maxChunkBytes: 1 })],
  ['memory, small buffers', 32_768, () => ({ bufferBytes: 100, highWaterMarkBytes: 50 })],
  [
    'memory, random chunks and delays',
    16_384,
    () => ({ random: seededRandom(42), maxChunkBytes: 5_000, maxDelayMs: 20 }),
  ],
]

for (const [name, bulkBytes, options] of VARIANTS) {
  const subject = { traits, create: () => fixture(options()), bulkBytes, maxTurns: 2_000 }
  transportConformance(name, subject, { test, ok: assert.ok, skip: test.skip })
}
