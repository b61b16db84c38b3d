/**
 * How a call of gRPC that passes ended: its status is in the head of a response that has nothing else,
 * or in the trailers, when the last message has passed.
 */

import { grpcStatusOfHttp, parseGrpcStatus } from '../../protocols/grpc/status.ts'
import type { Body } from '../../protocols/http/body.ts'
import type { HttpFields } from '../../protocols/http/fields.ts'
import type { HttpResponse } from '../../protocols/http/messages.ts'
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

/** A response that ends without a word is UNKNOWN, as clients take it. */
function ofTrailers(trailers: HttpFields | undefined): number {
  return parseGrpcStatus(trailers?.get('grpc-status') ?? '')
}
