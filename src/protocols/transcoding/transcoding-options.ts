/** How requests become calls, checked once. */
import type { Registry } from '@bufbuild/protobuf'
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { HttpService } from '../http/messages.ts'
import type { BindingOptions } from './http-binding.ts'

export interface TranscodingOptions extends BindingOptions {
  /** Types that may stand in `google.protobuf.Any`. @default those of the schema */
  registry?: Registry
  /**
   * Answers requests that no annotation is for.
   *
   * @default none: 404, and 405 where the path has other methods, with google.rpc.Status
   */
  fallback?: HttpService
  /**
   * A query parameter that is no field.
   *
   * @default 'refuse', with 400: a filter that is misspelt would otherwise select everything
   */
  unknownQuery?: 'refuse' | 'ignore'
  /** Query parameters that are for somebody else: an API key, say. @default none */
  ignoreQuery?: readonly string[]
  /**
   * A member of a JSON body that is no field.
   *
   * @default 'refuse', with 400
   */
  unknownFields?: 'refuse' | 'ignore'
  /** Answers with fields that have their default value too. @default false */
  emitDefaults?: boolean
  /** Answers with names as in the `.proto` file. @default false: lowerCamelCase */
  protoNames?: boolean
  /**
   * A stream of replies where `Accept` names no form of it.
   *
   * @default 'ndjson': a line can be used when it comes, of an array the end must be waited for
   */
  stream?: StreamForm
  /**
   * Replies of a stream stand in `{"result": …}`, so that none can be taken for the `{"error": …}`
   * that ends one which failed.
   *
   * @default false
   */
  wrapStream?: boolean
  /**
   * Longest body of a request, and longest line of one that is a stream, in bytes. A longer one gets
   * 413.
   *
   * @default 4_194_304, as long as a message of gRPC may be
   */
  maxRequestBytes?: number
  /** Longest message of an answer, in bytes. @default 4_194_304, as gRPC has it */
  maxReplyBytes?: number
  /** Objects in objects in a JSON body. @default 100, Protobuf's own limit */
  maxJsonDepth?: number
  /** @default 256 */
  maxQueryParameters?: number
  /**
   * Which fields of a request become metadata of the call; names in lower case. What HTTP and gRPC
   * use themselves never does.
   *
   * @default all of them
   */
  forwardField?: (name: string) => boolean
  /**
   * What becomes of an error that the service behind throws and that is none of gRPC: it is answered
   * as one, or thrown on to whoever stands before this.
   *
   * @default 'answer'
   */
  errors?: 'answer' | 'throw'
}

/**
 * `array`: one JSON array. `ndjson`: a line for each message. `sse`: an event for each
 * (text/event-stream).
 */
export type StreamForm = 'ndjson' | 'sse' | 'array'

export const transcodingDefaults: Readonly<{
  maxRequestBytes: number
  maxReplyBytes: number
  maxJsonDepth: number
  maxQueryParameters: number
  stream: StreamForm
}> = Object.freeze({
  maxRequestBytes: 4 * 1024 * 1024,
  maxReplyBytes: 4 * 1024 * 1024,
  maxJsonDepth: 100,
  maxQueryParameters: 256,
  stream: 'ndjson',
})

export interface TranscodingSettings {
  readonly registry: Registry
  readonly ignoreUnknownQuery: boolean
  readonly ignoredQuery: ReadonlySet<string>
  readonly ignoreUnknownFields: boolean
  readonly emitDefaults: boolean
  readonly protoNames: boolean
  readonly stream: StreamForm
  readonly wrapStream: boolean
  readonly maxRequestBytes: number
  readonly maxReplyBytes: number
  readonly maxJsonDepth: number
  readonly maxQueryParameters: number
  readonly forwardField: ((name: string) => boolean) | undefined
  readonly throwErrors: boolean
}

/** @throws UsageError ERR_OPTION_RANGE, ERR_OPTION_UNKNOWN */
export function transcodingSettings(
  registry: Registry,
  options: TranscodingOptions,
): TranscodingSettings {
  const {
    unknownQuery = 'refuse',
    ignoreQuery = [],
    unknownFields = 'refuse',
    emitDefaults = false,
    protoNames = false,
    stream = transcodingDefaults.stream,
    wrapStream = false,
    maxRequestBytes = transcodingDefaults.maxRequestBytes,
    maxReplyBytes = transcodingDefaults.maxReplyBytes,
    maxJsonDepth = transcodingDefaults.maxJsonDepth,
    maxQueryParameters = transcodingDefaults.maxQueryParameters,
    forwardField,
    errors = 'answer',
  } = options
  if (!['ndjson', 'sse', 'array'].includes(stream)) {
    throw new UsageError('ERR_OPTION_UNKNOWN', `stream '${stream}' is none of ndjson, sse, array`)
  }
  return {
    registry: options.registry ?? registry,
    ignoreUnknownQuery: unknownQuery === 'ignore',
    ignoredQuery: new Set(ignoreQuery),
    ignoreUnknownFields: unknownFields === 'ignore',
    emitDefaults,
    protoNames,
    stream,
    wrapStream,
    maxRequestBytes: checkInteger('maxRequestBytes', maxRequestBytes, 1, MAX_BYTES),
    maxReplyBytes: checkInteger('maxReplyBytes', maxReplyBytes, 1, MAX_BYTES),
    maxJsonDepth: checkInteger('maxJsonDepth', maxJsonDepth, 1, 1_000),
    maxQueryParameters: checkInteger('maxQueryParameters', maxQueryParameters, 1, 65_536),
    forwardField,
    throwErrors: errors === 'throw',
  }
}

const MAX_BYTES = 0x7fff_ffff
