/**
 * What is known of methods (RFC 9110 9.2): which ask for no change, which may be repeated.
 */

/** The method if OpenTelemetry's conventions know it, else `_OTHER`: anybody may invent methods. */
export function knownMethod(method: string): string {
  return KNOWN.has(method) ? method : '_OTHER'
}

/** RFC 9110 9.2.1. */
export function isSafeMethod(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'TRACE'
}

/** RFC 9110 9.2.2: doing it twice is meant to be the same as once. */
export function isIdempotentMethod(method: string): boolean {
  return isSafeMethod(method) || method === 'PUT' || method === 'DELETE'
}

const KNOWN: ReadonlySet<string> = new Set([
  ...['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS', 'CONNECT', 'TRACE', 'QUERY'],
])
