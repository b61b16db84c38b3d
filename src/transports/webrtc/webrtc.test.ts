import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type FakeChannel,
  FakeWebRtc,
  type FakeWebRtcOptions,
} from '../../../test/transports/fake-web-rtc-driver.ts'
import { MessageRecorder } from '../../../test/transports/message-recorder.ts'
import { memorySignalling } from '../../links/webrtc-signalling/memory-signalling.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import type { WebRtcConnection } from './channel-connection.ts'
import type { Signalling, SignalMessage } from './signalling.ts'
import { webRtc } from './webrtc.ts'
import { webRtcAddress } from './webrtc-address.ts'
import type { WebRtcOptions } from './webrtc-options.ts'

interface WorldOptions extends Partial<WebRtcOptions> {
  fake?: FakeWebRtcOptions
  /** What the accepting side has otherwise. */
  accepting?: Partial<WebRtcOptions>
}

function world({ fake, accepting, ...options }: WorldOptions = {}) {
  const clock = new ManualClock()
  const driver = new FakeWebRtc(clock, fake)
  const signalling = memorySignalling()
  const base = { signalling, driver, clock, ...options }
  const transport = webRtc(base)
  const listening = webRtc({ ...base, ...accepting })
  const settled = async <Value>(promise: Promise<Value>): Promise<Value> => {
    promise.catch(() => {})
    await clock.settle()
    return promise
  }
  return { clock, driver, signalling, transport, listening, settled }
}

async function pair(options: WorldOptions = {}) {
  const made = world(options)
  const accepted: MessageRecorder[] = []
  const errors: Error[] = []
  const listener = await made.listening.listen(webRtcAddress('b'), {
    onConnection: (connection) => void accepted.push(new MessageRecorder(connection).open()),
    onError: (error) => void errors.push(error),
  })
  const connection = await made.settled(made.transport.connect(webRtcAddress('b')))
  const client = new MessageRecorder(connection).open()
  const peers = [...made.driver.peers.values()]
  const channels = peers.map((peer) => [...peer.channels][0] as FakeChannel)
  const [atClient, atServer] = channels as [FakeChannel, FakeChannel]
  const server = accepted[0] as MessageRecorder
  return { ...made, listener, accepted, errors, connection, client, server, atClient, atServer }
}

/** Apart, so that the type is not narrowed. */
const isOpen = ({ closed }: MessageRecorder) => closed === undefined
const codeOf = (error: unknown) => (error as { code?: string } | undefined)?.code

test('a lossy channel is asked for as it was wanted, with one limit', async () => {
  for (const [unreliable, expected] of [
    [{ maxRetransmits: 3 }, [3, undefined]],
    [{ maxPacketLifeTimeMs: 3_000 }, [undefined, 3_000]],
  ] as const) {
    const { atClient, connection } = await pair({ unreliable, ordered: false })
    const { maxRetransmits, maxPacketLifeTimeMs, ordered } = atClient.settings
    assert.deepEqual([maxRetransmits, maxPacketLifeTimeMs, ordered], [...expected, false])
    assert.equal(connection.facts.webRtc.flowControl, false, 'what is lost is no credit')
    assert.equal(connection.facts.capabilities, 0)
  }
})

test('the facts name both certificates, the channel and the candidates', async () => {
  const { connection, server } = await pair({ label: 'blocks', protocol: 'olocus-v1' })
  const { webRtc: facts, local, remote } = connection.facts
  const { candidates, ...rest } = facts
  assert.deepEqual(rest, {
    label: 'blocks',
    protocol: 'olocus-v1',
    flowControl: true,
    localFingerprint: 'sha-256 fake1',
    remoteFingerprint: 'sha-256 fake2',
  })
  assert.equal(candidates()?.remote.port, 2)
  assert.deepEqual([local, remote], [webRtcAddress('peer-1'), webRtcAddress('b')])
  assert.equal(server.connection.facts.tls?.authorized, false)
})

test('a peer that stops reading stops its sender, and holds no more than its window', async () => {
  const { clock, client, server, atServer } = await pair({ receiveWindowBytes: 1_048_576 })
  server.connection.pause()
  const message = new Uint8Array(65_536)
  let sent = 1
  while (client.connection.send(message) && sent < 1_000) sent += 1
  await clock.settle()
  assert.ok(sent < 1_000)
  assert.equal(server.messages.length, 0)
  assert.equal(client.drains, 0)
  // 15 messages and their cost are the window; the rest has not left the sender.
  assert.equal(client.connection.writableLength, (sent - 15) * message.length)
  assert.equal(atServer.bufferedAmount, 0)
  server.connection.resume()
  await clock.settle()
  assert.equal(server.messages.length, sent)
  assert.equal(client.connection.writableLength, 0)
  assert.equal(client.drains, 1)
})

