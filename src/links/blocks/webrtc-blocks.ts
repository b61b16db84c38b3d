/**
 * Blocks over WebRTC data channels, in MessagePack, cut where they are longer than 15 KiB.
 *
 * Peers have names, and a `Signalling` through which they find each other: offer, answer and
 * candidates travel through it, and the transport applies them.
 */
import { UsageError } from '../../core/errors.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import { WireFormat } from '../../protocols/olocus/wire-format.ts'
import type { Signalling } from '../../transports/webrtc/signalling.ts'
import { webRtc } from '../../transports/webrtc/webrtc.ts'
import type { WebRtcOptions } from '../../transports/webrtc/webrtc-options.ts'
import { CarrierBlockTransport } from './block-transport.ts'
import { type WebRtcConfig, webRtcConfigDefaults } from './configs.ts'
import { FragmentCarrier } from './fragment-carrier.ts'
import { type BlockTransportOptions, settingsOf, unusedBuffers } from './stream-blocks.ts'

export interface WebRtcBlocksOptions extends BlockTransportOptions {
  /** How peers find each other. */
  signalling: Signalling
  /** Everything else that WebRTC can be told: driver, ports, limits of a negotiation. */
  webRtc?: Omit<WebRtcOptions, 'iceServers' | 'ordered' | 'signalling' | 'unreliable'>
  /** Blocks that may be incomplete at a time. @default 8 */
  maxIncomplete?: number
  /** Bytes held of incomplete blocks. @default 33_554_432 */
  maxFragmentBytes?: number
  /** Time after the last fragment until an incomplete block is given up. @default 10_000 */
  fragmentTimeoutMs?: number
}

/** @throws UsageError ERR_ARGUMENT when both ways to lose messages are set */
export function webRtcBlocks(
  config: WebRtcConfig,
  options: WebRtcBlocksOptions,
): CarrierBlockTransport {
  const {
    iceServers = webRtcConfigDefaults.iceServers,
    maxMessageSize = webRtcConfigDefaults.maxMessageSize,
    ordered = webRtcConfigDefaults.ordered,
  } = config
  if (!Number.isInteger(maxMessageSize) || maxMessageSize < 45 || maxMessageSize > 65_536) {
    const text = `maxMessageSize is ${maxMessageSize}, must be 45 to 65536`
    throw new UsageError('ERR_OPTION_RANGE', text)
  }
  const unreliable = unreliableOf(config)
  const settings = settingsOf(options, { format: WireFormat.messagepack() })
  const transport = webRtc({
    ...options.webRtc,
    clock: settings.clock,
    signalling: options.signalling,
    iceServers,
    ordered,
    ...(unreliable && { unreliable }),
  })
  const { maxIncomplete, maxFragmentBytes, fragmentTimeoutMs } = options
  const carry = (one: MessageConnection): FragmentCarrier =>
    new FragmentCarrier(one, {
      clock: settings.clock,
      maxMessageBytes: settings.maxMessageBytes,
      maxChannelMessageBytes: maxMessageSize,
      lossy: unreliable !== undefined,
      ...(maxIncomplete !== undefined && { maxIncomplete }),
      ...(maxFragmentBytes !== undefined && { maxBufferedBytes: maxFragmentBytes }),
      ...(fragmentTimeoutMs !== undefined && { fragmentTimeoutMs }),
    })
  return new CarrierBlockTransport({
    type: 'WebRTC',
    multiplexing: true,
    encryption: true,
    unsupported: unusedBuffers(options.buffers, 'the data channel'),
    settings,
    connectTimeoutMs: settings.connectTimeoutMs,
    negotiate: options.negotiate,
    source: {
      connect: async (address, limits) => carry(await transport.connect(address, limits)),
      listen: (address, onCarrier, onError) =>
        transport.listen(address, {
          onConnection: (one) => onCarrier(carry(one)),
          ...(onError && { onError }),
        }),
    },
  })
}

function unreliableOf(config: WebRtcConfig): WebRtcOptions['unreliable'] {
  const { maxRetransmits = null, maxPacketLifetimeMs = null } = config
  if (maxRetransmits !== null && maxPacketLifetimeMs !== null) {
    const text = `maxRetransmits ${maxRetransmits} and maxPacketLifetimeMs ${maxPacketLifetimeMs}`
    throw new UsageError('ERR_ARGUMENT', `${text} exclude each other (W3C, createDataChannel)`)
  }
  if (maxRetransmits !== null) return { maxRetransmits }
  if (maxPacketLifetimeMs !== null) return { maxPacketLifeTimeMs: maxPacketLifetimeMs }
  return undefined
}
