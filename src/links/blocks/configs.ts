/**
 * The configurations of the seed, field by field, with its defaults and profiles. Durations are in
 * milliseconds, sizes in bytes; `null` is the seed's `None`.
 */

export interface TimeoutConfig {
  /** @default 10_000 */
  connectTimeoutMs?: number
  /** @default 30_000 */
  readTimeoutMs?: number
  /** @default 30_000 */
  writeTimeoutMs?: number
}

export interface BufferConfig {
  /** @default 65_536 */
  sendBufferSize?: number
  /** @default 65_536 */
  recvBufferSize?: number
  /** @default 1_048_576 */
  maxMessageSize?: number
}

export interface TcpConfig {
  /** Idle time before the kernel probes a silent peer; null: never. @default 30_000 */
  keepaliveMs?: number | null
  /** @default true */
  nodelay?: boolean
  /** @default true */
  reuseAddr?: boolean
  /** @default false */
  reusePort?: boolean
  /** @default null, the system's */
  ttl?: number | null
}

export interface UdpConfig {
  /** Longest datagram, so longest encoded block. @default 65_507 */
  maxPacketSize?: number
  /** @default true */
  reuseAddr?: boolean
  /** @default false */
  reusePort?: boolean
  /** @default null, the system's: 1 */
  multicastTtl?: number | null
  /** @default false */
  broadcast?: boolean
}

export interface QuicConfig {
  /** @default 100 */
  maxConcurrentStreams?: number
  /** null: none. @default 30_000 */
  keepAliveIntervalMs?: number | null
  /** @default 300_000 */
  maxIdleTimeoutMs?: number
  /** @default 10_485_760 */
  initialMaxData?: number
  /** @default 1_048_576 */
  initialMaxStreamData?: number
  /** PEM; a listener needs it. @default null */
  certChain?: string | Uint8Array | null
  /** PEM; a listener needs it. @default null */
  privateKey?: string | Uint8Array | null
  /** The file of `certChain`, read once, when the transport is made. One of both. @default null */
  certPath?: string | null
  /** The file of `privateKey`. @default null */
  keyPath?: string | null
}

export interface WebSocketConfig {
  /** @default 16_777_216 */
  maxFrameSize?: number
  /** @default 67_108_864 */
  maxMessageSize?: number
  /** @default true */
  compression?: boolean
  /** null: none is offered, and none is asked for. @default 'olocus-v1' */
  subprotocol?: string | null
}

export interface IceServer {
  readonly urls: readonly string[]
  readonly username?: string
  readonly credential?: string
}

export interface WebRtcConfig {
  /**
   * STUN and TURN servers. The seed asks a public server of Google by default, which tells its owner
   * who talks; here that is asked for: `seedWebRtcConfig`.
   *
   * @default []
   */
  iceServers?: readonly IceServer[]
  /** Longest message of the channel. @default 16_384 */
  maxMessageSize?: number
  /** @default true */
  ordered?: boolean
  /**
   * One of the two makes the channel lossy; both at once are refused, as by W3C. The seed's defaults
   * (3, and 3 s) set both.
   *
   * @default null
   */
  maxRetransmits?: number | null
  /** @default null */
  maxPacketLifetimeMs?: number | null
}

export const timeoutConfigDefaults: Readonly<Required<TimeoutConfig>> = Object.freeze({
  connectTimeoutMs: 10_000,
  readTimeoutMs: 30_000,
  writeTimeoutMs: 30_000,
})

export const bufferConfigDefaults: Readonly<Required<BufferConfig>> = Object.freeze({
  sendBufferSize: 65_536,
  recvBufferSize: 65_536,
  maxMessageSize: 1_048_576,
})

export const tcpConfigDefaults: Readonly<Required<TcpConfig>> = Object.freeze({
  keepaliveMs: 30_000,
  nodelay: true,
  reuseAddr: true,
  reusePort: false,
  ttl: null,
})

export const udpConfigDefaults: Readonly<Required<UdpConfig>> = Object.freeze({
  maxPacketSize: 65_507,
  reuseAddr: true,
  reusePort: false,
  multicastTtl: null,
  broadcast: false,
})

export const quicConfigDefaults: Readonly<Required<QuicConfig>> = Object.freeze({
  maxConcurrentStreams: 100,
  keepAliveIntervalMs: 30_000,
  maxIdleTimeoutMs: 300_000,
  initialMaxData: 10_485_760,
  initialMaxStreamData: 1_048_576,
  certChain: null,
  privateKey: null,
  certPath: null,
  keyPath: null,
})

export const webSocketConfigDefaults: Readonly<Required<WebSocketConfig>> = Object.freeze({
  maxFrameSize: 16_777_216,
  maxMessageSize: 67_108_864,
  compression: true,
  subprotocol: 'olocus-v1',
})

export const webRtcConfigDefaults: Readonly<Required<WebRtcConfig>> = Object.freeze({
  iceServers: Object.freeze([]),
  maxMessageSize: 16_384,
  ordered: true,
  maxRetransmits: null,
  maxPacketLifetimeMs: null,
})

/** The seed's settings for production. A TTL cannot be set on a TCP socket of Node: it is reported. */
export const productionTcpConfig: Readonly<Required<TcpConfig>> = Object.freeze({
  ...tcpConfigDefaults,
  keepaliveMs: 60_000,
  ttl: 64,
})

/** Datagrams that no router cuts. */
export const highPerformanceUdpConfig: Readonly<Required<UdpConfig>> = Object.freeze({
  ...udpConfigDefaults,
  maxPacketSize: 1_400,
})

export const enterpriseQuicConfig: Readonly<Required<QuicConfig>> = Object.freeze({
  ...quicConfigDefaults,
  maxConcurrentStreams: 1_000,
  maxIdleTimeoutMs: 120_000,
  initialMaxData: 104_857_600,
  initialMaxStreamData: 10_485_760,
})

/** The seed's default server, for who wants it. */
export const seedWebRtcConfig: Readonly<Required<WebRtcConfig>> = Object.freeze({
  ...webRtcConfigDefaults,
  iceServers: Object.freeze([Object.freeze({ urls: ['stun:stun.l.google.com:19302'] })]),
})
