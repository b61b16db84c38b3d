import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import type { ToxicSpec } from '../../core/chaos/toxic.ts'
import { PIECE_OVERHEAD } from '../../core/chaos/toxic-link.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import type { MessageTransport } from '../../core/transport.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { framed } from '../framed/framed.ts'
import { messageStream } from '../message-stream/message-stream.ts'
import { webSocket } from '../websocket/websocket.ts'
import type { WebSocketConnection } from '../websocket/websocket-connection.ts'
import type { ChaosMessageHandler } from './chaos-message-connection.ts'
import { chaosMessages } from './chaos-messages.ts'
import type { ChaosOptions } from './chaos-options.ts'

const MAX = 10_000

/** A chaotic client of an echo server that is not chaotic. */
async function world<Carried extends MessageConnection>(
  make: (clock: ManualClock, network: MemoryNetwork) => Transport<Carried>,
  toxics: readonly ToxicSpec[],
  options: ChaosOptions = {},
) {
  const clock = new ManualClock()
  const inner = make(clock, new MemoryNetwork())
  const network = chaosMessages(inner, { clock, seed: 1, toxics, ...options })
  const served: string[] = []
  const accepted: MessageConnection[] = []
  const settled = async <Value>(promise: Promise<Value>): Promise<Value> => {
    await clock.settle()
    return promise
  }
  const listening = inner.listen(address('a'), {
    onConnection(connection) {
      accepted.push(connection)
      connection.open({
        onMessage(message) {
          served.push(`message ${message.length}`)
          connection.send(message.slice())
        },
        onText(text: string) {
          served.push(`text ${text}`)
          ;(connection as WebSocketConnection).sendText(text)
        },
        onDrain() {},
        onEnd() {
          served.push('end')
          connection.end()
        },
        onClose: (reason) => void served.push(`close ${reason === undefined ? 'clean' : 'error'}`),
      } as ChaosMessageHandler)
    },
  })
  const listener = await settled(listening)
  const connect = () => settled(network.connect(address('a')))
  return { clock, network, served, accepted, listener, settled, connect }
}

type Transport<Carried> = MessageTransport & {
  connect(...args: Parameters<MessageTransport['connect']>): Promise<Carried>
}

const overFrames = (clock: ManualClock, network: MemoryNetwork): MessageTransport =>
  framed(memory({ clock, network }), { clock, maxMessageBytes: MAX })
const overWebSocket = (clock: ManualClock, network: MemoryNetwork) =>
  webSocket({ carrier: memory({ clock, network }), clock, maxMessageBytes: MAX })

function hear(connection: MessageConnection, clock: ManualClock): string[] {
  const start = clock.now()
  const heard: string[] = []
  const say = (what: string): void => void heard.push(`${clock.now() - start} ${what}`)
  connection.open({
    onMessage: (message) => say(`message ${message.length}`),
    onText: (text: string) => say(`text ${text}`),
    onDrain: () => say('drain'),
    onEnd: () => say('end'),
    onClose: (reason) => say(`close ${(reason as { code?: string } | undefined)?.code ?? 'clean'}`),
  } as ChaosMessageHandler)
  return heard
}

const without = (heard: readonly string[], what: string): string[] =>
  heard.filter((line) => !line.includes(what))

for (const [name, make] of [
  ['framed', overFrames],
  ['WebSocket', overWebSocket],
] as const) {
  test(`chaosMessages around ${name} delays each direction by its own latency, messages whole`, async () => {
    const w = await world(make, [
      { type: 'latency', attributes: { latency: 30 } },
      { type: 'latency', stream: 'upstream', attributes: { latency: 100 } },
    ])
    const connection = await w.connect()
    assert.equal(w.network.connectionCount, 1)
    const heard = hear(connection, w.clock)
    for (const length of [5, 0, 5_000]) connection.send(new Uint8Array(length))
    assert.equal(connection.writableLength, 0, 'what is on its way is not what waits here')
    await w.clock.advanceAsync(130)
    assert.deepEqual(heard, ['130 message 5', '130 message 0', '130 message 5000'])
    connection.end()
    await w.clock.advanceAsync(200)
    assert.deepEqual(heard.slice(3), ['260 end', '260 close clean'])
    assert.equal(w.network.connectionCount, 0)
    assert.equal(w.clock.pendingTimers, 0)
  })
}

