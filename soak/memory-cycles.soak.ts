import { memory as memoryAddress } from '../src/core/address.ts'
import { systemClock } from '../src/platform/system-clock.ts'
import { MemoryNetwork } from '../src/transports/memory/memory-network.ts'
import { memory } from '../src/transports/memory/memory-transport.ts'
import { connectCycles } from './connect-cycles.ts'
import type { Soak } from './soak.ts'

export const soak: Soak = connectCycles({
  name: 'memory',
  cycles: 200_000, // of 10,000 nothing can be said: they are over before the heap has found its size
  create: async () => ({
    transport: memory({ clock: systemClock, network: new MemoryNetwork() }),
    address: memoryAddress('soak'),
    async [Symbol.asyncDispose]() {},
  }),
})
