import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulatedDatagrams } from '../../../test/transports/simulated-datagrams.ts'
import { ip, memory } from '../../core/address.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { DevAuthority } from '../../security/dev-certificate.ts'
import { type TransportFixture, transportConformance } from '../../testing/transport-conformance.ts'
import { QUIC_TRAITS as traits } from './quic.ts'
import { quicAvailability } from './quic-availability.ts'
import { type QuicStreamsOptions, quicStreams } from './quic-streams.ts'

const { available, reason } = quicAvailability()
const authority = await DevAuthority.create(systemClock)
const credentials = await authority.issue()
const { ca } = authority

let turns = 0

/**
 * A round of the event loop, and now and then a moment: a datagram that the kernel dropped, as it
 * may when one peer is flooded, comes again after a time, whatever the rounds.
 */
function turn(): Promise<void> {
  const isMoment = ++turns % 100 === 0
  return new Promise((resolve) => {
    if (isMoment) setTimeout(resolve, 20)
    else setImmediate(resolve)
  })
}

function fixture(
  options: QuicStreamsOptions,
  address: TransportFixture['address'],
): TransportFixture {
  const transport = quicStreams({ ca, credentials, ...options })
  return {
    transport,
    address,
    clock: systemClock,
    connectOptions: { serverName: 'localhost' },
    turn,
    dispose: () => transport.close({ signal: AbortSignal.abort() }),
  }
}

if (!available) test.skip(`quic: ${reason}`)
else {
  // A tenth of the usual: it is encrypted and decrypted on the test's own thread.
  const bulkBytes = 100_000
  const harness = { test, ok: assert.ok, skip: test.skip }
  const inMemory = () => fixture({ carrier: simulatedDatagrams() }, memory('0'))
  transportConformance('quic streams in memory', { traits, create: inMemory, bulkBytes }, harness)
  const onSockets = () => fixture({}, ip('127.0.0.1', 0))
  const except = {
    'shows each side the address of the other':
      'a UDP socket that serves many peers does not know from which of its addresses it sends',
  }
  const overUdp = { traits, create: onSockets, bulkBytes, except }
  transportConformance('quic streams over UDP', overUdp, harness)
}
