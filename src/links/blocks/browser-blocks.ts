/**
 * Blocks in a page: over its WebSocket, and over any data channel that is there. Nothing of Node is
 * imported here; signatures are WebCrypto's, and come in promises.
 *
 *     const connection = await browserBlocks().connect('wss://example.com/blocks')
 *     await connection.sendBlock(block)
 */
import type { Address } from '../../core/address.ts'
import { lz4Compression } from '../../core/lz4-compression.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import type { ConnectOptions } from '../../core/transport.ts'
import { browserClock } from '../../platform/browser-clock.ts'
import { webSigning } from '../../platform/web-signing.ts'
import { OLOCUS_SUBPROTOCOL } from '../../protocols/olocus/metadata.ts'
import { WireFormat } from '../../protocols/olocus/wire-format.ts'
import { browserWebSocket } from '../websocket-browser/browser-websocket.ts'
import { BlockConnection } from './block-connection.ts'
import { type BlockEnvironment, type BlockOptions, resolveBlockOptions } from './block-options.ts'
import { FragmentCarrier } from './fragment-carrier.ts'
import { WebSocketCarrier } from './websocket-carrier.ts'

export interface BrowserBlocksOptions extends BlockOptions {
  /** null: none is offered. @default 'olocus-v1' */
  subprotocol?: string | null
}

export interface BrowserBlocks {
  connect(url: string, options?: ConnectOptions): Promise<BlockConnection>
}

export function browserBlocks(options: BrowserBlocksOptions = {}): BrowserBlocks {
  const { subprotocol = OLOCUS_SUBPROTOCOL, ...rest } = options
  const format = { format: WireFormat.json() }
  const settings = resolveBlockOptions(rest, browserEnvironment, format)
  const { clock, maxMessageBytes } = settings
  const transport = browserWebSocket({
    clock,
    maxMessageBytes,
    ...(subprotocol !== null && { subprotocols: [subprotocol] }),
  })
  return {
    async connect(url, limits = {}) {
      const address: Address = { kind: 'url', url }
      const socket = await transport.connect(address, limits)
      return new BlockConnection(
        'WebSocket',
        new WebSocketCarrier(socket, maxMessageBytes),
        settings,
      )
    },
  }
}

/** Blocks over a data channel, in MessagePack, cut where they are longer than 15 KiB. */
export function channelBlocks(
  channel: MessageConnection,
  options: BlockOptions = {},
): BlockConnection {
  const format = { format: WireFormat.messagepack() }
  const settings = resolveBlockOptions(options, browserEnvironment, format)
  return new BlockConnection('WebRTC', new FragmentCarrier(channel, settings), settings)
}

/** Compression of pages is streams of the platform; LZ4 is plain JavaScript. */
const browserEnvironment: BlockEnvironment = Object.freeze({
  clock: browserClock,
  signing: webSigning,
  host: Object.freeze({ compression: Object.freeze({ lz4: lz4Compression }) }),
})
