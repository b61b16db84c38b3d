/**
 * What a response must be beyond its syntax, given the request it answers: RFC 9112 6.3, and the
 * hints a server gives about its connection.
 */
import { ProtocolError } from '../../core/errors.ts'
import type { BodyFraming } from './body-decoder.ts'
import type { HeadDecoder } from './head-decoder.ts'
import { checkFraming } from './request-rules.ts'
import { ASKED_UPGRADE, WAS_CONNECT, WAS_HEAD } from './response-writer.ts'

/** Whether the head ends HTTP on this connection: 101, or a tunnel. */
export function switchesProtocols(head: HeadDecoder, flags: number): boolean {
  if (head.status === 101) return true
  return (flags & WAS_CONNECT) !== 0 && head.status >= 200 && head.status < 300
}

/** How the body of a response is framed; `none`: it has none. */
export function responseFraming(
  head: HeadDecoder,
  flags: number,
): BodyFraming | 'none' | ProtocolError {
  const { status, contentLength, transferEncoding } = head
  if (status === 101 && (flags & ASKED_UPGRADE) === 0) {
    return malformed('status 101, but no upgrade was asked for')
  }
  // RFC 9110 9.3.6: whatever a successful answer to CONNECT says about a length is ignored.
  if (status !== 101 && switchesProtocols(head, flags)) return 'none'
  if (status < 200 || status === 204) {
    // Some read such a body and some do not: what follows would be read as a response by these.
    if (transferEncoding !== undefined || contentLength > 0) {
      return malformed(`a response of status ${status} with a body`)
    }
    return 'none'
  }
  const chunked = checkFraming(head)
  if (typeof chunked === 'object') return malformed(chunked.message)
  if ((flags & WAS_HEAD) !== 0 || status === 304 || contentLength === 0) return 'none'
  if (chunked) return 'chunked'
  return contentLength < 0 ? 'until-close' : 'length'
}

/** Seconds in `Keep-Alive: timeout=5, max=100`, in milliseconds. */
export function keepAliveHint(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const match = /(?:^|[,\s])timeout\s*=\s*"?(\d{1,6})/i.exec(value)
  return match === null ? undefined : Number(match[1]) * 1000
}

export function malformed(message: string): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', message, { status: 502 })
}
