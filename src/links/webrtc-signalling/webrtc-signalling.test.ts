import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { FakeWebRtc } from '../../../test/transports/fake-web-rtc-driver.ts'
import { MessageRecorder } from '../../../test/transports/message-recorder.ts'
import { memory as address } from '../../core/address.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import type {
  SignalHandler,
  Signalling,
  SignalMessage,
} from '../../transports/webrtc/signalling.ts'
import { webRtc } from '../../transports/webrtc/webrtc.ts'
import { webRtcAddress } from '../../transports/webrtc/webrtc-address.ts'
import { webSocket } from '../websocket/websocket.ts'
import { signallingClient } from './connect-signalling.ts'
import { memorySignalling } from './memory-signalling.ts'
import { decodeClientMessage, decodeServerMessage } from './signalling-messages.ts'
import {
  type SignallingServerOptions,
  signallingServer,
  signallingServerDefaults,
} from './signalling-server.ts'
import { signedSignalling, signingKeyText } from './signed-signalling.ts'

const SESSION = '0123456789abcdef0123456789abcdef'
const offer = (from: string, to: string, seq = 0): SignalMessage => ({
  type: 'offer',
  session: SESSION,
  from,
  to,
  seq,
  sdp: 'v=0',
})

class SignalLog implements SignalHandler {
  readonly signals: SignalMessage[] = []
  readonly undeliverable: string[] = []
  readonly lost: Error[] = []
  onSignal(message: SignalMessage): void {
    this.signals.push(message)
  }
  onUndeliverable({ to }: { to: string }): void {
    this.undeliverable.push(to)
  }
  onLost(reason: Error): void {
    this.lost.push(reason)
  }
}

/** A server over WebSocket over memory, and clients of it. */
async function world(options: Partial<SignallingServerOptions> = {}) {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const transport = webSocket({ carrier: memory({ clock, network }), clock })
  const errors: Error[] = []
  const accepted: MessageConnection[] = []
  const server = signallingServer({
    clock,
    onError: (error) => void errors.push(error),
    ...options,
  })
  const onConnection = (connection: MessageConnection): void => {
    accepted.push(connection)
    server.onConnection(connection)
  }
  const listener = await transport.listen(address('signal'), { onConnection })
  const client = () => signallingClient(transport, address('signal'), { clock })
  const settled = async <Value>(promise: Promise<Value>): Promise<Value> => {
    promise.catch(() => {})
    await clock.settle()
    return promise
  }
  const bare = async () =>
    new MessageRecorder(await settled(transport.connect(address('signal')))).open()
  return { clock, server, client, settled, errors, accepted, listener, bare, transport }
}

test('peers meet through a signalling server over WebSocket', async () => {
  const { clock, server, client, settled } = await world()
  const driver = new FakeWebRtc(clock)
  const listening = webRtc({ signalling: client(), driver, clock })
  const connecting = webRtc({ signalling: client(), driver, clock })
  const accepted: MessageRecorder[] = []
  const listener = await settled(
    listening.listen(webRtcAddress('b'), {
      onConnection: (one) => void accepted.push(new MessageRecorder(one).open()),
    }),
  )
  const connection = await settled(connecting.connect(listener.address))
  connection.send(Uint8Array.of(1, 2, 3))
  await clock.settle()
  assert.deepEqual(accepted[0]?.messages, [Uint8Array.of(1, 2, 3)])
  assert.equal(server.peerCount, 1, 'who has connected needs no name any more')
  await assert.rejects(settled(connecting.connect(webRtcAddress('nobody'))), {
    code: 'ERR_CONNECT_REFUSED',
    sent: 'nothing',
  })
  await assert.rejects(settled(connecting.listen(webRtcAddress('b'), { onConnection() {} })), {
    code: 'ERR_ADDRESS_IN_USE',
  })
  connection.destroy()
  const closing = listener.close()
  await clock.settle()
  await closing
  assert.equal(server.peerCount, 0)
})

test('messages between two peers keep their order, and go to nobody else', async () => {
  const { client, settled, clock } = await world()
  const [a, b, c] = [new SignalLog(), new SignalLog(), new SignalLog()]
  const shared = client()
  const fromA = await settled(shared.join('a', a))
  await settled(shared.join('c', c))
  await settled(client().join('b', b))
  for (let seq = 0; seq < 20; seq++) fromA.send(offer('a', 'b', seq))
  await clock.settle()
  assert.deepEqual(
    b.signals.map(({ seq }) => seq),
    Array.from({ length: 20 }, (_, seq) => seq),
  )
  assert.deepEqual([a.signals, c.signals], [[], []])
})

