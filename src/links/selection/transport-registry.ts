/**
 * From a URL to a transport. Each is loaded when it is first asked for, so that a program that speaks
 * TCP loads neither TLS nor QUIC; users register their own beside heddle's.
 *
 *     const { kind, transport, address } = await transportFor('wss://h/chat')
 *     const { transport, address } = await streamTransportFor(process.env.UPSTREAM)
 */
import type { Address } from '../../core/address.ts'
import type { DatagramTransport } from '../../core/datagram-socket.ts'
import { UsageError } from '../../core/errors.ts'
import { readTransportUrl } from '../../core/multiaddr-url.ts'
import type {
  ConnectOptions,
  MessageTransport,
  MultiplexedTransport,
  Transport,
} from '../../core/transport.ts'
import { formatTransportUrl, type TransportUrl } from '../../core/transport-url.ts'
import type { MemoryOptions } from '../../transports/memory/memory-transport.ts'
import type { QuicOptions } from '../../transports/quic/quic-options.ts'
import type { TcpOptions } from '../../transports/tcp/tcp-options.ts'
import type { TlsOptions } from '../../transports/tls/tls-options.ts'
import type { UdpOptions } from '../../transports/udp/udp-options.ts'
import type { UnixOptions } from '../../transports/unix/unix-options.ts'
import type { WebRtcOptions } from '../../transports/webrtc/webrtc-options.ts'
import type { ByteStreamOptions } from '../byte-stream/byte-stream.ts'
import type { WebSocketTransportOptions } from '../websocket/websocket.ts'

/** A transport of one of the four shapes. */
export type AnyTransport =
  | { readonly kind: 'stream'; readonly transport: Transport }
  | { readonly kind: 'messages'; readonly transport: MessageTransport }
  | { readonly kind: 'multiplexed'; readonly transport: MultiplexedTransport }
  | { readonly kind: 'datagrams'; readonly transport: DatagramTransport }

/** … with where to go by it. */
export type LoadedTransport = AnyTransport & {
  readonly url: TransportUrl
  /** For `connect` and `listen`. */
  readonly address: Address
  /** What the URL says beside the address, for `connect`. */
  readonly connectOptions: Pick<ConnectOptions, 'serverName'>
}

/** Options by transport: those of the URL's own come on top. */
export interface TransportOptionSets {
  readonly tcp?: TcpOptions
  readonly tls?: TlsOptions
  readonly unix?: UnixOptions
  readonly memory?: Partial<MemoryOptions>
  readonly udp?: UdpOptions
  readonly quic?: QuicOptions
  readonly webSocket?: WebSocketTransportOptions
  /** WebRTC needs a signalling, which no URL can make. */
  readonly webRtc?: WebRtcOptions
  readonly byteStream?: ByteStreamOptions
}

/** Makes one kind of transport for a URL. */
export type TransportLoader = (
  url: TransportUrl,
  options: TransportOptionSets,
) => Promise<AnyTransport>

export class TransportRegistry {
  readonly #loaders = new Map<string, TransportLoader>()

  /** @param loaders by the name of the transport in a URL */
  constructor(loaders: Readonly<Record<string, TransportLoader>> = {}) {
    for (const [name, loader] of Object.entries(loaders)) this.#loaders.set(name, loader)
  }

  /** Names that can be loaded. */
  get names(): readonly string[] {
    return [...this.#loaders.keys()]
  }

  /** Adds a transport, or takes the place of one. */
  register(name: string, loader: TransportLoader): void {
    this.#loaders.set(name, loader)
  }

  /**
   * @throws UsageError ERR_ADDRESS_INVALID for a URL that cannot be understood,
   *   ERR_OPTION_UNSUPPORTED for a transport that is not here, with the reason
   */
  async load(
    target: string | TransportUrl,
    options: TransportOptionSets = {},
  ): Promise<LoadedTransport> {
    const url = typeof target === 'string' ? readTransportUrl(target) : target
    const loader = this.#loaders.get(url.transport)
    if (loader === undefined) {
      const message = `no transport ${url.transport}; there are ${this.names.join(', ')}`
      throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
    }
    if (url.backend !== undefined) {
      const message = `transport ${url.transport} has no backend ${url.backend}`
      throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
    }
    const loaded = await loader(url, options)
    const { sni } = url.options
    return {
      ...loaded,
      url,
      address: addressOf(url),
      connectOptions: sni ? { serverName: sni } : {},
    }
  }
}

/** WebSocket takes its URL whole: the path is in it. */
function addressOf(url: TransportUrl): Address {
  if (url.resource === undefined) return url.address
  return { kind: 'url', url: formatTransportUrl({ ...url, options: {} }) }
}
