/**
 * `Vary` (RFC 9111 4.1, RFC 9110 12.5.5): which fields of a request chose the response.
 *
 * Values are compared as they came, lines of one name joined: two spellings of one preference are
 * two variants, which costs a request and never gives the wrong answer.
 */
import { type HttpFields, listElements, trimBlanks } from '../fields.ts'

/** Lower case, sorted, each once. Undefined for `*`: no request can be told to be like it. */
export function varyNames(fields: HttpFields): readonly string[] | undefined {
  const text = fields.get('vary')
  if (text === undefined) return NONE
  const names = listElements(text).filter((name) => name !== '')
  if (names.includes('*')) return undefined
  return [...new Set(names)].sort()
}

/** What a request has in the fields of `names`; equal for requests that get the same variant. */
export function varyKey(names: readonly string[], fields: HttpFields): string {
  if (names.length === 0) return ''
  let key = ''
  for (const name of names) {
    const value = fields.get(name)
    // No value can hold a line feed; an absent field is not an empty one.
    key += value === undefined ? `${name}\n` : `${name}:${trimBlanks(value)}\n`
  }
  return key
}

const NONE: readonly string[] = Object.freeze([])
