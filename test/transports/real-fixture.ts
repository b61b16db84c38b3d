/**
 * A fixture of the transport kit for transports that use the operating system: a turn is one round
 * of the event loop, and what must be given back is what keeps the process alive.
 */
import type { Address } from '../../src/core/address.ts'
import type { Transport } from '../../src/core/transport.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import type { TransportFixture } from '../../src/testing/transport-conformance.ts'

export function realFixture(
  transport: Transport,
  address: Address,
  more: Partial<TransportFixture> = {},
): TransportFixture {
  return {
    transport,
    address,
    clock: systemClock,
    turn: () => new Promise((resolve) => setImmediate(resolve)),
    leaks: {
      sockets: () => active('TCPSocketWrap', 'PipeWrap'),
      listeners: () => active('TCPServerWrap', 'PipeServerWrap'),
      timers: () => active('Timeout'),
    },
    ...more,
  }
}

function active(...names: readonly string[]): number {
  return process.getActiveResourcesInfo().filter((name) => names.includes(name)).length
}
