import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StringValueSchema } from '@bufbuild/protobuf/wkt'
import { memory as address } from '../../core/address.ts'
import { HeddleError, RemoteError } from '../../core/errors.ts'
import type { Listener } from '../../core/transport.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { ConnectionLog } from '../../testing/transport/connection-log.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { framed } from '../framed/framed.ts'
import { cbor } from './cbor.ts'
import { type ClientOptions, defineProtocol, type ServerOptions } from './define-protocol.ts'
import { messagePack } from './message-pack.ts'
import { json, type PayloadFormat, raw } from './payload-format.ts'
import { protobuf } from './protobuf.ts'
import { ProtocolCodec } from './protocol-codec.ts'
import {
  type ChecksumName,
  call,
  checkDefinition,
  event,
  type MessageDefinitions,
  type ProtocolOptions,
} from './protocol-definition.ts'
import type { ProtocolClient, ProtocolPeer } from './protocol-peer.ts'

const messages = {
  add: call<{ a: number; b: number }, number>(1),
  fail: call<string, null>(2),
  later: call<null, null>(3, { since: 2 }),
  slow: call<null, string>(4),
  checked: call<number, number>(5, {
    check(request) {
      if (typeof request === 'number') return request
      throw new RemoteError('ERR_REMOTE', 'a number is wanted', { status: 'bad-request' })
    },
  }),
  note: event<{ text: string }>(10),
}
type Messages = typeof messages

interface SetUp {
  readonly versions?: ProtocolOptions<Messages>['versions']
  readonly payload?: PayloadFormat
  readonly checksum?: ChecksumName
  readonly name?: string
}

function define({ name = 'test', versions = [1, 2], payload = json(), checksum }: SetUp = {}) {
  const rest = checksum === undefined ? {} : { checksum }
  return defineProtocol({ name, versions, payload, messages, ...rest })
}

async function setUp(
  near: SetUp = {},
  far: SetUp = near,
  limits: { client?: ClientOptions; server?: Partial<ServerOptions<Messages>> } = {},
) {
  const clock = new ManualClock()
  const carrier = memory({ clock, network: new MemoryNetwork() })
  const peers: ProtocolPeer<Messages>[] = []
  const errors: Error[] = []
  const answers: ((answer: string) => void)[] = []
  const server: ServerOptions<Messages> = {
    clock,
    calls: {
      add: ({ a, b }) => a + b,
      fail(why) {
        throw new RemoteError('ERR_REMOTE', why, { status: 'no' })
      },
      later: () => null,
      slow: () => new Promise((resolve) => answers.push(resolve)),
      checked: (value) => value * 2,
    },
    onPeer: (peer) => void peers.push(peer),
    onError: (error) => void errors.push(error),
    ...limits.server,
  }
  const listening = define(far).listen(carrier, address('0'), server)
  await clock.settle()
  const listener = await listening
  const connect = async (): Promise<ProtocolClient<Messages> | Error> => {
    const client = { clock, ...limits.client }
    const outcome = define(near)
      .connect(carrier, listener.address, client)
      .catch((error: Error) => error)
    await clock.settle()
    return await outcome
  }
  /** Settles while the clock's deferred work runs. */
  const settled = async <Value>(promise: Promise<Value>): Promise<Value | Error> => {
    const outcome = promise.catch((error: Error) => error)
    await clock.settle()
    return await outcome
  }
  return { clock, carrier, listener, peers, errors, answers, connect, settled }
}

async function connected(...parameters: Parameters<typeof setUp>) {
  const world = await setUp(...parameters)
  const client = await world.connect()
  if (client instanceof Error) throw client
  return { ...world, client, peer: world.peers[0] as ProtocolPeer<Messages> }
}

const code = (error: unknown): string | undefined =>
  error instanceof HeddleError ? error.code : undefined

