/**
 * Options of the QUIC transports. One transport does both sides; what concerns one side says so.
 *
 * Some settings that QUIC has cannot be made on the stack inside Node. They are options all the
 * same: `unsupported` and `onWarning` say what each is instead, and why.
 */
import type { DatagramTransport } from '../../core/datagram-socket.ts'
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { TransportBaseOptions } from '../../core/transport.ts'
import { warn } from '../../platform/process-access.ts'
import type { TlsCredentials, TlsPeer } from '../tls/tls-options.ts'
import { defaultCodeOf } from './quic-errors.ts'
import type { QuicCode } from './quic-types.ts'

export interface QuicOptions extends TransportBaseOptions {
  /**
   * What carries the datagrams: memory, a tunnel, a simulated network.
   *
   * @default sockets of the operating system
   */
  carrier?: DatagramTransport
  /** Application protocols (RFC 7301), preferred first. A peer that shares none is refused. */
  alpn?: readonly string[]
  /**
   * Authorities to trust, PEM. Replaces the default.
   *
   * @default what Node trusts, NODE_EXTRA_CA_CERTS included
   */
  ca?: string | Uint8Array | readonly (string | Uint8Array)[]
  /** A server's certificate, needed to listen; or the client certificate to connect with. */
  credentials?: TlsCredentials
  /** Server: whether clients show a certificate; one that is shown must verify. @default 'none' */
  clientCertificates?: 'none' | 'request' | 'require'
  /** Client: false accepts any certificate. For tests, and together with `pins`. @default true */
  verify?: boolean
  /** Client: name to ask for and to check, when it is not the address's host. */
  serverName?: string
  /** As `tls`: `sha256/<base64>` of public keys, one of which the peer must have. */
  pins?: readonly string[]
  /** A last word on a peer that passed everything else. An error refuses it. */
  verifyPeer?: (peer: TlsPeer) => Error | undefined
  /**
   * Server: clients prove with a Retry packet that they have the address they send from, which
   * costs them a round trip; without it, anybody can make a server send to somebody else.
   *
   * @default true (RFC 9000, section 8.1.2)
   */
  retry?: boolean
  /** Client: whole time for connecting and the handshake. @default 10_000 */
  connectTimeoutMs?: number
  /** Server: time a client has for its handshake. @default 10_000 */
  handshakeTimeoutMs?: number
  /** Server: handshakes under way; a newcomer over it is refused. @default 1_024 */
  maxHandshakes?: number
  /**
   * A peer that sends nothing for this long is gone: ERR_IDLE. The smaller one of both sides holds.
   * A peer that lives answers PINGs, which are sent by themselves while this process runs.
   *
   * @default 30_000 (as long as firewalls keep a UDP flow that is silent)
   */
  idleTimeoutMs?: number
  /** Client: sessions kept for resumption; 0: none. @default 256 */
  maxSessions?: number
  /** Bytes that may wait in a stream, on top of OpenSSL's half megabyte. @default 65_536 */
  highWaterMarkBytes?: number
  /**
   * Client: connections of one socket; the next ones get another.
   *
   * @default 200 (each costs every pass of its endpoint 0.4 µs, idle or not)
   */
  maxConnectionsPerEndpoint?: number
  /**
   * Server: sockets of one listener, among which Linux spreads clients. One for each 200
   * connections that are expected.
   *
   * @default 1
   */
  endpoints?: number
  /**
   * Streams of a peer that are open at a time on one connection. OpenSSL announces 100 of each kind
   * and gives credit for one more with each that is accepted; over this number, none is accepted,
   * and the next ones wait.
   *
   * @default 100
   */
  maxConcurrentStreams?: number
  /**
   * Streams that a peer may open over the life of a connection; then it is drained and closed.
   * OpenSSL keeps some 600 bytes of every stream until its connection ends.
   *
   * @default 20_000
   */
  maxAcceptedStreams?: number
  /** Newcomers that a paused listener keeps. @default 511 */
  maxPausedConnections?: number
  /** The code that tells the peer why a connection or a stream is destroyed. */
  codeOf?: (reason: Error | undefined) => QuicCode
  /** Called once for each option that cannot be honoured. @default a warning of the process */
  onWarning?: (warning: QuicUnsupported) => void

