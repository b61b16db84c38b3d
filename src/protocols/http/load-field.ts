/**
 * `Heddle-Load`: how full the limit is that a call passed or was refused by, as a dictionary of
 * structured fields (RFC 9651).
 *
 *     Heddle-Load: depth=12, limit=200       12 calls are under way or wait; there may be 200
 *
 * It is a field of our own: no registered one says it. Whoever passes several limits hears of the
 * one nearest to it.
 */
import type { LoadReport } from '../../core/load-signal.ts'
import type { HttpFields } from './fields.ts'

/** In place of what an inner limit, or an upstream, said. */
export function setLoadField(fields: HttpFields, { depth, limit }: LoadReport): void {
  fields.set(LOAD_FIELD, `depth=${depth}, limit=${limit}`)
}

/** What a server said; undefined: nothing, or what is not understood. */
export function loadReportOf(fields: HttpFields): LoadReport | undefined {
  const value = fields.get(LOAD_FIELD)
  if (value === undefined || value.length > MAX_LENGTH) return undefined
  const depth = DEPTH.exec(value)?.[1]
  const limit = LIMIT.exec(value)?.[1]
  if (depth === undefined || limit === undefined) return undefined
  return { depth: Number(depth), limit: Number(limit) }
}

const LOAD_FIELD = 'heddle-load'
const DEPTH = /(?:^|,)\s*depth=(\d{1,15})\s*(?:[;,]|$)/
const LIMIT = /(?:^|,)\s*limit=(\d{1,15})\s*(?:[;,]|$)/
const MAX_LENGTH = 256
