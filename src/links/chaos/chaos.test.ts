import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import type { ToxicSpec } from '../../core/chaos/toxic.ts'
import type { Connection } from '../../core/connection.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { chaos } from './chaos.ts'
import type { ChaosOptions } from './chaos-options.ts'

/** A chaotic client of an echo server that is not chaotic. */
async function world(toxics: readonly ToxicSpec[], options: ChaosOptions = {}) {
  const clock = new ManualClock()
  const inner = memory({ clock, network: new MemoryNetwork() })
  const network = chaos(inner, { clock, seed: 1, toxics, ...options })
  const served: string[] = []
  const listening = inner.listen(address('a'), {
    onConnection(connection) {
      connection.open({
        onData(chunk) {
          served.push(`data ${chunk.length}`)
          connection.write(chunk.slice())
        },
        onDrain() {},
        onEnd() {
          served.push('end')
          connection.end()
        },
        onClose: (reason) => void served.push(`close ${reason === undefined ? 'clean' : 'error'}`),
      })
    },
  })
  const listener = await settled(clock, listening)
  return { clock, network, served, listener }
}

async function settled<Value>(clock: ManualClock, promise: Promise<Value>): Promise<Value> {
  await clock.settle()
  return promise
}

function hear(connection: Connection, clock: ManualClock): string[] {
  const start = clock.now()
  const heard: string[] = []
  const say = (what: string): void => void heard.push(`${clock.now() - start} ${what}`)
  connection.open({
    onData: (chunk) => say(`data ${chunk.length}`),
    onDrain: () => say('drain'),
    onEnd: () => say('end'),
    onClose: (reason) => say(`close ${(reason as { code?: string } | undefined)?.code ?? 'clean'}`),
  })
  return heard
}

test('chaos delays each direction by its own latency', async () => {
  const { clock, network } = await world([
    { type: 'latency', attributes: { latency: 30 } },
    { type: 'latency', stream: 'upstream', attributes: { latency: 100 } },
  ])
  const connection = await settled(clock, network.connect(address('a')))
  const heard = hear(connection, clock)
  connection.write(new Uint8Array(5))
  assert.equal(connection.writableLength, 0, 'what is on its way is not what waits here')
  connection.end()
  await clock.advanceAsync(200)
  assert.deepEqual(heard, ['130 data 5', '130 end', '130 close clean'])
  assert.equal(network.connectionCount, 0)
  assert.equal(clock.pendingTimers, 0)
})

test('chaos says stop when maxBufferedBytes are on their way, and drain when they are not', async () => {
  const { clock, network, served } = await world(
    [{ type: 'latency', stream: 'upstream', attributes: { latency: 50 } }],
    { maxBufferedBytes: 164 },
  )
  const connection = await settled(clock, network.connect(address('a')))
  const heard = hear(connection, clock)
  assert.equal(connection.write(new Uint8Array(99)), true)
  assert.equal(connection.write(new Uint8Array(0)), true, 'nothing is written')
  assert.equal(connection.write(new Uint8Array(1)), false)
  assert.ok(connection.writableLength > 0)
  await clock.advanceAsync(50)
  assert.deepEqual(served, ['data 100'])
  assert.equal(connection.writableLength, 0)
  assert.ok(heard.includes('50 drain'))
  connection.destroy()
})

test('chaos pauses the carrier while what waits on the way in is full', async () => {
  const { clock, network } = await world([{ type: 'partition' }], { maxBufferedBytes: 1_000 })
  network.toxics.clear()
  const connection = await settled(clock, network.connect(address('a')))
  network.toxics.add({ type: 'partition' })
  const heard = hear(connection, clock)
  for (let sent = 0; sent < 100; sent++) connection.write(new Uint8Array(1_000))
  await clock.settle()
  assert.deepEqual(
    heard.filter((line) => line.includes('data')),
    [],
  )
  network.toxics.clear()
  await clock.advanceAsync(1)
  const bytes = heard
    .filter((line) => line.includes('data'))
    .reduce((sum, line) => sum + Number(line.split(' ')[2]), 0)
  assert.equal(bytes, 100_000)
  connection.destroy()
})

test('chaos reset_peer resets both sides', async () => {
  const { clock, network, served } = await world([{ type: 'reset_peer', stream: 'upstream' }])
  const connection = await settled(clock, network.connect(address('a')))
  const heard = hear(connection, clock)
  connection.write(new Uint8Array(1))
  await clock.settle()
  assert.deepEqual(heard, ['0 close ERR_RESET'])
  assert.deepEqual(served, ['close error'])
})

