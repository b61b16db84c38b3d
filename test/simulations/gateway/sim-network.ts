/**
 * The network of the simulated gateway: IP addresses over memory, and for each place that is dialled
 * a switch for its faults. Chunks are split at random, writes wait behind small buffers: partial
 * writes everywhere, all the time.
 */
import { type Address, formatAddress, memory as memoryAddress } from '../../../src/core/address.ts'
import type { Connection } from '../../../src/core/connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  Transport,
  TransportTraits,
} from '../../../src/core/transport.ts'
import { FaultyTransport } from '../../../src/testing/faulty-transport.ts'
import type { Simulation } from '../../../src/testing/simulation.ts'
import { MemoryNetwork } from '../../../src/transports/memory/memory-network.ts'
import { memory } from '../../../src/transports/memory/memory-transport.ts'

export class SimNetwork implements Transport {
  readonly name = 'simulated'
  readonly traits: TransportTraits
  readonly network: MemoryNetwork = new MemoryNetwork()
  /** How many connections there may be now, by the address dialled. */
  limitOf: (address: string) => number = () => Number.POSITIVE_INFINITY
  /** Where there were more. */
  readonly tooMany: string[] = []
  readonly #simulation: Simulation
  readonly #inner: Transport
  readonly #faulty = new Map<string, FaultyTransport>()

  constructor(simulation: Simulation) {
    const { clock, random } = simulation
    this.#simulation = simulation
    this.#inner = memory({
      clock,
      network: this.network,
      strict: true,
      random: random.fork().next,
      maxChunkBytes: random.pick([300, 4_000, 65_536]),
      bufferBytes: random.pick([1_000, 16_384, 65_536]),
      maxDelayMs: random.pick([0, 1, 5]),
    })
    this.traits = this.#inner.traits
  }

  /** The faults of what is dialled at `address`. */
  to(address: string): FaultyTransport {
    let faulty = this.#faulty.get(address)
    if (faulty === undefined) {
      const { clock, random } = this.#simulation
      faulty = new FaultyTransport(this.#inner, clock, random.fork(), {}, (fault) => {
        this.#simulation.note(`${address}: ${fault}`)
      })
      this.#faulty.set(address, faulty)
    }
    return faulty
  }

  async connect(address: Address, options?: ConnectOptions): Promise<Connection> {
    const name = nameOf(address)
    const connection = await this.to(name).connect(memoryAddress(name), options)
    // Counted now: what was given up to make room for it has been ended by the end of that tick.
    const { connections } = this.to(name)
    const limit = this.limitOf(name)
    if (connections > limit) this.tooMany.push(`${connections} connections to ${name} of ${limit}`)
    return connection
  }

  listen(address: Address, options: ListenOptions): Promise<Listener> {
    return this.#inner.listen(memoryAddress(nameOf(address)), options)
  }
}

function nameOf(address: Address): string {
  return formatAddress(address).replace(/^\w+:\/\//, '')
}
