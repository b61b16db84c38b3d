// The real library on loopback: few connections, because each has threads. More is in interop.
import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { MessageRecorder } from '../../../test/transports/message-recorder.ts'
import { memorySignalling } from '../../links/webrtc-signalling/memory-signalling.ts'
import { absence, nodeDataChannelDriver, webRtcAvailability } from './node-datachannel-driver.ts'
import { webRtc } from './webrtc.ts'
import { webRtcAddress } from './webrtc-address.ts'
import type { PeerSettings } from './webrtc-driver.ts'

const { available, reason } = await webRtcAvailability()
const options = { skip: available ? false : reason }

test('the reason why there is no library names it, the system, and what importing it said', () => {
  const missing = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
  const broken = new Error('dlopen: wrong architecture')
  const start = 'the optional package node-datachannel cannot be loaded on'
  assert.equal(absence(missing, 'win32'), `${start} win32: is not installed`)
  assert.equal(absence(broken, 'darwin'), `${start} darwin: dlopen: wrong architecture`)
})

test('webRtcAvailability names its driver, or the reason why there is none', async () => {
  const { driver } = await webRtcAvailability()
  if (available) assert.match(driver ?? '', /^node-datachannel \(libdatachannel \d+\.\d+/)
  else assert.match(reason ?? '', /node-datachannel/)
})

test('webRtc exchanges messages over node-datachannel, and both sides end', options, async () => {
  const transport = webRtc({ signalling: memorySignalling(), bindAddress: '127.0.0.1' })
  const listener = await transport.listen(webRtcAddress('0'), {
    onConnection(connection) {
      const echo = new MessageRecorder(connection)
      echo.onNext = (message) => void connection.send(message)
      echo.open()
      void echo.until(() => echo.ended).then(() => connection.end())
    },
  })
  const connection = await transport.connect(listener.address)
  const client = new MessageRecorder(connection).open()
  const sent = [0, 1, 1_000, 262_144].map((length) => new Uint8Array(length).fill(length % 251))
  for (const message of sent) connection.send(message)
  await client.until(() => client.messages.length === sent.length)
  for (const [index, message] of sent.entries()) {
    assert.equal(Buffer.compare(client.messages[index] as Uint8Array, message), 0)
  }
  assert.equal(connection.facts.webRtc.flowControl, true)
  assert.match(connection.facts.webRtc.remoteFingerprint ?? '', /^sha-256 [0-9A-F:]{95}$/)
  assert.equal(connection.facts.webRtc.candidates()?.remote.address, '127.0.0.1')
  connection.end()
  await client.until(() => client.closed !== undefined)
  assert.deepEqual(client.closed, { reason: undefined })
  await listener.close()
})

test('webRtc meets over IPv6', { skip: available ? hasNoIpv6() : reason }, async () => {
  const transport = webRtc({ signalling: memorySignalling(), bindAddress: '::1' })
  const listener = await transport.listen(webRtcAddress('0'), {
    onConnection(connection) {
      const echo = new MessageRecorder(connection)
      echo.onNext = (message) => void connection.send(message)
      echo.open()
      void echo.until(() => echo.ended).then(() => connection.end())
    },
  })
  const connection = await transport.connect(listener.address)
  const client = new MessageRecorder(connection).open()
  connection.send(Uint8Array.of(6))
  await client.until(() => client.messages.length === 1)
  const pair = connection.facts.webRtc.candidates()
  assert.deepEqual([pair?.local.address, pair?.remote.address], ['::1', '::1'])
  connection.end()
  await client.until(() => client.closed !== undefined)
  assert.deepEqual(client.closed, { reason: undefined })
  await listener.close()
})

test('a description that is garbage fails the peer, and not the process', options, async () => {
  const driver = await nodeDataChannelDriver()
  const garbage = ['', 'v=0', 'hello', '\0'.repeat(1_000), 'm=application 9 UDP/DTLS/SCTP x\r\n']
  const ended = garbage.map(
    (sdp) =>
      new Promise<string>((resolve) => {
        const peer = driver.createPeer(SETTINGS, {
          onDescription() {},
          onCandidate() {},
          onChannel() {},
          onState(state) {
            if (state === 'failed') peer.close()
            if (state === 'closed') resolve(state)
          },
        })
        peer.setRemote('offer', sdp)
        peer.addCandidate('candidate:garbage', 'x')
        // Some of it is taken by the library, which then waits for a peer that does not exist.
        setImmediate(() => peer.close())
      }),
  )
  assert.deepEqual(
    await Promise.all(ended),
    garbage.map(() => 'closed'),
  )
})

test('what the library cannot reach is refused with ERR_OPTION_UNSUPPORTED', options, async () => {
  for (const urls of [
    'turns:turn.example',
    'turn:turn.example?transport=tcp',
    'stuns:stun.example',
  ]) {
    const iceServers = [{ urls, username: 'u', credential: 'hunter2' }]
    const transport = webRtc({ signalling: memorySignalling(), iceServers })
    await assert.rejects(transport.connect(webRtcAddress('b')), (error: Error) => {
      assert.equal((error as { code?: string }).code, 'ERR_OPTION_UNSUPPORTED')
      assert.ok(!error.message.includes('hunter2'))
      return true
    })
  }
})

const SETTINGS: PeerSettings = {
  iceServers: [],
  iceTransportPolicy: 'all',
  bindAddress: '127.0.0.1',
  portRange: undefined,
  maxMessageBytes: 65_536,
}

function hasNoIpv6(): string | false {
  const addresses = Object.values(networkInterfaces()).flat()
  return addresses.some((one) => one?.address === '::1') ? false : 'there is no IPv6 loopback here'
}
