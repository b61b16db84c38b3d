/**
 * Whatever stands in `Authorization`: a scheme with its rest, or nothing; never an exception. What is
 * written as a challenge is read as what was written.
 */
import {
  formatChallenge,
  isToken68,
  parseAuthParameters,
  parseCredentials,
  readCredentials,
} from './credentials.ts'
import { HttpFields } from './fields.ts'

export const samples: readonly Uint8Array[] = [
  'Basic dXNlcjpwYXNz',
  'Bearer eyJhbGciOiJub25lIn0.e30.',
  'Digest username="Mufasa", realm="a\\"b", nc=00000001, qop=auth',
  'scram-sha-256 data=biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=',
].map((text) => new TextEncoder().encode(text))

export function fuzz(seed: number, bytes: Uint8Array): void {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  const credentials = parseCredentials(text)
  isToken68(text)
  const parameters = parseAuthParameters(credentials?.rest ?? text)
  if (parameters !== undefined && parameters.size > 32) throw new Error('too many parameters')
  const challenge = formatChallenge('Test', { realm: text, [`p${seed}`]: 'x' })
  const read = parseCredentials(challenge)
  const back = read === undefined ? undefined : parseAuthParameters(read.rest)
  const expected = text.replace(/[^\t\x20-\x7e]/g, '?')
  if (back?.get('realm') !== expected) throw new Error(`${challenge} was read otherwise`)
  const fields = HttpFields.fromTrusted(['authorization', text])
  if (readCredentials(fields) === undefined) throw new Error('a field that is there was not seen')
}