test('a sender over its credit is dropped with ERR_LIMIT', async () => {
  const { clock, server, atServer } = await pair({ receiveWindowBytes: 1_048_576 })
  server.connection.pause()
  for (let count = 0; count < 15; count++) atServer.arrives(new Uint8Array(65_536))
  await clock.settle()
  assert.ok(isOpen(server))
  atServer.arrives(new Uint8Array(65_536))
  await clock.settle()
  assert.equal(codeOf(server.closed?.reason), 'ERR_LIMIT')
})

test('without flow control a reader that does not read is bounded by maxHeldBytes', async () => {
  const options = { flowControl: false, maxHeldBytes: 1_048_576, maxMessageBytes: 65_536 }
  const { clock, server, client, atServer } = await pair(options)
  server.connection.pause()
  for (let count = 0; count < 15; count++) client.connection.send(new Uint8Array(65_536))
  await clock.settle()
  assert.ok(isOpen(server))
  server.connection.resume()
  await clock.settle()
  assert.equal(server.messages.length, 15)
  server.connection.pause()
  // 16 messages of 65,472 bytes and 64 bytes of cost are exactly the bound.
  for (let count = 0; count < 16; count++) atServer.arrives(new Uint8Array(65_472))
  await clock.settle()
  assert.ok(isOpen(server))
  atServer.arrives(new Uint8Array(0))
  await clock.settle()
  assert.equal(codeOf(server.closed?.reason), 'ERR_LIMIT')
})

test('a message at maxMessageBytes arrives, one past it is refused on both sides', async () => {
  const { clock, client, server, atServer } = await pair({ maxMessageBytes: 1_000 })
  assert.equal(client.connection.maxMessageBytes, 1_000)
  client.connection.send(new Uint8Array(1_000))
  await clock.settle()
  assert.equal(server.messages[0]?.length, 1_000)
  const code = 'ERR_FRAME_TOO_LARGE'
  assert.throws(() => client.connection.send(new Uint8Array(1_001)), { code })
  atServer.arrives(new Uint8Array(1_001))
  await clock.settle()
  assert.equal(codeOf(server.closed?.reason), code)
})

test('a control message that makes no sense closes the connection', async () => {
  for (const text of ['credit -1', 'credit 99999999999', 'hello', '']) {
    const { clock, server, atServer } = await pair()
    atServer.arrives(text)
    await clock.settle()
    assert.equal(codeOf(server.closed?.reason), 'ERR_MALFORMED', text)
  }
  const { clock, server, atServer } = await pair()
  atServer.arrives('credit 1073741824')
  await clock.settle()
  assert.equal(codeOf(server.closed?.reason), 'ERR_LIMIT')
})

for (const flowControl of [true, false]) {
  const how = flowControl ? 'with' : 'without'
  test(`text messages arrive as text, ${how} flow control, and are refused by who has no onText`, async () => {
    const { clock, client, server } = await pair({ flowControl })
    const texts: string[] = []
    const heard = Object.assign(server, { onText: (text: string) => void texts.push(text) })
    const { connection } = client as unknown as { connection: WebRtcConnection }
    connection.sendText('end')
    connection.sendText('ä')
    await clock.settle()
    assert.deepEqual(texts, ['end', 'ä'])
    assert.equal(heard.closed, undefined)
    ;(server.connection as WebRtcConnection).sendText('back')
    await clock.settle()
    assert.equal(codeOf(client.closed?.reason), 'ERR_PROTOCOL')
  })
}

test('without flow control a closed channel is an end, and a peer that is gone is not', async () => {
  const one = await pair({ flowControl: false })
  one.client.connection.send(Uint8Array.of(1))
  one.client.connection.end()
  await one.clock.settle()
  assert.deepEqual([one.server.messages.length, one.server.ended], [1, true])
  assert.deepEqual(one.server.closed, { reason: undefined })
  assert.deepEqual(one.client.closed, { reason: undefined })
  await one.clock.advanceAsync(5_000)
  await one.clock.settle()
  assert.equal(one.driver.openPeers, 0)

  const other = await pair({ flowControl: false })
  other.client.connection.destroy()
  await other.clock.settle()
  assert.equal(other.server.ended, false)
  assert.equal(codeOf(other.server.closed?.reason), 'ERR_RESET')
})

