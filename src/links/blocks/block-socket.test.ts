/** Blocks as datagrams, over memory with losses on purpose, and over UDP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, memory as name } from '../../core/address.ts'
import type { DatagramSocket, DatagramTransport } from '../../core/datagram-socket.ts'
import { seededRandom } from '../../core/seeded-random.ts'
import { ed25519Key, nodeSigning } from '../../platform/node-signing.ts'
import { ackPayload } from '../../protocols/olocus/ack-payload.ts'
import type { Block } from '../../protocols/olocus/block.ts'
import { createGenesis } from '../../protocols/olocus/create.ts'
import { bytesPayload, jsonPayload } from '../../protocols/olocus/payload.ts'
import { WireFormat } from '../../protocols/olocus/wire-format.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { MemoryDatagramNetwork, memoryDatagrams } from '../../transports/memory/memory-datagrams.ts'
import type { BlockSocket } from './block-socket.ts'
import { type DatagramHelloOptions, DatagramHellos } from './datagram-hellos.ts'
import type { NegotiateOptions } from './negotiate.ts'
import { networkErrorKind } from './network-error.ts'
import { settingsOf } from './stream-blocks.ts'
import { type UdpBlocksOptions, udpBlocks } from './udp-blocks.ts'

const key = ed25519Key(new Uint8Array(32).fill(7))
const bob = ed25519Key(new Uint8Array(32).fill(8))

interface World {
  readonly clock: ManualClock
  readonly a: BlockSocket
  readonly b: BlockSocket
  readonly sent: { from: string; bytes: number }[]
  /** Whether the next datagram of a socket gets lost. */
  lose: (from: string) => boolean
  block(n: unknown): Block
}

async function world(a: UdpBlocksOptions = {}, b: UdpBlocksOptions = {}): Promise<World> {
  const clock = new ManualClock()
  const network = new MemoryDatagramNetwork()
  const inner = memoryDatagrams({ clock, network, strict: true })
  const made: World = { clock, sent: [], lose: () => false } as unknown as World
  const carrier = (who: string): DatagramTransport => ({
    name: 'lossy',
    bind: async (address) => lossy(await inner.bind(address), who),
    connect: async (address) => lossy(await inner.connect(address), who),
  })
  const lossy = (socket: DatagramSocket, who: string): DatagramSocket =>
    new Proxy(socket, {
      get(target, property) {
        if (property !== 'send') {
          const value = Reflect.get(target, property, target) as unknown
          return typeof value === 'function' ? value.bind(target) : value
        }
        return (payload: Uint8Array, to?: Address) => {
          made.sent.push({ from: who, bytes: payload.length })
          return made.lose(who) || target.send(payload, to)
        }
      },
    })
  const make = (who: string, options: UdpBlocksOptions) =>
    udpBlocks({}, { ...options, clock, carrier: carrier(who) }).bind(name(who))
  const timestamp = Math.floor(clock.wallNow() / 1_000)
  return Object.assign(made, {
    a: await make('a', a),
    b: await make('b', b),
    block: (n: unknown) =>
      createGenesis(jsonPayload(n), { key, host: nodeSigning, timestamp }) as Block,
  })
}

async function closeOf(w: World): Promise<void> {
  const closing = w.a.close()
  await w.clock.settle()
  await closing
}

async function kindOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'none',
    (error: unknown) => networkErrorKind(error),
  )
}

test('one block is one datagram, and raw bytes are another', async () => {
  const w = await world()
  await w.a.sendBlockTo(w.block('x'), w.b.localAddr)
  await w.a.sendTo(Uint8Array.of(1, 2), w.b.localAddr)
  await w.clock.settle()
  const { block, from } = await w.b.recvBlockFrom()
  assert.equal(block.payload, 'x')
  assert.deepEqual(from, w.a.localAddr)
  assert.deepEqual((await w.b.recvFrom()).bytes, Uint8Array.of(1, 2))
})

