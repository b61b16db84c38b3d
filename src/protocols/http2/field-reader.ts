/**
 * What a decoded field section means, and whether it is one (RFC 9113 section 8): lower-case names,
 * pseudo-header fields first and complete, nothing that belongs to a connection of HTTP/1.1.
 *
 * The sections of a connection are mostly the same again, and their strings come from the same HPACK
 * table: what was checked once is compared by reference and not checked again.
 */
import { isAuthority } from '../http/authority.ts'
import { HttpFields, isFieldValue, TOKEN } from '../http/fields.ts'

export class FieldReader {
  /** Why the last section was refused. */
  problem = ''
  // Pseudo-header fields of the last section.
  method = ''
  scheme: string | undefined
  authority = ''
  target = ''
  protocol: string | undefined
  status = 0
  /** `content-length`; -1: none. */
  contentLength = -1
  expectsContinue = false
  /** Value of `priority`. */
  priority: string | undefined
  /** Messages that may pause: their deadline is the call's. */
  patient = false
  #path: string | undefined
  #statusText: string | undefined
  #seenAuthority: string | undefined
  #host: string | undefined
  /** Pseudo-header fields, in how many places of the list. */
  #pseudo = 0
  #crumbs = 0
  /** The last section that was found right, and the fields of it from `#pseudo` on. */
  #last: readonly string[] = NONE
  #lastFields: readonly string[] = NONE
  #lastTrailers: readonly string[] = NONE

