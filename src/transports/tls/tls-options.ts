/**
 * Options of the TLS transport. One transport does both sides; what concerns one side says so.
 */
import type { PeerCertificate } from '../../core/connection.ts'
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { SecretText } from '../../core/secret.ts'
import type { Transport, TransportBaseOptions } from '../../core/transport.ts'
import { warn } from '../../platform/process-access.ts'
import type { TcpOptions } from '../tcp/tcp-options.ts'
import { fixedTicketKeys, type TicketKeySource } from './ticket-keys.ts'

/** A certificate with its chain, and its private key, both PEM. */
export interface TlsCredentials {
  readonly certificate: string | Uint8Array
  readonly key: string | Uint8Array
  readonly passphrase?: SecretText
  /** What messages call it: the files it is from. @default the option it is given in */
  readonly name?: string
}

/** What a server shows: one certificate for everybody, and others by the name that is asked for. */
export interface TlsServerCredentials {
  readonly credentials: TlsCredentials
  /** By server name (SNI): `api.example`, or `*.example` for one label in its place. */
  readonly serverNames?: Readonly<Record<string, TlsCredentials>>
}

/** Certificates that change while servers run: `certificateFiles`, or your own. */
export interface CertificateSource {
  readonly current: TlsServerCredentials
  /** Called after `current` has changed, with something that can be used. Returns removal. */
  onChange(listener: (next: TlsServerCredentials) => void): () => void
}

