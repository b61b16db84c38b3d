/** Responses of gRPC that have no message: how a call that failed, or found nothing, is answered. */
import type { GrpcMetadata } from '../../protocols/grpc/call-metadata.ts'
import type { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { OK_TRAILERS, writeStatus } from '../../protocols/grpc/trailers.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpResponse } from '../../protocols/http/messages.ts'

/** Trailers-only: the head says how the call ended. `error` undefined: well, without a message. */
export function errorReply(
  error: GrpcError | undefined,
  headers?: GrpcMetadata | undefined,
  trailers?: GrpcMetadata | undefined,
): HttpResponse {
  const list = ['content-type', GRPC_TYPE]
  headers?.writeTo(list)
  writeStatus(list, error, trailers)
  return new HttpResponse({ fields: HttpFields.fromTrusted(list) })
}

/** The head of a response with messages. A list of its own: policies may add to it. */
export function replyFields(
  headers: GrpcMetadata | undefined,
  encoding: string | undefined,
): HttpFields {
  const list = ['content-type', GRPC_TYPE]
  if (encoding !== undefined) list.push('grpc-encoding', encoding)
  headers?.writeTo(list)
  return HttpFields.fromTrusted(list)
}

export function replyTrailers(
  error: GrpcError | undefined,
  trailers: GrpcMetadata | undefined,
): HttpFields {
  if (error === undefined && trailers === undefined) return OK_TRAILERS
  const list: string[] = []
  writeStatus(list, error, trailers)
  return HttpFields.fromTrusted(list)
}

const GRPC_TYPE = 'application/grpc'
