/**
 * Clients of a signalling server, over any transport of messages. For pages: browser-signalling.ts.
 */
import type { Address } from '../../core/address.ts'
import type { MessageTransport } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { SignallingClient, type SignallingClientOptions } from './signalling-client.ts'

/** @throws UsageError ERR_OPTION_RANGE */
export function signallingClient(
  transport: MessageTransport,
  server: Address,
  options: SignallingClientOptions = {},
): SignallingClient {
  return new SignallingClient(transport, server, { clock: systemClock, ...options })
}
