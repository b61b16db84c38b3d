/**
 * The transport of blocks that a URL or a multiaddr asks for, with the seed's `TransportConfig`.
 */
import { UsageError } from '../../core/errors.ts'
import { readTransportUrl } from '../../core/multiaddr-url.ts'
import { redactUrl } from '../../core/secret.ts'
import { tls } from '../../transports/tls/tls.ts'
import type { TlsOptions } from '../../transports/tls/tls-options.ts'
import type { BlockPeer } from './block-connection.ts'
import type { BlockTransport } from './block-transport.ts'
import type { QuicConfig, TcpConfig, WebRtcConfig, WebSocketConfig } from './configs.ts'
import { type QuicBlocksOptions, quicBlocks } from './quic-blocks.ts'
import {
  type BlockTransportOptions,
  memoryBlocks,
  streamBlocks,
  tcpBlocks,
  unixBlocks,
} from './stream-blocks.ts'
import { type WebRtcBlocksOptions, webRtcBlocks } from './webrtc-blocks.ts'
import { type WebSocketBlocksOptions, webSocketBlocks } from './websocket-blocks.ts'

export interface BlocksForOptions extends BlockTransportOptions {
  tcp?: TcpConfig
  tls?: TlsOptions
  quic?: QuicConfig & { options?: QuicBlocksOptions['quic'] }
  webSocket?: WebSocketConfig & { options?: WebSocketBlocksOptions['webSocket'] }
  webRtc?: WebRtcConfig & Pick<WebRtcBlocksOptions, 'signalling'>
}

/**
 * `tcp://`, `tls://`, `unix:`, `mem:`, `quic://`, `ws://`, `wss://`, `ws+unix:`, `webrtc://`, or a
 * multiaddr of one of them. Datagrams have no connections: see `udpBlocks`.
 *
 * @throws UsageError ERR_ADDRESS_INVALID, ERR_OPTION_UNSUPPORTED
 */
export function blocksFor(address: string, options: BlocksForOptions = {}): BlockTransport {
  const { tcp, tls: secure, quic, webSocket, webRtc, ...common } = options
  const { transport } = readTransportUrl(address)
  const made = ((): unknown => {
    switch (transport) {
      case 'tcp':
        return tcpBlocks(tcp, common)
      case 'tls':
        return streamBlocks(tls(secure), common)
      case 'unix':
        return unixBlocks(common)
      case 'memory':
        return memoryBlocks(common)
      case 'quic':
        return quicBlocks(quic, { ...common, ...(quic?.options && { quic: quic.options }) })
      case 'ws':
      case 'wss':
        return webSocketBlocks(webSocket, {
          ...common,
          ...(webSocket?.options && { webSocket: webSocket.options }),
        })
      case 'webrtc':
        if (webRtc === undefined) break
        return webRtcBlocks(webRtc, { ...common, signalling: webRtc.signalling })
    }
    return undefined
  })()
  // Each gives more than `BlockTransport` promises, and takes no less.
  if (made !== undefined) return made as BlockTransport<BlockPeer>
  const text = `'${redactUrl(address)}' is no transport that has connections for blocks`
  throw new UsageError('ERR_OPTION_UNSUPPORTED', text)
}