  /** @returns the fields; undefined: see `problem` */
  request(list: string[]): HttpFields | undefined {
    if (!this.#sameAsLast(list)) {
      const before = this.#last
      this.#last = NONE
      this.#lastFields = NONE
      if (!this.#read(list, before) || !this.#checkRequest()) return undefined
      this.#last = list
    }
    return this.#shared()
  }

  response(list: string[]): HttpFields | undefined {
    if (!this.#sameAsLast(list)) {
      const before = this.#last
      this.#last = NONE
      this.#lastFields = NONE
      if (!this.#read(list, before) || !this.#checkResponse()) return undefined
      this.#last = list
    }
    return this.#shared()
  }

  trailers(list: string[]): HttpFields | undefined {
    const before = this.#lastTrailers
    if (list === before) return HttpFields.fromShared(list)
    this.#lastTrailers = NONE
    for (let at = 0; at < list.length; at += 2) {
      const name = list[at] as string
      const value = list[at + 1] as string
      if (before[at] === name && before[at + 1] === value) continue
      if (name.charCodeAt(0) === COLON) return this.#refuse(`${name} in trailers`)
      if (!this.#checkField(name, value)) return undefined
      // What frames or routes a message comes in front of it (RFC 9110 6.5.1).
      if (FRAMING.has(name)) return this.#refuse(`${name} in trailers`)
    }
    this.#lastTrailers = list
    return HttpFields.fromShared(list)
  }

  #sameAsLast(list: string[]): boolean {
    const last = this.#last
    if (list === last) return true
    const { length } = list
    if (length !== last.length || length === 0) return false
    for (let at = 0; at < length; at++) if (list[at] !== last[at]) return false
    return true
  }

  /** Messages with the same fields share one list of them. */
  #shared(): HttpFields {
    if (this.#lastFields === NONE) {
      const fields = this.#last.slice(this.#pseudo)
      this.#lastFields = this.#crumbs > 1 ? joinCookies(fields) : fields
    }
    return HttpFields.fromShared(this.#lastFields)
  }

  #read(list: string[], before: readonly string[]): boolean {
    this.#reset()
    let at = 0
    for (; at < list.length; at += 2) {
      const name = list[at] as string
      if (name.charCodeAt(0) !== COLON) break
      if (!this.#readPseudo(name, list[at + 1] as string)) return false
    }
    this.#pseudo = at
    for (; at < list.length; at += 2) {
      const name = list[at] as string
      const value = list[at + 1] as string
      const known = before[at] === name && before[at + 1] === value
      if (!known && !this.#checkField(name, value)) return false
      if (SPECIAL.has(name) && !this.#readSpecial(name, value)) return false
    }
    return true
  }

  #reset(): void {
    this.method = ''
    this.scheme = undefined
    this.authority = ''
    this.protocol = undefined
    this.status = 0
    this.contentLength = -1
    this.expectsContinue = false
    this.priority = undefined
    this.patient = false
    this.#path = undefined
    this.#statusText = undefined
    this.#seenAuthority = undefined
    this.#host = undefined
    this.#crumbs = 0
  }

  #readPseudo(name: string, value: string): boolean {
    switch (name) {
      case ':method':
        if (this.method !== '') return this.#twice(name)
        if (!isTokenText(value)) return this.#no(':method is not a token')
        this.method = value
        return true
      case ':path':
        if (this.#path !== undefined) return this.#twice(name)
        this.#path = value
        return true
      case ':scheme':
        if (this.scheme !== undefined) return this.#twice(name)
        this.scheme = value
        return true
      case ':authority':
        if (this.#seenAuthority !== undefined) return this.#twice(name)
        this.#seenAuthority = value
        return true
      case ':protocol':
        if (this.protocol !== undefined) return this.#twice(name)
        if (!isTokenText(value)) return this.#no(':protocol is not a token')
        this.protocol = value
        return true
      case ':status':
        if (this.#statusText !== undefined) return this.#twice(name)
        this.#statusText = value
        return true
    }
    return this.#no('an unknown pseudo-header field')
  }

  #checkField(name: string, value: string): boolean {
    if (name.charCodeAt(0) === COLON) return this.#no(`${name} behind other fields`)
    for (let at = 0; at < name.length; at++) {
      if (LOWER_TOKEN[name.charCodeAt(at)] !== 1) {
        return this.#no('a field name that is not a token in lower case')
      }
    }
    if (name.length === 0) return this.#no('a field without a name')
    if (CONNECTION_FIELDS.has(name)) return this.#no(`${name}, which belongs to HTTP/1.1`)
    if (name === 'te' && value !== 'trailers') return this.#no('te other than trailers')
    if (value.length > 0) {
      const first = value.charCodeAt(0)
      const last = value.charCodeAt(value.length - 1)
      const blank = first === SP || first === HT || last === SP || last === HT
      if (blank || !isFieldValue(value)) return this.#no(`a value of ${name} that is not one`)
    }
    return true
  }

  #readSpecial(name: string, value: string): boolean {
    switch (name) {
      case 'content-length': {
        const length = parseLength(value)
        if (length < 0) return this.#no('content-length is not a number')
        if (this.contentLength >= 0 && this.contentLength !== length) {
          return this.#no('content-length twice, and not the same')
        }
        this.contentLength = length
        return true
      }
      case 'host':
        if (this.#host !== undefined) return this.#no('more than one Host')
        this.#host = value
        return true
      case 'cookie':
        this.#crumbs++
        return true
      case 'expect':
        this.expectsContinue = value.toLowerCase() === '100-continue'
        return true
      case 'priority':
        this.priority = this.priority === undefined ? value : `${this.priority}, ${value}`
        return true
      case 'content-type':
        this.patient = isMessageType(value)
        return true
    }
    return true
  }

  #checkRequest(): boolean {
    if (this.#statusText !== undefined) return this.#no(':status in a request')
    const { method, protocol } = this
    if (method === '') return this.#no('no :method')
    const isConnect = method === 'CONNECT'
    if (protocol !== undefined && !isConnect) return this.#no(':protocol without CONNECT')
    if (!this.#checkAuthority()) return false
    if (isConnect && protocol === undefined) {
      // RFC 9113 8.5.
      if (this.scheme !== undefined || this.#path !== undefined) {
        return this.#no('CONNECT with :scheme or :path')
      }
      if (!/:\d+$/.test(this.authority)) return this.#no('CONNECT without host:port')
      this.target = this.authority
      this.patient = true
      return true
    }
    if (this.scheme === undefined) return this.#no('no :scheme')
    const path = this.#path
    if (path === undefined || path === '') return this.#no('no :path')
    if (
      !isTarget(path) ||
      (path.charCodeAt(0) !== SLASH && !(path === '*' && method === 'OPTIONS'))
    ) {
      return this.#no(':path is not a path')
    }
    if (protocol !== undefined) this.patient = true
    this.target = path
    return true
  }

  #checkAuthority(): boolean {
    const given = this.#seenAuthority
    const host = this.#host
    if (given !== undefined && !isAuthority(given)) return this.#no(':authority is not host[:port]')
    if (host !== undefined && host !== '' && !isAuthority(host)) {
      return this.#no('Host is not host[:port]')
    }
    if (given === undefined) {
      this.authority = host ?? ''
      return this.method !== 'CONNECT' || this.#no('CONNECT without :authority')
    }
    if (host !== undefined && host !== given && host.toLowerCase() !== given.toLowerCase()) {
      return this.#no('Host differs from :authority')
    }
    this.authority = given
    return true
  }

  #checkResponse(): boolean {
    const text = this.#statusText
    if (text === undefined) return this.#no('no :status')
    if (this.method !== '' || this.#path !== undefined || this.scheme !== undefined) {
      return this.#no('a pseudo-header field of requests in a response')
    }
    if (this.#seenAuthority !== undefined || this.protocol !== undefined) {
      return this.#no('a pseudo-header field of requests in a response')
    }
    if (!/^[1-9]\d\d$/.test(text)) return this.#no(':status is not three digits')
    this.status = Number(text)
    // RFC 9113 8.6.
    if (this.status === 101) return this.#no('status 101, which HTTP/2 does not have')
    return true
  }

  #twice(name: string): boolean {
    return this.#no(`${name} twice`)
  }

  #no(problem: string): boolean {
    this.problem = problem
    return false
  }

  #refuse(problem: string): undefined {
    this.problem = problem
  }
}

