/**
 * How QUIC connections and streams end, as errors with stable codes. The peer's code and words are
 * in `status` and `detail`; a message is cut and stripped of control characters.
 */
import { getSystemErrorName } from 'node:util'
import {
  ClosedError,
  type HeddleError,
  HeddleError as HeddleErrorClass,
  ProtocolError,
  TimeoutError,
  TransportError,
  UsageError,
} from '../../core/errors.ts'
import type { QuicCode } from './quic-types.ts'

/** What is known of the end of a connection. */
export interface QuicCloseInfo {
  readonly code: bigint
  readonly reason: string
  /** We closed it. */
  readonly local: boolean
  /** The code is QUIC's own (RFC 9000, 20.1), not the application's; undefined: nobody knows. */
  readonly transport: boolean | undefined
}

/**
 * Application codes that are sent unless `codeOf` of the options says otherwise. They are those of
 * blocks (docs/transports/quic.md); a protocol with codes of its own maps reasons to them.
 */
export const quicCodes = Object.freeze({
  normal: 0,
  protocol: 1,
  tooLarge: 2,
  badMessage: 3,
  timeout: 4,
  shuttingDown: 5,
})

/** @throws UsageError ERR_OPTION_RANGE for what a variable-length integer cannot hold */
export function checkCode(code: QuicCode): bigint {
  if (typeof code === 'bigint' ? code >= 0n && code <= MAX_CODE : Number.isSafeInteger(code)) {
    const exact = BigInt(code)
    if (exact >= 0n) return exact
  }
  throw new UsageError('ERR_OPTION_RANGE', `code is ${code}, must be 0 to ${MAX_CODE}`)
}

/** The code for a reason to close or to reset. */
export function defaultCodeOf(reason: Error | undefined): QuicCode {
  if (reason === undefined) return quicCodes.normal
  if (!(reason instanceof HeddleErrorClass)) return quicCodes.protocol
  switch (reason.code) {
    case 'ERR_RESET': // the peer began it, or the caller gave a code of its own
    case 'ERR_DISCONNECTED':
      return quicCodes.normal
    case 'ERR_FRAME_TOO_LARGE':
      return quicCodes.tooLarge
    case 'ERR_MALFORMED':
    case 'ERR_CHECKSUM':
    case 'ERR_TRUNCATED':
      return quicCodes.badMessage
  }
  if (reason instanceof TimeoutError) return quicCodes.timeout
  if (reason instanceof ClosedError) return quicCodes.shuttingDown
  return quicCodes.protocol
}

/** Why a connection that was established is gone. */
export function closedConnection(info: QuicCloseInfo | undefined, where: string): HeddleError {
  if (info === undefined) {
    return new TransportError('ERR_DISCONNECTED', `${where}: the connection is gone`)
  }
  const { code, local, transport } = info
  const detail = details(info)
  if (code === IDLE_TIMEOUT) {
    return new TimeoutError('ERR_IDLE', `${where}: nothing arrived within the idle timeout`)
  }
  const tls = tlsFailure(info, where, undefined)
  if (tls !== undefined) return tls
  if (!transport) {
    const message = `${where} closed the connection with code ${code}${said(info)}`
    return new TransportError('ERR_DISCONNECTED', message, { status: statusOf(code), detail })
  }
  const name = TRANSPORT_CODES[Number(code)] ?? `code ${code}`
  if (local && code !== 0n) {
    const message = `${where} broke the protocol: ${name}${said(info)}`
    return new ProtocolError('ERR_PROTOCOL', message, { status: statusOf(code), detail })
  }
  const message = `${where} ended the connection: ${name}${said(info)}`
  return new TransportError('ERR_DISCONNECTED', message, { status: statusOf(code), detail })
}

/** Why a handshake failed. Nothing of the application was sent. */
export function failedHandshake(
  info: QuicCloseInfo | undefined,
  verification: string | undefined,
  where: string,
  reasons: readonly string[],
): HeddleError {
  if (info?.code === IDLE_TIMEOUT) {
    const message = `${where} did not answer within the idle timeout`
    return new TimeoutError('ERR_CONNECT_TIMEOUT', message, { sent: 'nothing' })
  }
  const tls = info && tlsFailure(info, where, verification)
  if (tls !== undefined) return tls
  const options = { sent: 'nothing', ...(info && { detail: details(info) }) } as const
  if (info?.transport && info.code === CONNECTION_REFUSED) {
    return new TransportError('ERR_CONNECT_REFUSED', `${where} refused the connection`, options)
  }
  const told = info && (TRANSPORT_CODES[Number(info.code)] ?? `code ${info.code}`) + said(info)
  const why = told ?? (reasons.join('; ') || 'no reason given')
  return new TransportError('ERR_CONNECT', `${where}: the handshake failed: ${why}`, options)
}

