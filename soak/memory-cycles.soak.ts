import { memory as memoryAddress } from '../src/core/address.ts'
import { systemClock } from '../src/platform/system-clock.ts'
import { MemoryNetwork } from '../src/transports/memory/memory-network.ts'
import { memory } from '../src/transports/memory/memory-transport.ts'
import { connectCycles } from './connect-cycles.ts'
import type { Soak } from './soak.ts'

export const soak: Soak = connectCycles({
  name: 'memory',
  cycles: 10_000,
  create: async () => ({
    transport: memory({ clock: systemClock, network: new MemoryNetwork() }),
    address: memoryAddress('soak'),
    async [Symbol.asyncDispose]() {},
  }),
})
