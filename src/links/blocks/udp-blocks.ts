/**
 * Blocks over UDP: the seed's `DatagramTransport`.
 *
 *     const socket = await udpBlocks().bind('127.0.0.1:8080')
 *     const { block, from } = await socket.recvBlockFrom()
 */
import type { Address } from '../../core/address.ts'
import type { BindOptions, DatagramSocket, DatagramTransport } from '../../core/datagram-socket.ts'
import { checkInteger } from '../../core/errors.ts'
import type { SourceRateLimitOptions } from '../../transports/udp/source-rate-limit.ts'
import { udp } from '../../transports/udp/udp.ts'
import type { UdpOptions } from '../../transports/udp/udp-options.ts'
import type { ResolvedBlockOptions } from './block-options.ts'
import { BlockSocket, type BlockSocketOptions } from './block-socket.ts'
import { addressOf, type UnsupportedSetting } from './block-transport.ts'
import { type UdpConfig, udpConfigDefaults } from './configs.ts'
import { type BlockTransportOptions, settingsOf } from './stream-blocks.ts'

export interface UdpBlocksOptions
  extends Omit<BlockTransportOptions, 'negotiate' | 'onInvalid'>,
    BlockSocketOptions {
  /**
   * Datagrams that one source may send: each may cost the verification of a signature.
   *
   * @default 10_000 a second, a core's worth
   */
  rateLimit?: SourceRateLimitOptions
  /** Everything else that UDP can be told: groups, interfaces, buffers. */
  udp?: Omit<UdpOptions, 'clock' | 'maxPayloadBytes' | 'rateLimit'>
  /** What carries the datagrams. @default udp() */
  carrier?: DatagramTransport
}

export const udpBlocksDefaults: Readonly<{ rateLimit: SourceRateLimitOptions }> = Object.freeze({
  rateLimit: Object.freeze({ datagramsPerSecond: 10_000 }),
})

export function udpBlocks(
  config: UdpConfig = {},
  options: UdpBlocksOptions = {},
): BlockDatagramTransport {
  return new BlockDatagramTransport(config, options)
}

export class BlockDatagramTransport {
  readonly transportType = 'UDP'
  readonly supportsMultiplexing = false
  readonly supportsEncryption = false
  readonly unsupported: readonly UnsupportedSetting[] = []
  readonly #carrier: DatagramTransport
  readonly #settings: ResolvedBlockOptions
  readonly #options: UdpBlocksOptions

  constructor(config: UdpConfig, options: UdpBlocksOptions) {
    const {
      maxPacketSize = udpConfigDefaults.maxPacketSize,
      reuseAddr = udpConfigDefaults.reuseAddr,
      reusePort = udpConfigDefaults.reusePort,
      multicastTtl = udpConfigDefaults.multicastTtl,
      broadcast = udpConfigDefaults.broadcast,
    } = config
    checkInteger('maxPacketSize', maxPacketSize, 186, 65_527)
    const { rateLimit = udpBlocksDefaults.rateLimit, buffers = {} } = options
    const { sendBufferSize, recvBufferSize } = buffers
    // What waits in a queue of datagrams is lost anyway: there is room for a burst.
    this.#settings = settingsOf({ maxQueuedMessages: 1_024, ...options, onInvalid: 'report' })
    this.#options = options
    this.#carrier =
      options.carrier ??
      udp({
        ...options.udp,
        clock: this.#settings.clock,
        maxPayloadBytes: maxPacketSize,
        reuseAddress: reuseAddr,
        reusePort,
        broadcast,
        rateLimit,
        ...(sendBufferSize !== undefined && { sendBufferBytes: sendBufferSize }),
        ...(recvBufferSize !== undefined && { receiveBufferBytes: recvBufferSize }),
        ...(multicastTtl !== null && { multicastTtl }),
      })
  }

  async bind(address: Address | string, options: BindOptions = {}): Promise<BlockSocket> {
    return this.#wrap(await this.#carrier.bind(addressOf(address), options))
  }

  /** A socket that exchanges blocks with one peer only. */
  async connect(address: Address | string, options: BindOptions = {}): Promise<BlockSocket> {
    const socket = this.#wrap(await this.#carrier.connect(addressOf(address), options))
    try {
      await socket.negotiate(options.signal)
    } catch (error) {
      await socket.close()
      throw error
    }
    return socket
  }

  async sendTo(socket: BlockSocket, bytes: Uint8Array, to: Address | string): Promise<void> {
    await socket.sendTo(bytes, addressOf(to))
  }

  async recvFrom(socket: BlockSocket): Promise<{ bytes: Uint8Array; from: Address }> {
    return await socket.recvFrom()
  }

  #wrap(socket: DatagramSocket): BlockSocket {
    return new BlockSocket(socket, this.#settings, this.#options)
  }
}