for (const payload of [json(), messagePack(), cbor()]) {
  for (const checksum of ['none', 'crc32c', 'xxhash32'] as const) {
    test(`calls and events, ${payload.name} with checksum ${checksum}`, async () => {
      const { client, peer, settled, clock } = await connected({ payload, checksum })
      assert.equal(await settled(client.call('add', { a: 2, b: 3 })), 5)
      const heard: string[] = []
      peer.on('note', ({ text }) => heard.push(`server: ${text}`))
      client.on('note', ({ text }) => heard.push(`client: ${text}`))
      client.emit('note', { text: 'one' })
      peer.emit('note', { text: 'two' })
      await clock.settle()
      assert.deepEqual(heard, ['server: one', 'client: two'])
      await settled(client.close())
      assert.equal(await peer.closed, undefined)
      await clock.advanceAsync(60_000) // a timer wheel stands for a while
      assert.equal(clock.pendingTimers, 0)
    })
  }
}

test('a protocol of raw bytes, and one of Protobuf', async () => {
  const clock = new ManualClock()
  const carrier = memory({ clock, network: new MemoryNetwork() })
  const bytes = defineProtocol({
    name: 'bytes',
    versions: [1],
    payload: raw(),
    checksum: 'crc32',
    messages: { reverse: call<Uint8Array, Uint8Array>(1) },
  })
  const proto = defineProtocol({
    name: 'proto',
    versions: [1],
    payload: protobuf(),
    messages: {
      shout: call<{ value: string }, { value: string }>(1, {
        request: StringValueSchema,
        reply: StringValueSchema,
      }),
    },
  })
  const listening = Promise.all([
    bytes.listen(carrier, address('bytes'), {
      clock,
      calls: { reverse: (one) => one.toReversed() },
    }),
    proto.listen(carrier, address('proto'), {
      clock,
      calls: { shout: ({ value }) => ({ value: value.toUpperCase() }) },
    }),
  ])
  await clock.settle()
  await listening
  const connecting = Promise.all([
    bytes.connect(carrier, address('bytes'), { clock }),
    proto.connect(carrier, address('proto'), { clock }),
  ])
  await clock.settle()
  const [one, other] = await connecting
  const calls = Promise.all([
    one.call('reverse', Uint8Array.of(1, 2, 3)),
    other.call('shout', { value: 'quiet' }),
  ])
  await clock.settle()
  const [reversed, shouted] = await calls
  assert.deepEqual([...reversed], [3, 2, 1])
  assert.equal(shouted.value, 'QUIET')
})

test('the same over a transport of messages', async () => {
  const clock = new ManualClock()
  const transport = framed(memory({ clock, network: new MemoryNetwork() }), { clock })
  const protocol = defineProtocol({
    name: 'm',
    versions: [1],
    payload: json(),
    messages: { echo: call<string, string>(1) },
  })
  const listening = protocol.listen(transport, address('m'), {
    clock,
    calls: { echo: (one) => one },
  })
  await clock.settle()
  await listening
  const connecting = protocol.connect(transport, address('m'), { clock })
  await clock.settle()
  const answered = (await connecting).call('echo', 'x')
  await clock.settle()
  assert.equal(await answered, 'x')
})

test('the highest version that both speak is used', async () => {
  const { client, peer } = await connected({ versions: [1, [3, 7]] }, { versions: [[2, 5], 9] })
  assert.deepEqual([client.version, peer.version], [5, 5])
})

test('no version in common: ERR_VERSION on both sides, naming both', async () => {
  const { connect, errors, peers } = await setUp({ versions: [1, 2] }, { versions: [[3, 4]] })
  const outcome = await connect()
  assert.equal(code(outcome), 'ERR_VERSION')
  assert.match(String(outcome), /the peer speaks version 3–4, this side 1, 2/)
  assert.equal(code(errors[0]), 'ERR_VERSION')
  assert.equal(peers.length, 0)
})

const DIFFERENT: Readonly<Record<string, readonly [SetUp, RegExp]>> = {
  'another protocol': [{ name: 'other' }, /protocol is "test", here it is other/],
  'another checksum': [{ checksum: 'crc32' }, /checksum is "none", here it is crc32/],
  'another payload': [{ payload: cbor() }, /payload is "json", here it is cbor/],
}

