/**
 * What HTTP says about outcomes (RFC 9110): the only thing of HTTP that policies see.
 *
 * | outcome                | failed | blames the endpoint | another attempt |
 * |------------------------|--------|---------------------|-----------------|
 * | below 500, not 429     | no     | no                  | no  |
 * | 429                    | yes    | no                  | yes, when it says |
 * | 502, 503, 504          | yes    | yes                 | yes |
 * | other 5xx              | yes    | yes                 | no: the request may be the reason |
 * | an error               | as its class says (core/verdicts.ts) | | |
 */
import type { CallContext } from '../../core/context.ts'
import { AccessError, HeddleError } from '../../core/errors.ts'
import {
  type LoadReport,
  type LoadSignal,
  loadSignalOf,
  type RateLimitReport,
} from '../../core/load-signal.ts'
import type { Classifier, Verdict } from '../../core/policy.ts'
import {
  ENDPOINT_FAILED,
  ENDPOINT_FAILED_RETRY,
  FAILED,
  FAILED_RETRY,
  SUCCEEDED,
  verdictOfError,
} from '../../core/verdicts.ts'
import { parseHttpDate } from './date.ts'
import type { HttpFields } from './fields.ts'
import { setLoadField } from './load-field.ts'
import { type HttpRequest, HttpResponse } from './messages.ts'
import { isIdempotentMethod, knownMethod } from './methods.ts'
import { addRateLimitFields, rateLimitWaitMs } from './rate-limit-fields.ts'
import { reasonOf } from './status.ts'

export interface HttpClassifierOptions {
  /**
   * Milliseconds since the epoch, for a `Retry-After` that is a date. Without it such a date is
   * taken as no advice.
   */
  wallNow?: () => number
}

export function createHttpClassifier(
  options: HttpClassifierOptions = {},
): Classifier<HttpRequest, HttpResponse> {
  const { wallNow } = options
  return Object.freeze({
    protocol: 'http',
    // An Idempotency-Key is the client's word that the server recognises a repetition.
    isIdempotent: (request: HttpRequest) =>
      isIdempotentMethod(request.method) || request.fields.has('idempotency-key'),
    isReplayable: (request: HttpRequest) => request.body.replayable,
    isRepeatable: (request: HttpRequest) => request.body.repeatable,
    classifyResponse(_request: HttpRequest, response: HttpResponse): Verdict {
      const { status } = response
      if (status < 500 && status !== 429) return SUCCEEDED
      const verdict = STATUS_VERDICTS[status] ?? ENDPOINT_FAILED
      // Only a refusal was surely not executed: behind a 502 or 504 somebody may be at work on it.
      const refused = status === 429 || status === 503
      const pushbackMs = refused ? retryAfterMs(response, wallNow) : undefined
      return pushbackMs === undefined ? verdict : { ...verdict, pushbackMs }
    },
    // A body that broke on its way is the fault of whoever sends it, whatever broke it there.
    classifyError: (request: HttpRequest, error: unknown, context: CallContext) =>
      request.body.failure !== undefined ? FAILED : verdictOfError(error, context),
    errorResponse,
    reportRateLimits: (response: HttpResponse, reports: readonly RateLimitReport[]) =>
      addRateLimitFields(response.fields, reports),
    reportLoad: (response: HttpResponse, report: LoadReport) =>
      setLoadField(response.fields, report),
    discardResponse: (response: HttpResponse) => response.body.discard(),
    isComplete: ({ body, exchange, connection }: HttpResponse) =>
      exchange === undefined &&
      connection === undefined &&
      (body.isEmpty || body.content !== undefined),
    operation: (request: HttpRequest) => knownMethod(request.method),
  })
}

/** Without a wall clock: dates in `Retry-After` are no advice. */
export const httpClassifier: Classifier<HttpRequest, HttpResponse> = createHttpClassifier()

/**
 * Answers an error that a service threw: a status and its phrase, nothing of the inside. The code is
 * the one part of an error that is safe to show and useful to a caller.
 */
export function errorResponse(error: unknown): HttpResponse {
  const status = statusOf(error)
  const code = error instanceof HeddleError ? error.code : undefined
  const text = `${status} ${reasonOf(status)}${code === undefined ? '' : ` (${code})`}\n`
  const response = HttpResponse.text(text, { status })
  const signal = loadSignalOf(error)
  if (signal !== undefined) addLoadFields(response.fields, signal)
  else if (status === 503) response.fields.set('retry-after', '1')
  if (error instanceof AccessError) explainRefusal(error, response.fields)
  return response
}

