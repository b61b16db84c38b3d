/**
 * What a field is to a gateway, decided by its name without making a string.
 */
import type { HttpFields } from '../../protocols/http/fields.ts'

/** Nothing to us: passes through. */
export const PLAIN = 0
/** Concerns one connection only (RFC 9110 7.6.1), or is written anew for each. */
export const HOP = 1
export const CONNECTION = 2
export const UPGRADE = 3
export const TE = 4
export const HOST = 5
export const VIA = 6
export const X_FORWARDED_FOR = 7
export const X_FORWARDED_PROTO = 8
export const X_FORWARDED_HOST = 9
export const FORWARDED = 10

export type HeaderKind = number

export function headerKind(name: string): HeaderKind {
  switch (name.length) {
    case 2:
      return is(name, 'te') ? TE : PLAIN
    case 3:
      return is(name, 'via') ? VIA : PLAIN
    case 4:
      return is(name, 'host') ? HOST : PLAIN
    case 6:
      // 100-continue is agreed with each side by itself: we answer it when the body is wanted.
      return is(name, 'expect') ? HOP : PLAIN
    case 7:
      return is(name, 'upgrade') ? UPGRADE : PLAIN
    case 9:
      return is(name, 'forwarded') ? FORWARDED : PLAIN
    case 10:
      if (is(name, 'connection')) return CONNECTION
      return is(name, 'keep-alive') ? HOP : PLAIN
    case 14:
      return isTwin(name, 'content-length') ? HOP : PLAIN
    case 15:
      if (is(name, 'x-forwarded-for')) return X_FORWARDED_FOR
      return isTwin(name, 'x-forwarded-for') ? HOP : PLAIN
    case 16:
      if (is(name, 'x-forwarded-host')) return X_FORWARDED_HOST
      if (isTwin(name, 'x-forwarded-host')) return HOP
      // Never registered, still sent by old clients; a few servers take it for Connection.
      return is(name, 'proxy-connection') ? HOP : PLAIN
    case 17:
      if (is(name, 'x-forwarded-proto')) return X_FORWARDED_PROTO
      if (is(name, 'transfer-encoding') || isTwin(name, 'transfer-encoding')) return HOP
      return isTwin(name, 'x-forwarded-proto') ? HOP : PLAIN
    case 18:
      return is(name, 'proxy-authenticate') ? HOP : PLAIN
    case 19:
      return is(name, 'proxy-authorization') ? HOP : PLAIN
    default:
      return PLAIN
  }
}

/** Compares with a lower-case name of the same length. Different first letters end it at once. */
export function is(name: string, lower: string): boolean {
  for (let index = 0; index < lower.length; index++) {
    const unit = name.charCodeAt(index)
    const folded = unit >= 0x41 && unit <= 0x5a ? unit | 0x20 : unit
    if (folded !== lower.charCodeAt(index)) return false
  }
  return true
}

/**
 * `X_Forwarded_For` and the like: servers of the CGI kind (PHP, WSGI, Rack) give both spellings the
 * same name, so a client could write what we replace in the other.
 */
function isTwin(name: string, lower: string): boolean {
  return name.includes('_') && is(hyphened(name), lower)
}

/** Removes the fields of that name, in every spelling that a server may take for it. */
export function deleteSpellings(fields: HttpFields, name: string): void {
  fields.delete(name)
  const wanted = hyphened(name).toLowerCase()
  const twins = new Set<string>()
  for (let index = 0; index < fields.size; index++) {
    const given = fields.nameAt(index)
    if (given.length === wanted.length && is(hyphened(given), wanted)) twins.add(given)
  }
  for (const twin of twins) fields.delete(twin)
}

/** Whether `names` (lower case) has it, in the spelling it is given in or with hyphens. */
export function hasSpelling(names: ReadonlySet<string>, name: string): boolean {
  const lower = name.toLowerCase()
  return names.has(lower) || (lower.includes('_') && names.has(hyphened(lower)))
}

function hyphened(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name
}
