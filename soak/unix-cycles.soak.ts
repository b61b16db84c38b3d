import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unix as unixAddress } from '../src/core/address.ts'
import { unix } from '../src/transports/unix/unix.ts'
import { connectCycles } from './connect-cycles.ts'
import type { Soak } from './soak.ts'

export const soak: Soak = connectCycles({
  name: 'a Unix socket',
  cycles: 10_000,
  async create() {
    const folder = await mkdtemp(join(tmpdir(), 'heddle-soak-'))
    return {
      transport: unix(),
      address: unixAddress(join(folder, 'socket')),
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
    }
  },
})
