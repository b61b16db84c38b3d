/**
 * W3C Baggage (https://www.w3.org/TR/baggage/): name and value pairs that follow a call through all
 * services, as the text of the `baggage` header.
 *
 *     baggage: tenant=a%2Cb;sampled,region=eu
 *              key    value  property
 *
 * Bounded by what comes from a peer: 8,192 bytes and 180 members. What is over a limit is dropped
 * from the end, whole members at a time, as is a member that breaks the grammar.
 */
import { UsageError } from './errors.ts'
import { trimBlanks } from './trace-context.ts'

export interface BaggageEntry {
  readonly value: string
  /** `a;b=1` as it was written; undefined: none. */
  readonly properties: string | undefined
}

/** The members in their order; the first of a name counts. */
export function parseBaggage(text: string): Map<string, BaggageEntry> {
  const entries = new Map<string, BaggageEntry>()
  for (const member of membersOf(text)) {
    const semicolon = member.indexOf(';')
    const pair = semicolon < 0 ? member : member.slice(0, semicolon)
    const equals = pair.indexOf('=')
    const key = trimBlanks(pair, 0, equals)
    if (entries.has(key)) continue
    const properties = semicolon < 0 ? undefined : trimBlanks(member, semicolon + 1)
    entries.set(key, { value: decode(trimBlanks(pair, equals + 1)), properties })
  }
  return entries
}

/**
 * @throws UsageError ERR_ARGUMENT for a key that is not a token; ERR_OPTION_RANGE over the limits
 */
export function formatBaggage(entries: ReadonlyMap<string, BaggageEntry | string>): string {
  const members: string[] = []
  for (const [key, entry] of entries) {
    if (!KEY.test(key)) {
      throw new UsageError('ERR_ARGUMENT', `baggage key ${JSON.stringify(key)} is not a token`)
    }
    const { value, properties } =
      typeof entry === 'string' ? { value: entry, properties: undefined } : entry
    const tail = properties === undefined || properties === '' ? '' : `;${properties}`
    if (!isMember(`a=${tail}`)) {
      throw new UsageError('ERR_ARGUMENT', `the properties of baggage ${key} cannot be sent`)
    }
    members.push(`${key}=${encode(value)}${tail}`)
  }
  const text = members.join(',')
  if (members.length > MAX_MEMBERS || text.length > MAX_BYTES) {
    const message = `baggage of ${members.length} members and ${text.length} bytes, most are ${MAX_MEMBERS} and ${MAX_BYTES}`
    throw new UsageError('ERR_OPTION_RANGE', message)
  }
  return text
}

/** What of a peer's baggage may be passed on: valid members within the limits, as written. */
export function boundBaggage(text: string): string | undefined {
  const members = membersOf(text)
  if (members.length === 0) return undefined
  const kept = members.join(',')
  return kept === text ? text : kept
}

function membersOf(text: string): string[] {
  const members: string[] = []
  let bytes = 0
  let start = 0
  // Beyond the limit nothing is looked at: a long header costs no more than one at the limit.
  while (start < text.length && members.length < MAX_MEMBERS) {
    let end = text.indexOf(',', start)
    if (end < 0) end = text.length
    const member = trimBlanks(text, start, end)
    start = end + 1
    if (member === '') continue
    const size = member.length + (members.length === 0 ? 0 : 1)
    if (bytes + size > MAX_BYTES) break
    if (!isMember(member)) continue
    bytes += size
    members.push(member)
  }
  return members
}

/** Each part is looked at once: no expression that could be made to try again and again. */
function isMember(member: string): boolean {
  return member.split(';').every((part, index) => {
    const equals = part.indexOf('=')
    // Only a property may go without a value.
    if (equals < 0) return index > 0 && KEY.test(trimBlanks(part))
    return KEY.test(trimBlanks(part, 0, equals)) && VALUE.test(trimBlanks(part, equals + 1))
  })
}

/** Percent-encoded UTF-8; a broken sequence becomes U+FFFD. */
function decode(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    const bytes: number[] = []
    for (let index = 0; index < text.length; index++) {
      const hex = text[index] === '%' ? text.slice(index + 1, index + 3) : ''
      const coded = /^[0-9a-fA-F]{2}$/.test(hex)
      bytes.push(coded ? Number.parseInt(hex, 16) : text.charCodeAt(index))
      if (coded) index += 2
    }
    return new TextDecoder().decode(Uint8Array.from(bytes))
  }
}

function encode(value: string): string {
  return value.replace(NOT_OCTETS, (part) => encodeURIComponent(part.toWellFormed()))
}

const MAX_BYTES = 8_192
const MAX_MEMBERS = 180
const KEY = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** Printable ASCII but space, quote, comma, semicolon and backslash. */
const VALUE = /^[!#-+\--:<-[\]-~]*$/
/** What may not stand in a value as it is; `%` begins an escape. */
const NOT_OCTETS = /[^!#$&-+\--:<-[\]-~]+/g
