import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, memory as address } from '../../core/address.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import {
  MemoryDatagramNetwork,
  type MemoryDatagramOptions,
  memoryDatagrams,
} from './memory-datagrams.ts'

async function pair(options: Partial<MemoryDatagramOptions> = {}) {
  const clock = new ManualClock()
  const network = new MemoryDatagramNetwork()
  const transport = memoryDatagrams({ clock, network, ...options })
  const receiver = await transport.bind(address('receiver'))
  const sender = await transport.bind(address('0'))
  const heard: Uint8Array[] = []
  const handler = {
    onDatagram(payload: Uint8Array, _from: Address): void {
      heard.push(payload)
    },
    onError(): void {},
    onClose(): void {},
  }
  return { clock, network, receiver, sender, heard, handler }
}

test('memory datagrams keep bufferBytes for a socket that does not read, and drop one more', async () => {
  // Each counts 64 bytes beside its payload.
  const { clock, receiver, sender, heard, handler } = await pair({ bufferBytes: 3 * 100 })
  for (let count = 0; count < 3; count++) sender.send(new Uint8Array(36), receiver.address)
  assert.equal(receiver.droppedCount, 0)
  sender.send(new Uint8Array(0), receiver.address)
  assert.equal(receiver.droppedCount, 1)
  receiver.open(handler)
  clock.flush()
  assert.equal(heard.length, 3)
  sender.send(new Uint8Array(36), receiver.address)
  clock.flush()
  assert.equal(heard.length, 4)
})

test('memory datagrams take one that is larger than the whole buffer', async () => {
  const { clock, receiver, sender, heard, handler } = await pair({ bufferBytes: 1 })
  receiver.open(handler)
  sender.send(new Uint8Array(500), receiver.address)
  clock.flush()
  assert.equal(heard.length, 1)
})

test('memory datagrams overwrite a payload that was kept, when strict', async () => {
  const { clock, receiver, sender, heard, handler } = await pair({ strict: true })
  receiver.open(handler)
  sender.send(Uint8Array.of(1, 2, 3), receiver.address)
  clock.flush()
  assert.deepEqual([...heard[0]!], [0xdb, 0xdb, 0xdb])
})

test('memory datagrams go on after a handler that throws', async () => {
  const { clock, receiver, sender } = await pair()
  let count = 0
  receiver.open({
    onDatagram() {
      count += 1
      if (count === 1) throw new Error('a mistake')
    },
    onError() {},
    onClose() {},
  })
  sender.send(new Uint8Array(1), receiver.address)
  sender.send(new Uint8Array(1), receiver.address)
  assert.throws(() => clock.flush(), /a mistake/)
  clock.flush()
  assert.equal(count, 2)
})

test('memory datagrams keep their order over thousands that wait', async () => {
  const { clock, receiver, sender } = await pair({ bufferBytes: 0x1000_0000 })
  const heard: number[] = []
  receiver.open({
    onDatagram(payload) {
      heard.push(new DataView(payload.buffer, payload.byteOffset).getUint32(0))
    },
    onError() {},
    onClose() {},
  })
  for (let count = 0; count < 3_000; count++) {
    const payload = new Uint8Array(4)
    new DataView(payload.buffer).setUint32(0, count)
    sender.send(payload, receiver.address)
  }
  clock.flush()
  assert.equal(heard.length, 3_000)
  assert.ok(heard.every((value, index) => value === index))
})