  /** Window of a connection, in bytes: set by OpenSSL. */
  initialMaxData?: number
  /** Window of a stream, in bytes: set by OpenSSL. */
  initialMaxStreamData?: number
  /** Interval of PINGs: OpenSSL sends them itself, well within the idle timeout. */
  keepAliveMs?: number
  /** Following a peer to another address: OpenSSL 3.5 goes on answering the old one. */
  migration?: boolean
  /** 0-RTT data: OpenSSL 3.5 does not have it for QUIC. */
  earlyData?: boolean
  /** Unreliable datagrams (RFC 9221): OpenSSL 3.5 does not have them. */
  unreliableDatagrams?: boolean
}

/** An option that was asked for and that the stack cannot honour. */
export interface QuicUnsupported {
  readonly option: keyof QuicOptions
  readonly value: unknown
  /** What holds instead, and why. */
  readonly reason: string
}

type Defaulted =
  | 'alpn'
  | 'clientCertificates'
  | 'verify'
  | 'retry'
  | 'connectTimeoutMs'
  | 'handshakeTimeoutMs'
  | 'maxHandshakes'
  | 'idleTimeoutMs'
  | 'maxSessions'
  | 'highWaterMarkBytes'
  | 'maxConnectionsPerEndpoint'
  | 'endpoints'
  | 'maxConcurrentStreams'
  | 'maxAcceptedStreams'
  | 'maxPausedConnections'
  | 'codeOf'

export type ResolvedQuicOptions = Readonly<Required<Pick<QuicOptions, Defaulted>>> &
  Readonly<Omit<QuicOptions, Defaulted>> & {
    readonly unsupported: readonly QuicUnsupported[]
    /** A protocol of ours that says nothing about what streams carry. */
    readonly ownAlpn?: string | undefined
  }

export const quicDefaults: Readonly<Required<Pick<QuicOptions, Defaulted>>> = Object.freeze({
  alpn: Object.freeze(['heddle/1']),
  clientCertificates: 'none',
  verify: true,
  retry: true,
  connectTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000, // as TLS
  maxHandshakes: 1_024, // as TLS: tens of kilobytes each
  idleTimeoutMs: 30_000, // many firewalls forget a silent UDP flow after as long (RFC 9308, 3.2)
  maxSessions: 256, // under a kilobyte each
  highWaterMarkBytes: 65_536,
  maxConnectionsPerEndpoint: 200, // measured: 72 µs for each pass at 200, 150 at 400
  endpoints: 1,
  maxConcurrentStreams: 100, // as many as are announced (RFC 9114, 6.1 asks for no fewer)
  maxAcceptedStreams: 20_000, // twelve megabytes
  maxPausedConnections: 511,
  codeOf: defaultCodeOf,
})

/** @throws UsageError naming the option */
export function resolveQuicOptions(options: QuicOptions): ResolvedQuicOptions {
  for (const name of Object.keys(options)) {
    if (!(name in KNOWN)) throw new UsageError('ERR_OPTION_UNKNOWN', `quic has no option '${name}'`)
  }
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as QuicOptions
  const resolved = { ...quicDefaults, ...given }
  for (const [name, [min, max]] of Object.entries(RANGES)) {
    checkInteger(name, resolved[name as keyof typeof RANGES], min, max)
  }
  if (!['none', 'request', 'require'].includes(resolved.clientCertificates)) {
    const message = `clientCertificates is '${resolved.clientCertificates}', must be none, request or require`
    throw new UsageError('ERR_OPTION_RANGE', message)
  }
  checkAlpn(resolved.alpn)
  for (const pin of resolved.pins ?? []) {
    if (/^sha256\/[A-Za-z0-9+/]{43}=$/.test(pin)) continue
    throw new UsageError('ERR_OPTION_RANGE', `pin '${pin}' is not sha256/<base64 of 32 bytes>`)
  }
  const unsupported = findUnsupported(given)
  const { onWarning = warnOnce } = given
  for (const one of unsupported) onWarning(one)
  return { ...resolved, unsupported }
}

