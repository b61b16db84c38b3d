/**
 * What the gateway answers by itself when there is no answer from an upstream.
 *
 * The client learns a status, a code and the request's id; which upstream, which address and why
 * stand in the log. `retryable` of the inner error does not cross: what was safe for our call to the
 * upstream says nothing about the client's request (Finagle's mask).
 */
import { ERROR_CODES, type ErrorCode } from '../../core/error-codes.ts'
import { AccessError, HeddleError } from '../../core/errors.ts'
import { loadSignalOf } from '../../core/load-signal.ts'
import {
  addLoadFields,
  explainRefusal,
  unauthenticatedStatus,
} from '../../protocols/http/classifier.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { type HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'

/** Refusals of the gateway itself, before any upstream was asked. */
export type GatewayRefusal =
  | 'no_route'
  | 'bad_path'
  | 'loop'
  | 'overloaded'
  | 'body_too_large'
  | 'unknown_caller'

export interface GatewayAnswer {
  readonly status: number
  /** For logs and for the body: `ERR_…`, or a refusal. */
  readonly code: ErrorCode | GatewayRefusal
  /** For people, with nothing of the inside. */
  readonly text: string
}

export function answerToRefusal(refusal: GatewayRefusal): GatewayAnswer {
  return { code: refusal, ...REFUSALS[refusal] }
}

export function answerToError(error: unknown): GatewayAnswer {
  if (!(error instanceof HeddleError)) {
    return { status: 500, code: 'ERR_INVARIANT', text: ERROR_CODES.ERR_INVARIANT.text }
  }
  const { code } = error
  const status = code === 'ERR_UNAUTHENTICATED' ? unauthenticatedStatus(error) : statusOf(code)
  return { status, code, text: ERROR_CODES[code].text }
}

/**
 * As {@link answerToError}, for a call to an upstream: a limit of ours there is no client's fault,
 * and that our own credentials were refused says nothing about the client's.
 */
export function answerToUpstreamError(error: unknown): GatewayAnswer {
  const answer = answerToError(error)
  if (error instanceof AccessError) return { ...answer, status: 502 }
  return answer.code === 'ERR_RATE_LIMITED' ? { ...answer, status: 503 } : answer
}

/** The answer as a response; JSON for those who ask for it, text for all others. */
export function gatewayResponse(
  answer: GatewayAnswer,
  request: HttpRequest,
  requestIdHeader: string,
  requestId: string,
  refusal?: unknown,
): HttpResponse {
  const { status, code, text } = answer
  const asJson = request.fields.get('accept')?.includes('json') === true
  const list = [
    'content-type',
    asJson ? 'application/json' : 'text/plain; charset=utf-8',
    'cache-control',
    'no-store',
    requestIdHeader,
    requestId,
    // Tells an answer of the gateway from one of the upstream with the same status.
    'x-heddle-error',
    code,
  ]
  const signal = loadSignalOf(refusal)
  if (status === 503 && signal === undefined) list.push('retry-after', '1')
  const body = asJson
    ? `${JSON.stringify({ error: { status, code, message: text, request_id: requestId } })}\n`
    : `${status} ${text} (${code}, request ${requestId})\n`
  const fields = HttpFields.fromTrusted(list)
  if (signal !== undefined) {
    // What is left of our own share at an upstream is nobody else's business.
    addLoadFields(fields, status === 429 ? signal : { ...signal, rateLimit: undefined })
  }
  if (refusal instanceof HeddleError) explainRefusal(refusal, fields)
  return new HttpResponse({ status, fields, body })
}

function statusOf(code: ErrorCode): number {
  const known = STATUSES[code]
  if (known !== undefined) return known
  return BY_CLASS[ERROR_CODES[code].class] ?? 500
}

const REFUSALS: Readonly<Record<GatewayRefusal, Omit<GatewayAnswer, 'code'>>> = Object.freeze({
  no_route: { status: 404, text: 'no route matches this request' },
  bad_path: { status: 400, text: 'the path has no one meaning' },
  loop: { status: 508, text: 'the request has passed this gateway before' },
  overloaded: { status: 503, text: 'too many requests are in flight' },
  unknown_caller: { status: 503, text: 'who calls cannot be found out now' },
  body_too_large: { status: 413, text: 'the request body is larger than allowed here' },
})

const STATUSES: Readonly<Partial<Record<ErrorCode, number>>> = Object.freeze({
  // The client's fields, with ours, are over what the upstream takes.
  ERR_FIELDS_TOO_LARGE: 431,
  ERR_LOCKED_OUT: 429,
  ERR_RATE_LIMITED: 429,
  // Nobody to ask.
  ERR_NO_ENDPOINT: 503,
  ERR_RESOLVE: 503,
  // The upstream took too long, or never took the call.
  ERR_DEADLINE: 504,
  ERR_ATTEMPT_TIMEOUT: 504,
  ERR_CONNECT_TIMEOUT: 504,
  ERR_IDLE: 504,
  ERR_REQUEST_TIMEOUT: 504,
})
const BY_CLASS: Readonly<Record<string, number>> = Object.freeze({
  AccessError: 403,
  ProtocolError: 502,
  RemoteError: 502,
  TransportError: 502,
  TimeoutError: 504,
  OverloadError: 503,
  ClosedError: 503,
  UsageError: 500,
  InternalError: 500,
})
