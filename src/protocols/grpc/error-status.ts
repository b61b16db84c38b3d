/**
 * Which status an error is, and which error a status: the two directions between heddle's errors and
 * gRPC's codes.
 *
 * | heddle                                            | gRPC |
 * |---------------------------------------------------|------|
 * | `GrpcError`                                       | its own |
 * | a deadline, an attempt or a request timed out     | DEADLINE_EXCEEDED |
 * | the caller gave up (ERR_ABORTED, `AbortError`)    | CANCELLED |
 * | no credentials · not allowed                      | UNAUTHENTICATED · PERMISSION_DENIED |
 * | rate limit, lock-out                              | RESOURCE_EXHAUSTED |
 * | full, shed, breaker open, draining, network       | UNAVAILABLE |
 * | a stream reset by the peer                        | as PROTOCOL-HTTP2 says of its code |
 * | a message over its limit, expansion               | RESOURCE_EXHAUSTED |
 * | a broken protocol                                 | INTERNAL |
 * | wrong use, a bug                                  | INTERNAL |
 * | anything that is not heddle's                     | UNKNOWN |
 */
import { ERROR_CODES, type ErrorCode } from '../../core/error-codes.ts'
import { HeddleError } from '../../core/errors.ts'
import { GrpcError } from './grpc-error.ts'
import { GrpcStatus, type GrpcStatusCode } from './status.ts'

/** The status of any error. */
export function grpcStatusOf(error: unknown): GrpcStatusCode {
  if (error instanceof GrpcError) return error.grpcCode
  if (error instanceof HeddleError) {
    return byReset(error) ?? BY_CODE[error.code] ?? byBlame(error)
  }
  const name = (error as { name?: unknown } | null | undefined)?.name
  if (name === 'AbortError') return GrpcStatus.CANCELLED
  if (name === 'TimeoutError') return GrpcStatus.DEADLINE_EXCEEDED
  return GrpcStatus.UNKNOWN
}

/**
 * What a server tells of an error that its handler threw: a `GrpcError` as it is, of every other one
 * the status and the code of heddle, and nothing of the inside.
 */
export function toGrpcError(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error
  const status = grpcStatusOf(error)
  if (status === GrpcStatus.OK) return new GrpcError('UNKNOWN', 'the call failed', { cause: error })
  const message =
    error instanceof HeddleError
      ? `${ERROR_CODES[error.code].text} (${error.code})`
      : 'the call failed'
  return new GrpcError(status, message, { cause: error })
}

/** The peer gave up one exchange, and said why in the words of HTTP/2. */
function byReset({ code, status }: HeddleError): GrpcStatusCode | undefined {
  if (typeof status !== 'string' || !RESETS.has(code)) return undefined
  return Object.hasOwn(BY_RESET, status) ? BY_RESET[status] : undefined
}

/** What has no line of its own, by whose fault it is. */
function byBlame(error: HeddleError): GrpcStatusCode {
  switch (error.blame) {
    case 'network':
    case 'load':
    case 'lifecycle':
      return GrpcStatus.UNAVAILABLE
    case 'unknown':
      return GrpcStatus.DEADLINE_EXCEEDED
    default:
      return GrpcStatus.INTERNAL
  }
}

/** `grpcStatusOfHttp2` has the same by number. */
const BY_RESET: Readonly<Record<string, GrpcStatusCode>> = Object.freeze({
  REFUSED_STREAM: GrpcStatus.UNAVAILABLE,
  CANCEL: GrpcStatus.CANCELLED,
  ENHANCE_YOUR_CALM: GrpcStatus.RESOURCE_EXHAUSTED,
  INADEQUATE_SECURITY: GrpcStatus.PERMISSION_DENIED,
  NO_ERROR: GrpcStatus.INTERNAL,
  PROTOCOL_ERROR: GrpcStatus.INTERNAL,
  INTERNAL_ERROR: GrpcStatus.INTERNAL,
  FLOW_CONTROL_ERROR: GrpcStatus.INTERNAL,
  SETTINGS_TIMEOUT: GrpcStatus.INTERNAL,
  STREAM_CLOSED: GrpcStatus.INTERNAL,
  FRAME_SIZE_ERROR: GrpcStatus.INTERNAL,
  COMPRESSION_ERROR: GrpcStatus.INTERNAL,
  CONNECT_ERROR: GrpcStatus.INTERNAL,
})
/** What a session makes of a reset. */
const RESETS: ReadonlySet<ErrorCode> = new Set(['ERR_REMOTE', 'ERR_ABORTED', 'ERR_BUSY'])

const BY_CODE: Readonly<Partial<Record<ErrorCode, GrpcStatusCode>>> = Object.freeze({
  ERR_REMOTE: GrpcStatus.UNKNOWN,
  ERR_QUORUM: GrpcStatus.UNAVAILABLE,
  ERR_ABORTED: GrpcStatus.CANCELLED,
  ERR_UNAUTHENTICATED: GrpcStatus.UNAUTHENTICATED,
  ERR_FORBIDDEN: GrpcStatus.PERMISSION_DENIED,
  ERR_LOCKED_OUT: GrpcStatus.RESOURCE_EXHAUSTED,
  ERR_RATE_LIMITED: GrpcStatus.RESOURCE_EXHAUSTED,
  ERR_FIELDS_TOO_LARGE: GrpcStatus.RESOURCE_EXHAUSTED,
  ERR_FRAME_TOO_LARGE: GrpcStatus.RESOURCE_EXHAUSTED,
  ERR_LIMIT: GrpcStatus.RESOURCE_EXHAUSTED,
  ERR_EXPANSION: GrpcStatus.RESOURCE_EXHAUSTED,
  ERR_CONNECT_TIMEOUT: GrpcStatus.UNAVAILABLE,
  ERR_IDLE: GrpcStatus.UNAVAILABLE,
})
