/**
 * Blocks over QUIC, with the seed's configuration. ALPN is `olocus/1`.
 *
 * What OpenSSL decides by itself (streams at a time, windows, keep-alive) is in `unsupported`, with
 * what holds instead.
 */
import { readFileSync } from 'node:fs'
import type { Address } from '../../core/address.ts'
import { checkInteger, HeddleError, UsageError } from '../../core/errors.ts'
import type { MultiplexedConnection } from '../../core/multiplexed-connection.ts'
import type { ConnectOptions, MultiplexedTransport } from '../../core/transport.ts'
import { blockCodeOf } from '../../protocols/olocus/block-codes.ts'
import { quic } from '../../transports/quic/quic.ts'
import { defaultCodeOf } from '../../transports/quic/quic-errors.ts'
import type { QuicOptions } from '../../transports/quic/quic-options.ts'
import type { QuicCode } from '../../transports/quic/quic-types.ts'
import { BlockListener, type BlockListenOptions } from './block-listener.ts'
import type { ResolvedBlockOptions } from './block-options.ts'
import { addressOf, type BlockTransport, type UnsupportedSetting } from './block-transport.ts'
import { type QuicConfig, quicConfigDefaults } from './configs.ts'
import type { NegotiateOptions } from './negotiate.ts'
import { QuicBlockConnection } from './quic-connection.ts'
import { type BlockTransportOptions, bufferSettings, settingsOf } from './stream-blocks.ts'

export interface QuicBlocksOptions extends BlockTransportOptions {
  /** Everything else that QUIC can be told: authorities, client certificates, limits. */
  quic?: Omit<QuicOptions, 'alpn' | 'codeOf' | 'idleTimeoutMs'>
}

export function quicBlocks(
  config: QuicConfig = {},
  options: QuicBlocksOptions = {},
): BlockTransport<QuicBlockConnection> {
  const {
    maxIdleTimeoutMs = quicConfigDefaults.maxIdleTimeoutMs,
    keepAliveIntervalMs = quicConfigDefaults.keepAliveIntervalMs,
    maxConcurrentStreams = quicConfigDefaults.maxConcurrentStreams,
    initialMaxData = quicConfigDefaults.initialMaxData,
    initialMaxStreamData = quicConfigDefaults.initialMaxStreamData,
  } = config
  checkInteger('maxIdleTimeoutMs', maxIdleTimeoutMs, 1, 3_600_000)
  if (keepAliveIntervalMs !== null && keepAliveIntervalMs * 2 >= maxIdleTimeoutMs) {
    const text = `keepAliveIntervalMs ${keepAliveIntervalMs} is not below half of maxIdleTimeoutMs`
    throw new UsageError('ERR_OPTION_RANGE', `${text} ${maxIdleTimeoutMs}`)
  }
  const credentials = credentialsOf(config)
  const settings = settingsOf(options)
  const { highWaterMarkBytes, reported } = bufferSettings(options.buffers)
  const transport = quic({
    onWarning: () => {}, // `unsupported` has them
    highWaterMarkBytes,
    ...options.quic,
    clock: settings.clock,
    alpn: ['olocus/1'],
    codeOf: closeCodeOf,
    idleTimeoutMs: maxIdleTimeoutMs,
    ...(credentials !== undefined && { credentials }),
    maxConcurrentStreams,
    initialMaxData,
    initialMaxStreamData,
    ...(keepAliveIntervalMs !== null && { keepAliveMs: keepAliveIntervalMs }),
  })
  const unsupported = [...transport.unsupported, ...reported]
  return new MultiplexedBlockTransport(transport, settings, unsupported, options.negotiate)
}

function credentialsOf(config: QuicConfig): QuicOptions['credentials'] {
  const certificate = pemOf(config, 'certChain', 'certPath')
  const key = pemOf(config, 'privateKey', 'keyPath')
  if ((certificate === undefined) !== (key === undefined)) {
    throw new UsageError('ERR_ARGUMENT', 'a certificate and its private key belong together')
  }
  if (certificate === undefined || key === undefined) return undefined
  return { certificate, key }
}

/** The seed names files in one place and bytes in another: either will do, not both. */
function pemOf(
  config: QuicConfig,
  given: 'certChain' | 'privateKey',
  path: 'certPath' | 'keyPath',
): string | Uint8Array | undefined {
  const pem = config[given] ?? undefined
  const file = config[path] ?? undefined
  if (file === undefined) return pem
  if (pem !== undefined) throw new UsageError('ERR_ARGUMENT', `${given} and ${path}: give one`)
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new UsageError('ERR_ARGUMENT', `${path} ${file} cannot be read`, { cause })
  }
}

/** Blocks over any transport of connections with streams. */
export class MultiplexedBlockTransport implements BlockTransport<QuicBlockConnection> {
  readonly transportType = 'QUIC'
  readonly supportsMultiplexing = true
  readonly supportsEncryption = true
  readonly unsupported: readonly UnsupportedSetting[]
  readonly #transport: MultiplexedTransport
  readonly #settings: ResolvedBlockOptions & { readonly connectTimeoutMs: number }
  readonly #negotiate: NegotiateOptions | undefined

  constructor(
    transport: MultiplexedTransport,
    settings: ResolvedBlockOptions & { readonly connectTimeoutMs: number },
    unsupported: readonly UnsupportedSetting[] = [],
    negotiate?: NegotiateOptions,
  ) {
    this.#transport = transport
    this.#settings = settings
    this.unsupported = unsupported
    this.#negotiate = negotiate
  }

  async listen(
    address: Address | string,
    options: BlockListenOptions<QuicBlockConnection> = {},
  ): Promise<BlockListener<QuicBlockConnection>> {
    const { onError } = options
    const listener = new BlockListener<QuicBlockConnection>(options)
    const onConnection = (one: MultiplexedConnection): void => {
      const connection = new QuicBlockConnection(one, this.#settings)
      if (this.#negotiate === undefined) return listener.add(connection)
      connection.negotiate(this.#negotiate).then(
        () => listener.add(connection),
        (error: Error) => onError?.(error),
      )
    }
    const carrier = await this.#transport.listen(addressOf(address), {
      onConnection,
      ...(onError && { onError }),
    })
    return listener.attach(carrier)
  }

  async connect(
    address: Address | string,
    options: ConnectOptions = {},
  ): Promise<QuicBlockConnection> {
    const { clock, connectTimeoutMs } = this.#settings
    const ours = clock.now() + connectTimeoutMs
    const deadline = Math.min(options.deadline ?? Number.POSITIVE_INFINITY, ours)
    const carrier = await this.#transport.connect(addressOf(address), { ...options, deadline })
    const connection = new QuicBlockConnection(carrier, this.#settings)
    if (this.#negotiate !== undefined) await connection.negotiate(this.#negotiate, options.signal)
    return connection
  }

  async connectTimeout(
    address: Address | string,
    timeoutMs: number,
    options: Omit<ConnectOptions, 'deadline'> = {},
  ): Promise<QuicBlockConnection> {
    checkInteger('timeoutMs', timeoutMs, 1, 3_600_000)
    const deadline = this.#settings.clock.now() + timeoutMs
    return await this.connect(address, { ...options, deadline })
  }
}

/** 0 normal, 1 protocol, 2 too large, 3 bad block, 4 timeout, 5 shutting down. */
function closeCodeOf(reason: Error | undefined): QuicCode {
  if (reason instanceof HeddleError && reason.code !== 'ERR_FRAME_TOO_LARGE') {
    if (blockCodeOf(reason) !== undefined) return BAD_BLOCK
  }
  return defaultCodeOf(reason)
}

const BAD_BLOCK = 3
