/**
 * Durations and sizes as they are written in a configuration: a number with its unit.
 *
 *     0.25s  250ms  5m  1h  2d        16KiB  1MiB  10MB  512B  65536
 *
 * A bare number is a number of bytes, but never a duration: whether 30 means seconds or
 * milliseconds is the classic mistake of every configuration language that allows it.
 */

/** @returns milliseconds, or undefined when `text` is not a duration */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text)
  if (match === null) return undefined
  const value = Number(match[1]) * (DURATION_UNITS[match[2] as string] as number)
  // The unit table is exact in milliseconds; a product such as 0.3 s must not become 299.99….
  const rounded = Math.round(value * 1e6) / 1e6
  return rounded <= MAX_DURATION_MS ? rounded : undefined
}

/** @returns bytes, or undefined when it is not a size */
export function parseSize(value: string | number): number | undefined {
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && value >= 0 ? value : undefined
  const match = SIZE.exec(value)
  if (match === null) return undefined
  const bytes = Math.round(Number(match[1]) * (SIZE_UNITS[match[2] ?? 'B'] as number))
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Milliseconds of a duration that the schema has checked already. */
export function durationMs(text: string): number {
  const value = parseDuration(text)
  if (value === undefined) throw new RangeError(`'${text}' is not a duration`)
  return value
}

/** Bytes of a size that the schema has checked already. */
export function sizeBytes(value: string | number): number {
  const bytes = parseSize(value)
  if (bytes === undefined) throw new RangeError(`'${value}' is not a size`)
  return bytes
}

/** The pattern for JSON Schema. */
export const DURATION_PATTERN = '^(\\d+(?:\\.\\d+)?)(ms|s|m|h|d)$'
export const SIZE_PATTERN = '^(\\d+(?:\\.\\d+)?)(B|KiB|MiB|GiB|kB|KB|MB|GB)?$'
/** 100 days: more is a mistake, and stays far below what a timer can count. */
const MAX_DURATION_MS = 100 * 86_400_000

const DURATION = new RegExp(DURATION_PATTERN)
const SIZE = new RegExp(SIZE_PATTERN)
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1_024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
  kB: 1_000,
  KB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
}