for (const [what, [far, why]] of Object.entries(DIFFERENT)) {
  test(`${what}: ERR_WRONG_PROTOCOL where it is seen`, async () => {
    const { connect, errors } = await setUp({}, far)
    assert.ok((await connect()) instanceof HeddleError)
    assert.equal(code(errors[0]), 'ERR_WRONG_PROTOCOL')
    assert.match(String(errors[0]), why)
  })
}

test('what a version does not have yet is ERR_VERSION, on the side that asks', async () => {
  const old = await connected({ versions: [1] }, { versions: [1, 2] })
  assert.equal(code(await old.settled(old.client.call('later', null))), 'ERR_VERSION')
  const both = await connected()
  assert.equal(await both.settled(both.client.call('later', null)), null)
})

test('errors: those meant for the peer reach it, a check’s too, others do not', async () => {
  const { client, settled, errors } = await connected()
  const no = (await settled(client.call('fail', 'not today'))) as RemoteError
  assert.deepEqual([code(no), no.status, no.message], ['ERR_REMOTE', 'no', 'not today'])
  const wrong = client.call('checked', 'seven' as unknown as number)
  assert.equal(((await settled(wrong)) as RemoteError).status, 'bad-request')
  const thrown = client.call('add', null as unknown as { a: number; b: number })
  assert.equal(((await settled(thrown)) as RemoteError).message, 'internal error')
  assert.equal(errors.length, 1)
  assert.throws(() => client.on('add' as 'note', () => {}), { code: 'ERR_ARGUMENT' })
})

test('a body that cannot be decoded fails its call, and the connection goes on', async () => {
  const { client, peer, settled } = await connected({}, {}, { server: { maxDepth: 1 } })
  const deep = { a: [[]] as unknown as number, b: 1 }
  assert.equal(((await settled(client.call('add', deep))) as RemoteError).status, 'ERR_LIMIT')
  assert.equal(await settled(client.call('add', { a: 1, b: 1 })), 2)
  assert.ok(peer.version > 0)
})

test('maxInFlight calls wait at a time, one more is ERR_BUSY; the server reads no further', async () => {
  const limits = { client: { maxInFlight: 3 }, server: { maxInFlight: 2 } }
  const { client, settled, answers, clock } = await connected({}, {}, limits)
  const waiting = [1, 2, 3].map(() => client.call('slow', null))
  assert.equal(code(await settled(client.call('slow', null))), 'ERR_BUSY')
  assert.equal(answers.length, 2)
  answers[0]?.('first')
  await clock.settle()
  assert.equal(answers.length, 3)
  for (const answer of answers) answer('rest')
  await clock.settle()
  assert.deepEqual(await Promise.all(waiting), ['first', 'rest', 'rest'])
})

test('a message at the limit passes, one byte more is refused before it leaves', async () => {
  const { client, settled, peer, clock } = await connected(
    {},
    {},
    { client: { maxMessageBytes: 300 }, server: { maxMessageBytes: 300 } },
  )
  let heard = 0
  peer.on('note', ({ text }) => {
    heard = text.length
  })
  const most = 300 - 3 - '{"text":""}'.length
  client.emit('note', { text: 'x'.repeat(most) })
  await clock.settle()
  assert.equal(heard, most)
  assert.throws(() => client.emit('note', { text: 'x'.repeat(most + 1) }), {
    code: 'ERR_FRAME_TOO_LARGE',
  })
  assert.equal(await settled(client.call('add', { a: 1, b: 2 })), 3)
})

test('calls time out, and those of a closed connection fail', async () => {
  const { client, settled, clock, peer } = await connected({}, {}, { client: { timeoutMs: 1_000 } })
  const late = client.call('slow', null).catch((error: Error) => error)
  await clock.advanceAsync(1_100)
  assert.equal(code(await late), 'ERR_DEADLINE')
  const cut = client.call('slow', null).catch((error: Error) => error)
  await clock.settle()
  peer.destroy(new Error('enough'))
  await clock.settle()
  assert.equal(code(await cut), 'ERR_DISCONNECTED')
  assert.ok((await client.closed) instanceof Error)
  assert.equal(code(await settled(client.call('slow', null))), 'ERR_DISCONNECTED')
})

