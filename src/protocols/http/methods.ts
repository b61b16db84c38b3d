/**
 * What is known of methods (RFC 9110 9.2): which ask for no change, which may be repeated.
 */

/** RFC 9110 9.2.1. */
export function isSafeMethod(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'TRACE'
}

/** RFC 9110 9.2.2: doing it twice is meant to be the same as once. */
export function isIdempotentMethod(method: string): boolean {
  return isSafeMethod(method) || method === 'PUT' || method === 'DELETE'
}
