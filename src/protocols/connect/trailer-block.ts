/**
 * The last envelope of gRPC-Web: trailers as a block of field lines, because a browser shows a page
 * no trailers of HTTP.
 *
 *     grpc-status: 0\r\n
 *     grpc-message: \r\n
 *
 * Written in lower case, as the specification asks; read in any case, with `\r\n` or `\n`, with or
 * without the space after the colon and the line's end after the last field, as proxies write it.
 */
import { ProtocolError } from '../../core/errors.ts'
import { HttpFields, isFieldValue, isToken } from '../http/fields.ts'

/** How many fields a block may have: what its size allows is a million of one byte. */
export const MAX_TRAILER_FIELDS = 256

export function encodeTrailerBlock(trailers: HttpFields): Uint8Array<ArrayBuffer> {
  let block = ''
  for (const [name, value] of trailers) block += `${name.toLowerCase()}: ${value}\r\n`
  const bytes = new Uint8Array(block.length)
  for (let at = 0; at < block.length; at++) bytes[at] = block.charCodeAt(at)
  return bytes
}

/** @throws ProtocolError ERR_MALFORMED, ERR_LIMIT for more than `MAX_TRAILER_FIELDS` fields */
export function parseTrailerBlock(payload: Uint8Array): HttpFields {
  const list: string[] = []
  let start = 0
  while (start < payload.length) {
    const newline = payload.indexOf(0x0a, start)
    const next = newline < 0 ? payload.length : newline
    const end = next > start && payload[next - 1] === 0x0d ? next - 1 : next
    if (end > start) addField(latin1(payload, start, end), list)
    if (list.length > MAX_TRAILER_FIELDS * 2) {
      throw new ProtocolError('ERR_LIMIT', `more than ${MAX_TRAILER_FIELDS} fields in the trailers`)
    }
    start = next + 1
  }
  return HttpFields.fromTrusted(list)
}

function addField(line: string, list: string[]): void {
  const colon = line.indexOf(':')
  const name = line.slice(0, Math.max(colon, 0)).toLowerCase()
  const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')
  if (!isToken(name) || !isFieldValue(value)) {
    throw new ProtocolError('ERR_MALFORMED', 'a line of the trailers is not a field')
  }
  list.push(name, value)
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at] as number)
  return text
}
