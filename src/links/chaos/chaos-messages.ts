/**
 * Fault injection around any transport of messages: WebSocket, framed streams, WebRTC data channels.
 *
 *     const network = chaosMessages(webRtc({ signalling, ordered: false, unreliable: { maxRetransmits: 0 } }), {
 *       seed: 7, toxics: [{ type: 'loss', stream: 'upstream', attributes: { probability: 0.1 } }],
 *     })
 *
 * Messages stay whole, and what the transport promises is kept (`ordered` and `reliable` of its
 * traits): what would be lost on a WebSocket comes later; on a lossy data channel it is lost. As with
 * {@link chaos}, wrap one end.
 */
import type { Address } from '../../core/address.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  MessageTransport,
} from '../../core/transport.ts'
import { ChaosMessageConnection } from './chaos-message-connection.ts'
import { type ChaosOptions, chaosParts } from './chaos-options.ts'
import { type ChaosControl, ChaoticTransport } from './chaos-transport.ts'

/** `Carried` is what the transport below connects. */
export interface ChaosMessages<Carried extends MessageConnection = MessageConnection>
  extends MessageTransport,
    ChaosControl {
  connect(address: Address, options?: ConnectOptions): Promise<ChaosMessageConnection<Carried>>
  listen(
    address: Address,
    options: ListenOptions<ChaosMessageConnection<Carried>>,
  ): Promise<Listener>
}

export function chaosMessages<Carried extends MessageConnection = MessageConnection>(
  carrier: MessageTransport & {
    connect(address: Address, options?: ConnectOptions): Promise<Carried>
  },
  options: ChaosOptions = {},
): ChaosMessages<Carried> {
  return new ChaoticTransport<Carried, ChaosMessageConnection<Carried>>(
    carrier,
    chaosParts('message', options, carrier.traits),
    (carried, settings, seed, onGone) =>
      new ChaosMessageConnection(carried, settings, seed, onGone),
  )
}
