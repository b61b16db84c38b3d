/**
 * The authority of a request: `Host` and `:authority` (RFC 9110 7.2), without a user.
 */

/** host[:port] with a reg-name, an IPv4 or a bracketed IPv6 address; no user, no comma, no space. */
export function isAuthority(text: string): boolean {
  let at = 0
  if (text.charCodeAt(0) === BRACKET) {
    at = text.indexOf(']') + 1
    if (at < 4 || !/^[0-9a-fA-F:.]+$/.test(text.slice(1, at - 1))) return false
  } else {
    while (at < text.length && HOST_CHARS[text.charCodeAt(at)] === 1) at++
    if (at === 0) return false
  }
  if (at === text.length) return true
  if (text.charCodeAt(at) !== COLON || text.length - at > MAX_PORT_LENGTH) return false
  for (at++; at < text.length; at++) {
    const digit = text.charCodeAt(at) - ZERO
    if (digit < 0 || digit > 9) return false
  }
  return true
}

const ZERO = 0x30
const COLON = 0x3a
const BRACKET = 0x5b
/** `:65535` */
const MAX_PORT_LENGTH = 6

/** reg-name of RFC 3986 3.2.2 but the comma, which could be taken for a list. */
const HOST_CHARS: Uint8Array = /* @__PURE__ */ (() => {
  const table = new Uint8Array(256)
  const allowed = "-._~%!$&'()*+;=0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
  for (const char of allowed) table[char.charCodeAt(0)] = 1
  return table
})()
