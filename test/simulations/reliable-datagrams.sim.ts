/**
 * Peers that exchange messages over datagrams that are lost, doubled and reordered: a message that
 * was acknowledged has arrived, none arrives twice, every `send` ends, and nothing is left.
 */
import { memory as address } from '../../src/core/address.ts'
import {
  type ReliableDatagrams,
  reliableDatagrams,
} from '../../src/links/reliable-datagrams/reliable-datagrams.ts'
import { FaultyDatagramTransport } from '../../src/testing/faulty-datagrams.ts'
import type { Simulation } from '../../src/testing/simulation.ts'
import {
  MemoryDatagramNetwork,
  memoryDatagrams,
} from '../../src/transports/memory/memory-datagrams.ts'

export async function simulate(simulation: Simulation): Promise<void> {
  const { clock, random } = simulation
  const network = new MemoryDatagramNetwork()
  const bufferBytes = random.pick([2_000, 212_992])
  const inner = memoryDatagrams({ clock, network, strict: true, bufferBytes })
  // A third has no faults, so that success is tested too.
  const isBad = !random.chance(1 / 3)
  const loss = isBad ? random.pick([0.05, 0.3, 0.6]) : 0
  const transport = new FaultyDatagramTransport(inner, {
    clock,
    random: random.fork().next,
    loss,
    duplication: isBad ? random.pick([0, 0.3]) : 0,
    maxDelayMs: isBad ? random.pick([0, 30, 600]) : 0,
  })
  const arrived = new Map<string, number>()
  const peers: ReliableDatagrams[] = []
  for (let index = random.integer(2, 4); index > 0; index--) {
    const socket = await transport.bind(address('0'))
    const onMessage = (payload: Uint8Array): void => {
      const text = String.fromCharCode(...payload)
      arrived.set(text, (arrived.get(text) ?? 0) + 1)
    }
    peers.push(reliableDatagrams(socket, { clock, epoch: random.integer(0, 1_000_000), onMessage }))
  }

  const outcomes = new Map<string, 'pending' | 'delivered' | 'failed'>()
  for (let count = random.integer(20, 200); count > 0; count--) {
    const text = `message ${count}`
    outcomes.set(text, 'pending')
    simulation.later(5_000, () => {
      const from = random.pick(peers)
      const to = random.pick(peers.filter((peer) => peer !== from))
      const payload = Uint8Array.from(text, (character) => character.charCodeAt(0))
      from.send(payload, to.address).then(
        () => outcomes.set(text, 'delivered'),
        (error: { code?: string }) => {
          simulation.note(`${text}: ${error.code}`)
          outcomes.set(text, 'failed')
        },
      )
    })
  }
  const isOver = (): boolean => ![...outcomes.values()].includes('pending')
  await simulation.until(isOver, 30_000, 'every send ends')

  let failed = 0
  for (const [text, outcome] of outcomes) {
    const times = arrived.get(text) ?? 0
    simulation.check(times <= 1, `${text} arrived ${times} times`)
    if (outcome === 'delivered') simulation.check(times === 1, `${text} was acknowledged, and lost`)
    else failed += 1
  }
  // Five attempts fail for one message in 100,000 when a twentieth is lost, each way.
  const isRoomy = bufferBytes > 2_000
  if (!isBad && isRoomy) simulation.check(failed === 0, `${failed} failed without a fault`)
  if (loss <= 0.05 && isRoomy)
    simulation.check(failed <= 1, `${failed} failed of few that were lost`)
  const closing = Promise.all(peers.map((peer) => peer.close()))
  let closed = false
  void closing.then(() => {
    closed = true
  })
  await simulation.until(() => closed, 10_000, 'the peers close')
  await clock.advanceAsync(10_000) // what is still on its way
  simulation.check(network.socketCount === 0, `${network.socketCount} sockets left`)
  simulation.check(clock.pendingTimers === 0, `${clock.pendingTimers} timers left`)
  simulation.note(`${arrived.size} arrived, ${failed} failed, ${transport.lostCount} lost`)
}
