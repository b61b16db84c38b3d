/**
 * The end of a call on the wire: `grpc-status`, `grpc-message`, `grpc-status-details-bin` and the
 * trailing metadata, in trailers, or in the one head of a response that has nothing else.
 */
import { HttpFields } from '../http/fields.ts'
import { GrpcMetadata } from './call-metadata.ts'
import { GrpcError } from './grpc-error.ts'
import { decodeGrpcMessage, encodeGrpcMessage } from './percent.ts'
import { GrpcStatus, grpcStatusOfHttp, parseGrpcStatus } from './status.ts'
import { decodeStatusDetails, encodeStatusDetails } from './status-details.ts'

/** Adds the fields that say how a call ended; `error` undefined: well. */
export function writeStatus(
  list: string[],
  error: GrpcError | undefined,
  metadata?: GrpcMetadata | undefined,
): void {
  if (error === undefined) list.push('grpc-status', '0')
  else {
    const { grpcCode: code, grpcMessage: message, details } = error
    list.push('grpc-status', String(code))
    if (message !== '') list.push('grpc-message', encodeGrpcMessage(message))
    if (details.length > 0) {
      list.push('grpc-status-details-bin', encodeStatusDetails({ code, message, details }))
    }
    error.metadata.writeTo(list)
  }
  metadata?.writeTo(list)
}

/** The trailers of a call that went well and has nothing to add: shared, never changed. */
export const OK_TRAILERS: HttpFields = /* @__PURE__ */ HttpFields.fromTrusted(['grpc-status', '0'])

/**
 * How a call ended, by its trailers (or the head of a trailers-only response). Undefined: well.
 *
 * @param httpStatus what the status is taken from where the fields have none
 */
export function readStatus(
  fields: HttpFields | undefined,
  httpStatus: number,
): GrpcError | undefined {
  const text = fields?.get('grpc-status')
  if (text === '0') return undefined
  if (fields === undefined || text === undefined) return withoutStatus(httpStatus, fields)
  const code = parseGrpcStatus(text)
  // `00` is none of the ways to write it, and must not become a success.
  if (code === GrpcStatus.OK) return new GrpcError('UNKNOWN', `grpc-status is ${text.slice(0, 16)}`)
  const binary = fields.get('grpc-status-details-bin')
  const rich = binary === undefined ? undefined : decodeStatusDetails(binary)
  return new GrpcError(code, decodeGrpcMessage(fields.get('grpc-message') ?? ''), {
    details: rich?.details ?? [],
    metadata: GrpcMetadata.fromFields(fields),
  })
}

function withoutStatus(httpStatus: number, fields: HttpFields | undefined): GrpcError {
  const metadata = GrpcMetadata.fromFields(fields)
  if (httpStatus === 200) {
    return new GrpcError('UNKNOWN', 'the response ended without grpc-status', { metadata })
  }
  const message = `HTTP status ${httpStatus} and no grpc-status`
  return new GrpcError(grpcStatusOfHttp(httpStatus), message, { metadata })
}