test('with flow control a closed channel without an end is a reset', async () => {
  const { clock, server, atClient } = await pair()
  atClient.close()
  await clock.settle()
  assert.equal(codeOf(server.closed?.reason), 'ERR_RESET')
})

test('a drain that the library forgets is found by looking', async () => {
  const { clock, client, server, driver } = await pair({
    flowControl: false,
    highWaterMarkBytes: 100_000,
    maxMessageBytes: 65_536,
    fake: { losesDrainEvents: true },
  })
  driver.stalled = true
  while (client.connection.send(new Uint8Array(65_536)));
  await clock.settle()
  assert.equal(client.drains, 0)
  driver.stalled = false
  for (const peer of driver.peers.values()) for (const channel of peer.channels) channel.move()
  await clock.settle()
  assert.equal(client.drains, 0)
  await clock.advanceAsync(100)
  await clock.settle()
  assert.equal(client.drains, 1)
  assert.equal(client.connection.writableLength, 0)
  assert.ok(server.messages.length > 0)
})

test('several channels share one connection of peers, which goes with the last', async () => {
  const { clock, connection, client, accepted, driver, settled, listener } = await pair()
  const second = await settled(connection.openChannel({ label: 'second' }))
  assert.equal(driver.openPeers, 2)
  assert.equal(accepted.length, 2)
  assert.equal(listener.connectionCount, 2)
  assert.equal((accepted[1] as MessageRecorder).connection.facts.remote.kind, 'url')
  assert.equal(second.facts.webRtc.label, 'second')
  const other = new MessageRecorder(second).open()
  other.connection.send(Uint8Array.of(2))
  client.connection.send(Uint8Array.of(1))
  await clock.settle()
  assert.deepEqual(
    accepted.map((one) => one.messages[0]?.[0]),
    [1, 2],
  )
  client.connection.destroy()
  await clock.settle()
  assert.equal(codeOf(accepted[0]?.closed?.reason), 'ERR_RESET')
  assert.equal(accepted[1]?.closed, undefined)
  other.connection.end()
  accepted[1]?.connection.end()
  await clock.settle()
  assert.deepEqual(other.closed, { reason: undefined })
  assert.equal(driver.openPeers, 0)
  await assert.rejects(connection.openChannel(), { code: 'ERR_CONNECT' })
})

test('a channel over maxChannels is closed', async () => {
  const { connection, settled, accepted, clock } = await pair({ accepting: { maxChannels: 2 } })
  await settled(connection.openChannel())
  const third = new MessageRecorder(await settled(connection.openChannel())).open()
  await clock.settle()
  assert.equal(accepted.length, 2)
  assert.equal(codeOf(third.closed?.reason), 'ERR_RESET')
})

test('a description that makes no sense fails the attempt on the side that reads it', async () => {
  for (const type of ['offer', 'answer'] as const) {
    const garbling: Signalling = garbled((message) =>
      message.type === type ? { ...message, sdp: `v=0\r\n${'\u0000'.repeat(50)}` } : message,
    )
    const errors: unknown[] = []
    const { clock, transport, settled, driver } = world({ signalling: garbling })
    await transport.listen(webRtcAddress('b'), {
      onConnection: () => assert.fail('accepted'),
      onError: (error) => void errors.push(codeOf(error)),
    })
    await assert.rejects(settled(transport.connect(webRtcAddress('b'))), (error) => {
      const expected = type === 'offer' ? 'ERR_CONNECT_REFUSED' : 'ERR_CONNECT'
      assert.equal(codeOf(error), expected)
      return true
    })
    await clock.settle()
    assert.deepEqual(errors, [type === 'offer' ? 'ERR_CONNECT' : 'ERR_CONNECT_REFUSED'])
    assert.equal(driver.openPeers, 0)
  }
})

test('signalling messages that make no sense, or are for others, change nothing', async () => {
  const noise = garbled(
    (message) => message,
    [
      (message) => ({ ...message, type: 'hello' as 'bye' }),
      (message) => ({ ...message, session: 'f'.repeat(32), type: 'bye' }),
      (message) => ({ ...message, from: 'mallory', type: 'bye' }),
      (message) => ({ ...message, seq: -1 }),
    ],
  )
  const errors: unknown[] = []
  const { transport, settled } = world({ signalling: noise })
  let accepted = 0
  await transport.listen(webRtcAddress('b'), {
    onConnection: () => void (accepted += 1),
    onError: (error) => void errors.push(codeOf(error)),
  })
  await settled(transport.connect(webRtcAddress('b')))
  assert.equal(accepted, 1)
  assert.ok(errors.length > 0 && errors.every((code) => code === 'ERR_MALFORMED'))
})

