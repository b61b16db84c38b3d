import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeWebRtc, type FakeWebRtcOptions } from '../../../test/transports/fake-web-rtc-driver.ts'
import { byteStream } from '../../links/byte-stream/byte-stream.ts'
import { memorySignalling } from '../../links/webrtc-signalling/memory-signalling.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { type TransportFixture, transportConformance } from '../../testing/transport-conformance.ts'
import { webRtc } from './webrtc.ts'
import { webRtcAddress } from './webrtc-address.ts'

// Streams over data channels of a driver within the process: what is tested is ours, on a manual
// clock. The whole kit over the real library is in interop.
const traits = { halfClose: true, secure: true, messageBoundaries: false }

function fixture(options: FakeWebRtcOptions): TransportFixture {
  const clock = new ManualClock()
  const driver = new FakeWebRtc(clock, options)
  const signalling = memorySignalling()
  return {
    transport: byteStream(webRtc({ signalling, driver, clock }), { clock }),
    address: webRtcAddress('0'),
    clock,
    turn: () => clock.settle(),
    leaks: {
      timers: () => clock.pendingTimers,
      'deferred calls': () => clock.pendingDeferred,
      peers: () => driver.openPeers,
      members: () => signalling.memberCount,
    },
  }
}

const subject = { traits, create: () => fixture({}), maxTurns: 2_000 }
transportConformance('webrtc', subject, { test, ok: assert.ok, skip: test.skip })
