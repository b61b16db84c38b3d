/**
 * Blocks over byte streams: TCP, Unix sockets, memory, or any transport at all.
 *
 *     const transport = tcpBlocks()
 *     const listener = await transport.listen('tcp://127.0.0.1:8080')
 *     const connection = await transport.connect('tcp://127.0.0.1:8080')
 */
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { Transport } from '../../core/transport.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { nodeSigning } from '../../platform/node-signing.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import type { TcpOptions } from '../../transports/tcp/tcp-options.ts'
import { unix } from '../../transports/unix/unix.ts'
import {
  type BlockEnvironment,
  type BlockOptions,
  blockOptionDefaults,
  type ResolvedBlockOptions,
  resolveBlockOptions,
} from './block-options.ts'
import {
  CarrierBlockTransport,
  type CarrierSource,
  type UnsupportedSetting,
} from './block-transport.ts'
import {
  type BufferConfig,
  bufferConfigDefaults,
  type TcpConfig,
  type TimeoutConfig,
  tcpConfigDefaults,
  timeoutConfigDefaults,
} from './configs.ts'
import type { NegotiateOptions } from './negotiate.ts'
import { StreamCarrier } from './stream-carrier.ts'
import type { TransportType } from './transport-type.ts'

/** What every transport of blocks takes beside its own configuration. */
export interface BlockTransportOptions extends BlockOptions {
  timeouts?: TimeoutConfig
  buffers?: BufferConfig
  /**
   * Both sides say who they are, and agree on version and format, before the first block. Both must
   * ask for it. @default no exchange: a peer is known by the signatures of its blocks only
   */
  negotiate?: NegotiateOptions
}

export interface StreamBlocksOptions extends BlockTransportOptions {
  /** @default 'TCP' */
  type?: TransportType
}

/** Blocks over any transport of byte streams: TLS, a tunnel, a simulation. */
export function streamBlocks(
  transport: Transport,
  options: StreamBlocksOptions = {},
): CarrierBlockTransport {
  const { type = 'TCP', buffers } = options
  return streamTransport(type, transport, options, unusedBuffers(buffers, transport.name))
}

export function tcpBlocks(
  config: TcpConfig = {},
  options: BlockTransportOptions = {},
): CarrierBlockTransport {
  const {
    keepaliveMs = tcpConfigDefaults.keepaliveMs,
    nodelay = tcpConfigDefaults.nodelay,
    reuseAddr = tcpConfigDefaults.reuseAddr,
    reusePort = tcpConfigDefaults.reusePort,
    ttl = tcpConfigDefaults.ttl,
  } = config
  const unsupported: UnsupportedSetting[] = []
  if (ttl !== null) {
    checkInteger('ttl', ttl, 1, 255)
    const reason = 'Node cannot set IP_TTL on a TCP socket: the system’s holds, usually 64'
    unsupported.push({ option: 'ttl', value: ttl, reason })
  }
  if (!reuseAddr) {
    const reason = 'Node binds with SO_REUSEADDR, always'
    unsupported.push({ option: 'reuseAddr', value: reuseAddr, reason })
  }
  const { highWaterMarkBytes, reported } = bufferSettings(options.buffers)
  const settings: TcpOptions = {
    keepAliveMs: keepaliveMs ?? false,
    noDelay: nodelay,
    reusePort,
    highWaterMarkBytes,
    ...(options.clock && { clock: options.clock }),
  }
  return streamTransport('TCP', tcp(settings), options, [...unsupported, ...reported])
}

export function unixBlocks(options: BlockTransportOptions = {}): CarrierBlockTransport {
  const { highWaterMarkBytes, reported } = bufferSettings(options.buffers)
  const clock = options.clock && { clock: options.clock }
  return streamTransport('Unix', unix({ highWaterMarkBytes, ...clock }), options, reported)
}

/** Within one process: for tests, and for parts that may be apart one day. */
export function memoryBlocks(options: BlockTransportOptions = {}): CarrierBlockTransport {
  const { clock = systemClock, buffers = {} } = options
  const {
    sendBufferSize: highWaterMarkBytes = bufferConfigDefaults.sendBufferSize,
    recvBufferSize: bufferBytes = bufferConfigDefaults.recvBufferSize,
  } = buffers
  return streamTransport('Memory', memory({ clock, highWaterMarkBytes, bufferBytes }), options, [])
}

