/**
 * WebRTC through a real TURN server, coturn on loopback: peers that may meet through it only, with
 * the right credentials and with wrong ones.
 */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { memorySignalling } from '../src/links/webrtc-signalling/memory-signalling.ts'
import type { WebRtcConnection } from '../src/transports/webrtc/channel-connection.ts'
import { webRtc } from '../src/transports/webrtc/webrtc.ts'
import { webRtcAddress } from '../src/transports/webrtc/webrtc-address.ts'
import type { WebRtcOptions } from '../src/transports/webrtc/webrtc-options.ts'
import { MessageRecorder } from '../test/transports/message-recorder.ts'
import { requirePeer } from './peers.ts'
import { type Coturn, startCoturn, TURN_CREDENTIAL, TURN_USERNAME } from './support/coturn.ts'

const coturn = requirePeer('coturn')
async function freePort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}

const startTurn = async (): Promise<Coturn> =>
  startCoturn(coturn.path, '127.0.0.1', await freePort())

/** One asks the other a few messages, both with these options. */
async function exchange(options: Omit<WebRtcOptions, 'signalling'>) {
  const transport = webRtc({ signalling: memorySignalling(), ...options })
  const listener = await transport.listen(webRtcAddress('0'), {
    onConnection(one) {
      const echo = new MessageRecorder(one)
      echo.onNext = (message) => void one.send(message.slice())
      echo.open()
      void echo.until(() => echo.ended).then(() => one.end())
    },
  })
  try {
    const connection: WebRtcConnection = await transport.connect(listener.address)
    const client = new MessageRecorder(connection).open()
    const sizes = [1, 1_000, 16_384]
    for (const size of sizes) connection.send(new Uint8Array(size).fill(size % 251))
    await client.until(() => client.messages.length === sizes.length)
    assert.deepEqual(
      client.messages.map((message) => message.length),
      sizes,
    )
    const pair = connection.facts.webRtc.candidates()
    connection.end()
    await client.until(() => client.closed !== undefined)
    assert.deepEqual(client.closed, { reason: undefined })
    return pair
  } finally {
    await listener.close({ signal: AbortSignal.abort() })
  }
}

test(`peers that may use the relay only meet through coturn ${coturn.version}`, {
  skip: coturn.skip,
}, async () => {
  await using turn = await startTurn()
  const urls = `turn:127.0.0.1:${turn.port}?transport=udp`
  const pair = await exchange({
    iceServers: [{ urls, username: TURN_USERNAME, credential: TURN_CREDENTIAL }],
    iceTransportPolicy: 'relay',
  })
  assert.equal(pair?.local.type, 'relay')
  assert.match(turn.log(), /user <heddle>.*ALLOCATE processed, success/)
})

test(`wrong credentials reach nobody through coturn ${coturn.version}`, {
  skip: coturn.skip,
}, async () => {
  await using turn = await startTurn()
  const urls = `turn:127.0.0.1:${turn.port}?transport=udp`
  const attempt = exchange({
    iceServers: [{ urls, username: TURN_USERNAME, credential: 'wrong' }],
    iceTransportPolicy: 'relay',
    connectTimeoutMs: 3_000,
  })
  await assert.rejects(attempt, (error: Error & { code?: string }) => {
    assert.match(String(error.code), /^ERR_CONNECT/)
    assert.ok(!error.message.includes('wrong'))
    return true
  })
  assert.match(turn.log(), /401|unauthorized|Unauthorized/i)
})
