/** Data channels have nothing below them where chaos could stand: it stands around them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeWebRtc } from '../../../test/transports/fake-web-rtc-driver.ts'
import { MessageRecorder } from '../../../test/transports/message-recorder.ts'
import type { ToxicSpec } from '../../core/chaos/toxic.ts'
import { ToxicSet } from '../../core/chaos/toxic-set.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { webRtcAvailability } from '../../transports/webrtc/node-datachannel-driver.ts'
import { webRtc } from '../../transports/webrtc/webrtc.ts'
import { webRtcAddress } from '../../transports/webrtc/webrtc-address.ts'
import type { WebRtcOptions } from '../../transports/webrtc/webrtc-options.ts'
import { memorySignalling } from '../webrtc-signalling/memory-signalling.ts'
import { chaosMessages } from './chaos-messages.ts'

const LOSSY = { ordered: false, unreliable: { maxRetransmits: 0 } } as const

/** A chaotic end that connects, and a quiet one, on a manual clock. */
async function fakes(channel: Partial<WebRtcOptions>, toxics: readonly ToxicSpec[], seed = 1) {
  const clock = new ManualClock()
  const options = { signalling: memorySignalling(), clock, driver: new FakeWebRtc(clock) }
  const transport = webRtc({ ...options, ...channel })
  const network = chaosMessages(transport, { clock, seed, toxics })
  const settled = async <Value>(promise: Promise<Value>): Promise<Value> => {
    await clock.settle()
    return promise
  }
  let far: MessageRecorder | undefined
  const listener = await settled(
    transport.listen(webRtcAddress('b'), {
      onConnection: (connection) => {
        far = new MessageRecorder(connection).open()
      },
    }),
  )
  const connection = await settled(network.connect(webRtcAddress('b')))
  const near = new MessageRecorder(connection).open()
  assert.ok(far !== undefined)
  const close = async (): Promise<void> => {
    connection.destroy()
    far?.connection.destroy()
    const closing = listener.close()
    await clock.advanceAsync(10_000)
    await closing
    assert.deepEqual([network.connectionCount, clock.pendingTimers], [0, 0])
  }
  return { clock, network, connection, near, far, close }
}

/** Which of `count` messages a link of these toxics lets through, in which order. */
function expected(toxics: readonly ToxicSpec[], seed: number, count: number): number[] {
  const clock = new ManualClock()
  const set = new ToxicSet({ clock, carrier: 'message', ordered: false, reliable: false, seed })
  for (const toxic of toxics) set.add(toxic)
  const passed: number[] = []
  const link = set.createLink<undefined>('upstream', set.nextSeed(), {
    take: (bytes) => passed.push(bytes[0] ?? -1) > 0,
    end() {},
    cut() {},
    room() {},
  })
  for (let n = 0; n < count; n++) link.push(Uint8Array.of(n), undefined)
  clock.advance(1_000)
  return passed
}

const firsts = ({ messages }: MessageRecorder): number[] => messages.map(([n]) => n ?? -1)
const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n)
const loss = (probability: number): ToxicSpec => ({
  type: 'loss',
  stream: 'upstream',
  attributes: { probability },
})

test('chaosMessages: a lossy channel loses, reorders and doubles; a reliable one is late', async () => {
  const toxics: ToxicSpec[] = [
    loss(0.3),
    { type: 'reordering', stream: 'upstream', attributes: { probability: 0.3, delay: 5 } },
    { type: 'duplication', stream: 'upstream', attributes: { probability: 0.2 } },
  ]
  const lossy = await fakes(LOSSY, toxics, 9)
  for (const n of upTo(100)) lossy.connection.send(Uint8Array.of(n))
  await lossy.clock.advanceAsync(10)
  const arrived = firsts(lossy.far)
  assert.deepEqual(arrived, expected(toxics, 9, 100))
  assert.ok(new Set(arrived).size < 85, 'some are lost')
  assert.ok(arrived.length > new Set(arrived).size, 'some come twice')
  assert.notDeepEqual(
    arrived,
    arrived.toSorted((a, b) => a - b),
  )
  await lossy.close()

  const reliable = await fakes({}, [loss(0.3)], 9)
  assert.throws(() => reliable.network.toxics.add({ type: 'duplication' }), {
    code: 'ERR_OPTION_UNSUPPORTED',
  })
  for (const n of upTo(100)) reliable.connection.send(Uint8Array.of(n))
  await reliable.clock.settle()
  assert.ok(reliable.far.messages.length < 100)
  await reliable.clock.advanceAsync(100_000)
  assert.deepEqual(firsts(reliable.far), upTo(100))
  await reliable.close()
})

test('chaosMessages: a lossy channel that keeps the order keeps it', async () => {
  const toxics: ToxicSpec[] = [
    loss(0.3),
    { type: 'latency', stream: 'upstream', attributes: { latency: 20, jitter: 20 } },
  ]
  const w = await fakes({ unreliable: { maxRetransmits: 0 } }, toxics)
  for (const n of upTo(100)) w.connection.send(Uint8Array.of(n))
  await w.clock.advanceAsync(100)
  const arrived = firsts(w.far)
  assert.ok(arrived.length > 50 && arrived.length < 85)
  assert.deepEqual(
    arrived,
    arrived.toSorted((a, b) => a - b),
  )
  await w.close()
})

const { available, reason } = await webRtcAvailability()

test('chaosMessages: a lossy channel of node-datachannel loses exactly what the seed says', {
  skip: available ? false : reason,
}, async () => {
  const COUNT = 100
  const toxics = [loss(0.3)]
  // What the loopback may lose is sent again: nothing but the toxic loses.
  const transport = webRtc({
    signalling: memorySignalling(),
    bindAddress: '127.0.0.1',
    closeTimeoutMs: 500,
    ordered: false,
    unreliable: { maxRetransmits: 50 },
  })
  const network = chaosMessages(transport, { seed: 42, toxics })
  assert.deepEqual([network.traits.ordered, network.traits.reliable], [false, false])
  const arrived: number[] = []
  let onNews = (): void => {}
  const listener = await transport.listen(webRtcAddress('0'), {
    onConnection: (connection) =>
      connection.open({
        onMessage(message) {
          arrived.push(message[0] ?? -1)
          onNews()
        },
        onDrain() {},
        onEnd: () => connection.end(),
        onClose() {},
      }),
  })
  const connection = await network.connect(listener.address)
  const client = new MessageRecorder(connection).open()
  const expecting = expected(toxics, 42, COUNT)
  assert.ok(expecting.length > 50 && expecting.length < 90)
  const all = new Promise<void>((resolve) => {
    onNews = () => {
      if (arrived.includes(255)) resolve()
    }
  })
  for (const n of upTo(COUNT)) connection.send(Uint8Array.of(n))
  // Without the toxic, one more says that those before it had their time.
  network.toxics.clear()
  await until(() => arrived.length >= expecting.length)
  connection.send(Uint8Array.of(255))
  await all
  assert.deepEqual(
    arrived.toSorted((a, b) => a - b),
    [...expecting, 255],
  )
  assert.equal(connection.carried.facts.webRtc.flowControl, false)
  connection.end()
  await client.until(() => client.closed !== undefined)
  await listener.close()
  assert.equal(network.connectionCount, 0)
})

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 10_000
  while (!condition() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 10))
}