test('garbage, truncated and forged datagrams are counted and told, and end nothing', async () => {
  const w = await world()
  const problems: string[] = []
  w.b.onProblem = (error) => void problems.push(networkErrorKind(error))
  const { bytes } = w.block('x')
  const forged = bytes.slice()
  forged[100] = (forged[100] as number) ^ 1
  const heard: unknown[] = []
  w.b.onBlock((block) => void heard.push(block.payload))
  for (const datagram of [Uint8Array.of(9), bytes.subarray(0, 187), forged, bytes]) {
    await w.a.sendTo(datagram, w.b.localAddr)
  }
  await w.clock.settle()
  assert.deepEqual(heard, ['x'])
  assert.deepEqual(problems, ['Serialization', 'Serialization', 'InvalidBlock'])
  const { malformed, invalid, received } = w.b.statistics
  assert.deepEqual([malformed, invalid, received], [2, 1, 4])
})

test('what nobody receives is bounded: the rest is dropped and counted', async () => {
  const w = await world({}, { maxQueuedMessages: 2 })
  for (let count = 0; count < 5; count++) await w.a.sendBlockTo(w.block(count), w.b.localAddr)
  await w.clock.settle()
  assert.equal(w.b.statistics.dropped, 3)
  assert.equal((await w.b.recvBlock()).payload, 0)
})

test('a reliable block is sent again until it is acknowledged, and delivered once', async () => {
  const w = await world({}, { acknowledgeWith: bob })
  let lost = 0
  w.lose = (from) => from === 'a' && lost++ < 2
  const sending = w.a.sendBlockTo(w.block('x'.repeat(100)), w.b.localAddr, { reliable: true })
  await w.clock.settle()
  assert.equal(w.a.unacknowledged, 1)
  await w.clock.advanceAsync(250)
  await w.clock.advanceAsync(499)
  assert.equal(w.a.unacknowledged, 1)
  await w.clock.advanceAsync(1)
  await sending
  assert.equal(w.sent.filter(({ from }) => from === 'a').length, 3)
  assert.ok((await w.b.recvBlock()).payload)
  assert.equal(w.clock.pendingTimers, 0)
})

test('a lost acknowledgement is sent again, and the block is not delivered twice', async () => {
  const w = await world({}, { acknowledgeWith: bob })
  let lost = 0
  w.lose = (from) => from === 'b' && lost++ < 1
  const heard: unknown[] = []
  w.b.onBlock((block) => void heard.push(block.payload))
  const sending = w.a.sendBlockTo(w.block('y'.repeat(100)), w.b.localAddr, { reliable: true })
  await w.clock.advanceAsync(250)
  await sending
  assert.equal(heard.length, 1)
  assert.equal(w.b.statistics.duplicates, 1)
})

test('nobody there: five tries, then Timeout; an abort ends it at once', async () => {
  const w = await world()
  w.lose = () => true
  const block = w.block('x'.repeat(100))
  const sending = kindOf(w.a.sendBlockTo(block, w.b.localAddr, { reliable: true }))
  for (const wait of [250, 500, 1_000, 2_000, 4_000]) await w.clock.advanceAsync(wait)
  assert.equal(await sending, 'Timeout')
  assert.equal(w.sent.length, 5)
  const controller = new AbortController()
  const { signal } = controller
  const aborted = w.a.sendBlockTo(block, w.b.localAddr, { reliable: true, signal })
  aborted.catch(() => {})
  await w.clock.settle()
  controller.abort()
  await assert.rejects(aborted, { name: 'AbortError' })
  assert.equal(w.a.unacknowledged, 0)
})

test('a block that is refused rejects its sender with the code', async () => {
  const w = await world({}, { acknowledgeWith: bob, maxPayloadBytes: 10_000 })
  const old = createGenesis(bytesPayload(new Uint8Array(50)), {
    key,
    host: nodeSigning,
    timestamp: 1,
  }) as Block
  const sending = w.a.sendBlockTo(old, w.b.localAddr, { reliable: true })
  sending.catch(() => {})
  await w.clock.settle()
  await assert.rejects(sending, { status: 11, code: 'ERR_BLOCK' })
})