/** Those of Node; a browser has its own. */
export const nodeEnvironment: BlockEnvironment = Object.freeze({
  clock: systemClock,
  signing: nodeSigning,
  host: nodeHost,
})

/**
 * Times and sizes of the seed's configurations, and those given as options, as one set.
 *
 * @throws UsageError ERR_OPTION_RANGE
 */
export function settingsOf(
  options: BlockTransportOptions,
  defaults: Parameters<typeof resolveBlockOptions>[2] = {},
): ResolvedBlockOptions & { readonly connectTimeoutMs: number } {
  const { timeouts = {}, buffers = {}, ...rest } = options
  const {
    connectTimeoutMs = timeoutConfigDefaults.connectTimeoutMs,
    readTimeoutMs = blockOptionDefaults.readTimeoutMs,
    writeTimeoutMs = blockOptionDefaults.writeTimeoutMs,
  } = timeouts
  const { maxMessageSize } = buffers
  const resolved = resolveBlockOptions(
    {
      readTimeoutMs,
      writeTimeoutMs,
      ...(maxMessageSize !== undefined && { maxMessageBytes: maxMessageSize }),
      ...rest,
    },
    nodeEnvironment,
    defaults,
  )
  return Object.freeze({ ...resolved, connectTimeoutMs })
}

/** Buffers of the kernel are out of Node's reach; what waits in the process is bounded instead. */
export function bufferSettings(buffers: BufferConfig = {}): {
  readonly highWaterMarkBytes: number
  readonly reported: readonly UnsupportedSetting[]
} {
  const {
    sendBufferSize = bufferConfigDefaults.sendBufferSize,
    recvBufferSize = bufferConfigDefaults.recvBufferSize,
  } = buffers
  checkInteger('sendBufferSize', sendBufferSize, 1, 0x4000_0000)
  checkInteger('recvBufferSize', recvBufferSize, 1, 0x4000_0000)
  const reported: UnsupportedSetting[] = []
  if (buffers.recvBufferSize !== undefined) {
    const reason = 'Node cannot set SO_RCVBUF on a stream socket: the system’s holds'
    reported.push({ option: 'recvBufferSize', value: recvBufferSize, reason })
  }
  if (buffers.sendBufferSize !== undefined) {
    const reason = 'SO_SNDBUF is the system’s; so many bytes may wait in the process on top of it'
    reported.push({ option: 'sendBufferSize', value: sendBufferSize, reason })
  }
  return { highWaterMarkBytes: sendBufferSize, reported }
}

/** Sizes of buffers that were asked for where something else holds: reported, not ignored. */
export function unusedBuffers(
  buffers: BufferConfig = {},
  holder: string,
): readonly UnsupportedSetting[] {
  const reported: UnsupportedSetting[] = []
  for (const option of ['sendBufferSize', 'recvBufferSize'] as const) {
    const value = buffers[option]
    if (value === undefined) continue
    checkInteger(option, value, 1, 0x4000_0000)
    reported.push({ option, value, reason: `the buffers are those of ${holder}: set them there` })
  }
  return reported
}

function streamTransport(
  type: TransportType,
  transport: Transport,
  options: BlockTransportOptions,
  unsupported: readonly UnsupportedSetting[],
): CarrierBlockTransport {
  if (transport.traits.messageBoundaries) {
    throw new UsageError('ERR_ARGUMENT', `${transport.name} carries messages, not a stream`)
  }
  const settings = settingsOf(options)
  const source: CarrierSource = {
    connect: async (address, limits) =>
      new StreamCarrier(await transport.connect(address, limits), settings),
    listen: (address, onCarrier, onError) =>
      transport.listen(address, {
        onConnection: (connection) => onCarrier(new StreamCarrier(connection, settings)),
        ...(onError && { onError }),
      }),
  }
  return new CarrierBlockTransport({
    type,
    multiplexing: false,
    encryption: transport.traits.secure,
    unsupported,
    source,
    settings,
    connectTimeoutMs: settings.connectTimeoutMs,
    negotiate: options.negotiate,
  })
}