test('a forged sender is found by the server, and its connection is dropped', async () => {
  const { bare, errors, clock, client, settled } = await world()
  const victim = new SignalLog()
  await settled(client().join('b', victim))
  const forger = await bare()
  forger.connection.send(json({ type: 'join', peer: 'eve', ticket: 1 }))
  forger.connection.send(json(offer('a', 'b')))
  await clock.settle()
  assert.equal(errors.length, 1)
  assert.match(String(errors[0]), /a message from 'a', which is not its name/)
  assert.equal((errors[0] as { code?: string }).code, 'ERR_FORBIDDEN')
  assert.deepEqual(victim.signals, [])
  assert.ok(forger.closed !== undefined)
})

for (const [what, bytes, code] of [
  ['no JSON', Buffer.from('hello'), 'ERR_MALFORMED'],
  ['no object', Buffer.from('[1]'), 'ERR_MALFORMED'],
  ['no UTF-8', Uint8Array.of(0xff, 0xfe), 'ERR_ENCODING'],
  ['an unknown type', json({ ...offer('a', 'b'), type: 'hello' }), 'ERR_MALFORMED'],
  ['an offer without a description', json({ ...offer('a', 'b'), sdp: undefined }), 'ERR_MALFORMED'],
  [
    'a description that is too long',
    json({ ...offer('a', 'b'), sdp: 'x'.repeat(65_537) }),
    'ERR_MALFORMED',
  ],
  ['a session that is none', json({ ...offer('a', 'b'), session: '../..' }), 'ERR_MALFORMED'],
  ['a sequence number out of range', json({ ...offer('a', 'b'), seq: 65_536 }), 'ERR_MALFORMED'],
  [
    'a name that is too long',
    json({ type: 'join', peer: 'x'.repeat(257), ticket: 1 }),
    'ERR_MALFORMED',
  ],
] as const) {
  test(`the signalling server drops a client that sends ${what}`, async () => {
    const { bare, errors, clock } = await world()
    const client = await bare()
    client.connection.send(bytes)
    await clock.settle()
    assert.deepEqual(
      errors.map((error) => (error as { code?: string }).code),
      [code],
    )
    assert.ok(client.closed !== undefined)
  })
}

test('the signalling server refuses one name past each limit', async () => {
  const { client, settled } = await world({ maxPeers: 3, maxPeersPerConnection: 2 })
  const one = client()
  for (const name of ['a', 'b']) await settled(one.join(name, new SignalLog()))
  await assert.rejects(settled(one.join('c', new SignalLog())), { code: 'ERR_LIMITED' })
  const third = await settled(client().join('c', new SignalLog()))
  await assert.rejects(settled(client().join('d', new SignalLog())), { code: 'ERR_LIMITED' })
  third.leave()
  await settled(client().join('d', new SignalLog()))
})

test('the signalling server takes a message at maxMessageBytes, and drops for one byte more', async () => {
  const { bare, errors, clock } = await world({ maxMessageBytes: 100 })
  const client = await bare()
  client.connection.send(pad({ type: 'join', peer: 'a', ticket: 1 }, 100))
  await clock.settle()
  assert.equal(errors.length, 0)
  client.connection.send(pad({ type: 'leave', peer: 'a' }, 101))
  await clock.settle()
  assert.match(String(errors[0]), /signalling message of 101 bytes is over 100/)
})

test('the signalling server takes a burst, then so many messages in a second', async () => {
  const { bare, errors, clock } = await world({ maxBurst: 5, maxMessagesPerSecond: 2 })
  const client = await bare()
  const say = async (count: number) => {
    for (let index = 0; index < count; index++)
      client.connection.send(json({ type: 'leave', peer: 'a' }))
    await clock.settle()
  }
  await say(5)
  await clock.advanceAsync(1_000)
  await say(2)
  assert.equal(errors.length, 0)
  await say(1)
  assert.equal((errors[0] as { code?: string }).code, 'ERR_LIMIT')
})

test('the signalling server drops a client that does not read', async () => {
  const { bare, errors, clock, client, settled } = await world({
    maxQueuedBytes: 100_000,
    maxBurst: 9_999,
  })
  const sleeper = await bare()
  sleeper.connection.send(json({ type: 'join', peer: 'sleeper', ticket: 1 }))
  await clock.settle()
  sleeper.connection.pause()
  const a = await settled(client().join('a', new SignalLog()))
  for (let seq = 0; seq < 20; seq++) {
    a.send({ ...offer('a', 'sleeper', seq), sdp: 'x'.repeat(60_000) })
    await clock.settle()
  }
  assert.equal((errors[0] as { code?: string } | undefined)?.code, 'ERR_LIMIT')
})