test('chaos limit_data ends as a peer would: an end, then a clean close', async () => {
  const { clock, network, served } = await world([{ type: 'limit_data', attributes: { bytes: 3 } }])
  const connection = await settled(clock, network.connect(address('a')))
  const heard = hear(connection, clock)
  connection.write(new Uint8Array(5))
  await clock.settle()
  assert.deepEqual(heard, ['0 data 3', '0 end'])
  connection.write(new Uint8Array(5))
  connection.end()
  await clock.settle()
  assert.deepEqual(heard, ['0 data 3', '0 end', '0 close clean'])
  assert.deepEqual(served, ['data 5', 'end', 'close clean'])
  assert.equal(clock.pendingTimers, 0)
})

test('chaos resets whoever goes on after a toxic has closed the connection', async () => {
  const { clock, network } = await world([{ type: 'timeout', attributes: { timeout: 10 } }])
  const connection = await settled(clock, network.connect(address('a')))
  const heard = hear(connection, clock)
  await clock.advanceAsync(2_000)
  assert.deepEqual(heard, ['10 end', '1010 close ERR_RESET'])
  assert.equal(clock.pendingTimers, 0)
})

test('chaos connects after a partition, or not before its deadline or abort', async () => {
  const { clock, network, listener } = await world([
    { type: 'partition', stream: 'upstream', attributes: { duration: 100 } },
  ])
  const late = assert.rejects(network.connect(address('a'), { deadline: clock.now() + 50 }), {
    code: 'ERR_CONNECT_TIMEOUT',
  })
  const cause = new Error('enough')
  const abort = new AbortController()
  const aborted = assert.rejects(network.connect(address('a'), { signal: abort.signal }), cause)
  const waiting = network.connect(address('a'))
  await clock.advanceAsync(20)
  abort.abort(cause)
  await clock.advanceAsync(79)
  await Promise.all([late, aborted])
  assert.equal(listener.connectionCount, 0)
  await clock.advanceAsync(1)
  const connection = await settled(clock, waiting)
  connection.destroy()
  assert.equal(clock.pendingTimers, 0)
})

test('chaos that is not enabled refuses, and closes what is open', async () => {
  const { clock, network } = await world([])
  const connection = await settled(clock, network.connect(address('a')))
  const heard = hear(connection, clock)
  network.enabled = false
  await clock.settle()
  assert.deepEqual(heard.slice(0, 1), ['0 end'])
  await assert.rejects(network.connect(address('a')), { code: 'ERR_CONNECT_REFUSED' })
  network.enabled = true
  const again = await settled(clock, network.connect(address('a')))
  again.destroy()
  connection.destroy()
})

test('chaos: each connection draws by its own seed, so that one more changes no other', async () => {
  const run = async (first: number): Promise<string[]> => {
    const { clock, network } = await world([
      { type: 'latency', attributes: { latency: 50, jitter: 50 } },
    ])
    const one = await settled(clock, network.connect(address('a')))
    const two = await settled(clock, network.connect(address('a')))
    hear(one, clock)
    const heard = hear(two, clock)
    for (let sent = 0; sent < first; sent++) one.write(new Uint8Array(1))
    two.write(new Uint8Array(1))
    await clock.advanceAsync(200)
    one.destroy()
    two.destroy()
    return heard
  }
  assert.deepEqual(await run(0), await run(5))
})

test('chaos lets go of a peer that never ends, after a toxic has closed what we had ended', async () => {
  const clock = new ManualClock()
  const inner = memory({ clock, network: new MemoryNetwork() })
  const network = chaos(inner, { clock, seed: 1 })
  let served = ''
  const listening = inner.listen(address('a'), {
    onConnection: (connection) =>
      connection.open({
        onData() {},
        onDrain() {},
        onEnd() {},
        onClose: (reason) => {
          served = (reason as { code?: string } | undefined)?.code ?? 'clean'
        },
      }),
  })
  const listener = await settled(clock, listening)
  const connection = await settled(clock, network.connect(address('a')))
  const heard = hear(connection, clock)
  connection.end()
  network.enabled = false
  await clock.settle()
  assert.deepEqual(heard, ['0 end', '0 close clean'])
  assert.equal(listener.connectionCount, 1)
  await clock.advanceAsync(1_000)
  assert.equal(served, 'ERR_RESET')
  assert.deepEqual([listener.connectionCount, clock.pendingTimers], [0, 0])
})
