/**
 * What a cluster retries of gRPC, by the names that `retry_on` has for its statuses.
 *
 * A call is a POST and says nothing about being safe to repeat; that an operator names a status is the
 * word that it is, for this cluster. Only a response that has nothing but its status is looked at:
 * once a message has come, the call is the client's. `grpc-retry-pushback-ms` is followed, also where
 * it forbids another attempt.
 */

import type { CallContext } from '../../core/context.ts'
import { HeddleError } from '../../core/errors.ts'
import { NEVER_AGAIN, type Verdict } from '../../core/policy.ts'
import { grpcClassifier, grpcStatusOfResponse } from '../../protocols/grpc/classifier.ts'
import { GrpcStatus } from '../../protocols/grpc/status.ts'
import { Body } from '../../protocols/http/body.ts'
import { HttpRequest, type HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { GRPC_RETRY_CONDITIONS, type RetryCondition } from '../config/schema/cluster.ts'
import { isGrpc } from './grpc-answer.ts'

export class GrpcRetries {
  readonly #conditions: ReadonlySet<RetryCondition>
  /** Whether any status is named: calls of gRPC may be repeated then. */
  readonly wanted: boolean

  constructor(conditions: readonly RetryCondition[]) {
    this.#conditions = new Set(conditions)
    this.wanted = GRPC_RETRY_CONDITIONS.some((one) => this.#conditions.has(one))
  }

  ofResponse(request: HttpRequest, response: HttpResponse, context: CallContext): Verdict {
    const verdict = grpcClassifier.classifyResponse(request, response, context)
    if (!verdict.failed) return verdict
    const condition = CONDITION_OF[grpcStatusOfResponse(response) ?? GrpcStatus.OK]
    const { pushbackMs } = verdict
    const named = condition !== undefined && this.#conditions.has(condition)
    // However early the trailers are here: behind a message there is no way back.
    const alone = response.body.isEmpty || response.fields.has('grpc-status')
    const retry = named && alone && pushbackMs !== NEVER_AGAIN
    return { ...verdict, retry, pushbackMs: retry ? pushbackMs : undefined }
  }

  ofError(verdict: Verdict, error: unknown): Verdict {
    if (!verdict.retry) return verdict
    const has = (condition: RetryCondition): boolean => this.#conditions.has(condition)
    // To a client of gRPC a connection that was lost is UNAVAILABLE.
    let retry = has('unavailable')
    if (error instanceof HeddleError) {
      if (error.code === 'ERR_ATTEMPT_TIMEOUT') {
        retry = has('deadline-exceeded') || (this.wanted && has('attempt-timeout'))
      } else if (error.sent === 'nothing') retry ||= has('connect-failure')
    }
    return { ...verdict, retry, pushbackMs: undefined }
  }
}

/**
 * Keeps what has been sent of a call's messages, up to `maxBytes`, so that another attempt can send
 * them again. They go on as they come: a stream is not held up. Nothing is kept where no condition of
 * gRPC is named.
 */
export function keepGrpcMessages(
  conditions: readonly RetryCondition[],
  maxBytes: number,
  next: HttpService,
): HttpService {
  if (maxBytes === 0 || !new GrpcRetries(conditions).wanted) return next
  return (request, context) => {
    if (!isGrpc(request) || !request.body.oneShot) return next(request, context)
    const { method, target, scheme, authority, fields, version, route, body } = request
    const kept = new HttpRequest({
      method,
      target,
      scheme,
      authority,
      fields,
      version,
      route,
      body: Body.buffered(body, maxBytes, body.length),
    })
    kept.trace = request.trace
    kept.connection = request.connection
    kept.inform = request.inform
    kept.note = request.note
    return next(kept, context)
  }
}

const CONDITION_OF: Readonly<Record<number, RetryCondition>> = Object.freeze({
  [GrpcStatus.CANCELLED]: 'cancelled',
  [GrpcStatus.DEADLINE_EXCEEDED]: 'deadline-exceeded',
  [GrpcStatus.INTERNAL]: 'internal',
  [GrpcStatus.RESOURCE_EXHAUSTED]: 'resource-exhausted',
  [GrpcStatus.UNAVAILABLE]: 'unavailable',
})
