/**
 * Blocks over WebSocket: `ws://`, `wss://`, `ws+unix:`, with the subprotocol `olocus-v1`.
 *
 * A block is sent as text, in JSON, unless `format` says otherwise; text is read as JSON, and bytes as
 * `format`, or as the canonical encoding where that is JSON.
 */
import { checkInteger } from '../../core/errors.ts'
import { WireFormat } from '../../protocols/olocus/wire-format.ts'
import { type WebSocketTransportOptions, webSocket } from '../websocket/websocket.ts'
import { CarrierBlockTransport } from './block-transport.ts'
import { type WebSocketConfig, webSocketConfigDefaults } from './configs.ts'
import { type BlockTransportOptions, settingsOf, unusedBuffers } from './stream-blocks.ts'
import { WebSocketCarrier } from './websocket-carrier.ts'

export interface WebSocketBlocksOptions extends BlockTransportOptions {
  /** Everything else that a WebSocket can be told: carriers, origins, limits of the handshake. */
  webSocket?: Omit<WebSocketTransportOptions, 'maxFrameBytes' | 'maxMessageBytes' | 'subprotocols'>
}

export function webSocketBlocks(
  config: WebSocketConfig = {},
  options: WebSocketBlocksOptions = {},
): CarrierBlockTransport {
  const {
    maxFrameSize = webSocketConfigDefaults.maxFrameSize,
    maxMessageSize = webSocketConfigDefaults.maxMessageSize,
    compression = webSocketConfigDefaults.compression,
    subprotocol = webSocketConfigDefaults.subprotocol,
  } = config
  checkInteger('maxFrameSize', maxFrameSize, 1, 0x7fff_ffff)
  checkInteger('maxMessageSize', maxMessageSize, 1, 0x7fff_ffff)
  const settings = settingsOf(options, {
    format: WireFormat.json(),
    maxMessageBytes: maxMessageSize,
  })
  // A block in another encoding than that of `format` may come as well, and be as long.
  const maxMessageBytes = Math.min(maxMessageSize, settings.maxMessageBytes)
  const transport = webSocket({
    compression,
    ...options.webSocket,
    clock: settings.clock,
    maxFrameBytes: maxFrameSize,
    maxMessageBytes,
    subprotocols: subprotocol === null ? [] : [subprotocol],
    requireSubprotocol: subprotocol !== null,
  })
  return new CarrierBlockTransport({
    type: 'WebSocket',
    multiplexing: false,
    encryption: transport.traits.secure,
    unsupported: unusedBuffers(options.buffers, 'the carrier of the WebSocket'),
    settings,
    connectTimeoutMs: settings.connectTimeoutMs,
    negotiate: options.negotiate,
    source: {
      connect: async (address, limits) =>
        new WebSocketCarrier(await transport.connect(address, limits), maxMessageBytes),
      listen: (address, onCarrier, onError) =>
        transport.listen(address, {
          onConnection: (one) => onCarrier(new WebSocketCarrier(one, maxMessageBytes)),
          ...(onError && { onError }),
        }),
    },
  })
}
