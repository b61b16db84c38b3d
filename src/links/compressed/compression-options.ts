/**
 * Options of compressed transports, each with the reason of its default.
 */
import zlib from 'node:zlib'
import type { Clock } from '../../core/clock.ts'
import { checkInteger, checkRange, UsageError } from '../../core/errors.ts'
import type { TransportBaseOptions } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'

export const CompressionAlgorithms = Object.freeze(['zstd', 'lz4', 'gzip'] as const)
export type CompressionAlgorithm = (typeof CompressionAlgorithms)[number]

export interface CompressedOptions extends TransportBaseOptions {
  /**
   * What this side can do, the best first. The connecting side's order counts.
   *
   * @default zstd where Node has it (22.15 on), lz4, gzip
   */
  algorithms?: readonly CompressionAlgorithm[]
  /**
   * Agree at the beginning. False: nothing is exchanged, and both sides must be told the same, one,
   * algorithm.
   *
   * @default true
   */
  negotiate?: boolean
  /**
   * How hard to try: 1 to 9 for gzip, 1 to 22 for zstd; LZ4 has one level.
   *
   * @default gzip 6 and zstd 3, the libraries' own
   */
  level?: number
  /**
   * What is shorter is sent as it is.
   *
   * @default 128: below it, making a compressor costs more than the bytes that are saved
   */
  minBytes?: number
  /**
   * Longest message after decompression, in bytes. Records of a byte stream have at most 65,536.
   *
   * @default 1_048_576
   */
  maxMessageBytes?: number
  /**
   * Most bytes that may come out for each that went in: more is ERR_EXPANSION, however short it is.
   *
   * @default 100: text seldom reaches 20, a bomb begins at 1,000
   */
  maxRatio?: number
  /**
   * So many bytes may come out whatever the ratio.
   *
   * @default 65_536: a short message of zeros is no bomb
   */
  ratioFreeBytes?: number
  /**
   * How long both sides may take to agree, in milliseconds.
   *
   * @default 10_000
   */
  handshakeTimeoutMs?: number
  /**
   * Newcomers of one listener that have not agreed yet; one more is closed at once.
   *
   * @default 1_024
   */
  maxHandshakes?: number
}

export const compressedDefaults = Object.freeze({
  negotiate: true,
  minBytes: 128,
  maxMessageBytes: 1_048_576,
  maxRatio: 100,
  ratioFreeBytes: 65_536,
  handshakeTimeoutMs: 10_000,
  maxHandshakes: 1_024,
} as const)

/** `CompressedOptions` after validation. */
export interface CompressionSettings {
  readonly clock: Clock
  readonly algorithms: readonly CompressionAlgorithm[]
  readonly negotiate: boolean
  readonly level: number | undefined
  readonly minBytes: number
  readonly maxMessageBytes: number
  readonly maxRatio: number
  readonly ratioFreeBytes: number
  readonly handshakeTimeoutMs: number
  readonly maxHandshakes: number
}

/** Those that this Node can do, the best first. */
export function availableAlgorithms(): readonly CompressionAlgorithm[] {
  return CompressionAlgorithms.filter(isAvailable)
}

export function resolveCompressedOptions(options: CompressedOptions): CompressionSettings {
  const defaults = compressedDefaults
  const {
    algorithms = availableAlgorithms(),
    negotiate = defaults.negotiate,
    level,
    minBytes = defaults.minBytes,
    maxMessageBytes = defaults.maxMessageBytes,
    maxRatio = defaults.maxRatio,
    ratioFreeBytes = defaults.ratioFreeBytes,
    handshakeTimeoutMs = defaults.handshakeTimeoutMs,
    maxHandshakes = defaults.maxHandshakes,
    clock = systemClock,
  } = options
  checkAlgorithms(algorithms, negotiate)
  const highest = Math.max(...algorithms.map((one) => HIGHEST_LEVEL[one]))
  if (level !== undefined) checkInteger('level', level, 1, highest)
  return Object.freeze({
    clock,
    algorithms: Object.freeze([...algorithms]),
    negotiate,
    level,
    minBytes: checkInteger('minBytes', minBytes, 0, 0x4000_0000),
    maxMessageBytes: checkInteger('maxMessageBytes', maxMessageBytes, 1, 0x4000_0000),
    maxRatio: checkRange('maxRatio', maxRatio, 1, Number.POSITIVE_INFINITY),
    ratioFreeBytes: checkInteger('ratioFreeBytes', ratioFreeBytes, 0, 0x4000_0000),
    handshakeTimeoutMs: checkRange('handshakeTimeoutMs', handshakeTimeoutMs, 1, 3_600_000),
    maxHandshakes: checkInteger('maxHandshakes', maxHandshakes, 1, 1_000_000),
  })
}

function checkAlgorithms(algorithms: readonly CompressionAlgorithm[], negotiate: boolean): void {
  if (algorithms.length === 0 || new Set(algorithms).size !== algorithms.length) {
    throw new UsageError('ERR_ARGUMENT', `algorithms is ${algorithms.join(', ') || 'empty'}`)
  }
  if (!negotiate && algorithms.length !== 1) {
    const message = 'without negotiation there is exactly one algorithm'
    throw new UsageError('ERR_ARGUMENT', message)
  }
  for (const algorithm of algorithms) {
    if (!CompressionAlgorithms.includes(algorithm)) {
      const known = CompressionAlgorithms.join(', ')
      throw new UsageError('ERR_ARGUMENT', `algorithm ${algorithm}, must be one of ${known}`)
    }
    if (!isAvailable(algorithm)) {
      const message = `${algorithm} is not in this Node: it came with 22.15 and 23.8`
      throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
    }
  }
}

function isAvailable(algorithm: CompressionAlgorithm): boolean {
  return algorithm !== 'zstd' || typeof zlib.zstdCompressSync === 'function'
}

const HIGHEST_LEVEL = Object.freeze({ zstd: 22, lz4: 9, gzip: 9 })
