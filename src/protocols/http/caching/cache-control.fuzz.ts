/**
 * Whatever stands in Cache-Control, Vary, If-None-Match and Expires: never an exception, no lifetime
 * out of range, and directives that were written are read.
 */
import { HttpFields } from '../fields.ts'
import { MAX_DELTA_SECONDS, parseCacheControl } from './cache-control.ts'
import { freshnessLifetime, initialAge } from './freshness.ts'
import { isNotModified } from './validators.ts'
import { varyKey, varyNames } from './vary.ts'

export const samples: readonly Uint8Array[] = [
  'max-age=60, stale-while-revalidate=30, private="set-cookie, x"',
  'no-cache="a\\"b", s-maxage="10" , must-revalidate,,public',
  'W/"a,b", "c"',
  'Sun, 06 Nov 1994 08:49:37 GMT',
].map((text) => new TextEncoder().encode(text))

export function fuzz(seed: number, bytes: Uint8Array): void {
  let text = ''
  for (const byte of bytes) if (byte !== 0x0a && byte !== 0x0d) text += String.fromCharCode(byte)
  const control = parseCacheControl(text)
  const fields = HttpFields.fromTrusted([
    ...['cache-control', text, 'expires', text, 'vary', text, 'etag', text, 'age', text],
    ...['date', text, 'last-modified', text, 'if-none-match', text, 'if-modified-since', text],
  ])
  const rules = { shared: seed % 2 === 0, heuristicFraction: 0.1, maxHeuristicSeconds: 86_400 }
  const lifetime = freshnessLifetime(200, fields, control, seed, rules)
  if (!(lifetime >= 0)) throw new Error(`a lifetime of ${lifetime}`)
  if ((control.maxAge ?? 0) > MAX_DELTA_SECONDS) throw new Error('a lifetime out of range')
  if (!(initialAge(fields, seed, 0) >= 0)) throw new Error('an age below zero')
  isNotModified(fields, fields, seed)
  const names = varyNames(fields)
  if (names !== undefined) varyKey(names, fields)
  // An element after a comma is read, unless a quotation is open.
  if (text.includes('"') || /max-age/i.test(text)) return
  const after = parseCacheControl(`${text}, max-age=${seed % 1_000}`)
  if (after.maxAge !== seed % 1_000) throw new Error('a directive at the end was not read')
}
