/**
 * Turns a request head into its event: applies the rules that go beyond syntax, and notes what the
 * response will depend on.
 */
import type { ProtocolError } from '../../core/errors.ts'
import { listHasToken } from '../http/fields.ts'
import { isSafeMethod } from '../http/methods.ts'
import type { HeadDecoder } from './head-decoder.ts'
import type { RequestEvent } from './messages.ts'
import { checkFraming, checkHost, destinationOf, malformed, refuse } from './request-rules.ts'
import {
  ASKED_UPGRADE,
  AWAITS_CONTINUE,
  UNSAFE,
  WANTS_CLOSE,
  WAS_1_0,
  WAS_CONNECT,
  WAS_HEAD,
} from './response-writer.ts'

export class RequestReader {
  /** Why the last head was refused. */
  refusal: ProtocolError | undefined
  /** Of the last request. */
  flags = 0
  readonly #head: HeadDecoder
  readonly #scheme: 'http' | 'https'
  readonly #maxBodyBytes: number
  #lastHost: string | undefined

  constructor(head: HeadDecoder, scheme: 'http' | 'https', maxBodyBytes: number) {
    this.#head = head
    this.#scheme = scheme
    this.#maxBodyBytes = maxBodyBytes
  }

  /** The head that was just decoded as an event; undefined: see `refusal`. */
  read(exchange: number): RequestEvent | undefined {
    const head = this.#head
    const { method, contentLength } = head
    // Nearly all requests of a connection name the same host.
    if (head.hostCount !== 1 || head.host !== this.#lastHost) {
      this.refusal = checkHost(head)
      if (this.refusal !== undefined) return undefined
      this.#lastHost = head.host
    }
    let { target } = head
    let authority = head.host ?? ''
    if (target.charCodeAt(0) !== SLASH || method === 'CONNECT') {
      const destination = destinationOf(head, this.#scheme)
      if ('code' in destination) return this.#refuse(destination)
      target = destination.target
      authority = destination.authority
    }
    const chunked = checkFraming(head)
    if (typeof chunked === 'object') return this.#refuse(chunked)
    const hasBody = chunked || contentLength > 0
    if (contentLength > this.#maxBodyBytes) {
      const message = `body of ${contentLength} bytes is over maxBodyBytes ${this.#maxBodyBytes}`
      return this.#refuse(refuse(413, 'ERR_LIMIT', message))
    }
    if (method === 'CONNECT' && hasBody) return this.#refuse(malformed('CONNECT with a body'))
    let flags = methodFlags(method)
    if (head.minor === 0) flags |= WAS_1_0
    const closes = closesAfter(head.connection, head.minor)
    if (closes) flags |= WANTS_CLOSE
    const upgrade = closes ? undefined : upgradeOf(head)
    if (method !== 'CONNECT' && upgrade !== undefined) flags |= ASKED_UPGRADE
    let expectsContinue = false
    if (head.expect !== undefined && head.minor === 1) {
      if (head.expect.toLowerCase() !== '100-continue') {
        return this.#refuse(refuse(417, 'ERR_MALFORMED', 'expectation is not 100-continue'))
      }
      expectsContinue = hasBody
      if (hasBody) flags |= AWAITS_CONTINUE
    }
    this.flags = flags
    return {
      type: 'request',
      exchange,
      method,
      target,
      authority,
      fields: head.fields,
      version: head.minor === 1 ? '1.1' : '1.0',
      hasBody,
      bodyLength: chunked ? undefined : Math.max(contentLength, 0),
      expectsContinue,
      upgrade,
      content: undefined,
      trailers: undefined,
    }
  }

  #refuse(error: ProtocolError): undefined {
    this.refusal = error
  }
}

function methodFlags(method: string): number {
  if (method === 'GET') return 0
  if (method === 'HEAD') return WAS_HEAD
  if (method === 'CONNECT') return WAS_CONNECT | UNSAFE
  return isSafeMethod(method) ? 0 : UNSAFE
}

/** RFC 9112 9.3: HTTP/1.1 persists unless told otherwise, HTTP/1.0 only when asked. */
export function closesAfter(connection: string | undefined, minor: number): boolean {
  if (connection === undefined) return minor === 0
  if (listHasToken(connection, 'close')) return true
  return minor === 0 && !listHasToken(connection, 'keep-alive')
}

function upgradeOf(head: HeadDecoder): string | undefined {
  if (head.method === 'CONNECT') return 'connect'
  if (head.upgrade === undefined || head.minor === 0 || head.connection === undefined) {
    return undefined
  }
  // RFC 9110 7.8: without the option an intermediary may have forwarded it by mistake.
  return listHasToken(head.connection, 'upgrade') ? head.upgrade : undefined
}

const SLASH = 0x2f
