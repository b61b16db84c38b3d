/**
 * Options of the QUIC transports, looked at once: known names, values in their range, and what the
 * driver that was chosen makes of them.
 */
import { checkInteger, UsageError } from '../../core/errors.ts'
import { warn } from '../../platform/process-access.ts'
import { findUnsupported, refuseUnsupported } from './driver-limits.ts'
import {
  type QuicOptions,
  type QuicUnsupported,
  quicDefaults,
  type ResolvedQuicOptions,
} from './quic-options.ts'

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
  if (resolved.driver !== 'openssl' && resolved.driver !== 'quiche') {
    const message = `driver is '${resolved.driver}', must be openssl or quiche`
    throw new UsageError('ERR_OPTION_RANGE', message)
  }
  checkAlpn(resolved.alpn)
  for (const pin of resolved.pins ?? []) {
    if (/^sha256\/[A-Za-z0-9+/]{43}=$/.test(pin)) continue
    throw new UsageError('ERR_OPTION_RANGE', `pin '${pin}' is not sha256/<base64 of 32 bytes>`)
  }
  refuseUnsupported(resolved)
  const unsupported = findUnsupported(given, resolved.driver)
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

function warnOnce({ option, value, reason }: QuicUnsupported): void {
  warn(`quic: ${option} ${String(value)} is not honoured: ${reason}`, `HEDDLE_QUIC_${option}`)
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
  maxUnreadBytes: [1, 0x4000_0000],
  maxPausedDatagrams: [0, 65_535],
} as const

/** Every key of `QuicOptions`; the record makes the compiler keep it complete. */
const KNOWN: Readonly<Record<keyof QuicOptions, true>> = {
  clock: true,
  driver: true,
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
  maxUnreadBytes: true,
  maxPausedDatagrams: true,
  allowCrossDelivery: true,
}
