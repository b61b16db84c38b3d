/**
 * Fields of the Connect protocol: version, deadline, codings, and trailers among the headers.
 *
 *     Connect-Protocol-Version: 1
 *     Connect-Timeout-Ms: 1500              at most ten digits
 *     Trailer-X-Quota: 7                    a unary answer's trailer x-quota
 *
 * A unary body is an HTTP representation and is coded by `Content-Encoding`; in a stream each envelope
 * is compressed for itself, which `Connect-Content-Encoding` says.
 */
import { ProtocolError } from '../../core/errors.ts'
import { HttpFields } from '../http/fields.ts'

export const CONNECT_PROTOCOL_VERSION = '1'
export const CONNECT_VERSION_FIELD = 'connect-protocol-version'
export const CONNECT_TIMEOUT_FIELD = 'connect-timeout-ms'

/** Where codings are named: of one message, or of each envelope. */
export function codingFields(stream: boolean): { coding: string; accepted: string } {
  return stream ? STREAM_CODING : UNARY_CODING
}

/**
 * Milliseconds, undefined where the field is not there.
 *
 * @throws ProtocolError ERR_MALFORMED for anything else than one to ten digits
 */
export function parseConnectTimeout(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,10}$/.test(value)) return Number(value)
  throw new ProtocolError('ERR_MALFORMED', `${CONNECT_TIMEOUT_FIELD} is not one to ten digits`)
}

/** The remaining time, rounded up so that a call that has some left is not sent with none. */
export function formatConnectTimeout(milliseconds: number): string {
  return String(Math.min(Math.max(0, Math.ceil(milliseconds)), MAX_TIMEOUT_MS))
}

/** @throws ProtocolError ERR_VERSION for another version, or for none where one is `required` */
export function checkConnectVersion(value: string | undefined, required: boolean): void {
  if (value === CONNECT_PROTOCOL_VERSION || (value === undefined && !required)) return
  const message =
    value === undefined
      ? `${CONNECT_VERSION_FIELD} is missing`
      : `${CONNECT_VERSION_FIELD} must be ${CONNECT_PROTOCOL_VERSION}`
  throw new ProtocolError('ERR_VERSION', message)
}

/** Adds trailers to the headers of a unary answer. */
export function addTrailerFields(fields: HttpFields, trailers: HttpFields | undefined): void {
  if (trailers === undefined) return
  for (const [name, value] of trailers) fields.append(TRAILER_PREFIX + name, value)
}

/** Headers and trailers of a unary answer apart. */
export function splitTrailerFields(fields: HttpFields): {
  headers: HttpFields
  trailers: HttpFields
} {
  const headers: string[] = []
  const trailers: string[] = []
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    const isTrailer = lower.startsWith(TRAILER_PREFIX) && lower.length > TRAILER_PREFIX.length
    if (isTrailer) trailers.push(lower.slice(TRAILER_PREFIX.length), value)
    else headers.push(lower, value)
  }
  return { headers: HttpFields.fromTrusted(headers), trailers: HttpFields.fromTrusted(trailers) }
}

export const TRAILER_PREFIX = 'trailer-'
const MAX_TIMEOUT_MS = 9_999_999_999
const UNARY_CODING = Object.freeze({ coding: 'content-encoding', accepted: 'accept-encoding' })
const STREAM_CODING = Object.freeze({
  coding: 'connect-content-encoding',
  accepted: 'connect-accept-encoding',
})
