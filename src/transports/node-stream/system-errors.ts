/**
 * What the operating system and Node say, in heddle's words: a stable code, whether anything was
 * sent, and the cause kept.
 */
import { getSystemErrorName } from 'node:util'
import { type Address, formatAddress } from '../../core/address.ts'
import {
  HeddleError as Base,
  type HeddleError,
  TimeoutError,
  TransportError,
  UsageError,
} from '../../core/errors.ts'
import { tlsReason } from './tls-reasons.ts'

/** Node's error object for a negative result of a handle. */
export function systemError(status: number, call: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(status)
  const error: NodeJS.ErrnoException = new Error(`${call} ${code}`)
  error.code = code
  error.errno = status
  error.syscall = call
  return error
}

/** A connection that was established broke. */
export function connectionError(cause: Error): Error {
  if (cause instanceof Base) return cause
  const { code } = cause as NodeJS.ErrnoException
  switch (code) {
    case 'ECONNRESET':
      return new TransportError('ERR_RESET', 'the peer reset the connection', { cause })
    case 'EPIPE':
      return new TransportError('ERR_RESET', 'the peer stopped reading', { cause })
    case 'ECONNABORTED':
      return new TransportError('ERR_RESET', 'the connection was aborted', { cause })
    case 'ETIMEDOUT':
      return new TransportError('ERR_RESET', 'the peer no longer answers', { cause })
    default:
      if (String(code).startsWith('ERR_SSL_')) {
        const message = `TLS failed on an open connection: ${tlsReason(cause) ?? cause.message}`
        return new TransportError('ERR_TLS', message, { cause, retryable: 'if-idempotent' })
      }
      return new TransportError('ERR_DISCONNECTED', `the connection broke: ${cause.message}`, {
        cause,
      })
  }
}

/** A connection could not be established. Nothing was sent. */
export function connectError(cause: Error, address: Address): HeddleError {
  if (cause instanceof Base) return cause
  const to = formatAddress(address)
  const options = { cause, sent: 'nothing' } as const
  const { code, message: text } = mostTelling(cause)
  switch (code) {
    case 'ECONNREFUSED':
      return new TransportError('ERR_CONNECT_REFUSED', `${to} refused the connection`, options)
    case 'ENOENT':
      return new TransportError('ERR_CONNECT_REFUSED', `${to} does not exist`, options)
    case 'ETIMEDOUT':
      return new TimeoutError('ERR_CONNECT_TIMEOUT', `${to} did not answer`, options)
    case 'ENOTFOUND':
    case 'EAI_NONAME':
    case 'EAI_NODATA':
      return new TransportError('ERR_RESOLVE', `${to}: the name does not exist`, options)
    case 'EAI_AGAIN':
      return new TransportError('ERR_RESOLVE', `${to}: the name service does not answer`, options)
    case 'EACCES':
    case 'EPERM':
      return new TransportError('ERR_CONNECT', `${to}: permission denied`, {
        ...options,
        retryable: 'no',
      })
    case 'ERR_SOCKET_BAD_PORT':
    case 'ERR_INVALID_ARG_VALUE':
    case 'ERR_INVALID_ARG_TYPE':
      return new UsageError('ERR_ADDRESS_INVALID', `${to}: ${text}`, options)
  }
  const reason = CONNECT_REASONS[code ?? ''] ?? text
  return new TransportError('ERR_CONNECT', `${to}: ${reason}`, options)
}

/** `listen` failed. */
export function listenError(cause: Error, address: Address): HeddleError {
  if (cause instanceof Base) return cause
  const on = formatAddress(address)
  const options = { cause, sent: 'nothing' } as const
  const { code } = cause as NodeJS.ErrnoException
  switch (code) {
    case 'EADDRINUSE':
      return new TransportError('ERR_ADDRESS_IN_USE', `${on} is in use by another socket`, options)
    case 'EADDRNOTAVAIL':
      return new TransportError('ERR_LISTEN', `${on} is not an address of this machine`, options)
    case 'EACCES':
    case 'EPERM':
      return new TransportError('ERR_LISTEN', `${on}: permission denied`, options)
    case 'ENOTFOUND':
      return new TransportError('ERR_RESOLVE', `${on}: the name does not exist`, options)
    default:
      return new TransportError('ERR_LISTEN', `cannot listen on ${on}: ${cause.message}`, options)
  }
}

/** `accept` failed; the listener goes on. */
export function acceptError(cause: Error, address: Address): HeddleError {
  const { code } = cause as NodeJS.ErrnoException
  const on = formatAddress(address)
  const reason = ACCEPT_REASONS[code ?? ''] ?? cause.message
  return new TransportError('ERR_ACCEPT', `${on} could not accept a connection: ${reason}`, {
    cause,
    sent: 'nothing',
  })
}

/**
 * Of several failed addresses, the one to name. "No route" to an address family that this machine
 * does not have says nothing when another address was refused.
 */
function mostTelling(cause: Error): NodeJS.ErrnoException {
  if (!(cause instanceof AggregateError)) return cause
  const errors = cause.errors as NodeJS.ErrnoException[]
  const reached = errors.find((error) => !UNREACHED.has(error.code ?? ''))
  return reached ?? errors[0] ?? cause
}

const CONNECT_REASONS: Readonly<Record<string, string>> = {
  ENETUNREACH: 'no route to its network',
  EHOSTUNREACH: 'no route to the host',
  ENETDOWN: 'the network is down',
  ECONNRESET: 'the peer reset the connection while it was established',
  EADDRNOTAVAIL: 'no local address or port is left for it',
  EMFILE: 'this process has too many open files',
  ENFILE: 'the system has too many open files',
  EAFNOSUPPORT: 'its address family is not supported here',
}

const UNREACHED: ReadonlySet<string> = new Set([
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
])

const ACCEPT_REASONS: Readonly<Record<string, string>> = {
  EMFILE: 'this process has too many open files (raise the limit, see ulimit -n)',
  ENFILE: 'the system has too many open files',
  ENOBUFS: 'the system is out of socket memory',
  ENOMEM: 'the system is out of memory',
  ECONNABORTED: 'the peer went away',
}
