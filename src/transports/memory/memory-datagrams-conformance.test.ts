import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import { datagramConformance } from '../../testing/datagram-conformance.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { MemoryDatagramNetwork, memoryDatagrams } from './memory-datagrams.ts'

datagramConformance(
  'memory',
  {
    maxTurns: 500,
    quietTurns: 3,
    create() {
      const clock = new ManualClock()
      const network = new MemoryDatagramNetwork()
      return {
        transport: memoryDatagrams({ clock, network, strict: true }),
        address: address('0'),
        clock,
        turn: () => clock.settle(),
        leaks: {
          timers: () => clock.pendingTimers,
          'deferred calls': () => clock.pendingDeferred,
          sockets: () => network.socketCount,
        },
      }
    },
  },
  { test, ok: assert.ok, skip: test.skip },
)
