/**
 * The transport kit on streams of the second driver of QUIC: its client against a listener of the
 * first, which stops reading when it is told to, so that what the client does about it is seen.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../src/core/address.ts'
import { systemClock } from '../src/platform/system-clock.ts'
import { DevAuthority } from '../src/security/dev-certificate.ts'
import { transportConformance } from '../src/testing/transport-conformance.ts'
import { QUIC_TRAITS as traits } from '../src/transports/quic/quic.ts'
import { quicAvailability } from '../src/transports/quic/quic-availability.ts'
import { quicStreams } from '../src/transports/quic/quic-streams.ts'

const authority = await DevAuthority.create(systemClock)
const credentials = await authority.issue()
const { ca } = authority
const { reason } = quicAvailability('quiche')

const SILENCE =
  'the addon does not hear of a port where nobody listens: it waits for its time limit'

let turns = 0

/** A round of the event loop, and often a moment: the addon works on threads of its own. */
function turn(): Promise<void> {
  const isMoment = ++turns % 10 === 0
  return new Promise((resolve) => {
    if (isMoment) setTimeout(resolve, 2)
    else setImmediate(resolve)
  })
}

if (reason !== undefined) test.skip(`quiche: ${reason}`)
else {
  transportConformance(
    'quic streams on quiche',
    {
      traits,
      bulkBytes: 100_000,
      except: {
        'shows each side the address of the other':
          'a UDP socket that serves many peers does not know from which of its addresses it sends',
        'refuses to connect where nobody listens: TransportError, nothing sent': SILENCE,
        'accepts nothing after close': SILENCE,
        'closes a newcomer that admitAddress refuses, and nobody hears of it':
          'the addon does not hear that OpenSSL refused it before the handshake was over',
        'agrees at both ends on what secures the connection': 'the addon does not tell the cipher',
        'closes while somebody connects: that one connects or fails, and nothing is left': SILENCE,
      },
      create() {
        const client = quicStreams({
          driver: 'quiche',
          ca,
          connectTimeoutMs: 500,
          onWarning() {},
        })
        const server = quicStreams({ credentials })
        return {
          transport: {
            name: client.name,
            traits,
            connect: (address, options) => client.connect(address, options),
            listen: (address, options) => server.listen(address, options),
          },
          address: ip('127.0.0.1', 0),
          clock: systemClock,
          connectOptions: { serverName: 'localhost' },
          turn,
          dispose: () => client.close({ signal: AbortSignal.abort() }),
        }
      },
    },
    { test, ok: assert.ok, skip: test.skip },
  )
}
