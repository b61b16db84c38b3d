/**
 * Validators and preconditions of GET and HEAD (RFC 9110 8.8 and 13, RFC 9111 4.3).
 *
 * A stored response answers `If-None-Match` and `If-Modified-Since` itself. `If-Match` and
 * `If-Unmodified-Since` are about the state at the origin, and are left to it (RFC 9111 4.3.2).
 */
import { parseHttpDate } from '../date.ts'
import { HttpFields } from '../fields.ts'

export function hasValidator(fields: HttpFields): boolean {
  return fields.has('etag') || fields.has('last-modified')
}

/** A condition that only the origin can judge. */
export function asksOrigin(fields: HttpFields): boolean {
  return fields.has('if-match') || fields.has('if-unmodified-since') || fields.has('if-range')
}

/** A condition that a stored response can judge. */
export function isConditional(fields: HttpFields): boolean {
  return fields.has('if-none-match') || fields.has('if-modified-since')
}

/**
 * Whether a client that has asked with these conditions has this response already (RFC 9111 4.3.2).
 *
 * @param stored fields of the response, fresh or just validated
 */
export function isNotModified(request: HttpFields, stored: HttpFields, wallMs: number): boolean {
  const noneMatch = request.get('if-none-match')
  if (noneMatch !== undefined) {
    if (noneMatch.trim() === '*') return true
    const etag = stored.get('etag')
    return etag !== undefined && etagList(noneMatch).some((one) => weaklyEqual(one, etag))
  }
  const since = request.get('if-modified-since')
  if (since === undefined) return false
  const sinceMs = parseHttpDate(since, wallMs)
  if (sinceMs === undefined) return false
  const modified = stored.get('last-modified') ?? stored.get('date')
  const modifiedMs = modified === undefined ? undefined : parseHttpDate(modified, wallMs)
  return modifiedMs !== undefined && modifiedMs <= sinceMs
}

/** The request's fields with the conditions of a stored response instead of the client's. */
export function validationFields(request: HttpFields, stored: HttpFields | undefined): HttpFields {
  const fields = new HttpFields(request)
  fields.delete('if-none-match')
  fields.delete('if-modified-since')
  const etag = stored?.get('etag')
  const modified = stored?.get('last-modified')
  if (etag !== undefined) fields.set('if-none-match', etag)
  if (modified !== undefined) fields.set('if-modified-since', modified)
  return fields
}

/** Whether a 304 is about the stored response: it names no other entity tag (RFC 9111 4.3.4). */
export function isAbout(notModified: HttpFields, stored: HttpFields): boolean {
  const etag = notModified.get('etag')
  const own = stored.get('etag')
  return etag === undefined || own === undefined || weaklyEqual(etag, own)
}

/** What a 304 carries of a stored response (RFC 9110 15.4.5). */
export function notModifiedFields(stored: HttpFields): HttpFields {
  const list: string[] = []
  stored.forEach((name, value) => {
    if (!DESCRIBES_CONTENT.has(name.toLowerCase())) list.push(name, value)
  })
  return HttpFields.fromTrusted(list)
}

/** RFC 9110 8.8.3.2. */
export function weaklyEqual(a: string, b: string): boolean {
  return opaqueTag(a) === opaqueTag(b)
}

function opaqueTag(etag: string): string {
  const text = etag.trim()
  return text.startsWith('W/') ? text.slice(2) : text
}

/** Entity tags hold commas within their quotes; what is no tag is passed over. */
function etagList(text: string): string[] {
  return text.match(/(?:W\/)?"[^"]*"/g) ?? []
}

/** About content that a 304 does not have, but what a client needs to find its copy. */
const DESCRIBES_CONTENT: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-length',
  'content-range',
  'content-type',
  'transfer-encoding',
])
