/**
 * What a gRPC server is told, beside its handlers.
 */
import type { DescMethod } from '@bufbuild/protobuf'
import type { Clock } from '../../core/clock.ts'
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { MaybePromise, Service } from '../../core/service.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { GrpcCompression, type GrpcEncoding } from '../../protocols/grpc/compression.ts'
import { type GrpcMessageLimits, messageLimits } from '../../protocols/grpc/options.ts'
import { TimerWheel } from '../../runtime/timer-wheel.ts'
import type { HandlerContext } from './handler-context.ts'

/** One call as interceptors see it. */
export interface GrpcServerCall {
  readonly method: DescMethod
  /** The request message, or a `Source` of them, as the method's kind says. */
  readonly input: unknown
}

/**
 * Around the handlers of a service, typed by the call. The reply: a message, or a stream of them. Any
 * `Middleware<GrpcServerCall, unknown>` is one; this one sees the handler's context.
 */
export type GrpcInterceptor = (
  next: Service<GrpcServerCall, unknown>,
) => (call: GrpcServerCall, context: HandlerContext) => MaybePromise<unknown>

export interface GrpcServiceOptions extends GrpcMessageLimits {
  /**
   * What replies may be compressed with, the preferred one first, as far as the client accepts it.
   *
   * @default none: messages are usually small, and one network is fast
   */
  compression?: readonly GrpcEncoding[]
  /**
   * Messages below are sent as they are, in bytes.
   *
   * @default 1_024: less fits one packet either way
   */
  compressMinBytes?: number
  /** Around every call, outermost first: logging, authorization, limits. @default none */
  interceptors?: readonly GrpcInterceptor[]
  /** An error that a handler threw and that is no `GrpcError`: the client learns nothing of it. */
  onError?(error: unknown, method: DescMethod): void
  /** @default the system clock */
  clock?: Clock
  /** @default Node's */
  host?: Host
}

export const grpcServiceDefaults: Readonly<{ compressMinBytes: number }> = Object.freeze({
  compressMinBytes: 1_024,
})

/** Checked once for a service, shared by its methods. */
export interface GrpcSettings {
  readonly maxReceiveBytes: number
  readonly maxSendBytes: number
  readonly readAheadBytes: number
  readonly compression: GrpcCompression
  readonly encodings: readonly GrpcEncoding[]
  readonly compressMinBytes: number
  readonly wheel: TimerWheel
  readonly onError: GrpcServiceOptions['onError']
}

export function grpcSettings(options: GrpcServiceOptions): GrpcSettings {
  const { clock = systemClock, host = nodeHost, compression: encodings = [] } = options
  const { compressMinBytes = grpcServiceDefaults.compressMinBytes } = options
  const limits = messageLimits(options)
  const compression = new GrpcCompression(host)
  const unknown = encodings.find((encoding) => !compression.has(encoding))
  if (unknown !== undefined) {
    const message = `compression '${unknown}' is none of ${compression.accepted}`
    throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
  }
  return {
    maxReceiveBytes: limits.maxReceiveMessageBytes,
    maxSendBytes: limits.maxSendMessageBytes,
    readAheadBytes: limits.readAheadBytes,
    compression,
    encodings,
    compressMinBytes: checkInteger('compressMinBytes', compressMinBytes, 0, 0xffff_ffff),
    wheel: new TimerWheel({ clock }),
    onError: options.onError?.bind(options),
  }
}
