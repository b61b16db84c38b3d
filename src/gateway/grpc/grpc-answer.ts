/**
 * What the gateway answers by itself to a client of gRPC or gRPC-Web: a response with nothing but its
 * status, which is what their libraries read. An HTTP status would reach their users as UNKNOWN or
 * worse, and a page of HTML as nothing at all.
 *
 * | of the gateway                           | gRPC |
 * |------------------------------------------|------|
 * | 404 no route                             | UNIMPLEMENTED |
 * | 401, 403                                 | UNAUTHENTICATED, PERMISSION_DENIED |
 * | 429, 413, 431                            | RESOURCE_EXHAUSTED |
 * | 502, 503; a connection that was not made | UNAVAILABLE |
 * | 504                                      | DEADLINE_EXCEEDED |
 * | 400, 500, 508                            | INTERNAL |
 */
import { loadSignalOf } from '../../core/load-signal.ts'
import { grpcFormat } from '../../protocols/grpc/content-type.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { GrpcStatus, type GrpcStatusCode } from '../../protocols/grpc/status.ts'
import { writeStatus } from '../../protocols/grpc/trailers.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { type HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import type { GatewayAnswer } from '../http/gateway-answer.ts'

/** The content type to answer with; undefined: the request is none of gRPC. */
export function grpcTypeOf({ method, fields }: HttpRequest): string | undefined {
  if (method !== 'POST') return undefined
  const type = fields.get('content-type')
  if (type === undefined || !GRPC_TYPE.test(type)) return undefined
  return grpcFormat(type) !== undefined || WEB_TYPE.test(type) ? type : undefined
}

/** Whether it is gRPC itself: its status is in trailers of HTTP. */
export function isGrpc({ fields }: HttpRequest): boolean {
  return grpcFormat(fields.get('content-type')) !== undefined
}

/** @param refusal what may say when to come again */
export function grpcAnswer(
  answer: GatewayAnswer,
  type: string,
  requestIdHeader: string,
  requestId: string,
  refusal?: unknown,
): HttpResponse {
  const { text, code } = answer
  const list = ['content-type', type]
  writeStatus(list, new GrpcError(statusOf(answer), `${text} (${code})`))
  const retryAfterMs = loadSignalOf(refusal)?.retryAfterMs
  if (retryAfterMs !== undefined && Number.isFinite(retryAfterMs)) {
    list.push('grpc-retry-pushback-ms', String(Math.max(0, Math.ceil(retryAfterMs))))
  }
  list.push(requestIdHeader, requestId, 'x-heddle-error', code)
  return new HttpResponse({ status: 200, fields: HttpFields.fromTrusted(list) })
}

/** The gRPC status that an answer of the gateway is. */
function statusOf({ status, code }: GatewayAnswer): GrpcStatusCode {
  if (code === 'ERR_CONNECT_TIMEOUT' || code === 'ERR_IDLE') return GrpcStatus.UNAVAILABLE
  return BY_STATUS[status] ?? GrpcStatus.INTERNAL
}

const GRPC_TYPE = /^application\/grpc/i
const WEB_TYPE = /^application\/grpc-web(?:-text)?(?:\+[a-z0-9.-]+)?[ \t]*(?:;|$)/i
const BY_STATUS: Readonly<Record<number, GrpcStatusCode>> = Object.freeze({
  401: GrpcStatus.UNAUTHENTICATED,
  403: GrpcStatus.PERMISSION_DENIED,
  404: GrpcStatus.UNIMPLEMENTED,
  413: GrpcStatus.RESOURCE_EXHAUSTED,
  429: GrpcStatus.RESOURCE_EXHAUSTED,
  431: GrpcStatus.RESOURCE_EXHAUSTED,
  502: GrpcStatus.UNAVAILABLE,
  503: GrpcStatus.UNAVAILABLE,
  504: GrpcStatus.DEADLINE_EXCEEDED,
})
