/**
 * Options of the QUIC transports. One transport does both sides; what concerns one side says so.
 *
 * Some settings that QUIC has cannot be made on a stack. They are options all the same: `unsupported`
 * and `onWarning` say what each is instead, and why (driver-limits.ts). What would be unsafe to leave
 * out is refused.
 */
import type { DatagramTransport } from '../../core/datagram-socket.ts'
import type { TransportBaseOptions } from '../../core/transport.ts'
import type { TlsCredentials, TlsPeer } from '../tls/tls-options.ts'
import { defaultCodeOf } from './quic-errors.ts'
import type { QuicCode } from './quic-types.ts'

export interface QuicOptions extends TransportBaseOptions {
  /**
   * The stack: `openssl` is the one inside Node; `quiche`, of the optional package
   * `@currentspace/http3`, has unreliable datagrams and many limits (docs/transports/quic.md). Where
   * one does not load there is an error, and never the other.
   *
   * @default 'openssl'
   */
  driver?: QuicDriverName
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

  /** Window of a connection, in bytes: OpenSSL chooses it. @default quiche: 10_000_000 */
  initialMaxData?: number
  /** Window of a stream, in bytes: OpenSSL chooses it. @default quiche: 1_000_000 */
  initialMaxStreamData?: number
  /**
   * Interval of PINGs: OpenSSL sends them itself, well within the idle timeout.
   *
   * @default quiche: a third of `idleTimeoutMs`
   */
  keepAliveMs?: number
  /** Following a peer to another address: no driver does. OpenSSL 3.5 answers the old one. */
  migration?: boolean
  /** 0-RTT data: no driver has it. */
  earlyData?: boolean
  /** Unreliable datagrams (RFC 9221), `connection.datagrams()`: driver `quiche` only. */
  unreliableDatagrams?: boolean
  /**
   * Driver `quiche`, which cannot stop a peer that sends: bytes that a connection keeps while nobody
   * reads its streams, and 256 for each chunk. The stream that exceeds it is reset: ERR_LIMITED.
   *
   * @default 4_194_304
   */
  maxUnreadBytes?: number
  /** Driver `quiche`: datagrams kept while their socket is paused or not open. @default 256 */
  maxPausedDatagrams?: number
  /**
   * Driver `quiche`, server: listen although what is written to a connection that has just closed
   * may reach the next client. Only where every client may see what is meant for any other.
   *
   * @default false
   */
  allowCrossDelivery?: boolean
}

export type QuicDriverName = 'openssl' | 'quiche'

/** An option that was asked for and that the stack cannot honour. */
export interface QuicUnsupported {
  readonly option: keyof QuicOptions
  readonly value: unknown
  /** What holds instead, and why. */
  readonly reason: string
}

type Defaulted =
  | 'driver'
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
  | 'maxUnreadBytes'
  | 'maxPausedDatagrams'

export type ResolvedQuicOptions = Readonly<Required<Pick<QuicOptions, Defaulted>>> &
  Readonly<Omit<QuicOptions, Defaulted>> & {
    readonly unsupported: readonly QuicUnsupported[]
    /** A protocol of ours that says nothing about what streams carry. */
    readonly ownAlpn?: string | undefined
  }

export const quicDefaults: Readonly<Required<Pick<QuicOptions, Defaulted>>> = Object.freeze({
  driver: 'openssl',
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
  maxUnreadBytes: 4_194_304, // as much as the addon keeps of what could not be sent
  maxPausedDatagrams: 256, // 300 KB on most paths
})
