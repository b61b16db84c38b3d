/**
 * What outcomes of gRPC mean to policies: retries, breakers, hedging, and how a server answers errors.
 *
 * | status                                                | failed | endpoint's failure | retry |
 * |-------------------------------------------------------|--------|--------------------|-------|
 * | OK, and a response whose status is not there yet      | no     | no                 | no  |
 * | UNAVAILABLE                                           | yes    | yes                | yes |
 * | RESOURCE_EXHAUSTED                                    | yes    | no                 | yes |
 * | UNKNOWN, INTERNAL, DATA_LOSS, DEADLINE_EXCEEDED       | yes    | yes                | no  |
 * | others: the call is wrong, or its time                | yes    | no                 | no  |
 *
 * A response whose head has come is the call's: the call is committed, as gRPC says it. Whether it may
 * be sent again, the method's `idempotency_level` says, or the call. `grpc-retry-pushback-ms` counts.
 */
import type { CallContext } from '../../core/context.ts'
import type { Classifier, Verdict } from '../../core/policy.ts'
import {
  ENDPOINT_FAILED,
  ENDPOINT_FAILED_RETRY,
  FAILED,
  FAILED_RETRY,
  pushbackOf,
  SUCCEEDED,
  verdictOfError,
} from '../../core/verdicts.ts'
import { httpClassifier } from '../http/classifier.ts'
import { HttpFields } from '../http/fields.ts'
import { type HttpRequest, HttpResponse } from '../http/messages.ts'
import { toGrpcError } from './error-status.ts'
import { GrpcStatus, grpcStatusOfHttp, parseGrpcStatus } from './status.ts'
import { writeStatus } from './trailers.ts'

export const grpcClassifier: Classifier<HttpRequest, HttpResponse> = Object.freeze({
  ...httpClassifier,
  protocol: 'grpc',
  // Every method is a POST: the call's context says it where the method is idempotent.
  isIdempotent: () => false,
  classifyResponse(request: HttpRequest, response: HttpResponse): Verdict {
    const end = endOf(response)
    const status = statusOf(response, end)
    const verdict = verdictOfStatus(status)
    if (!verdict.failed) return verdict
    // The client has a policy of its own for this call: service config.
    const quiet = verdict.retry && request.note === OWN_RETRIES
    if (quiet) return verdict.endpointFailure ? ENDPOINT_FAILED : FAILED
    const pushbackMs = pushbackOf(end?.get('grpc-retry-pushback-ms'))
    return pushbackMs === undefined ? verdict : { ...verdict, pushbackMs }
  },
  classifyError(request: HttpRequest, error: unknown, context: CallContext): Verdict {
    if (request.body.failure !== undefined) return FAILED
    const verdict = verdictOfError(error, context)
    if (request.note !== OWN_RETRIES || !verdict.retry) return verdict
    // What never left this process is sent again by whoever finds out first.
    if ((error as { sent?: unknown }).sent === 'nothing') return verdict
    return verdict.endpointFailure ? ENDPOINT_FAILED : FAILED
  },
  errorResponse: grpcErrorResponse,
  // Rate limits and load have no words in gRPC.
  reportRateLimits: () => {},
  reportLoad: () => {},
  operation: (request: HttpRequest) => request.route ?? '_OTHER',
})

/** `HttpRequest.note` of a call whose retries are the client's own. */
export const OWN_RETRIES: unique symbol = Symbol('heddle.grpc.own-retries')

/** What a status means, whoever called. */
export function verdictOfStatus(status: number): Verdict {
  return status === GrpcStatus.OK ? SUCCEEDED : (VERDICTS[status] ?? FAILED)
}

/** The status of a response; undefined where its body is still on its way. */
export function grpcStatusOfResponse(response: HttpResponse): number | undefined {
  const end = endOf(response)
  if (end === undefined && response.status === 200) return undefined
  return statusOf(response, end)
}

/** How a server answers an error: a response with nothing but its status. */
export function grpcErrorResponse(error: unknown): HttpResponse {
  const list = ['content-type', 'application/grpc']
  writeStatus(list, toGrpcError(error))
  return new HttpResponse({ fields: HttpFields.fromTrusted(list) })
}

function endOf({ body, fields }: HttpResponse): HttpFields | undefined {
  return body.trailers ?? (fields.has('grpc-status') ? fields : undefined)
}

function statusOf(response: HttpResponse, end: HttpFields | undefined): number {
  const text = end?.get('grpc-status')
  if (text !== undefined) return text === '0' ? GrpcStatus.OK : parseGrpcStatus(text)
  return response.status === 200 ? GrpcStatus.OK : grpcStatusOfHttp(response.status)
}

const VERDICTS: Readonly<Record<number, Verdict>> = Object.freeze({
  [GrpcStatus.UNKNOWN]: ENDPOINT_FAILED,
  [GrpcStatus.DEADLINE_EXCEEDED]: ENDPOINT_FAILED,
  [GrpcStatus.RESOURCE_EXHAUSTED]: FAILED_RETRY,
  [GrpcStatus.INTERNAL]: ENDPOINT_FAILED,
  [GrpcStatus.UNAVAILABLE]: ENDPOINT_FAILED_RETRY,
  [GrpcStatus.DATA_LOSS]: ENDPOINT_FAILED,
})