export interface TlsOptions extends TransportBaseOptions {
  /**
   * What carries the bytes. Without it, TCP, and TLS works directly on the socket; over any other
   * transport it works on its connections, at 1.3 to 1.9 times the processor time.
   *
   * @default TCP with `tcp`
   */
  inner?: Transport
  /** Options of the sockets when `inner` is not given; `engine` is that of decrypted bytes too. */
  tcp?: TcpOptions
  /** @default 'TLSv1.2' */
  minVersion?: TlsVersion
  /** @default 'TLSv1.3' */
  maxVersion?: TlsVersion
  /** OpenSSL's cipher list. @default Node's */
  ciphers?: string
  /** Application protocols (RFC 7301), preferred first. A server refuses clients that share none. */
  alpn?: readonly string[]
  /**
   * Authorities to trust, PEM. Replaces the default.
   *
   * @default what Node trusts, NODE_EXTRA_CA_CERTS included
   */
  ca?: string | Uint8Array | readonly (string | Uint8Array)[]
  /** A server's certificate, needed to listen; or the client certificate to connect with. */
  credentials?: TlsCredentials
  /** Server: certificates by name, see `TlsServerCredentials`. */
  serverNames?: Readonly<Record<string, TlsCredentials>>
  /** Server: instead of `credentials` and `serverNames`; every listener follows it. */
  certificates?: CertificateSource
  /**
   * Lists of revoked certificates, PEM. With one, OpenSSL wants a list of every authority that may
   * have issued the peer's own certificate, and refuses a list that is out of date.
   */
  crl?: string | Uint8Array | readonly (string | Uint8Array)[]
  /** Server: whether clients show a certificate. `request`: they may. @default 'none' */
  clientCertificates?: 'none' | 'request' | 'require'
  /** Client: false accepts any certificate. For tests, and together with `pins`. @default true */
  verify?: boolean
  /** Client: name to ask for and to check, when it is not the address's host. */
  serverName?: string
  /**
   * `sha256/<base64>` of public keys (SPKI), one of which the peer must have: in its verified chain,
   * or as its own when `verify` is false. A server asks it of the certificates that clients show.
   * Have two: with a single one, the loss of that key locks everybody out, and Node's warning
   * HEDDLE_SINGLE_PIN says so (RFC 7469 4.3).
   */
  pins?: readonly string[]
  /**
   * Both: a last word on a peer that passed everything else. An error refuses it, returned or
   * thrown.
   */
  verifyPeer?: (peer: TlsPeer) => Error | undefined
  /** Client: whole time for connecting and the handshake. @default 10_000 */
  connectTimeoutMs?: number
  /** Server: time a client has for its handshake. @default 10_000 */
  handshakeTimeoutMs?: number
  /** Server: handshakes under way; a newcomer over it is refused. @default 1_024 */
  maxHandshakes?: number
  /** Client: sessions kept for resumption; 0: none. @default 256 */
  maxSessions?: number
  /**
   * Server: what encrypts session tickets: a source (`rotatingTicketKeys`, with a secret that
   * servers share they resume each other's sessions), or 48 bytes that stay.
   *
   * @default random keys of each listener's own, a new one every hour
   */
  ticketKeys?: Uint8Array | TicketKeySource
  /** Bytes that may wait in a connection before `write` returns false. @default 65_536 */
  highWaterMarkBytes?: number
  /** Newcomers that a paused listener keeps. @default 511 */
  maxPausedConnections?: number
  /**
   * File that gets the secrets of every connection, for Wireshark. Only this option: the environment
   * variable SSLKEYLOGFILE alone must not open every connection of a process.
   *
   * @default none
   */
  keyLogFile?: string
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** Who wants to talk to us, or whom we reached. */
export interface TlsPeer {
  readonly role: 'server' | 'client'
  /** The name that was asked for. */
  readonly serverName: string | undefined
  readonly certificate: PeerCertificate | undefined
  /** Its certificate, then its issuers as far as they were sent or found. Parsed when asked for. */
  chain(): readonly PeerCertificate[]
  /** Whether the certificate was verified against the authorities. */
  readonly authorized: boolean
}

type Defaulted =
  | 'minVersion'
  | 'maxVersion'
  | 'clientCertificates'
  | 'verify'
  | 'connectTimeoutMs'
  | 'handshakeTimeoutMs'
  | 'maxHandshakes'
  | 'maxSessions'
  | 'highWaterMarkBytes'
  | 'maxPausedConnections'

export type ResolvedTlsOptions = Readonly<Required<Pick<TlsOptions, Defaulted>>> &
  Readonly<Omit<TlsOptions, Defaulted>>

export const tlsDefaults: Readonly<Required<Pick<TlsOptions, Defaulted>>> = Object.freeze({
  minVersion: 'TLSv1.2', // RFC 8996 retires what came before
  maxVersion: 'TLSv1.3',
  clientCertificates: 'none',
  verify: true,
  connectTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000, // a client that is slower than this is no client
  maxHandshakes: 1_024, // each holds tens of kilobytes and costs about a millisecond
  maxSessions: 256, // a few kilobytes each
  highWaterMarkBytes: 65_536,
  maxPausedConnections: 511,
})

/** @throws UsageError naming the option */
export function resolveTlsOptions(options: TlsOptions): ResolvedTlsOptions {
  for (const name of Object.keys(options)) {
    if (!KNOWN_OPTIONS.has(name)) {
      throw new UsageError('ERR_OPTION_UNKNOWN', `tls has no option '${name}'`)
    }
  }
  if (options.certificates !== undefined && options.credentials !== undefined) {
    throw new UsageError('ERR_ARGUMENT', 'tls takes credentials or certificates, not both')
  }
  if (options.inner !== undefined && options.tcp !== undefined) {
    throw new UsageError('ERR_ARGUMENT', 'tls takes inner or tcp, not both')
  }
  const {
    minVersion = tlsDefaults.minVersion,
    maxVersion = tlsDefaults.maxVersion,
    clientCertificates = tlsDefaults.clientCertificates,
    verify = tlsDefaults.verify,
    connectTimeoutMs = tlsDefaults.connectTimeoutMs,
    handshakeTimeoutMs = tlsDefaults.handshakeTimeoutMs,
    maxHandshakes = tlsDefaults.maxHandshakes,
    maxSessions = tlsDefaults.maxSessions,
    highWaterMarkBytes = tlsDefaults.highWaterMarkBytes,
    maxPausedConnections = tlsDefaults.maxPausedConnections,
    pins,
    ticketKeys,
  } = options
  checkVersions(minVersion, maxVersion)
  if (!['none', 'request', 'require'].includes(clientCertificates)) {
    const message = `clientCertificates is '${clientCertificates}', must be none, request or require`
    throw new UsageError('ERR_OPTION_RANGE', message)
  }
  for (const pin of pins ?? []) checkPin(pin)
  if (pins !== undefined && new Set(pins).size === 1) {
    warn('a single pin: when its key is lost, nobody connects any more', 'HEDDLE_SINGLE_PIN')
  }
  if (ticketKeys instanceof Uint8Array) fixedTicketKeys(ticketKeys)
  return {
    ...options,
    minVersion,
    maxVersion,
    clientCertificates,
    verify,
    connectTimeoutMs: checkInteger('connectTimeoutMs', connectTimeoutMs, 1, MAX_TIMEOUT_MS),
    handshakeTimeoutMs: checkInteger('handshakeTimeoutMs', handshakeTimeoutMs, 1, MAX_TIMEOUT_MS),
    maxHandshakes: checkInteger('maxHandshakes', maxHandshakes, 1, 1_000_000),
    maxSessions: checkInteger('maxSessions', maxSessions, 0, 1_000_000),
    highWaterMarkBytes: checkInteger('highWaterMarkBytes', highWaterMarkBytes, 0, 0x4000_0000),
    maxPausedConnections: checkInteger('maxPausedConnections', maxPausedConnections, 0, 65_535),
  }
}

function checkVersions(minVersion: string, maxVersion: string): void {
  for (const version of [minVersion, maxVersion]) {
    if (!VERSIONS.includes(version)) {
      throw new UsageError('ERR_OPTION_RANGE', `'${version}' is not one of ${VERSIONS.join(', ')}`)
    }
  }
  if (VERSIONS.indexOf(minVersion) > VERSIONS.indexOf(maxVersion)) {
    const message = `minVersion ${minVersion} is over maxVersion ${maxVersion}`
    throw new UsageError('ERR_OPTION_RANGE', message)
  }
}

function checkPin(pin: string): void {
  // 32 bytes are 43 characters and one of padding.
  if (/^sha256\/[A-Za-z0-9+/]{43}=$/.test(pin)) return
  throw new UsageError('ERR_OPTION_RANGE', `pin '${pin}' is not sha256/<base64 of 32 bytes>`)
}

/** Every key of `TlsOptions`; the record makes the compiler keep it complete. */
const KNOWN: Readonly<Record<keyof TlsOptions, true>> = {
  clock: true,
  inner: true,
  tcp: true,
  minVersion: true,
  maxVersion: true,
  ciphers: true,
  alpn: true,
  ca: true,
  credentials: true,
  serverNames: true,
  certificates: true,
  crl: true,
  clientCertificates: true,
  verify: true,
  serverName: true,
  pins: true,
  verifyPeer: true,
  connectTimeoutMs: true,
  handshakeTimeoutMs: true,
  maxHandshakes: true,
  maxSessions: true,
  ticketKeys: true,
  highWaterMarkBytes: true,
  maxPausedConnections: true,
  keyLogFile: true,
}
const KNOWN_OPTIONS: ReadonlySet<string> = new Set(Object.keys(KNOWN))
const VERSIONS: readonly string[] = ['TLSv1.2', 'TLSv1.3']
const MAX_TIMEOUT_MS = 3_600_000