test('the signalling server asks who may have a name', async () => {
  const { client, settled } = await world({ authorize: (peer) => peer !== 'admin' })
  await assert.rejects(settled(client().join('admin', new SignalLog())), { code: 'ERR_FORBIDDEN' })
  await settled(client().join('a', new SignalLog()))
})

test('a client joins its names again when the connection breaks, and gives up attempts', async () => {
  const { client, settled, accepted, clock, server } = await world()
  const [named, attempt] = [new SignalLog(), new SignalLog()]
  const one = client()
  await settled(one.join('b', named))
  await settled(one.join(undefined, attempt))
  accepted[0]?.destroy()
  await clock.settle()
  assert.equal(attempt.lost.length, 1)
  assert.equal(server.peerCount, 0)
  await clock.advanceAsync(500)
  await clock.settle()
  assert.equal(server.peerCount, 1)
  const a = await settled(client().join('a', new SignalLog()))
  a.send(offer('a', 'b'))
  await clock.settle()
  assert.equal(named.signals.length, 1)
  assert.deepEqual(named.lost, [])
})

test('a client tells a listener whose name was taken meanwhile', async () => {
  const { client, settled, accepted, clock } = await world()
  const log = new SignalLog()
  await settled(client().join('b', log))
  accepted[0]?.destroy()
  await clock.settle()
  await settled(client().join('b', new SignalLog()))
  await clock.advanceAsync(500)
  await clock.settle()
  assert.equal((log.lost[0] as { code?: string } | undefined)?.code, 'ERR_ADDRESS_IN_USE')
})

test('a client fails where no server is, and ends its connection after the last name', async () => {
  const { settled, transport, clock, client, accepted } = await world()
  const lonely = signallingClient(transport, address('elsewhere'), { clock })
  await assert.rejects(settled(lonely.join('a', new SignalLog())), { code: 'ERR_CONNECT' })
  assert.equal(lonely.memberCount, 0)
  assert.equal(clock.pendingTimers, 0)
  const one = client()
  const membership = await settled(one.join('a', new SignalLog()))
  membership.leave()
  await clock.settle()
  assert.equal(accepted.length, 1)
  await settled(one.join('a', new SignalLog()))
  assert.equal(accepted.length, 2)
})

test('an attempt to join that is aborted leaves nothing', async () => {
  const { settled, client, server, clock } = await world()
  const aborter = new AbortController()
  const one = client()
  const joining = one.join('a', new SignalLog(), { signal: aborter.signal })
  aborter.abort(new Error('no more'))
  await assert.rejects(settled(joining), /no more/)
  await clock.settle()
  assert.equal(one.memberCount, 0)
  assert.equal(server.peerCount, 0)
})

test('decoders read back what is sent, and drop what is none', () => {
  assert.deepEqual(decodeClientMessage('{"type":"join","ticket":3}'), { type: 'join', ticket: 3 })
  assert.deepEqual(decodeServerMessage('{"type":"refused","ticket":1,"code":"ERR_EVIL"}'), {
    type: 'refused',
    ticket: 1,
    code: 'ERR_FORBIDDEN',
  })
  for (const text of ['{"type":"joined"}', '{"type":"undeliverable"}', '{}', 'null']) {
    assert.throws(() => decodeServerMessage(text), { code: 'ERR_MALFORMED' })
  }
})

test('options of the signalling server are checked', () => {
  for (const name of Object.keys(signallingServerDefaults)) {
    assert.throws(() => signallingServer({ [name]: 0 }), { code: 'ERR_OPTION_RANGE' }, name)
  }
})

function keyPair() {
  const { privateKey } = generateKeyPairSync('ed25519')
  return { privateKey, text: signingKeyText(privateKey) }
}

/** Two peers who trust each other, and what the signalling between them may change. */
async function signedWorld(change: (message: SignalMessage) => readonly SignalMessage[]) {
  const [a, b, eve] = [keyPair(), keyPair(), keyPair()]
  const rejected: string[] = []
  const inner = memorySignalling()
  const between: Signalling = {
    async join(peer, handler) {
      const membership = await inner.join(peer, handler)
      const send = (message: SignalMessage) => {
        for (const one of change(message)) membership.send(one)
      }
      return { ...membership, send }
    },
  }
  const side = (own: { privateKey: ReturnType<typeof keyPair>['privateKey'] }, other: string) =>
    signedSignalling(between, {
      privateKey: own.privateKey,
      isTrusted: (_from, key) => key === other,
      onRejected: (error) => void rejected.push((error as { code?: string }).code ?? ''),
    })
  const log = new SignalLog()
  await side(b, a.text).join('b', log)
  const fromA = await side(a, b.text).join('a', new SignalLog())
  const fromEve = await side(eve, b.text).join('eve', new SignalLog())
  return { fromA, fromEve, log, rejected }
}

