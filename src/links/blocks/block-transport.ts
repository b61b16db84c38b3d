/**
 * The seed's transport: listen, connect, and what can be said of it. One implementation for all
 * transports whose connections are message by message; QUIC and UDP have their own.
 */
import { type Address, parseAddress } from '../../core/address.ts'
import { checkInteger } from '../../core/errors.ts'
import { readTransportUrl } from '../../core/multiaddr-url.ts'
import type { ConnectOptions, Listener } from '../../core/transport.ts'
import { formatTransportUrl } from '../../core/transport-url.ts'
import type { BlockCarrier } from './block-carrier.ts'
import { BlockConnection, type BlockPeer } from './block-connection.ts'
import { BlockListener, type BlockListenOptions } from './block-listener.ts'
import type { ResolvedBlockOptions } from './block-options.ts'
import { type NegotiateOptions, negotiate } from './negotiate.ts'
import type { TransportType } from './transport-type.ts'

/** An option of the seed that cannot be set here, and what holds instead. */
export interface UnsupportedSetting {
  readonly option: string
  readonly value: unknown
  readonly reason: string
}

export interface BlockTransport<Peer extends BlockPeer = BlockPeer> {
  readonly transportType: TransportType
  readonly supportsMultiplexing: boolean
  readonly supportsEncryption: boolean
  /** What the configuration asks for and this cannot set. Never silently ignored. */
  readonly unsupported: readonly UnsupportedSetting[]
  /** @param address an address, or its text: `tcp://host:port`, `unix:/path`, `ws://host/path`, … */
  listen(
    address: Address | string,
    options?: BlockListenOptions<Peer>,
  ): Promise<BlockListener<Peer>>
  connect(address: Address | string, options?: ConnectOptions): Promise<Peer>
  connectTimeout(
    address: Address | string,
    timeoutMs: number,
    options?: Omit<ConnectOptions, 'deadline'>,
  ): Promise<Peer>
}

/** How carriers come into being. */
export interface CarrierSource {
  connect(address: Address, options: ConnectOptions): Promise<BlockCarrier>
  listen(
    address: Address,
    onCarrier: (carrier: BlockCarrier) => void,
    onError: ((error: Error) => void) | undefined,
  ): Promise<Listener>
}

export interface CarrierTransportSetup {
  readonly type: TransportType
  readonly multiplexing: boolean
  readonly encryption: boolean
  readonly unsupported?: readonly UnsupportedSetting[]
  readonly source: CarrierSource
  readonly settings: ResolvedBlockOptions
  readonly connectTimeoutMs: number
  readonly negotiate?: NegotiateOptions | undefined
}

export class CarrierBlockTransport implements BlockTransport<BlockConnection> {
  readonly transportType: TransportType
  readonly supportsMultiplexing: boolean
  readonly supportsEncryption: boolean
  readonly unsupported: readonly UnsupportedSetting[]
  readonly #setup: CarrierTransportSetup

  constructor(setup: CarrierTransportSetup) {
    this.#setup = setup
    this.transportType = setup.type
    this.supportsMultiplexing = setup.multiplexing
    this.supportsEncryption = setup.encryption
    this.unsupported = setup.unsupported ?? []
    checkInteger('connectTimeoutMs', setup.connectTimeoutMs, 1, 3_600_000)
  }

  async listen(
    address: Address | string,
    options: BlockListenOptions<BlockConnection> = {},
  ): Promise<BlockListener<BlockConnection>> {
    const { source } = this.#setup
    const listener = new BlockListener<BlockConnection>(options)
    const onCarrier = (carrier: BlockCarrier): void => {
      this.#adopt(carrier).then(
        (connection) => listener.add(connection),
        (error: Error) => options.onError?.(error),
      )
    }
    return listener.attach(await source.listen(addressOf(address), onCarrier, options.onError))
  }

  async connect(address: Address | string, options: ConnectOptions = {}): Promise<BlockConnection> {
    return await this.#connect(address, this.#setup.connectTimeoutMs, options)
  }

  async connectTimeout(
    address: Address | string,
    timeoutMs: number,
    options: Omit<ConnectOptions, 'deadline'> = {},
  ): Promise<BlockConnection> {
    return await this.#connect(address, checkInteger('timeoutMs', timeoutMs, 1, 3_600_000), options)
  }

  async #connect(
    address: Address | string,
    timeoutMs: number,
    options: ConnectOptions,
  ): Promise<BlockConnection> {
    const { source, settings } = this.#setup
    const ours = settings.clock.now() + timeoutMs
    const deadline = Math.min(options.deadline ?? Number.POSITIVE_INFINITY, ours)
    const carrier = await source.connect(addressOf(address), { ...options, deadline })
    return await this.#adopt(carrier, options.signal)
  }

  async #adopt(carrier: BlockCarrier, signal?: AbortSignal): Promise<BlockConnection> {
    const { type, settings, negotiate: hello } = this.#setup
    const connection = new BlockConnection(type, carrier, settings)
    if (hello !== undefined) await negotiate(connection, hello, settings, signal)
    return connection
  }
}

/** URLs, `host:port` and multiaddrs. */
export function addressOf(address: Address | string): Address {
  if (typeof address !== 'string') return address
  if (!address.startsWith('/')) return parseAddress(address)
  const url = readTransportUrl(address)
  // The path of a WebSocket is in its URL only.
  return url.resource === undefined ? url.address : { kind: 'url', url: formatTransportUrl(url) }
}
