/**
 * Options of the TCP transport: what Node can set on a socket, and what it cannot.
 *
 * An option that cannot be honoured is refused when the transport is made, never ignored: a
 * keep-alive count that nobody sets is found out during an outage.
 */
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { TransportBaseOptions } from '../../core/transport.ts'
import type { Lookup } from './happy-eyeballs.ts'

export interface TcpOptions extends TransportBaseOptions {
  /** Sends small segments at once (TCP_NODELAY). @default true */
  noDelay?: boolean
  /**
   * Idle time before the kernel probes a silent peer, in milliseconds; false: never. The kernel
   * counts in seconds.
   *
   * @default 30_000
   */
  keepAliveMs?: number | false
  /** Time between two probes. Needs a Node that can set it. @default Node's own, 1 s */
  keepAliveIntervalMs?: number
  /** Unanswered probes until the connection is dead. As above. @default Node's own, 10 */
  keepAliveCount?: number
  /** DSCP and ECN bits of the IP header, 0 to 255. Needs a Node that can set it. */
  typeOfService?: number
  /** Whole time for resolving and connecting, in milliseconds. @default 10_000 */
  connectTimeoutMs?: number
  /** Time before the next address is tried beside the last (RFC 8305, section 5). @default 250 */
  attemptDelayMs?: number
  /** Addresses that one name may have; the rest is not tried. @default 32 */
  maxAddresses?: number
  /** Resolves names of `connect`. @default the system's resolver, getaddrinfo */
  lookup?: Lookup
  /** Only this address family is used to connect. @default both */
  family?: 4 | 6
  /** Local address and port to connect from. */
  localAddress?: string
  localPort?: number
  /** Whether a listener on `::` refuses IPv4 (IPV6_V6ONLY). @default false */
  ipv6Only?: boolean
  /** Several listeners share one port and the kernel spreads connections. @default false */
  reusePort?: boolean
  /** Bytes that may wait in a connection before `write` returns false. @default 65_536 */
  highWaterMarkBytes?: number
  /** Size of the memory that sockets are read into. @default 65_536 */
  readBufferBytes?: number
  /** Newcomers that a paused listener keeps. @default 511, as the kernel's queue */
  maxPausedConnections?: number
  /**
   * `handle`: libuv's streams directly. `net`: `net.Socket`, public interfaces only. `auto`:
   * `handle` when its self-test passes. docs/decisions/0002-tcp-engine.md
   *
   * @default 'auto'
   */
  engine?: TcpEngine

  // Named by the designs that heddle follows, out of reach of Node today.

  /** Only true, which is how Node binds everywhere but on Windows. @default true */
  reuseAddress?: boolean
  /** Not supported: Node cannot set IP_TTL on a TCP socket. */
  ttl?: number
  /** Not supported: Node cannot set SO_SNDBUF on a TCP socket. */
  sendBufferBytes?: number
  /** Not supported: Node cannot set SO_RCVBUF on a TCP socket. */
  receiveBufferBytes?: number
  /** Not supported: Node cannot set TCP_USER_TIMEOUT. */
  userTimeoutMs?: number
}

export type TcpEngine = 'auto' | 'handle' | 'net'

export interface ResolvedTcpOptions {
  readonly noDelay: boolean
  readonly keepAliveMs: number | false
  readonly keepAliveIntervalMs: number | undefined
  readonly keepAliveCount: number | undefined
  readonly typeOfService: number | undefined
  readonly connectTimeoutMs: number
  readonly attemptDelayMs: number
  readonly maxAddresses: number
  readonly lookup: Lookup | undefined
  readonly family: 4 | 6 | undefined
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
  readonly ipv6Only: boolean
  readonly reusePort: boolean
  readonly highWaterMarkBytes: number
  readonly readBufferBytes: number
  readonly maxPausedConnections: number
  readonly engine: TcpEngine
}

export const tcpDefaults: Readonly<
  Pick<
    ResolvedTcpOptions,
    | 'noDelay'
    | 'keepAliveMs'
    | 'connectTimeoutMs'
    | 'attemptDelayMs'
    | 'maxAddresses'
    | 'ipv6Only'
    | 'reusePort'
    | 'highWaterMarkBytes'
    | 'readBufferBytes'
    | 'maxPausedConnections'
    | 'engine'
  >
> = Object.freeze({
  noDelay: true, // request-response traffic; everything leaves in one write per tick anyway
  keepAliveMs: 30_000, // half-open peers are found in about 40 s instead of 2 h
  connectTimeoutMs: 10_000, // three SYNs with the usual backoff (1, 2, 4 s)
  attemptDelayMs: 250, // RFC 8305, section 8
  maxAddresses: 32, // a name server must not make one call open a thousand sockets
  ipv6Only: false,
  reusePort: false,
  highWaterMarkBytes: 65_536, // beyond it the kernel's own send buffer is full as well
  readBufferBytes: 65_536, // one read empties a usual receive buffer; shared, so it costs little
  maxPausedConnections: 511,
  engine: 'auto',
})

/** What this Node can set. */
export interface TcpAbilities {
  readonly keepAliveProbes: boolean
  readonly typeOfService: boolean
  readonly reusePort: boolean
}

