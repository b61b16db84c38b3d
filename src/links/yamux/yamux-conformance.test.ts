import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { transportConformance } from '../../testing/transport-conformance.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { yamuxStreams } from './yamux-streams.ts'

transportConformance(
  'yamux streams',
  {
    traits: { halfClose: true, secure: false, messageBoundaries: false },
    bulkBytes: 1_048_576,
    maxTurns: 2_000,
    create() {
      const clock = new ManualClock()
      const network = new MemoryNetwork()
      return {
        transport: yamuxStreams(memory({ clock, network, strict: true }), { clock }),
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
    },
  },
  { test, ok: assert.ok, skip: test.skip },
)
