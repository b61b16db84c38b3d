/**
 * The framework of HTTP authentication (RFC 9110 section 11): `Authorization` on the way in,
 * `WWW-Authenticate` on the way out.
 *
 *     Authorization: Basic dXNlcjpwYXNz          scheme and token68
 *     Authorization: Digest username="a", …      scheme and parameters
 *
 * Only syntax is here, and nothing of it throws: what cannot be understood is undefined.
 */
import { type HttpFields, isToken, TOKEN } from './fields.ts'
import { HttpRequest } from './messages.ts'

export interface HttpCredentials {
  /** Lower case: schemes are compared without case. */
  readonly scheme: string
  /** What follows the scheme, without the spaces around it; still to be understood. */
  readonly rest: string
}

/**
 * `malformed`: there is such a field, but it has no one meaning: it is there twice, too long, or has
 * no scheme. Two fields would let a proxy check one and the server another.
 */
export function readCredentials(
  fields: HttpFields,
  name: 'authorization' | 'proxy-authorization' = 'authorization',
): HttpCredentials | 'malformed' | undefined {
  const values = fields.getAll(name)
  if (values.length === 0) return undefined
  const value = values[0] as string
  if (values.length > 1 || value.length > MAX_CREDENTIALS) return 'malformed'
  return parseCredentials(value) ?? 'malformed'
}

/** `auth-scheme [ 1*SP rest ]` */
export function parseCredentials(value: string): HttpCredentials | undefined {
  const space = value.indexOf(' ')
  const scheme = space < 0 ? value : value.slice(0, space)
  if (scheme.length > MAX_SCHEME || !isToken(scheme)) return undefined
  let start = space < 0 ? value.length : space
  let end = value.length
  while (start < end && value.charCodeAt(start) === SPACE) start++
  while (end > start && value.charCodeAt(end - 1) === SPACE) end--
  return { scheme: scheme.toLowerCase(), rest: value.slice(start, end) }
}

/** `token68`: base64 and base64url and a few more, padded at the end only. */
export function isToken68(text: string): boolean {
  let end = text.length
  while (end > 0 && text.charCodeAt(end - 1) === EQUALS) end--
  if (end === 0) return false
  for (let index = 0; index < end; index++) {
    const unit = text.charCodeAt(index)
    if (unit > 0x7e || TOKEN68[unit] === 0) return false
  }
  return true
}

/**
 * `name=value, name="value"`: names in lower case. Undefined when it is anything else, a name is
 * there twice, or there are more than 32.
 */
export function parseAuthParameters(rest: string): ReadonlyMap<string, string> | undefined {
  const found = new Map<string, string>()
  let at = 0
  while (at < rest.length) {
    const name = tokenAt(rest, at)
    if (name === '') return undefined
    at = skipBlank(rest, at + name.length)
    if (rest.charCodeAt(at) !== EQUALS) return undefined
    at = skipBlank(rest, at + 1)
    const value = rest.charCodeAt(at) === QUOTE ? quotedAt(rest, at) : tokenAt(rest, at)
    if (value === undefined || value === '') return undefined
    at = skipBlank(rest, at + value.length)
    const lower = name.toLowerCase()
    if (found.has(lower) || found.size === MAX_PARAMETERS) return undefined
    found.set(lower, value.charCodeAt(0) === QUOTE ? unquote(value) : value)
    if (at === rest.length) return found
    if (rest.charCodeAt(at) !== COMMA) return undefined
    at = skipBlank(rest, at + 1)
    if (at === rest.length) return undefined
  }
  return found
}

/**
 * `Basic realm="x", charset="UTF-8"`. Values are always quoted: no parser is known that wants a
 * token where it gets a quoted string, and `realm` must be quoted.
 */
export function formatChallenge(
  scheme: string,
  parameters: Readonly<Record<string, string | undefined>>,
): string {
  const parts: string[] = []
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) parts.push(`${name}="${quotable(value)}"`)
  }
  return parts.length === 0 ? scheme : `${scheme} ${parts.join(', ')}`
}

/** The request without that field; its body stays the same object. */
export function withoutField(request: HttpRequest, name: string): HttpRequest {
  if (!request.fields.has(name)) return request
  const { fields } = request
  // The block is the request's own: nobody else is to find the credentials in it either.
  fields.delete(name)
  return request
}

/** The request with another target, for credentials that stand in the query. */
export function withTarget(request: HttpRequest, target: string): HttpRequest {
  const { method, scheme, authority, fields, body, version } = request
  const changed = new HttpRequest({ method, target, scheme, authority, fields, body, version })
  changed.connection = request.connection
  changed.inform = request.inform
  changed.push = request.push
  changed.note = request.note
  return changed
}

function tokenAt(text: string, from: number): string {
  let at = from
  while (at < text.length && text.charCodeAt(at) <= 0x7e && TOKEN[text.charCodeAt(at)] === 1) at++
  return text.slice(from, at)
}

/** A quoted-string with its quotes; undefined when it does not end. */
function quotedAt(text: string, from: number): string | undefined {
  for (let at = from + 1; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === QUOTE) return text.slice(from, at + 1)
    if (unit === BACKSLASH) at++
  }
  return undefined
}

function unquote(quoted: string): string {
  return quoted.slice(1, -1).replace(/\\([\s\S])/g, '$1')
}

function skipBlank(text: string, from: number): number {
  let at = from
  while (text.charCodeAt(at) === SPACE || text.charCodeAt(at) === TAB) at++
  return at
}

/** What a field value may hold within quotes; the rest becomes a question mark. */
function quotable(value: string): string {
  return value.replace(/[^\t\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')
}

/** Longer than any token in use; heads as a whole have their own limit. */
export const MAX_CREDENTIALS = 16_384
const MAX_SCHEME = 64
const MAX_PARAMETERS = 32
const TAB = 0x09
const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const EQUALS = 0x3d
const BACKSLASH = 0x5c
const TOKEN68: Readonly<Uint8Array> = /* @__PURE__ */ (() => {
  const table = new Uint8Array(128)
  const chars = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/'
  for (const char of chars) table[char.charCodeAt(0)] = 1
  return table
})()
