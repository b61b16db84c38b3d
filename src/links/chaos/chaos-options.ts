/** What the three chaotic transports take: one for byte streams, for messages, for datagrams. */
import type { ToxicCarrier, ToxicDelivery, ToxicSpec } from '../../core/chaos/toxic.ts'
import { ToxicSet, toxicSetDefaults } from '../../core/chaos/toxic-set.ts'
import type { Clock } from '../../core/clock.ts'
import type { TransportBaseOptions } from '../../core/transport.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { systemClock } from '../../platform/system-clock.ts'

export interface ChaosOptions extends TransportBaseOptions {
  /**
   * Any whole number. The same seed, toxics and traffic give the same run.
   *
   * @default drawn at random; `toxics.seed` says which
   */
  seed?: number
  /** In place from the beginning; `toxics` of the transport changes them while it runs. */
  toxics?: readonly ToxicSpec[]
  /**
   * What may wait in each direction of a connection, in bytes, each piece counted with 64 more.
   * Over it writing says stop, reading pauses, and datagrams are dropped and counted.
   *
   * @default 1_048_576: 10 MB/s at a latency of 100 ms
   */
  maxBufferedBytes?: number
  /** Toxics at a time. @default 100: each is a step for every chunk */
  maxToxics?: number
}

export const chaosDefaults: typeof toxicSetDefaults = toxicSetDefaults

export interface ChaosParts {
  readonly clock: Clock
  readonly toxics: ToxicSet
}

export function chaosParts(
  carrier: ToxicCarrier,
  options: ChaosOptions,
  { ordered, reliable }: ToxicDelivery = {},
): ChaosParts {
  const { clock = systemClock, toxics = [], maxBufferedBytes, maxToxics } = options
  const { seed = Math.floor(nodeHost.random() * 2 ** 31) } = options
  const limits = { maxBufferedBytes, maxToxics }
  const set = new ToxicSet({ clock, carrier, ordered, reliable, seed, ...limits })
  for (const toxic of toxics) set.add(toxic)
  return { clock, toxics: set }
}
