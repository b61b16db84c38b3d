/**
 * Fault injection around any transport of byte streams; chaos-messages.ts and chaos-datagrams.ts are
 * the same around the others.
 *
 *     const network = chaos(tcp(), { seed: 7, toxics: [
 *       { type: 'latency', attributes: { latency: 100, jitter: 20 } },
 *     ] })
 *     network.toxics.add({ type: 'partition', stream: 'upstream' })
 *
 * Toxics work on connections that are made here and on those that are accepted here: wrap one end.
 * What both ends use, as memory in a test, meets every toxic twice.
 */
import type { Connection } from '../../core/connection.ts'
import type { Transport } from '../../core/transport.ts'
import { ChaosConnection } from './chaos-connection.ts'
import { type ChaosOptions, chaosParts } from './chaos-options.ts'
import { type ChaosControl, ChaoticTransport } from './chaos-transport.ts'

export interface ChaosTransport extends Transport, ChaosControl {}

export function chaos(carrier: Transport, options: ChaosOptions = {}): ChaosTransport {
  return new ChaoticTransport<Connection, ChaosConnection>(
    carrier,
    chaosParts('stream', options),
    (carried, settings, seed, onGone) => new ChaosConnection(carried, settings, seed, onGone),
  )
}
