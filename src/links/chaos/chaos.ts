/**
 * Fault injection around any transport.
 *
 *     const network = chaos(tcp(), { seed: 7, toxics: [
 *       { type: 'latency', attributes: { latency: 100, jitter: 20 } },
 *     ] })
 *     network.toxics.add({ type: 'partition', stream: 'upstream' })
 *
 * Toxics work on connections that are made here and on those that are accepted here: wrap one end.
 * What both ends use, as memory in a test, meets every toxic twice.
 */
import type { Address } from '../../core/address.ts'
import type { ToxicSet } from '../../core/chaos/toxic-set.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  Transport,
  TransportTraits,
} from '../../core/transport.ts'
import { ChaosConnection } from './chaos-connection.ts'
import { passGate } from './chaos-gate.ts'
import { type ChaosOptions, chaosParts } from './chaos-options.ts'

export interface ChaosTransport extends Transport {
  /** Changed at any time; connections that are open meet the change at once. */
  readonly toxics: ToxicSet
  /**
   * False, as in toxiproxy: connections are refused, and those that are open closed.
   *
   * @default true
   */
  enabled: boolean
  /** Connections that toxics can reach now. */
  readonly connectionCount: number
}

export function chaos(carrier: Transport, options: ChaosOptions = {}): ChaosTransport {
  return new ChaoticTransport(carrier, options)
}

class ChaoticTransport implements ChaosTransport {
  readonly name: string
  readonly traits: TransportTraits
  readonly toxics: ToxicSet
  readonly #carrier: Transport
  readonly #clock: Clock
  readonly #connections = new Set<ChaosConnection>()
  #enabled = true

  constructor(carrier: Transport, options: ChaosOptions) {
    const { clock, toxics } = chaosParts('stream', options)
    this.name = carrier.name
    this.traits = carrier.traits
    this.toxics = toxics
    this.#carrier = carrier
    this.#clock = clock
  }

  get enabled(): boolean {
    return this.#enabled
  }

  set enabled(enabled: boolean) {
    this.#enabled = enabled
    if (enabled) return
    for (const one of [...this.#connections]) one.cut('close', 'switching it off')
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  async connect(address: Address, options?: ConnectOptions): Promise<Connection> {
    const seed = this.toxics.nextSeed()
    await passGate(this.toxics, this.#clock, seed, () => !this.#enabled, options)
    return this.#wrap(await this.#carrier.connect(address, options), seed)
  }

  listen(address: Address, options: ListenOptions): Promise<Listener> {
    const onConnection = (accepted: Connection): void => {
      // A peer that is refused has been accepted by the kernel: the nearest is a reset.
      if (!this.#enabled) return accepted.destroy()
      options.onConnection(this.#wrap(accepted, this.toxics.nextSeed()))
    }
    return this.#carrier.listen(address, { ...options, onConnection })
  }

  #wrap(carried: Connection, seed: number): ChaosConnection {
    const onGone = (gone: ChaosConnection): void => void this.#connections.delete(gone)
    const wrapped = new ChaosConnection(carried, this.toxics, seed, this.#clock, onGone)
    this.#connections.add(wrapped)
    return wrapped
  }
}
