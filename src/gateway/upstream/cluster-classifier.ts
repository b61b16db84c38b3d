/**
 * What a cluster retries: HTTP's own classifier, narrowed or widened by `retry_on`.
 *
 * Whether a request may be sent again is not decided here: one that is not idempotent is repeated
 * only when nothing of it had left, whatever the configuration says. Calls of gRPC: grpc-retries.ts.
 */
import { HeddleError } from '../../core/errors.ts'
import type { Classifier, Verdict } from '../../core/policy.ts'
import { createHttpClassifier } from '../../protocols/http/classifier.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import type { RetryCondition } from '../config/schema/cluster.ts'
import { isGrpc } from '../grpc/grpc-answer.ts'
import { watchTrailers } from '../grpc/grpc-outcome.ts'
import { GrpcRetries } from '../grpc/grpc-retries.ts'

export function clusterClassifier(
  conditions: readonly RetryCondition[],
  wallNow: () => number,
): Classifier<HttpRequest, HttpResponse> {
  const base = createHttpClassifier({ wallNow })
  const retryOn = new Set(conditions)
  const grpc = new GrpcRetries(conditions)
  const decide = (verdict: Verdict, retry: boolean, request: HttpRequest): Verdict => {
    // `Retry-After` invites another attempt of anything; a gateway cannot know that for a POST.
    const pushbackMs = retry && base.isIdempotent(request) ? verdict.pushbackMs : undefined
    if (verdict.retry === retry && verdict.pushbackMs === pushbackMs) return verdict
    return { ...verdict, retry, pushbackMs }
  }
  return {
    ...base,
    isIdempotent: (request) => base.isIdempotent(request) || (grpc.wanted && isGrpc(request)),
    // What may be repeated after a failure need not bear two at a time.
    isRepeatable: (request) => !isGrpc(request) && (base.isRepeatable?.(request) ?? false),
    classifyResponse(request, response, context) {
      if (isGrpc(request)) return grpc.ofResponse(request, response, context)
      const verdict = base.classifyResponse(request, response, context)
      return verdict.failed
        ? decide(verdict, retriesStatus(response.status, retryOn), request)
        : verdict
    },
    watchOutcome(request, response, context, onOutcome) {
      return isGrpc(request) ? watchTrailers(request, response, context, onOutcome) : undefined
    },
    classifyError(request, error, context) {
      const verdict = base.classifyError(request, error, context)
      if (isGrpc(request)) return grpc.ofError(verdict, error)
      return verdict.retry ? decide(verdict, retriesError(error, retryOn), request) : verdict
    },
  }
}

function retriesStatus(status: number, retryOn: ReadonlySet<RetryCondition>): boolean {
  if (status === 429) return retryOn.has('overloaded')
  if (status < 500) return false
  if (retryOn.has('5xx')) return true
  return status >= 502 && status <= 504 && retryOn.has('gateway-error')
}

function retriesError(error: unknown, retryOn: ReadonlySet<RetryCondition>): boolean {
  if (!(error instanceof HeddleError)) return false
  if (error.code === 'ERR_ATTEMPT_TIMEOUT') return retryOn.has('attempt-timeout')
  // Our own refusals (a breaker, a full pool) are as if nobody had been reached.
  if (error.sent === 'nothing') return retryOn.has('connect-failure')
  return retryOn.has('reset')
}
