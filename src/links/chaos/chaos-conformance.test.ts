import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import type { ToxicSpec } from '../../core/chaos/toxic.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { transportConformance } from '../../testing/transport-conformance.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { chaos } from './chaos.ts'

function fixture(toxics: readonly ToxicSpec[]) {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const transport = chaos(memory({ clock, network, strict: true }), { clock, seed: 1, toxics })
  return {
    transport,
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

const traits = { halfClose: true, secure: false, messageBoundaries: false }
const suite = { test, ok: assert.ok, skip: test.skip }

transportConformance(
  'chaos without a toxic',
  { traits, bulkBytes: 300_000, maxTurns: 2_000, create: () => fixture([]) },
  suite,
)
transportConformance(
  'chaos with a slicer and 2 ms of latency both ways',
  {
    traits,
    bulkBytes: 100_000,
    maxTurns: 2_000,
    create: () =>
      fixture([
        { type: 'slicer', attributes: { average_size: 700, size_variation: 300 } },
        { type: 'latency', attributes: { latency: 2, jitter: 1 } },
        { type: 'latency', stream: 'upstream', attributes: { latency: 2 } },
      ]),
  },
  {
    // What connects and listens is the same; what carries bytes is not.
    test: (name, body) =>
      /carries|false|drain|paus|half-close|queue/.test(name) && test(name, body),
    ok: assert.ok,
  },
)
