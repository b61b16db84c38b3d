/**
 * The value of a `priority` field or a PRIORITY_UPDATE (RFC 9218 section 4): `u=1, i`.
 *
 * Who says nothing gets its turn like all others of the middle urgency. Who gives a priority without
 * `i` wants one response after the other.
 */
export interface Http2Priority {
  readonly urgency: number
  readonly incremental: boolean
}

export function readPriority(value: string): Http2Priority {
  let urgency = 3
  let incremental = false
  if (value.length > MAX_LENGTH) return { urgency, incremental }
  // Of a key that comes twice in a dictionary the last counts (RFC 9651 3.2); parameters are skipped.
  for (const member of value.split(',')) {
    const match = /^[ \t]*([a-z*][a-z0-9_.*-]*)(?:=([^;]*?))?[ \t]*(?:;.*)?$/.exec(member)
    if (match === null) continue
    const [, key, given] = match
    if (key === 'u' && given !== undefined && /^[0-7]$/.test(given)) urgency = Number(given)
    else if (key === 'i' && (given === undefined || given === '?1')) incremental = true
    else if (key === 'i' && given === '?0') incremental = false
  }
  return { urgency, incremental }
}

export function writePriority(priority: Http2Priority): string {
  return priority.incremental ? `u=${priority.urgency}, i` : `u=${priority.urgency}`
}

const MAX_LENGTH = 256
