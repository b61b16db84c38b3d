/** Looking into JSON that somebody else wrote. */
import { ProtocolError } from '../core/errors.ts'

export type JsonRecord = Readonly<Record<string, unknown>>

/** @throws ProtocolError ERR_MALFORMED */
export function asRecord(who: string, value: unknown): JsonRecord {
  if (isRecord(value)) return value
  throw new ProtocolError('ERR_MALFORMED', `${who} answered ${kindOf(value)} instead of an object`)
}

/** `null` is an empty list: that is how Go writes one. @throws ProtocolError ERR_MALFORMED */
export function asArray(who: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  if (value === null) return []
  throw new ProtocolError('ERR_MALFORMED', `${who} answered ${kindOf(value)} instead of a list`)
}

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The empty string for whatever is no text. */
export function asText(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** The entries that are text. */
export function textRecord(value: unknown): Readonly<Record<string, string>> {
  if (!isRecord(value)) return {}
  const entries = Object.entries(value).filter((entry): entry is [string, string] => {
    return typeof entry[1] === 'string'
  })
  return Object.fromEntries(entries)
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`
}