/**
 * `Retry-After` of a refusal, and the quota or the depth of the queue where that is why. Whole seconds (RFC 9110 10.2.3),
 * rounded up; never earlier than the `t` of `RateLimit`.
 */
export function addLoadFields(fields: HttpFields, signal: LoadSignal): void {
  const { retryAfterMs, rateLimit, told, depth, limit } = signal
  if (rateLimit !== undefined) addRateLimitFields(fields, [rateLimit])
  if (told === true && depth !== undefined && limit !== undefined) {
    setLoadField(fields, { depth, limit })
  }
  // A call that costs more than there ever is need not come again.
  if (retryAfterMs === Number.POSITIVE_INFINITY) return
  fields.set('retry-after', String(Math.max(1, Math.ceil(retryAfterMs / 1_000))))
}

/**
 * What a refused caller has to know: how to log in (RFC 9110 11.6.1), or when to try again. A gateway
 * that words its own answers uses it too.
 */
export function explainRefusal(error: HeddleError, fields: HttpFields): void {
  const { challenges, retryAfterMs } = error.detail ?? {}
  if (error.code === 'ERR_UNAUTHENTICATED' && Array.isArray(challenges)) {
    for (const challenge of challenges) fields.append('www-authenticate', String(challenge))
  }
  if (error.code === 'ERR_LOCKED_OUT' && typeof retryAfterMs === 'number') {
    fields.set('retry-after', String(Math.max(1, Math.ceil(retryAfterMs / 1_000))))
  }
}

function statusOf(error: unknown): number {
  if (!(error instanceof HeddleError)) return 500
  // Refused where we called ourselves, with credentials of our own: a bad gateway, not a bad caller.
  if (error instanceof AccessError && error.detail?.['outbound'] === true) return 502
  if (typeof error.status === 'number' && error.status >= 400 && error.status <= 599) {
    return error.status
  }
  switch (error.code) {
    case 'ERR_LIMIT':
    case 'ERR_FRAME_TOO_LARGE':
    case 'ERR_EXPANSION':
      return 413
    case 'ERR_MALFORMED':
    case 'ERR_TRUNCATED':
    case 'ERR_ENCODING':
    case 'ERR_CHECKSUM':
      return 400
    case 'ERR_REQUEST_TIMEOUT':
      return 408
    case 'ERR_UNAUTHENTICATED':
      return unauthenticatedStatus(error)
    case 'ERR_FORBIDDEN':
      return 403
    // The caller asked too often; a server that is full (ERR_LIMITED, ERR_SHED) is a 503.
    case 'ERR_RATE_LIMITED':
    case 'ERR_LOCKED_OUT':
      return 429
    case 'ERR_DEADLINE':
    case 'ERR_ATTEMPT_TIMEOUT':
    case 'ERR_CONNECT_TIMEOUT':
    case 'ERR_IDLE':
      return 504
    default:
      return STATUS_OF_BLAME[error.blame]
  }
}

/** A 401 must say how to log in: where no message could (client certificates), it is a 403. */
export function unauthenticatedStatus(error: HeddleError): 401 | 403 {
  const challenges = error.detail?.challenges
  return Array.isArray(challenges) && challenges.length === 0 ? 403 : 401
}

function retryAfterMs(
  response: HttpResponse,
  wallNow: (() => number) | undefined,
): number | undefined {
  const value = response.fields.get('retry-after')
  if (value === undefined) {
    // A share that is used up says why only where it is the reason.
    return response.status === 429 ? rateLimitWaitMs(response.fields) : undefined
  }
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000
  if (wallNow === undefined) return undefined
  const now = wallNow()
  const at = parseHttpDate(value, now)
  return at === undefined ? undefined : Math.max(0, at - now)
}

const STATUS_VERDICTS: Readonly<Record<number, Verdict>> = Object.freeze({
  429: FAILED_RETRY,
  502: ENDPOINT_FAILED_RETRY,
  503: ENDPOINT_FAILED_RETRY,
  504: ENDPOINT_FAILED_RETRY,
})

/** By whose fault, where no code says more: an upstream that broke is a bad gateway. */
const STATUS_OF_BLAME = Object.freeze({
  caller: 500,
  library: 500,
  peer: 502,
  network: 502,
  unknown: 504,
  load: 503,
  lifecycle: 503,
})