/** @throws UsageError naming the option */
export function resolveTcpOptions(
  options: TcpOptions,
  abilities: TcpAbilities,
): ResolvedTcpOptions {
  for (const name of Object.keys(options)) {
    if (!KNOWN_OPTIONS.has(name)) {
      throw new UsageError('ERR_OPTION_UNKNOWN', `tcp has no option '${name}'`)
    }
  }
  refuseUnsupported(options, abilities)
  const {
    noDelay = tcpDefaults.noDelay,
    keepAliveMs = tcpDefaults.keepAliveMs,
    connectTimeoutMs = tcpDefaults.connectTimeoutMs,
    attemptDelayMs = tcpDefaults.attemptDelayMs,
    maxAddresses = tcpDefaults.maxAddresses,
    ipv6Only = tcpDefaults.ipv6Only,
    reusePort = tcpDefaults.reusePort,
    highWaterMarkBytes = tcpDefaults.highWaterMarkBytes,
    readBufferBytes = tcpDefaults.readBufferBytes,
    maxPausedConnections = tcpDefaults.maxPausedConnections,
    engine = tcpDefaults.engine,
    keepAliveIntervalMs,
    keepAliveCount,
    typeOfService,
    family,
    localAddress,
    localPort,
    lookup,
  } = options
  // The kernel takes whole seconds, at most 32767 of them.
  if (keepAliveMs !== false) checkInteger('keepAliveMs', keepAliveMs, 1_000, 32_767_000)
  if (keepAliveIntervalMs !== undefined) {
    checkInteger('keepAliveIntervalMs', keepAliveIntervalMs, 1_000, 32_767_000)
  }
  if (keepAliveCount !== undefined) checkInteger('keepAliveCount', keepAliveCount, 1, 127)
  if (typeOfService !== undefined) checkInteger('typeOfService', typeOfService, 0, 255)
  if (localPort !== undefined) checkInteger('localPort', localPort, 0, 65_535)
  if (!ENGINES.has(engine)) {
    throw new UsageError('ERR_OPTION_RANGE', `engine is '${engine}', must be auto, handle or net`)
  }
  if (family !== undefined && family !== 4 && family !== 6) {
    throw new UsageError('ERR_OPTION_RANGE', `family is ${String(family)}, must be 4 or 6`)
  }
  return {
    noDelay,
    keepAliveMs,
    keepAliveIntervalMs,
    keepAliveCount,
    typeOfService,
    connectTimeoutMs: checkInteger('connectTimeoutMs', connectTimeoutMs, 1, MAX_TIMEOUT_MS),
    attemptDelayMs: checkInteger('attemptDelayMs', attemptDelayMs, 10, 60_000),
    maxAddresses: checkInteger('maxAddresses', maxAddresses, 1, 1_024),
    lookup,
    family,
    localAddress,
    localPort,
    ipv6Only,
    reusePort,
    highWaterMarkBytes: checkInteger('highWaterMarkBytes', highWaterMarkBytes, 0, 0x4000_0000),
    readBufferBytes: checkInteger('readBufferBytes', readBufferBytes, 256, 0x100_0000),
    maxPausedConnections: checkInteger('maxPausedConnections', maxPausedConnections, 0, 65_535),
    engine,
  }
}

function refuseUnsupported(options: TcpOptions, abilities: TcpAbilities): void {
  const unsupported = (name: string, why: string): never => {
    throw new UsageError('ERR_OPTION_UNSUPPORTED', `tcp cannot honour ${name}: ${why}`)
  }
  for (const [name, why] of UNSUPPORTED) {
    if (options[name] !== undefined) unsupported(name, why)
  }
  if (options.reuseAddress === false) {
    unsupported('reuseAddress: false', 'Node binds with SO_REUSEADDR')
  }
  if (!abilities.keepAliveProbes) {
    for (const name of ['keepAliveIntervalMs', 'keepAliveCount'] as const) {
      if (options[name] !== undefined) unsupported(name, 'this Node cannot set it')
    }
  }
  if (options.typeOfService !== undefined && !abilities.typeOfService) {
    unsupported('typeOfService', 'this Node cannot set it')
  }
  if (options.reusePort === true && !abilities.reusePort) {
    unsupported('reusePort', 'this system or Node cannot set it')
  }
}

const UNSUPPORTED = [
  ['ttl', 'Node cannot set IP_TTL on a TCP socket'],
  ['sendBufferBytes', 'Node cannot set SO_SNDBUF on a TCP socket'],
  ['receiveBufferBytes', 'Node cannot set SO_RCVBUF on a TCP socket'],
  ['userTimeoutMs', 'Node cannot set TCP_USER_TIMEOUT'],
] as const satisfies readonly (readonly [keyof TcpOptions, string])[]

/** Every key of `TcpOptions`; the record makes the compiler keep it complete. */
const KNOWN: Readonly<Record<keyof TcpOptions, true>> = {
  clock: true,
  noDelay: true,
  keepAliveMs: true,
  keepAliveIntervalMs: true,
  keepAliveCount: true,
  typeOfService: true,
  connectTimeoutMs: true,
  attemptDelayMs: true,
  maxAddresses: true,
  lookup: true,
  family: true,
  localAddress: true,
  localPort: true,
  ipv6Only: true,
  reusePort: true,
  highWaterMarkBytes: true,
  readBufferBytes: true,
  maxPausedConnections: true,
  engine: true,
  reuseAddress: true,
  ttl: true,
  sendBufferBytes: true,
  receiveBufferBytes: true,
  userTimeoutMs: true,
}
const KNOWN_OPTIONS: ReadonlySet<string> = new Set(Object.keys(KNOWN))
const ENGINES: ReadonlySet<string> = new Set(['auto', 'handle', 'net'])
const MAX_TIMEOUT_MS = 3_600_000
