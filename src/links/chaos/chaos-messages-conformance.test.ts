import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import type { ToxicSpec } from '../../core/chaos/toxic.ts'
import type { Clock } from '../../core/clock.ts'
import type { MessageTransport, Transport } from '../../core/transport.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { type MessageFixture, messageConformance } from '../../testing/message-conformance.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { framed } from '../framed/framed.ts'
import { webSocket } from '../websocket/websocket.ts'
import { chaosMessages } from './chaos-messages.ts'

type Make = (carrier: Transport, clock: Clock) => MessageTransport

function fixture(make: Make, toxics: readonly ToxicSpec[]): MessageFixture {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const carrier = make(memory({ clock, network, strict: true }), clock)
  return {
    transport: chaosMessages(carrier, { clock, seed: 1, toxics }),
    address: address('0'),
    clock,
    async turn() {
      await clock.settle()
      if (toxics.length > 0) await clock.advanceAsync(20)
    },
    leaks: {
      timers: () => clock.pendingTimers,
      'deferred calls': () => clock.pendingDeferred,
      leases: () => network.leaseCount,
      listeners: () => network.listenerCount,
    },
  }
}

const CARRIERS: readonly (readonly [name: string, halfClose: boolean, make: Make])[] = [
  ['framed', true, (carrier, clock) => framed(carrier, { clock, maxMessageBytes: 200_000 })],
  ['WebSocket', false, (carrier, clock) => webSocket({ carrier, clock, maxMessageBytes: 200_000 })],
]
const LATE: readonly ToxicSpec[] = [
  { type: 'latency', attributes: { latency: 2, jitter: 1 } },
  { type: 'latency', stream: 'upstream', attributes: { latency: 2, jitter: 2 } },
]
const suite = { test, ok: assert.ok, skip: test.skip }

for (const [name, halfClose, make] of CARRIERS) {
  const traits = { halfClose, secure: false, messageBoundaries: true }
  const limits = { traits, bulkBytes: 100_000, maxTurns: 3_000 }
  messageConformance(
    `chaosMessages around ${name} without a toxic`,
    { ...limits, create: () => fixture(make, []) },
    suite,
  )
  messageConformance(
    `chaosMessages around ${name} with latency and jitter both ways`,
    { ...limits, create: () => fixture(make, LATE) },
    suite,
  )
}
