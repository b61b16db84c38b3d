/**
 * Limits of a session with their defaults filled in, checked.
 */
import { checkInteger, checkRange } from '../../core/errors.ts'
import { type Http1Limits, http1LimitDefaults } from './options.ts'

export type ResolvedLimits = Readonly<Required<Http1Limits>>

export function resolveLimits(options: Http1Limits): ResolvedLimits {
  const defaults = http1LimitDefaults
  const {
    maxStartLineBytes = defaults.maxStartLineBytes,
    maxHeadBytes = defaults.maxHeadBytes,
    maxFieldCount = defaults.maxFieldCount,
    maxChunkExtensionBytes = defaults.maxChunkExtensionBytes,
    maxTrailerBytes = defaults.maxTrailerBytes,
    maxTrailerCount = defaults.maxTrailerCount,
    maxBodyBytes = defaults.maxBodyBytes,
    maxDiscardBytes = defaults.maxDiscardBytes,
  } = options
  return {
    maxStartLineBytes: checkInteger('maxStartLineBytes', maxStartLineBytes, 16, MAX_HEAD),
    maxHeadBytes: checkInteger('maxHeadBytes', maxHeadBytes, 32, MAX_HEAD),
    maxFieldCount: checkInteger('maxFieldCount', maxFieldCount, 1, 65_536),
    maxChunkExtensionBytes: checkInteger(
      'maxChunkExtensionBytes',
      maxChunkExtensionBytes,
      0,
      MAX_HEAD,
    ),
    maxTrailerBytes: checkInteger('maxTrailerBytes', maxTrailerBytes, 2, MAX_HEAD),
    maxTrailerCount: checkInteger('maxTrailerCount', maxTrailerCount, 0, 65_536),
    maxBodyBytes: checkCount('maxBodyBytes', maxBodyBytes),
    maxDiscardBytes: checkInteger('maxDiscardBytes', maxDiscardBytes, 0, 0x4000_0000),
  }
}

/** A timeout in milliseconds; Infinity switches it off. */
export function checkTimeout(name: string, value: number): number {
  return checkRange(name, value, 1, Number.POSITIVE_INFINITY)
}

/** A whole number, or Infinity. */
export function checkCount(name: string, value: number): number {
  if (value === Number.POSITIVE_INFINITY) return value
  return checkInteger(name, value, 0, Number.MAX_SAFE_INTEGER)
}

/** Offsets into a head stay small integers, and nobody has use for a longer one. */
const MAX_HEAD = 1_048_576