test('chaosMessages says stop when maxBufferedBytes are on their way, and drain when they are not', async () => {
  const w = await world(
    overFrames,
    [{ type: 'latency', stream: 'upstream', attributes: { latency: 50 } }],
    { maxBufferedBytes: 100 + 2 * PIECE_OVERHEAD },
  )
  const connection = await w.connect()
  const heard = hear(connection, w.clock)
  assert.equal(connection.send(new Uint8Array(99)), true)
  assert.equal(connection.send(new Uint8Array(0)), true, 'one byte below the limit')
  assert.equal(connection.writableLength, 0)
  assert.equal(connection.send(new Uint8Array(1)), false)
  assert.ok(connection.writableLength > 0)
  await w.clock.advanceAsync(50)
  assert.deepEqual(w.served, ['message 99', 'message 0', 'message 1'])
  assert.equal(connection.writableLength, 0)
  assert.equal(heard.filter((line) => line === '50 drain').length, 1)
  connection.destroy()
})

test('chaosMessages pauses the carrier while what waits on the way in is full', async () => {
  const w = await world(overFrames, [], { maxBufferedBytes: 1_000 })
  const connection = await w.connect()
  w.network.toxics.add({ type: 'partition' })
  const heard = hear(connection, w.clock)
  await w.clock.settle()
  let sent = 0
  while (sent < 10_000 && w.accepted[0]?.send(new Uint8Array(1_000)) === true) {
    sent += 1
    await w.clock.settle()
  }
  assert.ok(sent > 1 && sent < 1_000, `the server is stopped after ${sent}`)
  assert.deepEqual(heard, [])
  w.network.toxics.clear()
  await w.clock.advanceAsync(1)
  assert.equal(heard.length, sent + 1)
  connection.destroy()
})

test('chaosMessages refuses a message one byte too long, whatever the toxics', async () => {
  const w = await world(overWebSocket, [{ type: 'loss', stream: 'upstream' }])
  const connection = await w.connect()
  const heard = hear(connection, w.clock)
  assert.equal(connection.maxMessageBytes, MAX)
  assert.throws(() => connection.send(new Uint8Array(MAX + 1)), { code: 'ERR_FRAME_TOO_LARGE' })
  assert.throws(() => connection.sendText?.('é'.repeat(MAX / 2 + 1)), {
    code: 'ERR_FRAME_TOO_LARGE',
  })
  connection.send(new Uint8Array(MAX))
  await w.clock.settle()
  assert.deepEqual(without(heard, 'drain'), [`0 message ${MAX}`])
  connection.destroy()
})

test('chaosMessages reset_peer resets both sides', async () => {
  const w = await world(overFrames, [{ type: 'reset_peer', stream: 'upstream' }])
  const connection = await w.connect()
  const heard = hear(connection, w.clock)
  connection.send(new Uint8Array(1))
  assert.deepEqual(heard, [], 'nothing is heard inside send')
  await w.clock.settle()
  assert.deepEqual(heard, ['0 close ERR_RESET'])
  assert.deepEqual(w.served, ['close error'])
})

test('chaosMessages limit_data ends as a peer would, each transport in its way', async () => {
  const halves = await world(overFrames, [{ type: 'limit_data', attributes: { bytes: 3 } }])
  const first = await halves.connect()
  const heard = hear(first, halves.clock)
  first.send(new Uint8Array(3))
  await halves.clock.settle()
  assert.deepEqual(heard, ['0 drain', '0 message 3', '0 end'])
  first.send(new Uint8Array(5))
  first.end()
  await halves.clock.settle()
  assert.equal(heard.at(-1), '0 close clean')
  assert.deepEqual(halves.served, ['message 3', 'end', 'close clean'])
  assert.equal(halves.clock.pendingTimers, 0)

  // A WebSocket has one close for both directions.
  const whole = await world(overWebSocket, [
    { type: 'limit_data', stream: 'upstream', attributes: { bytes: 3 } },
  ])
  const second = await whole.connect()
  const said = hear(second, whole.clock)
  second.send(new Uint8Array(2))
  second.send(new Uint8Array(2))
  assert.deepEqual(said, [], 'nothing is heard inside send')
  await whole.clock.settle()
  assert.deepEqual(said.slice(-2), ['0 end', '0 close clean'])
  assert.deepEqual(whole.served, ['message 2', 'end', 'close clean'])
  assert.equal(whole.clock.pendingTimers, 0)
})