test('candidates are taken up to maxCandidates, and no more', async () => {
  const many = garbled(
    (message) => message,
    Array.from({ length: 10 }, (_, index) => (message: SignalMessage) => {
      if (message.type !== 'candidate') return undefined
      return { ...message, seq: message.seq + 1 + index }
    }),
  )
  const { driver } = await pair({ signalling: many, maxCandidates: 4 })
  for (const peer of driver.peers.values()) assert.equal(peer.candidates.length, 4)
})

test('negotiations over maxPendingPeers are refused, and make room when they are over', async () => {
  const { clock, transport, listening, driver, settled } = world({
    accepting: { maxPendingPeers: 2, acceptTimeoutMs: 1_000 },
  })
  const errors: unknown[] = []
  await listening.listen(webRtcAddress('b'), {
    onConnection() {},
    onError: (error) => void errors.push(codeOf(error)),
  })
  const [first, second, third] = [1, 2, 3].map(() => transport.connect(webRtcAddress('b')))
  await Promise.all([settled(first!), settled(second!)]).catch(() => {})
  await assert.rejects(settled(third!), { code: 'ERR_CONNECT_REFUSED', message: /ERR_LIMITED/ })
  await settled(transport.connect(webRtcAddress('b')))
  assert.deepEqual(errors, [])
  assert.equal(driver.openPeers, 6)
  assert.equal(clock.pendingTimers, 0)
})

test('an offer whose answer is lost is given up after acceptTimeoutMs, on the other side earlier', async () => {
  const lossy = garbled((message) => (message.type === 'answer' ? undefined : message))
  const { clock, transport, settled, driver } = world({
    signalling: lossy,
    connectTimeoutMs: 3_000,
    acceptTimeoutMs: 1_000,
  })
  const errors: unknown[] = []
  await transport.listen(webRtcAddress('b'), {
    onConnection() {},
    onError: (error) => void errors.push(codeOf(error)),
  })
  const connecting = settled(transport.connect(webRtcAddress('b')))
  await clock.settle()
  await clock.advanceAsync(1_000)
  await clock.settle()
  assert.deepEqual(errors, ['ERR_CONNECT_TIMEOUT'])
  await assert.rejects(connecting, { code: 'ERR_CONNECT_REFUSED', message: /ERR_CONNECT_TIMEOUT/ })
  assert.equal(driver.openPeers, 0)
})

test('connecting has a deadline and a signal at every stage', async () => {
  const stages: Record<string, () => Signalling> = {
    'the signalling has not answered': () => ({ join: () => new Promise(() => {}) }),
    'the offer is lost: the peer has not answered': () => garbled(() => undefined),
    'candidates and the answer are lost: the peer has not answered': () =>
      garbled((one) => (one.type === 'offer' || one.type === 'bye' ? one : undefined)),
  }
  for (const [stage, make] of Object.entries(stages)) {
    for (const how of ['deadline', 'signal'] as const) {
      const { clock, transport, driver, settled } = world({
        signalling: make(),
        connectTimeoutMs: 2_000,
      })
      void transport.listen(webRtcAddress('b'), { onConnection() {} })
      const aborter = new AbortController()
      const reason = new Error('enough')
      const options = how === 'deadline' ? {} : { signal: aborter.signal }
      const connecting = settled(transport.connect(webRtcAddress('b'), options))
      connecting.catch(() => {})
      await clock.settle()
      if (how === 'signal') aborter.abort(reason)
      else await clock.advanceAsync(2_000)
      await assert.rejects(connecting, (error) => {
        if (how === 'signal') assert.equal(error, reason, stage)
        else {
          assert.equal(codeOf(error), 'ERR_CONNECT_TIMEOUT', stage)
          const message = `connecting to webrtc://b took too long: ${stage.split(': ').at(-1)}`
          assert.equal((error as Error).message, message)
        }
        return true
      })
      await clock.settle()
      assert.equal(driver.openPeers, 0, stage)
      assert.equal(clock.pendingTimers, 0, stage)
    }
  }
})

test('ICE or DTLS that fails is a TransportError with its cause', async () => {
  const { clock, transport, driver, settled } = world({ signalling: garbled(() => undefined) })
  const connecting = settled(transport.connect(webRtcAddress('b')))
  await clock.settle()
  const cause = new Error('ICE or DTLS failed')
  for (const peer of driver.peers.values()) peer.become('failed', cause)
  await assert.rejects(connecting, (error: Error) => {
    assert.equal(codeOf(error), 'ERR_CONNECT')
    assert.equal(error.cause, cause)
    return true
  })
})

