/**
 * Options of the UDP transport: what Node can set on a datagram socket, and what it cannot.
 *
 * As for TCP, an option that cannot be honoured is refused when the transport is made, and one that
 * the kernel refuses fails `bind`: neither is ever ignored.
 */
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { TransportBaseOptions } from '../../core/transport.ts'
import { type AmplificationOptions, checkAmplification } from './amplification-guard.ts'
import { checkRateLimit, type SourceRateLimitOptions } from './source-rate-limit.ts'

export interface UdpOptions extends TransportBaseOptions {
  /**
   * Longest payload sent and received, in bytes. A longer one is refused by `send` with
   * ERR_FRAME_TOO_LARGE, and dropped and counted when it arrives. Above the path's MTU (often
   * 1,500 bytes with its headers) datagrams travel in fragments, and one lost fragment loses all.
   *
   * @default 65_507 on IPv4, 65_527 on IPv6: 65,535 less the headers (RFC 768, RFC 8200)
   */
  maxPayloadBytes?: number
  /**
   * Several sockets may bind one address and port (SO_REUSEADDR): what multicast receivers of one
   * machine need. For unicast one of them gets everything, and it is not said which.
   *
   * @default false
   */
  reuseAddress?: boolean
  /** Several sockets share one port and the kernel spreads peers (SO_REUSEPORT). @default false */
  reusePort?: boolean
  /** A socket on `::` takes no IPv4 (IPV6_V6ONLY). @default false */
  ipv6Only?: boolean
  /** May send to broadcast addresses (SO_BROADCAST). @default false */
  broadcast?: boolean
  /** Hops that unicast datagrams may take, 1 to 255. @default the system's, usually 64 */
  ttl?: number
  /** Hops that multicast datagrams may take, 0 to 255. @default the system's, 1 */
  multicastTtl?: number
  /** Interface that multicast leaves by: its name or address. @default the system's choice */
  multicastInterface?: string
  /** Own multicast is heard on this machine too. @default the system's, true */
  multicastLoopback?: boolean
  /** Groups that every bound socket joins. @default none */
  memberships?: readonly Membership[]
  /** Asked of the kernel (SO_RCVBUF); the socket tells what it gave. @default the system's */
  receiveBufferBytes?: number
  /** Asked of the kernel (SO_SNDBUF); the socket tells what it gave. @default the system's */
  sendBufferBytes?: number
  /** Address and port that connected sockets send from. @default chosen by the system */
  localAddress?: string
  localPort?: number
  /** Only this address family is used when a name has several. @default both */
  family?: 4 | 6
  /** Resolves names in `bind`, `connect` and `resolve`. @default the system's, getaddrinfo */
  lookup?: DatagramLookup
  /** Time for resolving a name, in milliseconds. @default 10_000 */
  resolveTimeoutMs?: number
  /** Datagrams that one source may send. @default no limit */
  rateLimit?: SourceRateLimitOptions
  /**
   * Answers to a source that has not proven that it can be reached stay below what it sent. For
   * servers: a socket with it cannot speak first. @default off
   */
  amplification?: AmplificationOptions
  /**
   * `handle`: libuv's UDP handle directly. `dgram`: `dgram.Socket`, public interfaces only. `auto`:
   * `handle` when its self-test passes.
   *
   * @default 'auto'
   */
  engine?: UdpEngine

  // Named by the designs that heddle follows, out of reach of Node today.

  /** Not supported: Node cannot set IP_TOS on a UDP socket. */
  typeOfService?: number
  /** Not supported: Node cannot set IP_MTU_DISCOVER. */
  dontFragment?: boolean
  /** Not supported: Node cannot set IP_TRANSPARENT or SO_BINDTODEVICE. */
  bindToDevice?: string
}

export type UdpEngine = 'auto' | 'handle' | 'dgram'

/** All addresses of a name, best first. */
export type DatagramLookup = (
  host: string,
  signal: AbortSignal,
) => Promise<readonly { readonly address: string; readonly family: 4 | 6 }[]>

/** A multicast group, one source of it only when `source` is given (RFC 4607). */
export interface Membership {
  readonly group: string
  readonly source?: string
  /** Name or address of the interface that listens. @default the system's choice */
  readonly interface?: string
}

export interface ResolvedUdpOptions {
  readonly maxPayloadBytes: number | undefined
  readonly reuseAddress: boolean
  readonly reusePort: boolean
  readonly ipv6Only: boolean
  readonly broadcast: boolean
  readonly ttl: number | undefined
  readonly multicastTtl: number | undefined
  readonly multicastInterface: string | undefined
  readonly multicastLoopback: boolean | undefined
  readonly memberships: readonly Membership[]
  readonly receiveBufferBytes: number | undefined
  readonly sendBufferBytes: number | undefined
  readonly localAddress: string | undefined
  readonly localPort: number
  readonly family: 4 | 6 | undefined
  readonly lookup: DatagramLookup | undefined
  readonly resolveTimeoutMs: number
  readonly rateLimit: Readonly<Required<SourceRateLimitOptions>> | undefined
  readonly amplification: Readonly<Required<AmplificationOptions>> | undefined
  readonly engine: UdpEngine
}

