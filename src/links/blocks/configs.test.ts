/** Every setting of the seed is honoured or reported with what holds instead; none is ignored. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ip } from '../../core/address.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { createDevCertificate } from '../../security/dev-certificate.ts'
import { quicAvailability } from '../../transports/quic/quic-availability.ts'
import { memorySignalling } from '../webrtc-signalling/memory-signalling.ts'
import type { UnsupportedSetting } from './block-transport.ts'
import {
  highPerformanceUdpConfig,
  productionTcpConfig,
  quicConfigDefaults,
  seedWebRtcConfig,
  tcpConfigDefaults,
  udpConfigDefaults,
  webSocketConfigDefaults,
} from './configs.ts'
import { quicBlocks } from './quic-blocks.ts'
import { memoryBlocks, tcpBlocks, unixBlocks } from './stream-blocks.ts'
import { udpBlocks } from './udp-blocks.ts'
import { webRtcBlocks } from './webrtc-blocks.ts'
import { webSocketBlocks } from './websocket-blocks.ts'

const buffers = { sendBufferSize: 32_768, recvBufferSize: 131_072 }
const signalling = memorySignalling()

function options(unsupported: readonly UnsupportedSetting[]): string {
  for (const { reason } of unsupported) assert.ok(reason.length > 10, reason)
  return unsupported
    .map(({ option, value }) => `${option} ${value}`)
    .sort()
    .join()
}

test('the defaults of the seed are taken, and what cannot be set of them is said', () => {
  assert.equal(options(tcpBlocks(tcpConfigDefaults).unsupported), '')
  assert.equal(options(udpBlocks(udpConfigDefaults).unsupported), '')
  assert.equal(options(webSocketBlocks(webSocketConfigDefaults).unsupported), '')
  assert.equal(options(webRtcBlocks(seedWebRtcConfig, { signalling }).unsupported), '')
  assert.equal(
    options(quicBlocks(quicConfigDefaults).unsupported),
    'initialMaxData 10485760,initialMaxStreamData 1048576,keepAliveMs 30000',
  )
})

test('the TTL of TCP and an address that is not to be reused are reported', () => {
  assert.equal(options(tcpBlocks(productionTcpConfig).unsupported), 'ttl 64')
  assert.equal(options(tcpBlocks({ reuseAddr: false }).unsupported), 'reuseAddr false')
  for (const ttl of [0, 256]) assert.throws(() => tcpBlocks({ ttl }), { code: 'ERR_OPTION_RANGE' })
})

test('sizes of buffers are set where they can be, and reported where they cannot', () => {
  const reported = 'recvBufferSize 131072,sendBufferSize 32768'
  assert.equal(options(tcpBlocks({}, { buffers }).unsupported), reported)
  assert.equal(options(unixBlocks({ buffers }).unsupported), reported)
  assert.equal(options(webSocketBlocks({}, { buffers }).unsupported), reported)
  assert.equal(options(webRtcBlocks({}, { signalling, buffers }).unsupported), reported)
  assert.ok(options(quicBlocks({}, { buffers }).unsupported).includes(reported.split(',')[0]!))
  assert.equal(options(memoryBlocks({ buffers }).unsupported), '')
  assert.equal(options(udpBlocks({}, { buffers }).unsupported), '')
  const wrong = { buffers: { sendBufferSize: 0 } }
  for (const make of [tcpBlocks, quicBlocks, webSocketBlocks, udpBlocks]) {
    assert.throws(() => make({}, wrong), { code: 'ERR_OPTION_RANGE' }, make.name)
  }
})

test('the profiles of the seed: production TCP, datagrams that no router cuts', async () => {
  assert.deepEqual([productionTcpConfig.keepaliveMs, productionTcpConfig.ttl], [60_000, 64])
  await using socket = await udpBlocks(highPerformanceUdpConfig).bind('udp://127.0.0.1:0')
  assert.equal(socket.maxPacketSize, 1_400)
  await assert.rejects(socket.sendTo(new Uint8Array(1_401), socket.localAddr), {
    code: 'ERR_FRAME_TOO_LARGE',
  })
})

test('the certificate of QUIC is given, or named by its files, and not both', async (t) => {
  const { certificate, key } = await createDevCertificate(systemClock)
  const folder = mkdtempSync(join(tmpdir(), 'heddle-blocks-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const certPath = join(folder, 'server.crt')
  const keyPath = join(folder, 'server.key')
  writeFileSync(certPath, certificate)
  writeFileSync(keyPath, key)
  if (quicAvailability().available) {
    for (const config of [
      { certChain: certificate, privateKey: key },
      { certPath, keyPath },
      { certPath, privateKey: key },
    ]) {
      const listener = await quicBlocks(config).listen(ip('127.0.0.1', 0))
      await listener.close()
    }
  }
  for (const wrong of [
    { certPath },
    { keyPath },
    { certPath, certChain: certificate, keyPath },
    { certPath: join(folder, 'none'), keyPath },
  ]) {
    assert.throws(() => quicBlocks(wrong), { code: 'ERR_ARGUMENT' }, JSON.stringify(wrong))
  }
})
