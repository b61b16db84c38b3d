/**
 * What an HTTP call is hashed by, for consistent balancers: a header, a cookie, a parameter of the
 * query. Keys that every protocol has are in runtime/balancer/hash-key.ts.
 */
import type { HashKey } from '../../core/policy.ts'
import type { HttpRequest } from './messages.ts'

/** A request header; several fields of the name count as one list. */
export function hashByHeader(name: string): HashKey<HttpRequest> {
  const lower = name.toLowerCase()
  return ({ fields }) => fields.get(lower)
}

/** A cookie of the request, the first of its name. */
export function hashByCookie(name: string): HashKey<HttpRequest> {
  return ({ fields }) => {
    for (const pair of (fields.get('cookie') ?? '').split(';')) {
      const equals = pair.indexOf('=')
      if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
    }
    return undefined
  }
}

/** A parameter of the query, the first of its name, as it is written there (not decoded). */
export function hashByQueryParameter(name: string): HashKey<HttpRequest> {
  return ({ target }) => {
    const query = target.indexOf('?')
    if (query < 0) return undefined
    for (const pair of target.slice(query + 1).split('&')) {
      const equals = pair.indexOf('=')
      const key = equals < 0 ? pair : pair.slice(0, equals)
      if (key === name) return equals < 0 ? '' : pair.slice(equals + 1)
    }
    return undefined
  }
}

/** The path without the query: each resource has its home, and its cache there. */
export function hashByPath(): HashKey<HttpRequest> {
  return (request) => request.path
}