/** The peer gave a stream up. */
export function resetStream(code: bigint, reading: boolean): HeddleError {
  const what = reading ? 'the peer reset the stream' : 'the peer stopped reading the stream'
  const detail = { code: statusOf(code) }
  const status = statusOf(code)
  return new TransportError('ERR_RESET', `${what} with code ${code}`, { status, detail })
}

/** A socket call that failed. */
export function socketError(errno: number, call: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno)
  const error: NodeJS.ErrnoException = new Error(`${call} ${code}`)
  error.code = code
  error.errno = -errno
  error.syscall = call
  return error
}

/** RFC 9001, 4.8: 0x100 and a TLS alert. */
function tlsFailure(
  info: QuicCloseInfo,
  where: string,
  verification: string | undefined,
): HeddleError | undefined {
  const { code, local } = info
  if (!info.transport || code < CRYPTO_ERROR || code > CRYPTO_ERROR + 0xffn) return undefined
  const alert = Number(code - CRYPTO_ERROR)
  const options = { sent: 'nothing', status: alert, detail: details(info) } as const
  const [ours, theirs] = ALERTS[alert] ?? [`alert ${alert}`, `alert ${alert}`]
  const why = local ? (verification ?? ours) : theirs
  return new TransportError('ERR_TLS', `${where}: ${why}`, options)
}

function details(info: QuicCloseInfo): Readonly<Record<string, unknown>> {
  return {
    code: statusOf(info.code),
    reason: info.reason,
    by: info.local ? 'us' : 'peer',
    kind: info.transport === undefined ? 'unknown' : info.transport ? 'transport' : 'application',
  }
}

function said(info: QuicCloseInfo): string {
  return info.reason === '' ? '' : `: ${info.reason}`
}

/** As a number where that is exact. */
function statusOf(code: bigint): number | string {
  return code <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(code) : String(code)
}

/** RFC 9000, 16. */
const MAX_CODE = 2n ** 62n - 1n
/** OpenSSL's own mark for a connection that timed out; no code of the wire. */
export const IDLE_TIMEOUT = 0xffff_ffff_ffff_ffffn
const CRYPTO_ERROR = 0x100n
const CONNECTION_REFUSED = 2n

/** By alert of TLS: what it says when we sent it, and when the peer did. */
const ALERTS: Readonly<Record<number, readonly [ours: string, theirs: string]>> = {
  40: ['nothing in common', 'the peer refused: nothing in common, or it wants a certificate'],
  42: ['its certificate is not accepted', 'the peer does not accept our certificate'],
  43: ['its certificate cannot be used', 'the peer cannot use our certificate'],
  44: ['its certificate was revoked', 'the peer says that our certificate was revoked'],
  45: ['its certificate has expired', 'the peer says that our certificate has expired'],
  46: ['its certificate is not accepted', 'the peer does not accept our certificate'],
  48: ['its issuer is not trusted here', 'the peer does not trust the issuer of our certificate'],
  51: ['a signature is wrong', 'the peer says that a signature is wrong'],
  70: ['no protocol version in common', 'no protocol version in common'],
  80: ['an internal error', 'the peer had an internal error'],
  112: ['it does not serve this name', 'the peer does not serve this name'],
  116: ['it sent no client certificate', 'the peer wants a client certificate: pass `credentials`'],
  120: ['no application protocol in common (ALPN)', 'no application protocol in common (ALPN)'],
}

/** RFC 9000, 20.1. */
const TRANSPORT_CODES: Readonly<Record<number, string>> = {
  0: 'no error',
  1: 'internal error',
  2: 'connection refused',
  3: 'flow control error',
  4: 'stream limit error',
  5: 'stream state error',
  6: 'final size error',
  7: 'frame encoding error',
  8: 'transport parameter error',
  9: 'connection id limit error',
  10: 'protocol violation',
  11: 'invalid token',
  12: 'application error',
  13: 'crypto buffer exceeded',
  14: 'key update error',
  15: 'aead limit reached',
  16: 'no viable path',
}
