import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../core/address.ts'
import { MemoryNetwork } from '../transports/memory/memory-network.ts'
import { memory } from '../transports/memory/memory-transport.ts'
import { type FaultPlan, FaultyTransport } from './faulty-transport.ts'
import { CollectingHarness } from './harness.ts'
import { ManualClock } from './manual-clock.ts'
import { SeededRandom } from './seeded-random.ts'
import { Simulation, simulate } from './simulation.ts'
import { ConnectionLog, pattern } from './transport/connection-log.ts'
import { transportConformance } from './transport-conformance.ts'

test('simulate repeats a run exactly', async () => {
  const run = async (simulation: Simulation): Promise<void> => {
    for (let count = 0; count < 5; count++) {
      simulation.later(1_000, () => simulation.note(`event ${count}`))
    }
    await simulation.until(() => simulation.noteCount >= 5, 2_000)
  }
  const first = await simulate('toy', run, 7)
  const again = await simulate('toy', run, 7)
  const other = await simulate('toy', run, 8)
  assert.deepEqual(first.notes, again.notes)
  assert.notDeepEqual(first.notes, other.notes)
})

test('simulate names the seed, the faults and what happened last', async () => {
  const failing = simulate(
    'toy',
    async (simulation) => {
      simulation.note('something')
      simulation.check(false, 'it broke')
    },
    17,
  )
  await assert.rejects(failing, /simulation toy, seed 17: it broke\n {2}faults .*\n {2}.*something/)
})

test('simulate reports a subject that is not repeatable', async () => {
  let runs = 0
  const failing = simulate('toy', async (simulation) => simulation.note(`run ${++runs}`), 1)
  await assert.rejects(failing, /two runs differ\n.*run 1\n.*run 2/)
})

test('Simulation.until fails when nothing is left to happen, and when it takes too long', async () => {
  await assert.rejects(
    new Simulation(1).until(() => false, 1_000, 'x'),
    /x: not reached, and nothing/,
  )
  const busy = new Simulation(1)
  const again = (): void => busy.later(10, again)
  again()
  await assert.rejects(
    busy.until(() => false, 1_000, 'x'),
    /x: not reached within 1000 ms/,
  )
})

test('Simulation chooses faults of every kind over a hundred seeds, and none for some', () => {
  const plans = Array.from({ length: 100 }, (_, seed) => new Simulation(seed).faults)
  for (const kind of ['refuse', 'reset', 'stall', 'silence'] as const) {
    assert.ok(
      plans.some((plan) => (plan[kind] ?? 0) > 0),
      kind,
    )
  }
  const none = plans.filter((plan) => Object.keys(plan).length === 0).length
  assert.ok(none > 15 && none < 60, `${none} without faults`)
})

test('FaultyTransport without faults passes the transport kit', async () => {
  const harness = new CollectingHarness()
  transportConformance(
    'faultless',
    {
      traits: { halfClose: true, secure: false, messageBoundaries: false },
      bulkBytes: 100_000,
      maxTurns: 200,
      create() {
        const clock = new ManualClock()
        const inner = memory({ clock, network: new MemoryNetwork(), strict: true })
        const transport = new FaultyTransport(inner, clock, new SeededRandom(1), {})
        return { transport, address: address('0'), clock, turn: () => clock.settle() }
      },
    },
    harness,
  )
  assert.deepEqual(await harness.failures(), [])
})

test('FaultyTransport refuses the connects it should', async () => {
  const { clock, connect } = setUp({ refuse: 1 })
  await assert.rejects(connect(), { code: 'ERR_CONNECT_REFUSED', sent: 'nothing' })
  await clock.settle()
})

test('FaultyTransport resets within its bytes, with a frame cut anywhere', async () => {
  const received = new Set<number>()
  for (let seed = 1; seed <= 30; seed++) {
    const { clock, connect, accepted } = setUp({ reset: 1, resetWithinBytes: 1_000 }, seed)
    const client = new ConnectionLog(await connect()).open()
    client.send(pattern(1, 0, 5_000))
    await clock.settle()
    const server = accepted[0]!
    assert.ok(client.closed && server.closed)
    assert.deepEqual(server.violations, [])
    assert.ok(server.received <= 1_000)
    received.add(server.received)
  }
  assert.ok(received.size > 10, `cut at ${[...received].join(', ')} only`)
})

test('FaultyTransport stalls a reader for a time, and loses nothing', async () => {
  const { clock, connect, accepted, faults } = setUp({ stall: 1, maxStallMs: 50 })
  const client = new ConnectionLog(await connect()).open()
  client.send(pattern(1, 0, 1_000))
  await clock.settle()
  client.send(pattern(1, 1_000, 1_000))
  await clock.settle()
  const server = accepted[0]!
  assert.equal(server.received, 1_000)
  await clock.advanceAsync(50)
  assert.equal(server.received, 2_000)
  assert.deepEqual(server.violations, [])
  assert.match(faults[0]!, /stalls for \d+ ms/)
  client.connection.end()
  server.connection.end()
  await clock.advanceAsync(100)
  assert.ok(server.closed)
  assert.equal(clock.pendingTimers, 0)
})

test('FaultyTransport lets a side fall silent for ever, without closing', async () => {
  const { clock, connect, accepted, faults } = setUp({ silence: 1, silenceWithinBytes: 10 })
  const client = new ConnectionLog(await connect()).open()
  client.send(pattern(1, 0, 5_000))
  await clock.settle()
  const server = accepted[0]!
  assert.ok(server.received <= 10)
  server.connection.pause()
  server.connection.resume()
  await clock.advanceAsync(600_000)
  assert.ok(server.received <= 10 && !server.closed && !client.closed)
  assert.deepEqual(faults, ['connection accepting fell silent'])
})

test('FaultyTransport refuses a probability over 1', () => {
  const clock = new ManualClock()
  const inner = memory({ clock, network: new MemoryNetwork() })
  assert.throws(() => new FaultyTransport(inner, clock, new SeededRandom(1), { reset: 1.1 }), {
    code: 'ERR_OPTION_RANGE',
  })
})

function setUp(plan: FaultPlan, seed: number = 1) {
  const clock = new ManualClock()
  const inner = memory({ clock, network: new MemoryNetwork(), strict: true })
  const faults: string[] = []
  const random = new SeededRandom(seed)
  const transport = new FaultyTransport(inner, clock, random, plan, (fault) => faults.push(fault))
  const accepted: ConnectionLog[] = []
  const connect = async () => {
    void transport.listen(address('a'), {
      onConnection(connection) {
        const log = new ConnectionLog(connection)
        log.expectedKey = 1
        accepted.push(log.open())
      },
    })
    const connecting = transport.connect(address('a'))
    connecting.catch(() => {}) // handled by the caller, after the turn
    await clock.settle()
    return connecting
  }
  return { clock, connect, accepted, faults }
}
