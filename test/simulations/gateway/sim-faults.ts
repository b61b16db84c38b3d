/**
 * What goes wrong in one seed, and when: at least five faults in thirty seconds, of kinds and at
 * places that the seed chooses. Everything is well again afterwards.
 */
import { TransportError } from '../../../src/core/errors.ts'
import type { SimUpstream, UpstreamMode } from './sim-upstream.ts'
import type { World } from './sim-world.ts'

export const FAULT_PHASE_MS = 30_000
const LEAST_FAULTS = 5
const MOST_FAULTS = 12

interface Fault {
  readonly name: string
  /** Begins it; the returned function ends it. */
  begin(world: World, upstream: SimUpstream): (() => void) | undefined
}

/** Sets timers for all faults of the seed. @returns how many there are */
export function scheduleFaults(world: World): number {
  const { simulation } = world
  const { clock, random } = simulation
  const count = random.integer(LEAST_FAULTS, MOST_FAULTS)
  for (let each = 0; each < count; each++) {
    const fault = random.pick(FAULTS)
    const upstream = random.pick(world.upstreams)
    const beginMs = random.integer(200, FAULT_PHASE_MS - 3_000)
    const lastsMs = random.integer(100, Math.min(8_000, FAULT_PHASE_MS - beginMs - 500))
    clock.setTimer(clock.now() + beginMs, () => {
      simulation.note(`fault ${fault.name} at ${upstream.address} for ${lastsMs} ms`)
      const end = fault.begin(world, upstream)
      if (end !== undefined) clock.setTimer(clock.now() + lastsMs, end)
    })
  }
  return count
}

const FAULTS: readonly Fault[] = [
  {
    name: 'resets in the middle of a frame',
    begin(world, upstream) {
      const link = world.network.to(upstream.address)
      const resetWithinBytes = world.simulation.random.pick([0, 200, 5_000])
      link.resetAll(resetWithinBytes)
      return during(link, { reset: 0.7, resetWithinBytes })
    },
  },
  {
    name: 'resets between client and gateway',
    begin(world) {
      const link = world.network.to(world.gatewayAddress)
      const resetWithinBytes = world.simulation.random.pick([0, 500])
      link.resetAll(resetWithinBytes)
      world.forgetPushback()
      return undefined
    },
  },
  {
    name: 'slow reader at the gateway',
    begin(world, upstream) {
      const link = world.network.to(upstream.address)
      link.stallAll(1_500)
      return during(link, { stall: 0.3, maxStallMs: 1_500 })
    },
  },
  {
    name: 'slow reader at the client',
    begin(world) {
      const link = world.network.to(world.gatewayAddress)
      link.stallAll(1_500)
      return during(link, { stall: 0.3, maxStallMs: 1_500 })
    },
  },
  {
    name: 'silence',
    begin(world, upstream) {
      const link = world.network.to(upstream.address)
      link.silenceAll()
      return during(link, { silence: 0.5, silenceWithinBytes: 300 })
    },
  },
  {
    name: 'refused connects',
    begin(world, upstream) {
      const link = world.network.to(upstream.address)
      link.resetAll(0)
      return during(link, { refuse: 1 })
    },
  },
  { name: 'slow server', begin: (_world, upstream) => mode(upstream, 'slow') },
  { name: 'failing server', begin: (_world, upstream) => mode(upstream, 'failing') },
  { name: 'refusing server', begin: (_world, upstream) => mode(upstream, 'refusing') },
  {
    name: 'all servers failing',
    begin(world) {
      const ends = world.upstreams.map((each) => mode(each, 'failing'))
      return () => {
        for (const end of ends) end()
      }
    },
  },
  {
    name: 'wall clock jump',
    begin({ simulation }) {
      const { clock, random } = simulation
      clock.jumpWall(random.integer(-86_400_000, 86_400_000))
      return undefined
    },
  },
  {
    name: 'frozen process',
    begin(world) {
      const ms = world.simulation.random.integer(500, 3_000)
      world.frozenMs += ms
      world.simulation.clock.freeze(ms)
      return undefined
    },
  },
  {
    name: 'DNS fails',
    begin(world) {
      world.names.fail(new TransportError('ERR_RESOLVE', 'SERVFAIL', { sent: 'nothing' }))
      return undefined
    },
  },
  {
    name: 'DNS loses an endpoint',
    begin(world, upstream) {
      world.names.answer(world.endpoints.filter((each) => each !== upstream.endpoint))
      return () => world.names.answer(world.endpoints)
    },
  },
  {
    name: 'DNS answers in another order',
    begin(world) {
      world.names.answer(world.simulation.random.shuffle([...world.endpoints]))
      return () => world.names.answer(world.endpoints)
    },
  },
]

function during(link: { plan: object }, plan: object): () => void {
  link.plan = plan
  return () => {
    link.plan = {}
  }
}

function mode(upstream: SimUpstream, mode: UpstreamMode): () => void {
  upstream.mode = mode
  return () => {
    upstream.mode = 'well'
  }
}