test('a peer that never says hello is let go of after handshakeTimeoutMs', async () => {
  const { carrier, listener, clock, errors } = await setUp(
    {},
    {},
    { server: { handshakeTimeoutMs: 200 } },
  )
  const connecting = carrier.connect((listener as Listener).address)
  await clock.settle()
  const log = new ConnectionLog(await connecting).open()
  await clock.advanceAsync(200)
  assert.ok(log.closed)
  assert.equal(code(errors[0]), 'ERR_CONNECT_TIMEOUT')
})

// The codec alone.

const definition = checkDefinition({
  name: 'test',
  versions: [1],
  payload: json(),
  checksum: 'crc32c',
  messages,
}) as unknown as ReturnType<typeof checkDefinition<MessageDefinitions>>

function agreed(): readonly [ProtocolCodec, ProtocolCodec] {
  const near = new ProtocolCodec(definition, 'initiating')
  const far = new ProtocolCodec(definition, 'accepting')
  near.receiveHandshake(far.receiveHandshake(near.begin()[0] as Uint8Array)[0] as Uint8Array)
  return [near, far]
}

test('a hello is as it is written down', () => {
  const [hello] = new ProtocolCodec(definition, 'initiating').begin()
  const expected =
    '48425031' + // HBP1
    '0474657374' + // test
    '06637263333263' + // crc32c
    '046a736f6e' + // json
    '0100010001' // one range, 1 to 1
  assert.equal(Buffer.from(hello as Uint8Array).toString('hex'), expected)
})

test('a hello that is cut anywhere, or goes on, is refused: ERR_WRONG_PROTOCOL', () => {
  const hello = new ProtocolCodec(definition, 'initiating').begin()[0] as Uint8Array
  for (let length = 0; length < hello.length; length++) {
    const far = new ProtocolCodec(definition, 'accepting')
    assert.throws(() => far.receiveHandshake(hello.slice(0, length)), {
      code: 'ERR_WRONG_PROTOCOL',
    })
  }
  const far = new ProtocolCodec(definition, 'accepting')
  const longer = Buffer.concat([hello, Uint8Array.of(0)])
  assert.throws(() => far.receiveHandshake(longer), { code: 'ERR_MALFORMED' })
})

test('any changed bit of a record is found: ERR_CHECKSUM', () => {
  const [near, far] = agreed()
  let record = new Uint8Array(0)
  near.seal(Uint8Array.of(1, 2, 3, 4), 0, (pieces) => (record = Buffer.concat(pieces)))
  assert.deepEqual([...far.open(record)], [1, 2, 3, 4])
  for (let bit = 0; bit < record.length * 8; bit++) {
    const changed = Uint8Array.from(record)
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
    assert.throws(() => far.open(changed), { code: 'ERR_CHECKSUM' })
  }
  assert.throws(() => far.open(Uint8Array.of(1, 2, 3)), { code: 'ERR_MALFORMED' })
})

test('definitions that cannot be meant are refused', () => {
  const base = { name: 'x', versions: [1], payload: json(), messages: {} }
  const wrong = [
    { ...base, name: '' },
    { ...base, name: 'x'.repeat(33) },
    { ...base, name: 'é' },
    { ...base, versions: [] },
    { ...base, versions: Array.from({ length: 17 }, () => 1) },
    { ...base, checksum: 'md5' as 'none' },
    { ...base, messages: { a: event(1), b: event(1) } },
  ]
  for (const options of wrong) {
    assert.throws(() => defineProtocol(options), { code: 'ERR_ARGUMENT' })
  }
  assert.throws(() => defineProtocol({ ...base, versions: [[3, 2]] }), { code: 'ERR_OPTION_RANGE' })
  for (const id of [0, 65_536]) assert.throws(() => event(id), { code: 'ERR_OPTION_RANGE' })
})