test('an acknowledgement is never more than its peer has sent', async () => {
  const w = await world({}, { acknowledgeWith: bob })
  const { bytes } = w.block('x') // shorter than its acknowledgement
  await w.a.sendTo(bytes, w.b.localAddr)
  await w.clock.settle()
  assert.equal(w.b.statistics.withheld, 1)
  assert.ok(w.sent.every(({ from }) => from === 'a'))
  await w.a.sendTo(bytes, w.b.localAddr)
  await w.clock.settle()
  const sum = (who: string) =>
    w.sent.filter(({ from }) => from === who).reduce((total, one) => total + one.bytes, 0)
  assert.equal(sum('b'), 227)
  assert.ok(sum('b') <= sum('a'))
  // What is sent reliable and is that short goes out twice at once, and is acknowledged at once.
  const sending = w.a.sendBlockTo(w.block('z'), w.b.localAddr, { reliable: true })
  await w.clock.settle()
  await sending
})

test('acknowledgements of others, and of nothing, are ignored', async () => {
  const w = await world({}, {})
  const block = w.block('x'.repeat(100))
  const sending = kindOf(w.a.sendBlockTo(block, name('c'), { reliable: true }))
  await w.clock.settle()
  const timestamp = Math.floor(w.clock.wallNow() / 1_000)
  const payload = ackPayload({ blockHash: await block.hash(nodeSigning), index: 0n, code: 0 })
  const ack = createGenesis(payload, { key: bob, host: nodeSigning, timestamp }) as Block
  await w.b.sendBlockTo(ack, w.a.localAddr) // not from `c`
  await w.clock.settle()
  assert.equal(w.a.unacknowledged, 1)
  await closeOf(w)
  assert.equal(await sending, 'ConnectionClosed')
})

test('how many blocks wait for acknowledgements is bounded', async () => {
  const w = await world({ reliable: { maxUnacknowledged: 1 } })
  const first = kindOf(w.a.sendBlockTo(w.block(1), w.b.localAddr, { reliable: true }))
  await w.clock.settle()
  await assert.rejects(w.a.sendBlockTo(w.block(2), w.b.localAddr, { reliable: true }), {
    code: 'ERR_BUSY',
  })
  await closeOf(w)
  await first
  await assert.rejects(world({ reliable: { maxTries: 0 } }), { code: 'ERR_OPTION_RANGE' })
})

test('what is remembered of duplicates is bounded', async () => {
  const w = await world({}, { acknowledgeWith: bob, reliable: { maxRemembered: 2 } })
  const heard: unknown[] = []
  w.b.onBlock((block) => void heard.push((block.payload as string)[0]))
  for (const n of ['a', 'b', 'b', 'c', 'a']) {
    await w.a.sendBlockTo(w.block(n.repeat(100)), w.b.localAddr)
    await w.clock.settle()
  }
  assert.deepEqual(heard, ['a', 'b', 'c', 'a'])
})

test('a deadline, a signal and a close end a wait', async () => {
  const w = await world()
  const late = kindOf(w.a.recvBlockFrom({ timeoutMs: 10 }))
  await w.clock.advanceAsync(10)
  assert.equal(await late, 'Timeout')
  assert.equal(await kindOf(w.a.recvFrom({ signal: AbortSignal.abort() })), 'Aborted')
  await assert.rejects(w.a.sendBlock(w.block(1)), { code: 'ERR_STATE' })
  const waiting = kindOf(w.a.recvBlock())
  await closeOf(w)
  assert.equal(await waiting, 'ConnectionClosed')
  assert.equal(await kindOf(w.a.sendTo(Uint8Array.of(1), w.b.localAddr)), 'ConnectionClosed')
})

test('blocks over UDP: the seed’s example, and a datagram of the longest kind and one byte more', async (t) => {
  const timestamp = Math.floor(Date.now() / 1_000)
  const make = (length: number): Block =>
    createGenesis(bytesPayload(new Uint8Array(length)), {
      key,
      host: nodeSigning,
      timestamp,
    }) as Block
  const server = await udpBlocks({}, { acknowledgeWith: bob }).bind('127.0.0.1:0')
  const client = await udpBlocks().connect(server.localAddr)
  t.after(() => Promise.all([server.close(), client.close()]))
  await client.sendBlock(make(500), { reliable: true })
  assert.equal((await server.recvBlock()).payloadSize, 500)
  await client.sendBlock(make(65_507 - 186), { reliable: true })
  assert.equal((await server.recvBlock()).bytes.length, 65_507)
  assert.equal(await kindOf(client.sendBlock(make(65_507 - 185))), 'PacketTooLarge')
  const small = await udpBlocks({ maxPacketSize: 1_400 }).bind('127.0.0.1:0')
  t.after(() => small.close())
  await small.sendBlockTo(make(1_214), server.localAddr)
  assert.equal((await server.recvBlock()).payloadSize, 1_214)
  await assert.rejects(small.sendBlockTo(make(1_215), server.localAddr), {
    code: 'ERR_FRAME_TOO_LARGE',
  })
  const json = udpBlocks({}, { format: WireFormat.json() })
  assert.equal(json.transportType, 'UDP')
})

