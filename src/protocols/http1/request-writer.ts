/**
 * Writes the requests of a client session. What would not be read as one request by every server
 * (a space in the target, a line break in the method) is refused here, before a byte is written.
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import { UsageError } from '../../core/errors.ts'
import { isAuthority } from '../http/authority.ts'
import { type HttpFields, isToken } from '../http/fields.ts'
import { isIdempotentMethod } from '../http/methods.ts'
import {
  CHUNKED,
  checkGivenFraming,
  checkTrailers,
  encodeChunk,
  encodeChunkSize,
  encodeCrlf,
  encodeLastChunk,
  encodeRequestHead,
  encodeText,
  type Framing,
  HAS_CODING,
  HAS_CONNECTION,
  HAS_HOST,
  HAS_LENGTH,
  survey,
  textLength,
  UNFRAMED,
} from './encoder.ts'
import { TARGET_BYTES } from './head-syntax.ts'
import type { DataCommand, EndCommand, RequestCommand } from './messages.ts'

import { ASKED_UPGRADE, UNSAFE, WANTS_CLOSE, WAS_CONNECT, WAS_HEAD } from './response-writer.ts'

export class RequestWriter {
  /** The exchange whose body is being written; 0: none. */
  streaming = 0
  readonly #out: ByteWriter
  #framing: Framing = UNFRAMED
  #left = 0
  // Checked before, and usually the same again.
  #method: string | undefined
  #target: string | undefined
  #authority: string | undefined

  constructor(out: ByteWriter) {
    this.#out = out
  }

  /**
   * Writes the head, and the body where it is there.
   * @returns bits of response-writer.ts that the response depends on; `UNSAFE`: not idempotent
   * @throws UsageError when it cannot be sent; nothing was written then
   */
  request(command: RequestCommand): number {
    const { method, target, authority, fields, body, streams } = command
    const out = this.#out
    let length = 0
    if (typeof body === 'string') length = textLength(body, out.text)
    else if (body !== undefined) length = body.length
    this.#checkLine(command)
    if (streams && length > 0) throw new UsageError('ERR_ARGUMENT', 'both a body and a stream')
    if (
      (streams || length > 0 || command.trailers !== undefined) &&
      (method === 'CONNECT' || method === 'TRACE')
    ) {
      throw new UsageError('ERR_ARGUMENT', `${method} with a body`)
    }
    const trailers = streams ? undefined : command.trailers
    if (trailers !== undefined) checkTrailers(trailers)
    const framing = trailers === undefined ? framingOf(command, length) : CHUNKED
    const surveyed = survey(fields)
    if ((surveyed & (HAS_LENGTH | HAS_CODING)) !== 0) {
      checkGivenFraming(fields, surveyed, framing === UNFRAMED ? 0 : framing)
    }
    if ((surveyed & HAS_HOST) !== 0) checkGivenHost(fields)
    encodeRequestHead(out, method, target, authority, fields, surveyed, framing)
    if (streams) {
      this.streaming = command.exchange
      this.#framing = framing
      this.#left = command.bodyLength ?? Number.POSITIVE_INFINITY
    } else if (trailers !== undefined) this.#whole(body, length, trailers)
    else if (typeof body === 'string') encodeText(out, body, length)
    else if (body !== undefined) out.give(body)
    return flagsOf(method, fields, surveyed)
  }

  data(command: DataCommand): void {
    const { chunk, owned } = command
    if (chunk.length > this.#left) {
      const message = `${chunk.length} more body bytes, ${this.#left} were left of the length announced`
      throw new UsageError('ERR_STATE', message)
    }
    this.#left -= chunk.length
    if (this.#framing === CHUNKED) encodeChunk(this.#out, chunk, owned)
    else if (owned) this.#out.give(chunk)
    else this.#out.copy(chunk)
  }

  end(command: EndCommand): void {
    const { trailers } = command
    if (trailers !== undefined) checkTrailers(trailers)
    if (this.#framing === CHUNKED) encodeLastChunk(this.#out, trailers)
    else if (this.#left > 0) {
      const message = `body ends ${this.#left} bytes short of the length announced`
      throw new UsageError('ERR_STATE', message)
    }
    this.streaming = 0
  }

  /** One chunk with everything: only the chunked coding has a place for trailers. */
  #whole(body: RequestCommand['body'], length: number, trailers: HttpFields): void {
    const out = this.#out
    if (length > 0) {
      encodeChunkSize(out, length)
      if (typeof body === 'string') encodeText(out, body, length)
      else out.give(body as Uint8Array)
      encodeCrlf(out)
    }
    encodeLastChunk(out, trailers)
  }

  #checkLine(command: RequestCommand): void {
    const { method, target, authority } = command
    if (method !== this.#method) {
      if (!isToken(method)) {
        throw new UsageError('ERR_ARGUMENT', `method ${JSON.stringify(method)} is not a token`)
      }
      this.#method = method
    }
    if (target !== this.#target || method === 'CONNECT' || target === '*') {
      checkTarget(method, target)
      this.#target = target
    }
    if (authority !== this.#authority) {
      if (authority !== '' && !isAuthority(authority)) {
        const message = `authority ${JSON.stringify(authority)} is not host[:port]`
        throw new UsageError('ERR_ARGUMENT', message)
      }
      this.#authority = authority
    }
  }
}

/** The four forms of RFC 9112 3.2; the absolute one is for proxies. */
function checkTarget(method: string, target: string): void {
  let formed = target.charCodeAt(0) === SLASH
  if (method === 'CONNECT') formed = isAuthority(target) && /:\d+$/.test(target)
  else if (target === '*') formed = method === 'OPTIONS'
  else if (!formed) formed = /^https?:\/\/[^/?]/i.test(target)
  for (let index = 0; formed && index < target.length; index++) {
    formed = TARGET_BYTES[target.charCodeAt(index)] === 1
  }
  if (formed) return
  throw new UsageError('ERR_ARGUMENT', `target ${JSON.stringify(target)} cannot be sent`)
}

function checkGivenHost(fields: HttpFields): void {
  const hosts = fields.getAll('host')
  const host = hosts[0] as string
  if (hosts.length === 1 && (host === '' || isAuthority(host))) return
  throw new UsageError('ERR_ARGUMENT', 'the fields have no one host[:port] as Host')
}

function framingOf(command: RequestCommand, length: number): Framing {
  if (command.streams) return command.bodyLength ?? CHUNKED
  if (length > 0) return length
  // RFC 9110 8.6: said where the method makes content expected.
  const { method } = command
  return method === 'POST' || method === 'PUT' || method === 'PATCH' ? 0 : UNFRAMED
}

function flagsOf(method: string, fields: HttpFields, surveyed: number): number {
  let flags = 0
  if (method === 'HEAD') flags |= WAS_HEAD
  else if (method === 'CONNECT') flags |= WAS_CONNECT
  if (!isIdempotentMethod(method)) flags |= UNSAFE
  if ((surveyed & HAS_CONNECTION) !== 0) {
    if (fields.hasToken('connection', 'close')) flags |= WANTS_CLOSE
    else if (fields.hasToken('connection', 'upgrade') && fields.has('upgrade')) {
      flags |= ASKED_UPGRADE
    }
  }
  return flags
}

const SLASH = 0x2f