test('chaosMessages resets whoever goes on after a toxic has closed the connection', async () => {
  const w = await world(overFrames, [{ type: 'timeout', attributes: { timeout: 10 } }])
  const connection = await w.connect()
  const heard = hear(connection, w.clock)
  await w.clock.advanceAsync(2_000)
  assert.deepEqual(heard, ['10 end', '1010 close ERR_RESET'])
  assert.equal(w.clock.pendingTimers, 0)
})

test('chaosMessages that is not enabled refuses and closes; a partition lets connect later', async () => {
  const w = await world(overWebSocket, [])
  const connection = await w.connect()
  const heard = hear(connection, w.clock)
  w.network.enabled = false
  await w.clock.settle()
  assert.deepEqual(heard, ['0 end', '0 close clean'])
  await assert.rejects(w.network.connect(address('a')), { code: 'ERR_CONNECT_REFUSED' })
  w.network.enabled = true
  w.network.toxics.add({ type: 'partition', attributes: { duration: 100 } })
  const late = assert.rejects(w.network.connect(address('a'), { deadline: w.clock.now() + 50 }), {
    code: 'ERR_CONNECT_TIMEOUT',
  })
  const waiting = w.network.connect(address('a'))
  await w.clock.advanceAsync(99)
  await late
  assert.equal(w.network.connectionCount, 0)
  await w.clock.advanceAsync(1)
  ;(await w.settled(waiting)).destroy()
  assert.equal(w.network.connectionCount, 0)
})

test('chaosMessages: text stays text, the close keeps its code, what is below can be reached', async () => {
  const w = await world(overWebSocket, [
    { type: 'latency', stream: 'upstream', attributes: { latency: 10 } },
    { type: 'latency', attributes: { latency: 10 } },
  ])
  const connection = await w.connect()
  const heard = hear(connection, w.clock)
  connection.sendText?.('grüße \uFEFF')
  connection.send(new Uint8Array(1))
  connection.close?.(4_000, 'enough')
  connection.close?.(4_001, 'too late')
  await w.clock.advanceAsync(40)
  assert.deepEqual(
    w.served,
    ['text grüße \uFEFF', 'message 1', 'end', 'close error'],
    'of a close with this code',
  )
  assert.deepEqual(heard, ['20 text grüße \uFEFF', '20 message 1', '20 end', '20 close clean'])
  const { peerClose } = w.accepted[0] as WebSocketConnection
  assert.deepEqual([peerClose?.code, peerClose?.reason], [4_000, 'enough'])
  assert.equal(connection.carried.peerClose?.code, 4_000)
})

test('chaosMessages: text whose bits are flipped is still text, and no longer than it was', async () => {
  const w = await world(overWebSocket, [
    { type: 'corruption', stream: 'upstream', attributes: { probability: 1, bits: 1_000 } },
  ])
  const connection = await w.connect()
  hear(connection, w.clock)
  connection.sendText?.('x'.repeat(MAX))
  await w.clock.settle()
  assert.equal(w.served.length, 1)
  assert.match(w.served[0] ?? '', /^text /)
  assert.notEqual(w.served[0], `text ${'x'.repeat(MAX)}`)
  connection.destroy()
})

test('chaosMessages refuses text where its owner takes none, as the carrier does', async () => {
  const w = await world(overWebSocket, [{ type: 'latency', attributes: { latency: 10 } }])
  const connection = await w.connect()
  let reason: Error | undefined
  connection.open({
    onMessage() {},
    onDrain() {},
    onEnd() {},
    onClose: (why) => {
      reason = why
    },
  })
  connection.sendText?.('hello')
  await w.clock.advanceAsync(20_000)
  assert.match(String(reason), /a text message where only bytes are understood/)
})