export const udpDefaults: Readonly<{
  reuseAddress: boolean
  reusePort: boolean
  ipv6Only: boolean
  broadcast: boolean
  resolveTimeoutMs: number
  engine: UdpEngine
}> = Object.freeze({
  reuseAddress: false, // two servers at one port would both start, and one would hear nothing
  reusePort: false,
  ipv6Only: false,
  broadcast: false, // a mistyped address must not speak to a whole network
  resolveTimeoutMs: 10_000, // as long as TCP has for resolving and connecting
  engine: 'auto',
})

/** Payload that fits one IPv4 datagram: 65,535 bytes less 20 of IPv4 and 8 of UDP. */
export const MAX_IPV4_PAYLOAD_BYTES = 65_507
/** Payload that fits one IPv6 datagram: its length does not count the IPv6 header. */
export const MAX_IPV6_PAYLOAD_BYTES = 65_527

/** What this Node can set. */
export interface UdpAbilities {
  readonly reusePort: boolean
}

/** @throws UsageError naming the option */
export function resolveUdpOptions(
  options: UdpOptions,
  abilities: UdpAbilities,
): ResolvedUdpOptions {
  for (const name of Object.keys(options)) {
    if (!KNOWN_OPTIONS.has(name)) {
      throw new UsageError('ERR_OPTION_UNKNOWN', `udp has no option '${name}'`)
    }
  }
  refuseUnsupported(options, abilities)
  const {
    reuseAddress = udpDefaults.reuseAddress,
    reusePort = udpDefaults.reusePort,
    ipv6Only = udpDefaults.ipv6Only,
    broadcast = udpDefaults.broadcast,
    resolveTimeoutMs = udpDefaults.resolveTimeoutMs,
    engine = udpDefaults.engine,
    memberships = [],
    localPort = 0,
    family,
  } = options
  if (!ENGINES.has(engine)) {
    throw new UsageError('ERR_OPTION_RANGE', `engine is '${engine}', must be auto, handle or dgram`)
  }
  if (family !== undefined && family !== 4 && family !== 6) {
    throw new UsageError('ERR_OPTION_RANGE', `family is ${String(family)}, must be 4 or 6`)
  }
  return {
    maxPayloadBytes: optional(
      'maxPayloadBytes',
      options.maxPayloadBytes,
      0,
      MAX_IPV6_PAYLOAD_BYTES,
    ),
    reuseAddress,
    reusePort,
    ipv6Only,
    broadcast,
    ttl: optional('ttl', options.ttl, 1, 255),
    multicastTtl: optional('multicastTtl', options.multicastTtl, 0, 255),
    multicastInterface: options.multicastInterface,
    multicastLoopback: options.multicastLoopback,
    memberships: [...memberships],
    receiveBufferBytes: optional('receiveBufferBytes', options.receiveBufferBytes, 1, MAX_BUFFER),
    sendBufferBytes: optional('sendBufferBytes', options.sendBufferBytes, 1, MAX_BUFFER),
    localAddress: options.localAddress,
    localPort: checkInteger('localPort', localPort, 0, 65_535),
    family,
    lookup: options.lookup,
    resolveTimeoutMs: checkInteger('resolveTimeoutMs', resolveTimeoutMs, 1, 3_600_000),
    rateLimit: options.rateLimit === undefined ? undefined : checkRateLimit(options.rateLimit),
    amplification:
      options.amplification === undefined ? undefined : checkAmplification(options.amplification),
    engine,
  }
}

function optional(
  name: string,
  value: number | undefined,
  min: number,
  max: number,
): number | undefined {
  return value === undefined ? undefined : checkInteger(name, value, min, max)
}

function refuseUnsupported(options: UdpOptions, abilities: UdpAbilities): void {
  for (const [name, why] of UNSUPPORTED) {
    if (options[name] === undefined) continue
    throw new UsageError('ERR_OPTION_UNSUPPORTED', `udp cannot honour ${name}: ${why}`)
  }
  if (options.reusePort === true && !abilities.reusePort) {
    const message = 'udp cannot honour reusePort: this system or Node cannot set it'
    throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
  }
}

const UNSUPPORTED = [
  ['typeOfService', 'Node cannot set IP_TOS on a UDP socket'],
  ['dontFragment', 'Node cannot set IP_MTU_DISCOVER'],
  ['bindToDevice', 'Node cannot set SO_BINDTODEVICE'],
] as const satisfies readonly (readonly [keyof UdpOptions, string])[]

/** Every key of `UdpOptions`; the record makes the compiler keep it complete. */
const KNOWN: Readonly<Record<keyof UdpOptions, true>> = {
  clock: true,
  maxPayloadBytes: true,
  reuseAddress: true,
  reusePort: true,
  ipv6Only: true,
  broadcast: true,
  ttl: true,
  multicastTtl: true,
  multicastInterface: true,
  multicastLoopback: true,
  memberships: true,
  receiveBufferBytes: true,
  sendBufferBytes: true,
  localAddress: true,
  localPort: true,
  family: true,
  lookup: true,
  resolveTimeoutMs: true,
  rateLimit: true,
  amplification: true,
  engine: true,
  typeOfService: true,
  dontFragment: true,
  bindToDevice: true,
}
const KNOWN_OPTIONS: ReadonlySet<string> = new Set(Object.keys(KNOWN))
const ENGINES: ReadonlySet<string> = new Set(['auto', 'handle', 'dgram'])
const MAX_BUFFER = 0x4000_0000
