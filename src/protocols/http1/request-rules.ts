/**
 * What a request must be beyond its syntax: framing (RFC 9112 6.3), `Host` (3.2), the four forms of
 * a target. Every rule that two readers could take differently ends in a refusal.
 */

import type { CodeOf } from '../../core/error-codes.ts'
import { ProtocolError } from '../../core/errors.ts'
import { isAuthority } from '../http/authority.ts'
import { listElements } from '../http/fields.ts'
import type { HeadDecoder } from './head-decoder.ts'

/** Where a request is directed, in the form that services see. */
export interface Destination {
  /** Origin form (`/a?b`), `*`, or `host:port` for CONNECT. */
  readonly target: string
  readonly authority: string
}

/** @returns whether the body is chunked; undefined: refused, see `refuse` */
export function checkFraming(head: HeadDecoder): boolean | ProtocolError {
  const { transferEncoding } = head
  if (transferEncoding === undefined) return false
  if (head.minor === 0) return malformed('Transfer-Encoding in an HTTP/1.0 message')
  if (head.contentLength >= 0) return malformed('both Content-Length and Transfer-Encoding')
  if (equalsChunked(transferEncoding)) return true
  const codings = listElements(transferEncoding)
  if (codings.at(-1) !== 'chunked') return malformed('Transfer-Encoding does not end in chunked')
  if (codings.indexOf('chunked') !== codings.length - 1) {
    return malformed('chunked more than once in Transfer-Encoding')
  }
  if (codings.includes('')) return malformed('empty element in Transfer-Encoding')
  return refuse(501, 'ERR_MALFORMED', 'transfer codings other than chunked are not supported')
}

export function checkHost(head: HeadDecoder): ProtocolError | undefined {
  if (head.hostCount > 1) return malformed('more than one Host')
  if (head.host === undefined) {
    return head.minor === 0 ? undefined : malformed('no Host in an HTTP/1.1 request')
  }
  // Empty where the target has no authority (RFC 9110 7.2).
  if (head.host !== '' && !isAuthority(head.host)) return malformed('Host is not host[:port]')
  return undefined
}

/**
 * @param scheme of the connection: an absolute-form target must name it
 */
export function destinationOf(
  head: HeadDecoder,
  scheme: 'http' | 'https',
): Destination | ProtocolError {
  const { method, target } = head
  const authority = head.host ?? ''
  if (method === 'CONNECT') {
    if (!isAuthority(target) || !/:\d+$/.test(target)) {
      return malformed('CONNECT needs a target of the form host:port')
    }
    return { target, authority: target }
  }
  if (target.charCodeAt(0) === SLASH) return { target, authority }
  if (target === '*') {
    if (method === 'OPTIONS') return { target, authority }
    return malformed('target * with a method other than OPTIONS')
  }
  return absoluteForm(method, target, head.host, scheme)
}

/** `http://host:port/path?query`. It is the authority; a `Host` that disagrees is refused. */
function absoluteForm(
  method: string,
  target: string,
  host: string | undefined,
  scheme: string,
): Destination | ProtocolError {
  const match = /^(https?):\/\/([^/?]+)(.*)$/i.exec(target)
  if (match === null) return malformed('request target is neither a path nor an http URL')
  const [, given = '', authority = '', rest = ''] = match
  if (!isAuthority(authority)) return malformed('authority of the target is not host[:port]')
  if (given.toLowerCase() !== scheme) {
    return refuse(421, 'ERR_MALFORMED', `target of scheme ${given} on a connection for ${scheme}`)
  }
  if (host !== undefined && host.toLowerCase() !== authority.toLowerCase()) {
    return malformed('Host differs from the authority of the target')
  }
  if (rest === '') return { target: method === 'OPTIONS' ? '*' : '/', authority }
  return { target: rest.charCodeAt(0) === SLASH ? rest : `/${rest}`, authority }
}

function equalsChunked(text: string): boolean {
  return text === 'chunked' || text.toLowerCase() === 'chunked'
}

export function malformed(message: string): ProtocolError {
  return refuse(400, 'ERR_MALFORMED', message)
}

export function refuse(
  status: number,
  code: CodeOf<'ProtocolError'>,
  message: string,
): ProtocolError {
  return new ProtocolError(code, message, { status })
}

const SLASH = 0x2f
