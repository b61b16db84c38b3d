import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../core/address.ts'
import type { Connection, ConnectionHandler } from '../core/connection.ts'
import { MemoryNetwork } from '../transports/memory/memory-network.ts'
import { memory } from '../transports/memory/memory-transport.ts'
import { FaultyTransport } from './faulty-transport.ts'
import { ManualClock } from './manual-clock.ts'
import { SeededRandom } from './seeded-random.ts'

async function pair() {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const inner = memory({ clock, network })
  const faults: string[] = []
  const transport = new FaultyTransport(inner, clock, new SeededRandom(1), {}, (fault) => {
    faults.push(fault)
  })
  let accepted: Connection | undefined
  await inner.listen(address('server'), {
    onConnection: (connection) => {
      accepted = connection
      connection.open(handler([]))
    },
  })
  const connecting = transport.connect(address('server'))
  await clock.settle()
  const connection = await connecting
  const got: string[] = []
  connection.open(handler(got))
  await clock.settle()
  return { clock, transport, faults, connection, got, server: accepted as unknown as Connection }
}

function handler(got: string[]): ConnectionHandler {
  return {
    onData: (chunk) => void got.push(new TextDecoder().decode(chunk)),
    onDrain() {},
    onEnd() {},
    onClose: (reason) => void got.push(`closed: ${reason?.message}`),
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test('FaultyTransport.resetAll cuts a write where the budget ends', async () => {
  const { clock, transport, connection, got, faults } = await pair()
  assert.equal(transport.connections, 1)
  assert.equal(transport.impaired, 0)
  transport.resetAll(3)
  assert.equal(transport.impaired, 1)
  connection.write(bytes('0123456789'))
  await clock.settle()
  assert.deepEqual(got, ['closed: simulated'])
  assert.deepEqual(faults, ['connection initiating reset'])
  assert.equal(transport.connections, 0)
})

test('FaultyTransport.stallAll holds back what arrives, and delivers it later', async () => {
  const { clock, transport, server, got } = await pair()
  transport.stallAll(100)
  assert.equal(transport.impaired, 1)
  server.write(bytes('late'))
  await clock.settle()
  assert.deepEqual(got, [])
  await clock.advanceAsync(100)
  assert.deepEqual(got, ['late'])
  assert.equal(transport.impaired, 0)
})

test('FaultyTransport.silenceAll delivers nothing more, and the connection can still be destroyed', async () => {
  const { clock, transport, server, connection, got } = await pair()
  transport.silenceAll()
  server.write(bytes('never'))
  await clock.advanceAsync(10_000)
  assert.deepEqual(got, [])
  connection.destroy(new Error('given up'))
  await clock.settle()
  assert.deepEqual(got, ['closed: given up'])
  assert.equal(transport.connections, 0)
})

test('FaultyTransport follows a plan that changes', async () => {
  const { clock, transport } = await pair()
  transport.plan = { refuse: 1 }
  await assert.rejects(transport.connect(address('server')), { code: 'ERR_CONNECT_REFUSED' })
  transport.plan = {}
  const connecting = transport.connect(address('server'))
  await clock.settle()
  ;(await connecting).destroy()
  assert.throws(() => {
    transport.plan = { reset: 2 }
  }, /reset is 2, must be 0 to 1/)
})
