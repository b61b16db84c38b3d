import { ip } from '../src/core/address.ts'
import { systemClock } from '../src/platform/system-clock.ts'
import { createDevCertificate } from '../src/security/dev-certificate.ts'
import { tls } from '../src/transports/tls/tls.ts'
import { connectCycles } from './connect-cycles.ts'
import type { Soak } from './soak.ts'

export const soak: Soak = connectCycles({
  name: 'TLS',
  cycles: 2_000,
  async create() {
    const { certificate, key, ca } = await createDevCertificate(systemClock)
    return {
      transport: tls({ ca }),
      listening: tls({ credentials: { certificate, key } }),
      address: ip('127.0.0.1', 0),
      async [Symbol.asyncDispose]() {},
    }
  },
})
