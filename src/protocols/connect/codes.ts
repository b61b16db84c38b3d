/**
 * Codes of the Connect protocol and the HTTP statuses that go with them.
 *
 * The codes are gRPC's 1 to 16, spelled in lower case with underscores. A unary call says its code in
 * a JSON body under the HTTP status of that code, so that proxies, logs and browsers understand it; a
 * status without such a body comes from something between client and server and is read back.
 *
 * https://connectrpc.com/docs/protocol#error-codes
 */

import { grpcStatusOfHttp, httpStatusOfGrpc } from '../grpc/status.ts'

/** The name of 1 to 16, at that index; 0 is no error and has none. */
export const CONNECT_CODES: readonly string[] = Object.freeze([
  '',
  'canceled',
  'unknown',
  'invalid_argument',
  'deadline_exceeded',
  'not_found',
  'already_exists',
  'permission_denied',
  'resource_exhausted',
  'failed_precondition',
  'aborted',
  'out_of_range',
  'unimplemented',
  'internal',
  'unavailable',
  'data_loss',
  'unauthenticated',
])

/** `not_found` of 5. A number that is no error code is `unknown`. */
export function connectCodeName(code: number): string {
  return CONNECT_CODES[code] || 'unknown'
}

/** 5 of `not_found`; undefined for anything else than one of the sixteen names. */
export function connectCodeOf(name: unknown): number | undefined {
  return typeof name === 'string' ? BY_NAME.get(name) : undefined
}

/** The HTTP status of a unary answer with that error. */
export function httpStatusOfCode(code: number): number {
  return code === 0 ? 500 : httpStatusOfGrpc(code)
}

/** What an answer means that is no answer of Connect's: a proxy's, a web server's. */
export function codeOfHttpStatus(status: number): number {
  return grpcStatusOfHttp(status)
}

const BY_NAME: ReadonlyMap<string, number> = new Map(
  CONNECT_CODES.map((name, code) => [name, code] as const).slice(1),
)