/** A bound socket that answers, and what asks it, over memory where everything can get lost. */
async function greeting(
  answering: DatagramHelloOptions,
  lose: (bytes: Uint8Array, index: number) => boolean = () => false,
) {
  const clock = new ManualClock()
  const network = new MemoryDatagramNetwork()
  const inner = memoryDatagrams({ clock, network, strict: true })
  const sent: Uint8Array[] = []
  const lossy = (socket: DatagramSocket): DatagramSocket =>
    new Proxy(socket, {
      get(target, property) {
        const value = Reflect.get(target, property, target) as unknown
        if (typeof value !== 'function') return value
        if (property !== 'send') return value.bind(target)
        return (payload: Uint8Array, to?: Address) => {
          sent.push(payload.slice())
          return lose(payload, sent.length - 1) || target.send(payload, to)
        }
      },
    })
  const carrier: DatagramTransport = {
    name: 'lossy',
    bind: async (address) => lossy(await inner.bind(address)),
    connect: async (address) => lossy(await inner.connect(address)),
  }
  const bound = await udpBlocks({}, { clock, carrier, negotiate: answering }).bind(name('b'))
  const dial = async (negotiate: NegotiateOptions): Promise<BlockSocket> => {
    const attempt = udpBlocks({}, { clock, carrier, negotiate }).connect(bound.localAddr)
    attempt.catch(() => {})
    await clock.advanceAsync(10_000)
    return await attempt
  }
  const timestamp = Math.floor(clock.wallNow() / 1_000)
  const block = createGenesis(jsonPayload('x'), { key, host: nodeSigning, timestamp }) as Block
  /** What the clock has to move along. */
  const soon = async <Value>(promise: Promise<Value>): Promise<Value> => {
    await clock.settle()
    return await promise
  }
  return { clock, inner, bound, dial, sent, block, soon }
}

test('hellos over datagrams: format and keys are agreed, whatever one datagram of them is lost', async () => {
  const formats = [WireFormat.msgpack(), WireFormat.binary()]
  for (const lost of [-1, 0, 1, 2, 3]) {
    const w = await greeting({ key: bob, formats: [WireFormat.msgpack()] }, (_, n) => n === lost)
    const client = await w.dial({ key, formats })
    assert.equal(String(client.agreementWith(w.bound.localAddr)?.format), 'messagepack', `${lost}`)
    assert.deepEqual(client.agreementWith(w.bound.localAddr)?.peerKey, bob.publicKey)
    assert.deepEqual(w.bound.agreementWith(client.localAddr)?.peerKey, key.publicKey)
    await client.sendBlock(w.block)
    const { block, from } = await w.soon(w.bound.recvBlockFrom())
    assert.equal(block.payload, 'x')
    await w.bound.sendTo(Uint8Array.of(1), from)
    assert.deepEqual((await w.soon(client.recvFrom())).bytes, Uint8Array.of(1))
    const last = w.sent.at(-2)
    assert.equal(last?.[0], 0x84) // MessagePack, a map of four
    await w.soon(Promise.all([client.close(), w.bound.close()]))
  }
})

test('hellos over datagrams: nobody there, no common format, another key', async () => {
  const w = await greeting({ key: bob })
  const problems: string[] = []
  w.bound.onProblem = (error) => void problems.push(networkErrorKind(error))
  const none = w.dial({ key, formats: [WireFormat.json()] })
  assert.equal(await kindOf(none), 'NegotiationFailed')
  assert.deepEqual(problems, ['NegotiationFailed'])
  await assert.rejects(w.dial({ key, expectedKey: key.publicKey }), { status: 6 })
  await w.soon(w.bound.close())

  const silent = await greeting({ key: bob }, () => true)
  await assert.rejects(silent.dial({ key, helloTimeoutMs: 1_000 }), { code: 'ERR_CONNECT_TIMEOUT' })
  assert.equal(silent.sent.length, 3) // at 0, 250 and 750 ms
  await silent.soon(silent.bound.close())
  assert.equal(silent.clock.pendingTimers, 0)
})

