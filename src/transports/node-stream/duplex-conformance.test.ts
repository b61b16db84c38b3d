import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realFixture } from '../../../test/transports/real-fixture.ts'
import { memory as memoryAddress } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import type { Transport } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { transportConformance } from '../../testing/transport-conformance.ts'
import { MemoryNetwork } from '../memory/memory-network.ts'
import { memory } from '../memory/memory-transport.ts'
import { fromDuplex } from './from-duplex.ts'
import { toDuplex } from './to-duplex.ts'

/** Every connection through both bridges: connection, duplex, connection. */
function bridged(inner: Transport): Transport {
  const bridge = (connection: Connection): Connection => {
    const { role, local, remote, transport } = connection.facts
    return fromDuplex(toDuplex(connection, { allowHalfOpen: true }), {
      role,
      local,
      remote,
      transport,
    })
  }
  return {
    name: inner.name,
    traits: inner.traits,
    connect: async (address, options) => bridge(await inner.connect(address, options)),
    listen: (address, options) =>
      inner.listen(address, {
        ...options,
        onConnection: (connection) => options.onConnection(bridge(connection)),
      }),
  }
}

const traits = { halfClose: true, secure: false, messageBoundaries: false }
const harness = { test, ok: assert.ok, skip: test.skip }

transportConformance(
  'fromDuplex(toDuplex(memory))',
  {
    traits,
    create() {
      const inner = memory({ clock: systemClock, network: new MemoryNetwork(), strict: true })
      return realFixture(bridged(inner), memoryAddress('0'))
    },
  },
  harness,
)
