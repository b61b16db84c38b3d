import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { ip } from '../../core/address.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { datagramConformance } from '../../testing/datagram-conformance.ts'
import { udp } from './udp.ts'
import type { UdpOptions } from './udp-options.ts'

const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some((one) => one.address === '::1'),
)
const VARIANTS: readonly (readonly [name: string, host: string, options: UdpOptions])[] = [
  ['udp', '127.0.0.1', { engine: 'handle' }],
  ['udp through dgram', '127.0.0.1', { engine: 'dgram' }],
  ...(hasIpv6 ? [['udp on IPv6', '::1', { engine: 'handle' }] as const] : []),
]

for (const [name, host, options] of VARIANTS) {
  datagramConformance(
    name,
    {
      create: () => ({
        transport: udp(options),
        address: ip(host, 0),
        clock: systemClock,
        turn: () => new Promise((resolve) => setImmediate(resolve)),
        leaks: { sockets: openSockets },
      }),
    },
    { test, ok: assert.ok, skip: test.skip },
  )
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name.startsWith('UDP')).length
}