test('chaosMessages lends what its carrier lends, late or not', async () => {
  const w = await world(overWebSocket, [])
  const connection = await w.connect()
  const kept: Uint8Array[] = []
  assert.equal(connection.ownsMessages, false)
  assert.throws(() => connection.leaseMessage?.(), { code: 'ERR_STATE' })
  const leases: (Disposable | { release(): void })[] = []
  connection.open({
    onMessage(message) {
      const lease = connection.leaseMessage?.()
      if (lease !== undefined) leases.push(lease)
      kept.push(message)
    },
    onDrain() {},
    onEnd() {},
    onClose() {},
  })
  connection.send(new Uint8Array(50).fill(1))
  await w.clock.settle()
  w.network.toxics.add({ type: 'latency', attributes: { latency: 10 } })
  connection.send(new Uint8Array(50).fill(2))
  await w.clock.advanceAsync(10)
  for (let round = 0; round < 20; round++) connection.send(new Uint8Array(50).fill(9))
  await w.clock.advanceAsync(10)
  assert.equal(leases.length, 22)
  assert.deepEqual([kept[0]?.[0], kept[1]?.[0], kept[2]?.[0]], [1, 2, 9])
  connection.destroy()
})

test('chaosMessages: what was sent before both sides ended at once arrives', async () => {
  const w = await world(overWebSocket, [
    { type: 'latency', stream: 'upstream', attributes: { latency: 50 } },
  ])
  const connection = await w.connect()
  const heard = hear(connection, w.clock)
  connection.send(new Uint8Array(7))
  connection.end()
  w.accepted[0]?.end()
  await w.clock.advanceAsync(100)
  assert.deepEqual(w.served.slice(0, 1), ['message 7'])
  assert.deepEqual(heard, ['50 end', '50 close clean'])
  assert.equal(w.clock.pendingTimers, 0)
})

test('chaosMessages: the same seed gives the same run, and one more connection changes none', async () => {
  const run = async (seed: number, others: number): Promise<string[]> => {
    const w = await world(
      overFrames,
      [
        { type: 'loss', attributes: { probability: 0.2 } },
        { type: 'latency', stream: 'upstream', attributes: { latency: 50, jitter: 50 } },
      ],
      { seed },
    )
    const one = await w.connect()
    const two = await w.connect()
    hear(one, w.clock)
    const heard = hear(two, w.clock)
    for (let sent = 0; sent < 20; sent++) {
      if (sent < others) one.send(new Uint8Array(1))
      two.send(new Uint8Array(sent))
      await w.clock.advanceAsync(3)
    }
    await w.clock.advanceAsync(100_000)
    for (const connection of [one, two]) connection.destroy()
    assert.deepEqual(
      without(heard, 'drain').map((line) => line.split(' ')[2]),
      Array.from({ length: 20 }, (_, index) => `${index}`),
    )
    return heard
  }
  const first = await run(7, 0)
  assert.deepEqual(await run(7, 0), first)
  assert.deepEqual(await run(7, 20), first)
  assert.notDeepEqual(await run(8, 0), first)
})

test('chaosMessages carries a message stream', async () => {
  const w = await world(overWebSocket, [{ type: 'latency', attributes: { latency: 10 } }])
  const stream = messageStream(await w.connect())
  await stream.send('words')
  await stream.send(Uint8Array.of(1, 2))
  await w.clock.advanceAsync(10)
  const heard: unknown[] = []
  const reading = (async () => {
    for await (const message of stream) heard.push(message)
  })()
  await w.clock.settle()
  assert.deepEqual(heard, ['words', Uint8Array.of(1, 2)])
  const closed = stream.close()
  await w.clock.advanceAsync(50)
  await Promise.all([closed, reading])
})

test('chaosMessages refuses a slicer, and duplication where each message comes once', async () => {
  const w = await world(overFrames, [])
  for (const [type, attributes] of [
    ['slicer', { average_size: 1 }],
    ['duplication', {}],
  ] as const) {
    assert.throws(() => w.network.toxics.add({ type, attributes }), {
      code: 'ERR_OPTION_UNSUPPORTED',
    })
  }
})

test('chaosMessages: what is on its way arrives before the close that followed it, whatever its code', async () => {
  const w = await world(overWebSocket, [{ type: 'latency', attributes: { latency: 50 } }])
  const connection = await w.connect()
  const heard = hear(connection, w.clock)
  await w.clock.settle()
  const peer = w.accepted[0] as WebSocketConnection
  peer.send(new Uint8Array(7))
  peer.close(4_001, 'leaving')
  await w.clock.advanceAsync(49)
  assert.equal(heard.length, 0)
  await w.clock.advanceAsync(1)
  assert.deepEqual(
    heard.map((line) => line.replace(/ERR_\w+/, 'error')),
    ['50 message 7', '50 end', '50 close error'],
  )
  assert.deepEqual([w.network.connectionCount, w.clock.pendingTimers], [0, 0])
})
