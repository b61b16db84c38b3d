/**
 * What a message that is submitted must be, before a byte of it is written.
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import { UsageError } from '../../core/errors.ts'
import { isAuthority } from '../http/authority.ts'
import { type HttpFields, isToken } from '../http/fields.ts'
import { CONNECTION_FIELDS, isTarget } from './field-reader.ts'
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

/** What a field counts in SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113 6.5.2). */
export function entryBytes(name: string, value: string): number {
  return name.length + value.length + ENTRY_BYTES
}

/**
 * A section that the peer would refuse is not sent: it learns nothing, and whoever made it does.
 *
 * @param others of the fields that are sent beside `fields`
 * @param skipped a name that is not sent
 * @throws UsageError when the section is over the peer's limit
 */
export function checkListBytes(
  limit: number,
  others: number,
  fields: HttpFields | undefined,
  skipped?: string,
): void {
  if (limit === Number.POSITIVE_INFINITY) return
  let bytes = others
  const count = fields?.size ?? 0
  for (let at = 0; at < count; at++) {
    const name = (fields as HttpFields).nameAt(at)
    bytes += entryBytes(name, (fields as HttpFields).valueAt(at))
  }
  if (bytes <= limit) return
  // Only now it matters that some of them are not sent.
  for (let at = 0; at < count; at++) {
    const name = (fields as HttpFields).nameAt(at).toLowerCase()
    if (name !== skipped && !CONNECTION_FIELDS.has(name) && name !== 'http2-settings') continue
    bytes -= entryBytes(name, (fields as HttpFields).valueAt(at))
  }
  if (bytes <= limit) return
  const message = `a field section of ${bytes} bytes is over the ${limit} that the peer takes`
  throw new UsageError('ERR_FIELDS_TOO_LARGE', message)
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

const ENTRY_BYTES = 32
