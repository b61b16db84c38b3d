import { ip } from '../src/core/address.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import { connectCycles } from './connect-cycles.ts'
import type { Soak } from './soak.ts'

export const soak: Soak = connectCycles({
  name: 'TCP',
  cycles: 10_000,
  create: async () => ({
    transport: tcp(),
    address: ip('127.0.0.1', 0),
    async [Symbol.asyncDispose]() {},
  }),
})
