/**
 * `RateLimit-Policy` and `RateLimit`: what a caller may do, and what it has left
 * (draft-ietf-httpapi-ratelimit-headers-11, structured fields of RFC 9651).
 *
 *     RateLimit-Policy: "address";q=100;w=60      100 calls in 60 seconds
 *     RateLimit: "address";r=12;t=30              12 are left; the quota is whole in 30 seconds
 *
 * With nothing left `t` is when one more call will be taken. Numbers of seconds are rounded up, so
 * that whoever waits so long does not come too early.
 */
import type { RateLimitReport } from '../../core/load-signal.ts'
import type { HttpFields } from './fields.ts'

/** Adds both fields; those that are there (of an upstream, of another limit) stay. */
export function addRateLimitFields(fields: HttpFields, reports: readonly RateLimitReport[]): void {
  for (const report of reports) {
    const name = quoted(report.name)
    fields.append('ratelimit-policy', `${name};q=${report.quota};w=${seconds(report.windowMs)}`)
    fields.append('ratelimit', `${name};r=${report.remaining};t=${seconds(report.resetMs)}`)
  }
}

/**
 * Milliseconds until every limit that has nothing left takes one more call; undefined: none says so.
 * What is not understood is no advice.
 */
export function rateLimitWaitMs(fields: HttpFields): number | undefined {
  const value = fields.get('ratelimit')
  if (value === undefined || value.length > MAX_LENGTH) return undefined
  let waitMs: number | undefined
  for (const [, parameters = ''] of value.matchAll(ITEM)) {
    const left = LEFT.exec(parameters)?.[1]
    const after = AFTER.exec(parameters)?.[1]
    if (left === undefined || after === undefined || Number(left) > 0) continue
    waitMs = Math.max(waitMs ?? 0, Number(after) * 1_000)
  }
  return waitMs
}

function seconds(ms: number): number {
  return Math.min(MAX_SECONDS, Math.ceil(ms / 1_000))
}

/** A string of RFC 9651 3.3.3: printable ASCII, with two characters escaped. */
function quoted(name: string): string {
  return `"${name.replace(/[^ -~]/g, '_').replace(/["\\]/g, '\\$&')}"`
}

/** A string or token, and its parameters. */
const ITEM = /(?:"(?:[^"\\]|\\["\\])*"|[A-Za-z*][^\s,;]*)((?:\s*;\s*[a-z*][^,;]*)*)/g
const LEFT = /;\s*r=(\d{1,15})(?!\d)/
const AFTER = /;\s*t=(\d{1,9})(?!\d)/
const MAX_LENGTH = 1_024
/** Fifteen digits are the longest integer of RFC 9651; nine are 31 years. */
const MAX_SECONDS = 999_999_999
