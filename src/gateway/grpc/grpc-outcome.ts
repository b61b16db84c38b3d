/**
 * How a call of gRPC that passes ended: its status is in the head of a response that has nothing else,
 * or in the trailers, when the last message has passed.
 */

import type { CallContext } from '../../core/context.ts'
import type { Verdict } from '../../core/policy.ts'
import {
  grpcClassifier,
  grpcStatusOfResponse,
  verdictOfStatus,
} from '../../protocols/grpc/classifier.ts'
import { grpcStatusOfHttp, parseGrpcStatus } from '../../protocols/grpc/status.ts'
import type { Body } from '../../protocols/http/body.ts'
import type { HttpFields } from '../../protocols/http/fields.ts'
import { type HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { watchBody } from '../http/request-body.ts'

/**
 * @param onStatus called once, when it is known, perhaps at once
 * @returns the body to pass on: the same one where nothing has to be waited for
 */
export function watchOutcome(
  { status, fields, body }: HttpResponse,
  onStatus: (status: number) => void,
): Body {
  const early = fields.get('grpc-status')
  if (early !== undefined) onStatus(parseGrpcStatus(early))
  else if (status !== 200) onStatus(grpcStatusOfHttp(status))
  else if (body.isEmpty || body.content !== undefined) onStatus(ofTrailers(body.trailers))
  else {
    let trailers: HttpFields | undefined
    return watchBody(body, {
      onChunk() {},
      onTrailers(fields) {
        trailers = fields
      },
      onEnd: () => onStatus(ofTrailers(trailers)),
    })
  }
  return body
}

/**
 * The same for the breaker of the endpoint, where the status is still to come.
 *
 * @param onOutcome with a verdict, once; undefined: the call was given up
 * @returns the response to pass on; undefined: its status is there already
 */
export function watchTrailers(
  request: HttpRequest,
  response: HttpResponse,
  context: CallContext,
  onOutcome: (verdict: Verdict | undefined) => void,
): HttpResponse | undefined {
  const { status, reason, fields, body, version } = response
  if (grpcStatusOfResponse(response) !== undefined) return undefined
  if (body.isEmpty || body.content !== undefined) return undefined
  let trailers: HttpFields | undefined
  const watched = watchBody(body, {
    onChunk() {},
    onTrailers(fields) {
      trailers = fields
    },
    onEnd: () => onOutcome(verdictOfStatus(ofTrailers(trailers))),
    onFail(failure) {
      const verdict = failure && grpcClassifier.classifyError(request, failure, context)
      onOutcome(verdict?.endpointFailure === true ? verdict : undefined)
    },
  })
  const passed = new HttpResponse({
    status,
    fields,
    body: watched,
    version,
    ...(reason && { reason }),
  })
  passed.exchange = response.exchange
  return passed
}

/** A response that ends without a word is UNKNOWN, as clients take it. */
function ofTrailers(trailers: HttpFields | undefined): number {
  return parseGrpcStatus(trailers?.get('grpc-status') ?? '')
}