test('who has not agreed is not heard, gets nothing, and never more back than they sent', async () => {
  const w = await greeting({ key: bob, agent: 'longer than theirs, by far '.repeat(4) })
  const stranger = await w.inner.bind(name('s'))
  let heard = 0
  stranger.open({ onDatagram: (bytes) => void (heard += bytes.length), onError() {}, onClose() {} })
  stranger.send(w.block.bytes, w.bound.localAddr)
  const hello = '{"proto":"olocus/1",' // the beginning of one
  stranger.send(Buffer.from(hello.padEnd(300, ' ')), w.bound.localAddr)
  await w.clock.settle()
  assert.equal(w.bound.statistics.strangers, 1)
  assert.ok(heard <= w.block.bytes.length + 300, `${heard} bytes came back`)
  const sending = w.bound.sendBlockTo(w.block, stranger.address)
  assert.equal(await kindOf(sending), 'NegotiationFailed')
  await assert.rejects(w.bound.sendTo(Uint8Array.of(1), stranger.address), { status: 21 })
  await w.soon(Promise.all([stranger.close(), w.bound.close()]))
})

test('a hello cut at every byte, changed at every byte, or of random bytes agrees with nobody', async () => {
  const w = await greeting({ key: bob })
  await w.dial({ key })
  const hello = w.sent[0]!
  const random = seededRandom(5)
  const problems: Error[] = []
  const hostile = [
    ...Array.from(hello, (_, at) => hello.subarray(0, at)),
    ...Array.from(hello, (byte, at) => hello.with(at, byte ^ (1 << (at & 7)))),
    ...Array.from({ length: 200 }, () => {
      const bytes = Uint8Array.from({ length: 400 }, () => random() * 256)
      bytes.set(hello.subarray(0, Math.floor(random() * 40)))
      return bytes
    }),
  ]
  const settings = settingsOf({ clock: w.clock })
  const hellos = new DatagramHellos({ key: bob, maxPeers: 8 }, settings, true, {
    send() {},
    mayAnswer: () => true,
    onProblem: (error) => void problems.push(error),
  })
  for (const [index, bytes] of hostile.entries()) {
    const peer = name(`p${index}`)
    const taken = hellos.take(bytes, peer)
    assert.ok(taken === 'hello' || taken === 'stranger', `${index}`)
    await w.clock.settle()
    assert.ok(hellos.exchangeCount <= 8)
    assert.equal(hellos.agreementWith(peer), undefined)
  }
  assert.ok(problems.length > hello.length, `${problems.length} were refused`)
  for (const problem of problems) assert.notEqual(networkErrorKind(problem), undefined)
  await w.soon(w.bound.close())
})

test('exchanges and agreements are bounded: at the limit and one past', async () => {
  const w = await greeting({ key: bob, maxPeers: 2 })
  const hellos = new DatagramHellos(
    { key: bob, maxPeers: 2 },
    settingsOf({ clock: w.clock }),
    true,
    {
      send() {},
      mayAnswer: () => false,
      onProblem() {},
    },
  )
  const clients = [await w.dial({ key }), await w.dial({ key })]
  const agreed = () => clients.map((one) => w.bound.agreementWith(one.localAddr) !== undefined)
  assert.deepEqual(agreed(), [true, true])
  const hello = w.sent[0]!
  for (const [peer, count] of [
    ['1', 1],
    ['2', 2],
    ['3', 2],
  ] as const) {
    assert.equal(hellos.take(hello, name(peer)), 'hello')
    assert.equal(hellos.exchangeCount, count)
  }
  clients.push(await w.dial({ key }))
  assert.deepEqual(agreed(), [false, true, true])
  assert.throws(() => new DatagramHellos({ key, maxPeers: 0 }, settingsOf({}), true, {} as never), {
    code: 'ERR_OPTION_RANGE',
  })
  await w.soon(Promise.all([...clients.map((client) => client.close()), w.bound.close()]))
})
