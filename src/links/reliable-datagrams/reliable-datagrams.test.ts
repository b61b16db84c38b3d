import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, memory as address, ip } from '../../core/address.ts'
import { FaultyDatagramTransport } from '../../testing/faulty-datagrams.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { seededRandom } from '../../testing/seeded-random.ts'
import { MemoryDatagramNetwork, memoryDatagrams } from '../../transports/memory/memory-datagrams.ts'
import { udp } from '../../transports/udp/udp.ts'
import { type ReliableDatagrams, reliableDatagrams } from './reliable-datagrams.ts'

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'))

async function pair(faults: { loss?: number; duplication?: number; maxDelayMs?: number } = {}) {
  const clock = new ManualClock()
  const network = new MemoryDatagramNetwork()
  const inner = memoryDatagrams({ clock, network, strict: true })
  const transport = new FaultyDatagramTransport(inner, {
    clock,
    random: seededRandom(5),
    ...faults,
  })
  const heard: string[] = []
  const make = async (epoch: number): Promise<ReliableDatagrams> =>
    reliableDatagrams(await transport.bind(address('0')), {
      clock,
      epoch,
      maxAttempts: 8,
      onMessage: (payload) => void heard.push(Buffer.from(payload).toString('latin1')),
    })
  return { clock, network, heard, near: await make(1), far: await make(2), transport }
}

test('reliableDatagrams delivers every message once over a network that loses and doubles', async () => {
  const { clock, heard, near, far, transport } = await pair({
    loss: 0.15,
    duplication: 0.3,
    maxDelayMs: 40,
  })
  const texts = Array.from({ length: 100 }, (_, index) => `message ${index}`)
  const sending = Promise.all(texts.map((text) => near.send(bytes(text), far.address)))
  for (let step = 0; step < 70; step++) await clock.advanceAsync(1_000)
  const deliveries = await sending
  assert.deepEqual([...heard].sort(), [...texts].sort())
  assert.ok(transport.lostCount > 10 && transport.doubledCount > 10)
  assert.ok(deliveries.some(({ attempts }) => attempts > 1))
  const closing = Promise.all([near.close(), far.close()])
  await clock.advanceAsync(100)
  await closing
  assert.equal(clock.pendingTimers, 0)
})

test('reliableDatagrams rejects when nobody acknowledges', async () => {
  const { clock, near, far } = await pair({ loss: 1 })
  const failing = assert.rejects(near.send(bytes('x'), far.address), {
    code: 'ERR_ATTEMPT_TIMEOUT',
    sent: 'all',
  })
  await clock.advanceAsync(64_000)
  await failing
})

test('reliableDatagrams waits for what is in flight when it closes, unless it is told not to', async () => {
  const { clock, near, far, network } = await pair({ maxDelayMs: 10 })
  const sending = near.send(bytes('last words'), far.address)
  const closing = near.close()
  await clock.advanceAsync(50)
  assert.deepEqual([await sending, await closing], [{ attempts: 1 }, undefined])
  await assert.rejects(near.send(bytes('late'), far.address), { code: 'ERR_CLOSED' })
  const hurry = new AbortController()
  const failing = assert.rejects(far.send(bytes('x'), near.address), { code: 'ERR_CLOSED' })
  const cut = far.close({ signal: hurry.signal })
  hurry.abort()
  await clock.advanceAsync(50)
  await Promise.all([failing, cut])
  assert.equal(network.socketCount, 0)
  assert.equal(clock.pendingTimers, 0)
})

test('reliableDatagrams sends and closes from within onMessage', async () => {
  const clock = new ManualClock()
  const network = new MemoryDatagramNetwork()
  const transport = memoryDatagrams({ clock, network, strict: true })
  const said: string[] = []
  let closing: Promise<void> | undefined
  let failed: unknown
  const near = reliableDatagrams(await transport.bind(address('0')), {
    clock,
    onMessage(payload) {
      said.push(Buffer.from(payload).toString())
      near.send(bytes('never'), far.address).catch((error: unknown) => {
        failed = error
      })
      closing = near.close({ signal: AbortSignal.abort() })
    },
    onClose: () => void said.push('closed'),
  })
  const far = reliableDatagrams(await transport.bind(address('0')), {
    clock,
    onMessage: (payload, from) => void far.send(payload, from).catch(() => {}),
  })
  const sending = near.send(bytes('ping'), far.address)
  await clock.advanceAsync(10)
  await Promise.all([sending, closing])
  assert.deepEqual(said, ['ping', 'closed'])
  assert.equal((failed as { code?: string }).code, 'ERR_CLOSED')
  const cut = far.close({ signal: AbortSignal.abort() })
  await clock.advanceAsync(10)
  await cut
  assert.deepEqual([network.socketCount, clock.pendingTimers], [0, 0])
})

test('reliableDatagrams drops and counts what is none of its datagrams', async () => {
  const { clock, near, far, transport } = await pair()
  const stranger = await transport.bind(address('0'))
  stranger.send(bytes('not of this exchange'), near.address)
  await clock.settle()
  assert.equal(near.malformedCount, 1)
  assert.equal(far.malformedCount, 0)
  assert.throws(() => near.send(bytes('x')), { code: 'ERR_ARGUMENT' })
  await assert.rejects(near.send(new Uint8Array(1_391), far.address), {
    code: 'ERR_FRAME_TOO_LARGE',
  })
})

test('reliableDatagrams exchanges messages over UDP', async () => {
  const heard: Address[] = []
  const server = reliableDatagrams(await udp().bind(ip('127.0.0.1', 0)), {
    onMessage: (_payload, from) => void heard.push(from),
  })
  const client = reliableDatagrams(await udp().connect(server.address), { onMessage() {} })
  const sending = Array.from({ length: 50 }, () => client.send(new Uint8Array(1_000)))
  const deliveries = await Promise.all(sending)
  assert.equal(deliveries.length, 50)
  assert.equal(heard.length, 50)
  await Promise.all([client.close(), server.close()])
})
