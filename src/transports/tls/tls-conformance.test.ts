import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realFixture } from '../../../test/transports/real-fixture.ts'
import { ip, memory as memoryAddress } from '../../core/address.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { DevAuthority } from '../../security/dev-certificate.ts'
import { transportConformance } from '../../testing/transport-conformance.ts'
import { MemoryNetwork } from '../memory/memory-network.ts'
import { memory } from '../memory/memory-transport.ts'
import { tls } from './tls.ts'

const traits = { halfClose: true, secure: true, messageBoundaries: false }
const authority = await DevAuthority.create(systemClock)
const credentials = await authority.issue()
const { ca } = authority
const harness = { test, ok: assert.ok, skip: test.skip }
const connectOptions = { serverName: 'localhost' }

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  const create = () =>
    realFixture(tls({ credentials, ca, maxVersion }), ip('127.0.0.1', 0), { connectOptions })
  transportConformance(`tls (${maxVersion})`, { traits, create }, harness)
}

transportConformance(
  'tls on the streams of TLSSocket',
  {
    traits,
    create: () =>
      realFixture(tls({ credentials, ca, tcp: { engine: 'net' } }), ip('127.0.0.1', 0), {
        connectOptions,
      }),
  },
  harness,
)

transportConformance(
  'tls over memory',
  {
    traits,
    except: {
      'delivers what was put back, what came meanwhile, the end and the close in this order':
        'Node destroys TLS over a stream of ours with what its paused reader has not read; the close says ERR_DISCONNECTED',
    },
    create() {
      const inner = memory({ clock: systemClock, network: new MemoryNetwork(), strict: true })
      return realFixture(tls({ credentials, ca, inner }), memoryAddress('0'), { connectOptions })
    },
  },
  harness,
)
