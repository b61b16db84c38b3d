import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, memory as name } from '../../core/address.ts'
import type { ToxicSpec } from '../../core/chaos/toxic.ts'
import type { DatagramSocket } from '../../core/datagram-socket.ts'
import { datagramConformance } from '../../testing/datagram-conformance.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { MemoryDatagramNetwork, memoryDatagrams } from '../../transports/memory/memory-datagrams.ts'
import { chaosDatagrams } from './chaos-datagrams.ts'

datagramConformance(
  'chaosDatagrams without toxics',
  {
    maxTurns: 500,
    quietTurns: 3,
    create() {
      const clock = new ManualClock()
      const network = new MemoryDatagramNetwork()
      return {
        transport: chaosDatagrams(memoryDatagrams({ clock, network, strict: true }), { clock }),
        address: name('0'),
        clock,
        turn: () => clock.settle(),
        leaks: {
          timers: () => clock.pendingTimers,
          'deferred calls': () => clock.pendingDeferred,
          sockets: () => network.socketCount,
        },
      }
    },
  },
  { test, ok: assert.ok, skip: test.skip },
)

/** A chaotic socket that asks, a quiet one that hears and answers. */
async function world(toxics: readonly ToxicSpec[], seed = 1, maxBufferedBytes?: number) {
  const clock = new ManualClock()
  const carrier = memoryDatagrams({ clock, network: new MemoryDatagramNetwork(), strict: true })
  const bound = await carrier.bind(name('b'))
  const network = chaosDatagrams(carrier, {
    clock,
    seed,
    toxics,
    ...(maxBufferedBytes !== undefined && { maxBufferedBytes }),
  })
  const near = await network.connect(bound.address)
  const heard: number[][] = []
  const answered: number[][] = []
  const from: Address[] = []
  const listen = (socket: DatagramSocket, into: number[][]): void =>
    socket.open({
      onDatagram(payload, sender) {
        into.push([...payload])
        from.push(sender)
      },
      onError() {},
      onClose() {},
    })
  listen(bound, heard)
  listen(near, answered)
  const send = (count: number): void => {
    for (let n = 0; n < count; n++) near.send(Uint8Array.of(n))
  }
  const close = async (): Promise<void> => {
    const closing = Promise.all([near.close(), bound.close()])
    await clock.settle()
    await closing
    assert.equal(clock.pendingTimers, 0)
  }
  return { clock, network, near, bound, heard, answered, from, send, close }
}

const numbers = (datagrams: readonly number[][]): number[] => datagrams.map(([n]) => n ?? -1)
const sorted = (list: readonly number[]): number[] => list.toSorted((a, b) => a - b)
const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

test('chaosDatagrams loses by seed: about its share, and the same ones again', async () => {
  const runs: number[][] = []
  for (const seed of [3, 3, 4]) {
    const w = await world(
      [{ type: 'loss', stream: 'upstream', attributes: { probability: 0.3 } }],
      seed,
    )
    w.send(200)
    await w.clock.settle()
    assert.ok(w.heard.length > 110 && w.heard.length < 170, `${w.heard.length}`)
    assert.equal(w.near.droppedCount, 0)
    runs.push(numbers(w.heard))
    await w.close()
  }
  assert.deepEqual(runs[0], runs[1])
  assert.notDeepEqual(runs[0], runs[2])
})

test('chaosDatagrams doubles, reorders and corrupts, and loses none by it', async () => {
  const twice = await world([
    { type: 'duplication', stream: 'upstream', attributes: { probability: 1 } },
  ])
  twice.send(3)
  await twice.clock.settle()
  assert.deepEqual(sorted(numbers(twice.heard)), [0, 0, 1, 1, 2, 2])
  await twice.close()

  const late = await world([
    { type: 'reordering', stream: 'upstream', attributes: { probability: 0.5, delay: 10 } },
  ])
  late.send(20)
  await late.clock.advanceAsync(10)
  assert.notDeepEqual(numbers(late.heard), upTo(20))
  assert.deepEqual(sorted(numbers(late.heard)), upTo(20))
  await late.close()

  const broken = await world([
    { type: 'corruption', stream: 'upstream', attributes: { probability: 1, bits: 1 } },
  ])
  broken.send(20)
  await broken.clock.settle()
  const flipped = numbers(broken.heard).map((n, index) => n ^ index)
  assert.deepEqual(
    flipped.map((bits) => bits.toString(2).replaceAll('0', '')),
    flipped.map(() => '1'),
  )
  await broken.close()
})

test('toxics of both ways: the way back has its own, and both change while sockets are open', async () => {
  const w = await world([])
  w.network.toxics.add({ type: 'latency', stream: 'downstream', attributes: { latency: 50 } })
  w.send(1)
  await w.clock.settle()
  assert.deepEqual(numbers(w.heard), [0])
  w.bound.send(Uint8Array.of(7), w.from[0])
  await w.clock.advanceAsync(49)
  assert.deepEqual(w.answered, [])
  await w.clock.advanceAsync(1)
  assert.deepEqual(w.answered, [[7]])
  w.network.toxics.clear()
  w.bound.send(Uint8Array.of(8), w.from[0])
  await w.clock.settle()
  assert.deepEqual(w.answered, [[7], [8]])

  // What leaves a toxic while nobody reads is kept.
  w.network.toxics.add({ type: 'latency', stream: 'downstream', attributes: { latency: 50 } })
  w.bound.send(Uint8Array.of(9), w.from[0])
  w.bound.send(Uint8Array.of(10), w.from[0])
  await w.clock.settle()
  w.near.pause()
  await w.clock.advanceAsync(50)
  assert.equal(w.answered.length, 2)
  w.near.resume()
  await w.clock.settle()
  assert.deepEqual(numbers(w.answered), [7, 8, 9, 10])
  await w.close()
})

test('what waits in toxics is bounded: at the limit, one past it is dropped and counted', async () => {
  // A datagram of one byte counts 65.
  const w = await world(
    [{ type: 'latency', stream: 'upstream', attributes: { latency: 5 } }],
    1,
    130,
  )
  assert.deepEqual(
    [0, 1, 2].map((n) => w.near.send(Uint8Array.of(n))),
    [true, true, false],
  )
  assert.equal(w.near.droppedCount, 1)
  await w.clock.advanceAsync(5)
  assert.deepEqual(numbers(w.heard), [0, 1])
  await w.close()
})

test('what means nothing for datagrams is refused, and a close loses what waits', async () => {
  const w = await world([{ type: 'latency', stream: 'upstream', attributes: { latency: 5 } }])
  for (const type of ['slicer', 'reset_peer', 'limit_data', 'slow_close', 'timeout'] as const) {
    const attributes = type === 'slicer' ? { average_size: 1 } : {}
    assert.throws(() => w.network.toxics.add({ type, attributes }), {
      code: 'ERR_OPTION_UNSUPPORTED',
    })
  }
  w.send(1)
  await w.close()
  assert.deepEqual(w.heard, [])
})
