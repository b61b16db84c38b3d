import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { type MessageFixture, messageConformance } from '../../testing/message-conformance.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { type MemoryOptions, memory } from '../../transports/memory/memory-transport.ts'
import { type FramedOptions, framed } from './framed.ts'
import { lengthPrefix } from './framing.ts'

const traits = { halfClose: true, secure: false, messageBoundaries: true }

function fixture(options: FramedOptions, link: Partial<MemoryOptions> = {}): MessageFixture {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  return {
    transport: framed(memory({ clock, network, strict: true, ...link }), { clock, ...options }),
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

const VARIANTS: readonly (readonly [
  name: string,
  bulkBytes: number,
  create: () => MessageFixture,
])[] = [
  ['framed', 300_000, () => fixture({ maxMessageBytes: 1_000_000 })],
  [
    'framed, 7 bytes per chunk',
    60_000,
    () => {
      const framing = lengthPrefix({ prefix: 'u16le', includesPrefix: true })
      return fixture({ maxMessageBytes: 20_000, framing }, { maxChunkBytes: 7, bufferBytes: 500 })
    },
  ],
]

for (const [name, bulkBytes, create] of VARIANTS) {
  const subject = { traits, create, bulkBytes, maxTurns: 2_000 }
  messageConformance(name, subject, { test, ok: assert.ok, skip: test.skip })
}