/** RFC 9113 8.2.3: crumbs become one field, where the first one stood. */
function joinCookies(list: readonly string[]): string[] {
  const joined: string[] = []
  let first = -1
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] as string
    if (name !== 'cookie') joined.push(name, list[at + 1] as string)
    else if (first >= 0) joined[first] = `${joined[first]}; ${list[at + 1]}`
    else first = joined.push(name, list[at + 1] as string) - 1
  }
  return joined
}

/** Digits only; -1: not a length. */
function parseLength(text: string): number {
  if (text.length === 0 || text.length > MAX_DIGITS) return -1
  let length = 0
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - ZERO
    if (digit < 0 || digit > 9) return -1
    length = length * 10 + digit
  }
  return length
}

function isTokenText(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit > 0xff || TOKEN[unit] !== 1) return false
  }
  return text.length > 0
}

/** Visible ASCII but `#`, as in HTTP/1.1. */
export function isTarget(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit <= SP || unit >= 0x7f || unit === HASH) return false
  }
  return true
}

/** Whether a body is a stream of messages, which may pause: gRPC, gRPC-Web, Connect. */
export function isMessageType(type: string | undefined): boolean {
  if (type === undefined || !type.startsWith('application/')) return false
  return type.startsWith('application/grpc') || type.startsWith('application/connect+')
}

const COLON = 0x3a
const SLASH = 0x2f
const HASH = 0x23
const ZERO = 0x30
const SP = 0x20
const HT = 0x09
/** Below 2^53. */
const MAX_DIGITS = 15
const NONE: readonly string[] = Object.freeze([])

/** RFC 9113 8.2.2. */
export const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])
const SPECIAL: ReadonlySet<string> = new Set([
  'content-length',
  'host',
  'cookie',
  'expect',
  'priority',
  'content-type',
])
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'host'])

const LOWER_TOKEN: Readonly<Uint8Array> = /* @__PURE__ */ (() => {
  const table = Uint8Array.from(TOKEN)
  table.fill(0, 0x41, 0x5b)
  return table
})()
