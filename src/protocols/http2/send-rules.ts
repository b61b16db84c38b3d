/**
 * What a message that is submitted must be, before a byte of it is written.
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import { UsageError } from '../../core/errors.ts'
import { isAuthority } from '../http/authority.ts'
import { type HttpFields, isToken } from '../http/fields.ts'
import { isTarget } from './field-reader.ts'
import type { RequestCommand } from './messages.ts'

/** Trailers, where there are any. @throws UsageError for a field that frames a message */
export function sendableTrailers(trailers: HttpFields | undefined): HttpFields | undefined {
  if (trailers === undefined || trailers.size === 0) return undefined
  if (trailers.has('content-length') || trailers.has('host')) {
    throw new UsageError('ERR_ARGUMENT', 'a field that frames or routes a message in trailers')
  }
  return trailers
}

/** @throws UsageError when the fields say another length than the body has */
export function checkGivenLength(fields: HttpFields, length: number | undefined): void {
  if (length === undefined) return
  const given = fields.get('content-length')
  if (given === undefined || given === String(length)) return
  throw new UsageError('ERR_ARGUMENT', `content-length is ${given}, the body has ${length} bytes`)
}

export function encodeBody(out: ByteWriter, text: string): Uint8Array {
  const bytes = new Uint8Array(out.text.utf8Length(text))
  out.text.writeUtf8(text, bytes, 0)
  return bytes
}

/** The lines of requests are mostly the same again: what was checked before is remembered. */
export class RequestRules {
  #method: string | undefined
  #target: string | undefined
  #authority: string | undefined

  /** @throws UsageError when it cannot be sent */
  check(command: RequestCommand): void {
    const { method, target, authority, protocol } = command
    if (method !== this.#method) {
      if (!isToken(method)) {
        throw new UsageError('ERR_ARGUMENT', `method ${JSON.stringify(method)} is not a token`)
      }
      this.#method = method
    }
    if (protocol !== undefined && (method !== 'CONNECT' || !isToken(protocol))) {
      throw new UsageError('ERR_ARGUMENT', ':protocol belongs to CONNECT, and is a token')
    }
    const isTunnel = method === 'CONNECT' && protocol === undefined
    if (target !== this.#target || isTunnel || target === '*') {
      checkTarget(method, target, isTunnel)
      this.#target = isTunnel ? undefined : target
    }
    if (authority === this.#authority) return
    if (authority !== '' && !isAuthority(authority)) {
      const message = `authority ${JSON.stringify(authority)} is not host[:port]`
      throw new UsageError('ERR_ARGUMENT', message)
    }
    this.#authority = authority
  }
}

function checkTarget(method: string, target: string, isTunnel: boolean): void {
  let formed = target.startsWith('/')
  if (isTunnel) formed = isAuthority(target) && /:\d+$/.test(target)
  else if (target === '*') formed = method === 'OPTIONS'
  if (formed && isTarget(target)) return
  throw new UsageError('ERR_ARGUMENT', `target ${JSON.stringify(target)} cannot be sent`)
}
