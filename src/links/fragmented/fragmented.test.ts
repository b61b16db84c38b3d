import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeWebRtc } from '../../../test/transports/fake-web-rtc-driver.ts'
import { MessageRecorder } from '../../../test/transports/message-recorder.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { webRtc } from '../../transports/webrtc/webrtc.ts'
import { webRtcAddress } from '../../transports/webrtc/webrtc-address.ts'
import { memorySignalling } from '../webrtc-signalling/memory-signalling.ts'
import { type FragmentedOptions, fragmented, fragmentedMessages } from './fragmented.ts'
import type { FragmentedConnection } from './fragmented-connection.ts'

async function pair(options: FragmentedOptions = {}) {
  const clock = new ManualClock()
  const driver = new FakeWebRtc(clock)
  const carrier = webRtc({ signalling: memorySignalling(), driver, clock })
  const transport = fragmented(carrier, { clock, ...options })
  const accepted: MessageConnection[] = []
  const onConnection = (connection: MessageConnection) => void accepted.push(connection)
  await transport.listen(webRtcAddress('b'), { onConnection })
  const connecting = transport.connect(webRtcAddress('b'))
  await clock.settle()
  const connection = (await connecting) as FragmentedConnection
  const client = new MessageRecorder(connection).open()
  const server = new MessageRecorder(accepted[0] as FragmentedConnection).open()
  return { clock, driver, carrier, client, server, connection }
}

test('fragmented carries messages of any length up to its own, both ways', async () => {
  const { clock, client, server, connection } = await pair({ maxMessageBytes: 1_000_000 })
  assert.equal(connection.maxMessageBytes, 1_000_000)
  const sent = [0, 1, 65_535, 65_536, 262_145, 1_000_000].map((length) =>
    new Uint8Array(length).fill(length % 251),
  )
  for (const message of sent) {
    client.connection.send(message)
    server.connection.send(message)
  }
  await clock.settle()
  assert.deepEqual(server.messages, sent)
  assert.deepEqual(client.messages, sent)
  assert.throws(() => connection.send(new Uint8Array(1_000_001)), { code: 'ERR_FRAME_TOO_LARGE' })
  client.connection.end()
  server.connection.end()
  await clock.settle()
  assert.deepEqual([client.closed, server.closed], [{ reason: undefined }, { reason: undefined }])
  assert.equal(clock.pendingTimers, 0)
})

test('a peer that sends something else is dropped, and what it said is named', async () => {
  const clock = new ManualClock()
  const driver = new FakeWebRtc(clock)
  const transport = webRtc({ signalling: memorySignalling(), driver, clock })
  const accepted: MessageRecorder[] = []
  await transport.listen(webRtcAddress('b'), {
    onConnection: (carrier) =>
      void accepted.push(new MessageRecorder(fragmentedMessages(carrier, { clock })).open()),
  })
  const connecting = transport.connect(webRtcAddress('b'))
  await clock.settle()
  const bare = await connecting
  bare.send(Uint8Array.of(9, 9, 9))
  await clock.settle()
  assert.match(String(accepted[0]?.closed?.reason), /kind 9 is no part of a message/)
})

test('an incomplete message is given up in time, and the connection goes on', async () => {
  const { clock, driver, client, server } = await pair()
  const [channel] = [...driver.peers.values()].flatMap((peer) => [...peer.channels])
  const receiver = [...driver.peers.values()].flatMap((peer) => [...peer.channels])[1]!
  assert.ok(channel !== undefined)
  // kind, id 7, piece 0 of 2, 20 bytes in all, 10 of them
  receiver.arrives(
    Buffer.from(`01${'00000007'}${'0000'}${'0002'}${'00000014'}${'ab'.repeat(10)}`, 'hex'),
  )
  const side = [client, server].map((one) => one.connection as FragmentedConnection)
  assert.equal(clock.pendingTimers, 1)
  await clock.advanceAsync(10_000)
  assert.deepEqual(side.map((one) => one.droppedCount).sort(), [0, 1])
  client.connection.send(Uint8Array.of(1))
  server.connection.send(Uint8Array.of(2))
  await clock.settle()
  assert.deepEqual([client.messages, server.messages], [[Uint8Array.of(2)], [Uint8Array.of(1)]])
})

test('options of fragmented are checked before anything is connected', () => {
  const carrier = webRtc({ signalling: memorySignalling() })
  for (const options of [{ maxPieceBytes: 63 }, { maxIncomplete: 0 }, { fragmentTimeoutMs: 0 }]) {
    assert.throws(() => fragmented(carrier, options), { code: 'ERR_OPTION_RANGE' })
  }
})
