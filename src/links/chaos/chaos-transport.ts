/** What the chaotic transports of connections have in common, whatever their connections carry. */
import type { Address } from '../../core/address.ts'
import type { ToxicSet } from '../../core/chaos/toxic-set.ts'
import type { Clock } from '../../core/clock.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  TransportTraits,
} from '../../core/transport.ts'
import { passGate } from './chaos-gate.ts'
import type { ChaosParts } from './chaos-options.ts'
import type { ChaosSettings } from './chaos-path.ts'

/** What tests and programs break connections with. */
export interface ChaosControl {
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

/** A transport of whatever connections. */
interface CarrierTransport<Carried> {
  readonly name: string
  readonly traits: TransportTraits
  connect(address: Address, options?: ConnectOptions): Promise<Carried>
  listen(address: Address, options: ListenOptions<Carried>): Promise<Listener>
}

interface Cuttable {
  cut(how: 'close' | 'reset', by: string): void
}

type Wrap<Carried, Wrapped> = (
  carried: Carried,
  settings: ChaosSettings,
  seed: number,
  onGone: (gone: Wrapped) => void,
) => Wrapped

export class ChaoticTransport<Carried extends { destroy(): void }, Wrapped extends Cuttable>
  implements ChaosControl
{
  readonly name: string
  readonly traits: TransportTraits
  readonly toxics: ToxicSet
  readonly #carrier: CarrierTransport<Carried>
  readonly #clock: Clock
  readonly #wrapOne: Wrap<Carried, Wrapped>
  readonly #connections = new Set<Wrapped>()
  #enabled = true

  constructor(carrier: CarrierTransport<Carried>, parts: ChaosParts, wrap: Wrap<Carried, Wrapped>) {
    this.name = carrier.name
    this.traits = carrier.traits
    this.toxics = parts.toxics
    this.#carrier = carrier
    this.#clock = parts.clock
    this.#wrapOne = wrap
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

  async connect(address: Address, options?: ConnectOptions): Promise<Wrapped> {
    const seed = this.toxics.nextSeed()
    await passGate(this.toxics, this.#clock, seed, () => !this.#enabled, options)
    return this.#wrap(await this.#carrier.connect(address, options), seed)
  }

  listen(address: Address, options: ListenOptions<Wrapped>): Promise<Listener> {
    const onConnection = (accepted: Carried): void => {
      // A peer that is refused has been accepted by the kernel: the nearest is a reset.
      if (!this.#enabled) return accepted.destroy()
      options.onConnection(this.#wrap(accepted, this.toxics.nextSeed()))
    }
    return this.#carrier.listen(address, { ...options, onConnection })
  }

  #wrap(carried: Carried, seed: number): Wrapped {
    const settings = {
      toxics: this.toxics,
      clock: this.#clock,
      halfClose: this.traits.halfClose,
    }
    const onGone = (gone: Wrapped): void => void this.#connections.delete(gone)
    const wrapped = this.#wrapOne(carried, settings, seed, onGone)
    this.#connections.add(wrapped)
    return wrapped
  }
}
