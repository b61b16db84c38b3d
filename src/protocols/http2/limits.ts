/**
 * Options of both sessions with their defaults filled in, checked.
 */
import { checkInteger, checkRange } from '../../core/errors.ts'
import { DEFAULT_FRAME_BYTES, MAX_WINDOW } from './messages.ts'
import type { Http2Options, Http2SharedDefaults } from './options.ts'

export type Http2Limits = Http2SharedDefaults

export function resolveHttp2Limits(
  options: Http2Options,
  defaults: Http2SharedDefaults,
): Http2Limits {
  const limits = { ...defaults }
  for (const name of Object.keys(RANGES) as (keyof typeof RANGES)[]) {
    const [min, max] = RANGES[name]
    const value = options[name] ?? defaults[name]
    limits[name] =
      max === UNBOUNDED ? checkCount(name, value, min) : checkInteger(name, value, min, max)
  }
  for (const name of TIMEOUTS) limits[name] = checkTimeout(name, options[name] ?? defaults[name])
  limits.keepAliveWithoutExchanges =
    options.keepAliveWithoutExchanges ?? defaults.keepAliveWithoutExchanges
  // A first window over the largest one would only shrink.
  checkRange('windowBytes', limits.windowBytes, 1, limits.maxWindowBytes)
  return Object.freeze(limits)
}

/** A timeout in milliseconds; Infinity switches it off. */
export function checkTimeout(name: string, value: number): number {
  return checkRange(name, value, 1, Number.POSITIVE_INFINITY)
}

/** A whole number, or Infinity. */
export function checkCount(name: string, value: number, min = 0): number {
  if (value === Number.POSITIVE_INFINITY) return value
  return checkInteger(name, value, min, Number.MAX_SAFE_INTEGER)
}

const UNBOUNDED = Number.POSITIVE_INFINITY
const RANGES = {
  maxFrameBytes: [DEFAULT_FRAME_BYTES, 0xff_ffff],
  maxHeaderListBytes: [256, 0x100_0000],
  maxFieldCount: [8, 65_536],
  maxContinuations: [0, 65_536],
  headerTableBytes: [0, 0x10_0000],
  windowBytes: [1, MAX_WINDOW],
  connectionWindowBytes: [65_535, MAX_WINDOW],
  maxWindowBytes: [1, 0x3fff_ffff],
  maxQueuedBytes: [1, 0x4000_0000],
  maxBodyBytes: [0, UNBOUNDED],
  maxIdleFrames: [1, UNBOUNDED],
  idleFramesPerSecond: [0, 1_000_000],
  maxResets: [1, UNBOUNDED],
  resetsPerSecond: [0, 1_000_000],
  maxControlBytes: [64, 0x4000_0000],
  minBodyBytes: [1, 0x4000_0000],
} as const satisfies Partial<Record<keyof Http2SharedDefaults, readonly [number, number]>>
const TIMEOUTS = ['settingsTimeoutMs', 'pingTimeoutMs', 'keepAlivePingMs', 'bodyTimeoutMs'] as const
