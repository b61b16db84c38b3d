/**
 * Urgency in the `priority` field (RFC 9218 4.1): `u=0` is the most urgent, `u=7` the least, 3 where
 * nobody says. It is what a call's `priority` is: 0 is shed last, 7 first.
 */
import { callDefaults } from '../../core/context.ts'
import type { HttpFields } from './fields.ts'

/**
 * - `ignore`: calls have the middle priority.
 * - `lower`: a client may say that a call is less important, and nothing else: whoever could raise
 *   its own priority would.
 * - `trust`: what the client says holds. For a server behind a gateway that has judged it.
 */
export type PriorityTrust = 'ignore' | 'lower' | 'trust'

/** The urgency that the field says; undefined: it says none, or nothing that can be understood. */
export function readUrgency(fields: HttpFields): number | undefined {
  const value = fields.get('priority')
  if (value === undefined || value.length > MAX_LENGTH) return undefined
  let urgency: number | undefined
  // Of a key that comes twice in a dictionary the last counts (RFC 9651 3.2).
  for (const [, digit] of value.matchAll(URGENCY)) urgency = Number(digit)
  return urgency
}

/** The priority of a call, as far as its client may say it. */
export function trustedPriority(fields: HttpFields, trust: PriorityTrust): number | undefined {
  if (trust === 'ignore') return undefined
  const urgency = readUrgency(fields)
  if (urgency === undefined || trust === 'trust') return urgency
  return Math.max(urgency, callDefaults.priority)
}

const URGENCY = /(?:^|,)[ \t]*u=([0-7])(?=[ \t]*(?:;|,|$))/g
const MAX_LENGTH = 256