function checkAlpn(alpn: readonly string[]): void {
  // QUIC demands it (RFC 9001, 8.1): without it, neither side would know what the streams mean.
  if (alpn.length === 0) throw new UsageError('ERR_OPTION_RANGE', 'alpn must name a protocol')
  for (const name of alpn) {
    if (name.length > 0 && name.length <= 255) continue
    const message = `alpn has a name of ${name.length} bytes, must be 1 to 255`
    throw new UsageError('ERR_OPTION_RANGE', message)
  }
}

function findUnsupported(options: QuicOptions): QuicUnsupported[] {
  const found: QuicUnsupported[] = []
  for (const [name, [harmless, reason]] of Object.entries(UNSUPPORTED)) {
    const option = name as keyof QuicOptions
    const value = options[option]
    if (value === undefined || value === harmless) continue
    found.push(Object.freeze({ option, value, reason }))
  }
  return found
}

function warnOnce({ option, value, reason }: QuicUnsupported): void {
  warn(`quic: ${option} ${String(value)} is not honoured: ${reason}`, `HEDDLE_QUIC_${option}`)
}

const UNSUPPORTED: Readonly<
  Partial<Record<keyof QuicOptions, readonly [harmless: unknown, reason: string]>>
> = {
  initialMaxData: [undefined, 'OpenSSL 3.5 chooses the windows itself'],
  initialMaxStreamData: [undefined, 'OpenSSL 3.5 chooses the windows itself'],
  keepAliveMs: [undefined, 'OpenSSL sends PINGs by itself, within the idle timeout'],
  migration: [false, 'OpenSSL 3.5 answers the address it knew first: reconnect instead'],
  earlyData: [false, 'OpenSSL 3.5 has no 0-RTT data for QUIC'],
  unreliableDatagrams: [false, 'OpenSSL 3.5 has no datagram frames (RFC 9221)'],
}

const MAX_MS = 3_600_000
const RANGES = {
  connectTimeoutMs: [1, MAX_MS],
  handshakeTimeoutMs: [1, MAX_MS],
  maxHandshakes: [1, 1_000_000],
  idleTimeoutMs: [100, MAX_MS],
  maxSessions: [0, 1_000_000],
  highWaterMarkBytes: [0, 0x4000_0000],
  maxConnectionsPerEndpoint: [1, 100_000],
  endpoints: [1, 256],
  maxConcurrentStreams: [1, 100_000],
  maxAcceptedStreams: [1, 10_000_000],
  maxPausedConnections: [0, 65_535],
} as const

/** Every key of `QuicOptions`; the record makes the compiler keep it complete. */
const KNOWN: Readonly<Record<keyof QuicOptions, true>> = {
  clock: true,
  carrier: true,
  alpn: true,
  ca: true,
  credentials: true,
  clientCertificates: true,
  verify: true,
  serverName: true,
  pins: true,
  verifyPeer: true,
  retry: true,
  connectTimeoutMs: true,
  handshakeTimeoutMs: true,
  maxHandshakes: true,
  idleTimeoutMs: true,
  maxSessions: true,
  highWaterMarkBytes: true,
  maxConnectionsPerEndpoint: true,
  endpoints: true,
  maxAcceptedStreams: true,
  maxPausedConnections: true,
  codeOf: true,
  onWarning: true,
  maxConcurrentStreams: true,
  initialMaxData: true,
  initialMaxStreamData: true,
  keepAliveMs: true,
  migration: true,
  earlyData: true,
  unreliableDatagrams: true,
}
