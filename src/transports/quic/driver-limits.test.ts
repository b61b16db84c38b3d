import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../core/address.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { memoryDatagrams } from '../memory/memory-datagrams.ts'
import { refuseForClient, refuseForServer } from './driver-limits.ts'
import { quic } from './quic.ts'
import type { QuicOptions } from './quic-options.ts'
import { quicStreams } from './quic-streams.ts'

const UNSUPPORTED = { code: 'ERR_OPTION_UNSUPPORTED' }

function reported(options: QuicOptions): string[] {
  const heard: string[] = []
  const transport = quic({ ...options, onWarning: ({ option }) => void heard.push(option) })
  assert.deepEqual(
    transport.unsupported.map(({ option }) => option),
    heard,
  )
  return heard
}

test('quic takes no driver it does not know', () => {
  assert.throws(() => quic({ driver: 'ngtcp2' as never }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => quicStreams({ driver: 'ngtcp2' as never }), { code: 'ERR_OPTION_RANGE' })
})

test('driver quiche refuses a carrier, shared ports and several protocols', () => {
  const driver = 'quiche'
  assert.throws(
    () => quic({ driver, carrier: memoryDatagrams({ clock: systemClock }) }),
    UNSUPPORTED,
  )
  assert.throws(() => quic({ driver, endpoints: 2 }), UNSUPPORTED)
  assert.throws(() => quic({ driver, alpn: ['a', 'b'] }), UNSUPPORTED)
  quic({ driver, endpoints: 1, alpn: ['a'] })
})

test('driver quiche refuses a client what it would have to look at a certificate for', () => {
  const pins = [`sha256/${'A'.repeat(43)}=`]
  assert.throws(() => refuseForClient({ pins }), UNSUPPORTED)
  assert.throws(() => refuseForClient({ verifyPeer: () => undefined }), UNSUPPORTED)
  refuseForClient({ verify: false })
})

test('driver quiche listens only where cross delivery is allowed', () => {
  assert.throws(() => refuseForServer({}), { ...UNSUPPORTED, message: /allowCrossDelivery/ })
  assert.throws(() => refuseForServer({ allowCrossDelivery: false }), UNSUPPORTED)
  refuseForServer({ allowCrossDelivery: true })
})

test('each driver reports what it cannot honour, and only that', () => {
  const windows = { initialMaxData: 10_000_000, initialMaxStreamData: 1_000_000 }
  const datagrams = { unreliableDatagrams: true, maxPausedDatagrams: 10, maxUnreadBytes: 10 }
  const both = { ...windows, ...datagrams, keepAliveMs: 10_000 }
  assert.deepEqual(reported(both).sort(), Object.keys(both).sort())
  assert.deepEqual(reported({ ...both, driver: 'quiche' }), [])
  const others = { maxSessions: 1, maxConnectionsPerEndpoint: 2, migration: true, earlyData: true }
  assert.deepEqual(reported({ ...others, driver: 'quiche' }).sort(), Object.keys(others).sort())
  assert.deepEqual(reported({ driver: 'quiche', maxSessions: 0, earlyData: false }), [])
})

test('quic over driver quiche says why where its addon does not load, and uses no other', async () => {
  const { quicAvailability } = await import('./quic-availability.ts')
  const { available, reason, driver, details } = quicAvailability('quiche')
  assert.equal(available, reason === undefined)
  assert.equal(driver, available ? 'quiche' : undefined)
  assert.match(String(details['package']), /@currentspace\/http3/)
  if (available) return
  const at = ip('127.0.0.1', 1)
  for (const transport of [quic({ driver: 'quiche' }), quicStreams({ driver: 'quiche' })]) {
    const told = {
      ...UNSUPPORTED,
      message: `QUIC on driver 'quiche' is not available here: ${reason}`,
    }
    await assert.rejects(transport.connect(at), told)
    await assert.rejects(transport.listen(at, { onConnection() {} }), told)
  }
})
