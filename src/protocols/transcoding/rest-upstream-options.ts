/** How calls become requests of REST, checked once. */
import type { Registry } from '@bufbuild/protobuf'
import { checkInteger } from '../../core/errors.ts'
import type { HttpService } from '../http/messages.ts'

export interface RestUpstreamOptions {
  /** Types that may stand in `google.protobuf.Any`. @default those of the schema */
  registry?: Registry
  /** Answers requests that are no calls of gRPC. @default 415 */
  fallback?: HttpService
  /** Longest message of a call, in bytes. @default 4_194_304, as gRPC has it */
  maxRequestBytes?: number
  /** Longest answer, and line of one that is a stream, in bytes. @default 4_194_304 */
  maxReplyBytes?: number
  /** Objects in objects in an answer. @default 100, Protobuf's own limit */
  maxJsonDepth?: number
  /**
   * An error that the service behind throws and that is none of gRPC: answered as a status, or thrown
   * on.
   *
   * @default 'answer'
   */
  errors?: 'answer' | 'throw'
}

export const restUpstreamDefaults: Readonly<{
  maxRequestBytes: number
  maxReplyBytes: number
  maxJsonDepth: number
}> = Object.freeze({
  maxRequestBytes: 4 * 1024 * 1024,
  maxReplyBytes: 4 * 1024 * 1024,
  maxJsonDepth: 100,
})

export interface RestUpstreamSettings {
  readonly registry: Registry
  readonly maxRequestBytes: number
  readonly maxReplyBytes: number
  readonly maxJsonDepth: number
  readonly throwErrors: boolean
}

/** @throws UsageError ERR_OPTION_RANGE */
export function restUpstreamSettings(
  registry: Registry,
  options: RestUpstreamOptions,
): RestUpstreamSettings {
  const {
    maxRequestBytes = restUpstreamDefaults.maxRequestBytes,
    maxReplyBytes = restUpstreamDefaults.maxReplyBytes,
    maxJsonDepth = restUpstreamDefaults.maxJsonDepth,
    errors = 'answer',
  } = options
  return {
    registry: options.registry ?? registry,
    maxRequestBytes: checkInteger('maxRequestBytes', maxRequestBytes, 1, MAX_BYTES),
    maxReplyBytes: checkInteger('maxReplyBytes', maxReplyBytes, 1, MAX_BYTES),
    maxJsonDepth: checkInteger('maxJsonDepth', maxJsonDepth, 1, 1_000),
    throwErrors: errors === 'throw',
  }
}

const MAX_BYTES = 0x7fff_ffff - 5
