/**
 * Transport properties: signals and deadlines at each stage of connecting, and what they leave.
 */
import type { Connection } from '../../core/connection.ts'
import type { Listener } from '../../core/transport.ts'
import type { PromiseOutcome } from '../kit-world.ts'
import type { TransportProperty, TransportWorld } from './transport-world.ts'

export const abandoningProperties: readonly TransportProperty[] = [
  {
    name: 'gives up at any turn of connecting, or has connected',
    async run(world) {
      const listener = await listenAndAnswerEnds(world)
      for (let turns = 0; turns < 6; turns++) {
        const controller = new AbortController()
        const reason = new Error(`after ${turns} turns`)
        const connecting = world.connect(listener.address, { signal: controller.signal })
        const outcome = world.settled(connecting)
        for (let turn = 0; turn < turns; turn++) await world.fixture.turn()
        controller.abort(reason)
        await rejectedWith(world, await outcome, reason)
      }
      await world.until(() => listener.connectionCount === 0, 'nothing is left at the other side')
    },
  },
  {
    name: 'rejects with the reason of the signal, whatever that is',
    async run(world) {
      const listener = await world.listen()
      const controller = new AbortController()
      const connecting = world.connect(listener.address, { signal: controller.signal })
      controller.abort('a text')
      world.equal(await world.rejected(connecting, 'connect'), 'a text', 'rejection')
      const signal = AbortSignal.abort()
      const before = await world.rejected(world.connect(listener.address, { signal }), 'connect')
      world.equal(before, signal.reason, 'rejection without a reason given')
    },
  },
  {
    name: 'gives up ten attempts that share a signal',
    async run(world) {
      const listener = await listenAndAnswerEnds(world)
      const controller = new AbortController()
      const { signal } = controller
      const attempts = Array.from({ length: 10 }, () => world.connect(listener.address, { signal }))
      const reason = new Error('all of you')
      controller.abort(reason)
      for (const outcome of await Promise.all(attempts.map((one) => world.settled(one)))) {
        world.ok(outcome.rejected, 'an attempt went on')
        world.equal(outcome.error, reason, 'rejection')
      }
      await world.until(() => listener.connectionCount === 0, 'nothing is left at the other side')
    },
  },
  {
    name: 'connects as ever after an attempt that was given up',
    async run(world) {
      const listener = await world.listen()
      const controller = new AbortController()
      const given = world.connect(listener.address, { signal: controller.signal })
      const other = world.connect(listener.address)
      controller.abort(new Error('not you'))
      await world.rejected(given, 'connect')
      world.log(await world.resolved(other)).open()
      const after = world.log(await world.resolved(world.connect(listener.address))).open()
      await world.until(() => listener.connectionCount === 2, 'the others are accepted')
      world.ok(!after.closed, 'an abort closed another connection')
    },
  },
  {
    name: 'leaves nothing on a signal that outlives the attempt',
    async run(world) {
      const listener = await world.listen()
      const { signal, listening } = countingSignal()
      for (let round = 0; round < 3; round++) {
        const connection = await world.resolved(world.connect(listener.address, { signal }))
        world.log(connection).open()
      }
      world.equal(listening(), 0, 'listeners on the signal after three connects')
    },
  },
  {
    name: 'leaves nothing on the signal of an attempt that failed',
    async run(world) {
      let { nobody } = world.fixture
      if (nobody === undefined) {
        const listener = await world.listen()
        nobody = listener.address
        await world.resolved(listener.close())
      }
      const { signal, listening } = countingSignal()
      await world.rejected(world.connect(nobody, { signal }), 'connecting to nobody')
      world.equal(listening(), 0, 'listeners on the signal')
    },
  },
  {
    name: 'accepts nothing of an attempt whose deadline had passed',
    async run(world) {
      let accepted = 0
      const listener = await world.listen({
        onConnection(connection) {
          accepted += 1
          world.log(connection).open()
        },
      })
      const deadline = world.fixture.clock.now() - 1
      await world.rejected(world.connect(listener.address, { deadline }), 'connect')
      await world.quiet()
      world.equal(accepted, 0, 'connections accepted')
      world.log(await world.resolved(world.connect(listener.address))).open()
      await world.until(() => accepted === 1, 'the next one is accepted')
    },
  },
  {
    name: 'leaves nothing on a signal when the deadline had passed',
    async run(world) {
      const listener = await world.listen()
      const { signal, listening } = countingSignal()
      const deadline = world.fixture.clock.now() - 1
      await world.rejected(world.connect(listener.address, { deadline, signal }), 'connect')
      world.equal(listening(), 0, 'listeners on the signal')
    },
  },
  {
    name: 'gives up before the deadline when the signal aborts, and leaves no timer',
    async run(world) {
      const listener = await world.listen()
      const controller = new AbortController()
      const deadline = world.fixture.clock.now() + 600_000
      const options = { deadline, signal: controller.signal }
      const connecting = world.connect(listener.address, options)
      const reason = new Error('sooner')
      controller.abort(reason)
      world.equal(await world.rejected(connecting, 'connect'), reason, 'rejection')
    },
  },
]

/** A destroyed client may look like one that ended: then this side ends too. */
function listenAndAnswerEnds(world: TransportWorld): Promise<Listener> {
  return world.listen({
    onConnection(connection) {
      world.log(connection, { onEnd: () => connection.end() }).open()
    },
  })
}

/** Whoever had connected already is closed again here. */
async function rejectedWith(
  world: TransportWorld,
  outcome: PromiseOutcome<Connection>,
  reason: Error,
): Promise<void> {
  if (outcome.rejected) return world.equal(outcome.error, reason, 'rejection')
  const client = world.log(outcome.value as Connection).open()
  client.connection.destroy()
  await world.until(() => client.closed, 'it closes')
}

/** A signal that knows how many listen to it. */
function countingSignal(): { signal: AbortSignal; listening: () => number } {
  const { signal } = new AbortController()
  const listeners = new Set<unknown>()
  const { addEventListener, removeEventListener } = signal
  Object.defineProperty(signal, 'addEventListener', {
    value(...given: Parameters<typeof addEventListener>): void {
      listeners.add(given[1])
      addEventListener.apply(signal, given)
    },
  })
  Object.defineProperty(signal, 'removeEventListener', {
    value(...given: Parameters<typeof removeEventListener>): void {
      listeners.delete(given[1])
      removeEventListener.apply(signal, given)
    },
  })
  return { signal, listening: () => listeners.size }
}