const STUN = { urls: 'stun:192.0.2.1' }
const NOWHERE: [kinds: string[], servers: (typeof STUN)[], expected: string][] = [
  [
    ['host'],
    [],
    'no way was found from us (host) to the peer (host); iceServers names no STUN or TURN server',
  ],
  [
    ['srflx', 'host'],
    [STUN],
    'no way was found from us (host, srflx) to the peer (host, srflx); ' +
      'neither side has a relay, which a TURN server gives',
  ],
  [['host', 'relay'], [STUN], 'no way was found from us (host, relay) to the peer (host, relay)'],
  [
    [],
    [STUN],
    'no way was found from us (no candidate) to the peer (no candidate); ' +
      'neither side has a relay, which a TURN server gives',
  ],
]

for (const [candidates, iceServers, expected] of NOWHERE) {
  test(`peers with ${candidates.join(', ') || 'no candidates'} that do not meet hear why`, async () => {
    for (const how of ['connecting', 'accepting', 'failed'] as const) {
      const { clock, transport, listening, driver } = world({
        fake: { separated: true, candidates },
        iceServers,
        accepting: { acceptTimeoutMs: how === 'accepting' ? 1_000 : 9_000 },
        connectTimeoutMs: 3_000,
      })
      const errors: Error[] = []
      await listening.listen(webRtcAddress('b'), {
        onConnection() {},
        onError: (error) => void errors.push(error),
      })
      transport.connect(webRtcAddress('b')).catch((error: Error) => void errors.push(error))
      await clock.settle()
      if (how === 'failed') [...driver.peers.values()][0]!.become('failed')
      else await clock.advanceAsync(how === 'accepting' ? 1_000 : 3_000)
      await clock.settle()
      const heard = errors.map((error) => [codeOf(error), error.message] as const)
      const outcomes = {
        connecting: ['ERR_CONNECT_TIMEOUT', 'connecting to webrtc://b took too long'],
        accepting: ['ERR_CONNECT_TIMEOUT', 'peer-1 was not connected within 1000 ms'],
        failed: ['ERR_CONNECT', 'connecting to b: ICE or DTLS failed'],
      } as const
      const [code, message] = outcomes[how]
      assert.deepEqual(
        heard.filter((one) => one[1].startsWith(message)),
        [[code, `${message}: ${expected}`]],
      )
      assert.equal(driver.openPeers, 0)
      assert.equal(clock.pendingTimers, 0)
    }
  })
}

test('peers that are connected without a channel hear that it is missing', async () => {
  const { clock, transport, listening, driver, settled } = world({ fake: { separated: true } })
  await listening.listen(webRtcAddress('b'), { onConnection() {}, onError() {} })
  const connecting = settled(transport.connect(webRtcAddress('b')))
  connecting.catch(() => {})
  await clock.settle()
  for (const peer of driver.peers.values()) peer.become('connected')
  await clock.advanceAsync(20_000)
  await assert.rejects(connecting, {
    code: 'ERR_CONNECT_TIMEOUT',
    message: /took too long: the peers are connected, but their channel has not opened$/,
  })
})

test('addresses are webrtc://name, and anything else is refused', async () => {
  assert.equal(webRtcAddress('ä b').url, 'webrtc://%C3%A4%20b')
  const { transport } = world()
  for (const url of ['webrtc://', 'webrtc://%', 'ws://b', `webrtc://${'x'.repeat(257)}`]) {
    await assert.rejects(transport.connect({ kind: 'url', url }), { code: 'ERR_ADDRESS_INVALID' })
  }
  assert.throws(() => webRtcAddress(''), { code: 'ERR_ADDRESS_INVALID' })
})

/** Signalling that changes what passes, and says other things besides. */
function garbled(
  change: (message: SignalMessage) => SignalMessage | undefined,
  more: readonly ((message: SignalMessage) => SignalMessage | undefined)[] = [],
): Signalling {
  const inner = memorySignalling()
  return {
    async join(peer, handler) {
      const membership = await inner.join(peer, handler)
      const send = (message: SignalMessage) => {
        for (const one of [change, ...more]) {
          const changed = one(message)
          if (changed !== undefined) membership.send(changed)
        }
      }
      return { ...membership, send }
    },
  }
}