test('signed messages of a trusted key arrive as they were', async () => {
  const { fromA, log, rejected } = await signedWorld((message) => [message])
  fromA.send(offer('a', 'b'))
  fromA.send({ ...offer('a', 'b', 1), type: 'candidate', candidate: { candidate: 'c', mid: '0' } })
  await turn()
  assert.equal(log.signals.length, 2)
  assert.deepEqual(rejected, [])
})

for (const [what, change, code] of [
  ['changed', (message) => [{ ...message, sdp: 'v=1' }], 'ERR_PROTOCOL'],
  ['given another number', (message) => [{ ...message, seq: 7 }], 'ERR_PROTOCOL'],
  [
    'moved into another session',
    (message) => [{ ...message, session: 'f'.repeat(32) }],
    'ERR_PROTOCOL',
  ],
  ['said to be from somebody else', (message) => [{ ...message, from: 'c' }], 'ERR_PROTOCOL'],
  ['stripped of its signature', ({ signature: _, ...message }) => [message], 'ERR_PROTOCOL'],
  [
    'given a signature that is none',
    (message) => [{ ...message, signature: 'AAAA' }],
    'ERR_PROTOCOL',
  ],
  ['given a key that is none', (message) => [{ ...message, key: 'AAAA' }], 'ERR_FORBIDDEN'],
] as readonly [string, (message: SignalMessage) => readonly SignalMessage[], string][]) {
  test(`a signed message that was ${what} is dropped`, async () => {
    const { fromA, log, rejected } = await signedWorld(change)
    fromA.send(offer('a', 'b'))
    await turn()
    assert.deepEqual(log.signals, [])
    assert.deepEqual(rejected, [code])
  })
}

test('a message signed with a key that is not trusted is dropped', async () => {
  const { fromEve, log, rejected } = await signedWorld((message) => [message])
  fromEve.send(offer('eve', 'b'))
  await turn()
  assert.deepEqual(log.signals, [])
  assert.deepEqual(rejected, ['ERR_FORBIDDEN'])
})

test('signed offers that come again make no second connection', async () => {
  const clock = new ManualClock()
  const driver = new FakeWebRtc(clock)
  const [a, b] = [keyPair(), keyPair()]
  const inner = memorySignalling()
  const twice: Signalling = {
    async join(peer, handler) {
      const membership = await inner.join(peer, handler)
      const send = (message: SignalMessage) => {
        membership.send(message)
        membership.send(message)
      }
      return { ...membership, send }
    },
  }
  const sign = (own: typeof a, other: typeof a) =>
    signedSignalling(twice, {
      privateKey: own.privateKey,
      isTrusted: (_, key) => key === other.text,
    })
  let accepted = 0
  const onConnection = () => void (accepted += 1)
  await webRtc({ signalling: sign(b, a), driver, clock }).listen(webRtcAddress('b'), {
    onConnection,
  })
  const connecting = webRtc({ signalling: sign(a, b), driver, clock }).connect(webRtcAddress('b'))
  await clock.settle()
  await connecting
  assert.equal(accepted, 1)
  assert.equal(driver.settings.length, 2)
})

test('signatures need an Ed25519 key', () => {
  const { privateKey } = generateKeyPairSync('x25519')
  assert.throws(() => signedSignalling(memorySignalling(), { privateKey, isTrusted: () => true }), {
    code: 'ERR_ARGUMENT',
  })
})

test('memorySignalling refuses a name twice, and a name that is none', async () => {
  const signalling = memorySignalling()
  const membership = await signalling.join('a', new SignalLog())
  await assert.rejects(signalling.join('a', new SignalLog()), { code: 'ERR_ADDRESS_IN_USE' })
  membership.leave()
  await signalling.join('a', new SignalLog())
  assert.throws(() => void signalling.join('', new SignalLog()), { code: 'ERR_ARGUMENT' })
})

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

function pad(value: object, length: number): Uint8Array {
  return Buffer.from(JSON.stringify(value).padEnd(length, ' '))
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
