/**
 * How a connection says that it speaks HTTP/2 (RFC 9113 3.4): its first bytes are no HTTP/1.1 request
 * that anybody would send, `PRI * HTTP/2.0`.
 */
import { HTTP2_PREFACE } from './messages.ts'

/**
 * Whether `bytes`, the first of a connection, begin HTTP/2. Its first line decides: the session looks
 * at the rest.
 *
 * @returns undefined: so far they do, more are needed
 */
export function beginsHttp2(bytes: Uint8Array): boolean | undefined {
  const count = Math.min(bytes.length, PREFACE_LINE.length)
  for (let at = 0; at < count; at++) if (bytes[at] !== PREFACE_LINE[at]) return false
  return count === PREFACE_LINE.length ? true : undefined
}

const LINE_LENGTH = HTTP2_PREFACE.indexOf('\n') + 1
const PREFACE_LINE = Uint8Array.from({ length: LINE_LENGTH }, (_, at) =>
  HTTP2_PREFACE.charCodeAt(at),
)
