/**
 * What a client of a service is told, checked once and shared by its methods.
 */
import type { DescService } from '@bufbuild/protobuf'
import type { Clock } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import { checkInteger, checkRange, UsageError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { MaybePromise } from '../../core/service.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { GrpcCompression, type GrpcEncoding } from '../../protocols/grpc/compression.ts'
import { type GrpcMessageLimits, messageLimits } from '../../protocols/grpc/options.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { carriedBy, type RpcProtocolOption } from '../connect/rpc-protocol.ts'

/** What calls go to: an `HttpClient`, anything like it, or a service as a function. */
export type GrpcTarget = GrpcTargetClient | GrpcTargetCall

export type GrpcTargetCall = (
  request: HttpRequest,
  context: CallContext,
) => MaybePromise<HttpResponse>

export interface GrpcTargetClient {
  readonly call: (request: HttpRequest, context?: CallContext) => MaybePromise<HttpResponse>
  readonly scheme?: 'http' | 'https'
  readonly authority?: string
}

export interface GrpcClientOptions extends GrpcMessageLimits {
  /**
   * Of unary calls and calls with streamed requests that say nothing else, in milliseconds; Infinity:
   * none. It travels as `grpc-timeout`. Calls with streamed replies have none unless they say so.
   *
   * @default 30_000, as every client of heddle: a call without any waits for ever for a peer that
   * vanished
   */
  timeoutMs?: number
  /**
   * What requests are compressed with.
   *
   * @default none: a server that does not know it refuses the call
   */
  compression?: GrpcEncoding
  /** Messages below are sent as they are, in bytes. @default 1_024 */
  compressMinBytes?: number
  /**
   * How calls travel: `grpc`, which needs HTTP/2 or trailers, `grpc-web`, `connect`, or one of them
   * with options: `connect({ codec: 'json' })`.
   *
   * @default 'grpc'
   */
  protocol?: RpcProtocolOption
  /** Sent as `user-agent`. @default 'grpc-heddle/0.1' */
  userAgent?: string
  /** @default the system clock */
  clock?: Clock
  /** @default Node's */
  host?: Host
}

export const grpcClientDefaults: Readonly<{
  timeoutMs: number
  compressMinBytes: number
  userAgent: string
}> = Object.freeze({
  timeoutMs: 30_000,
  compressMinBytes: 1_024,
  userAgent: 'grpc-heddle/0.1',
})

/** Checked once for a client, shared by its methods. */
export interface GrpcClientSettings {
  readonly call: GrpcTargetClient['call']
  readonly scheme: 'http' | 'https'
  readonly authority: string
  readonly clock: Clock
  readonly timeoutMs: number
  readonly maxReceiveBytes: number
  readonly maxSendBytes: number
  readonly compression: GrpcCompression
  readonly encoding: GrpcEncoding | undefined
  readonly compressMinBytes: number
  readonly userAgent: string
}

export function clientSettings(
  service: DescService,
  target: GrpcTarget,
  options: GrpcClientOptions,
): GrpcClientSettings {
  const {
    timeoutMs = grpcClientDefaults.timeoutMs,
    compressMinBytes = grpcClientDefaults.compressMinBytes,
    userAgent = grpcClientDefaults.userAgent,
    compression: encoding,
    protocol = 'grpc',
    clock = systemClock,
    host = nodeHost,
  } = options
  const limits = messageLimits(options)
  const compression = new GrpcCompression(host)
  if (encoding !== undefined && !compression.has(encoding)) {
    const message = `compression '${encoding}' is none of ${compression.accepted}`
    throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
  }
  const client = typeof target === 'function' ? undefined : target
  const call = client === undefined ? (target as GrpcTargetCall) : client.call
  const maxMessageBytes = limits.maxReceiveMessageBytes
  return {
    call: carriedBy(protocol, call, { service, maxMessageBytes, host }) as GrpcTargetClient['call'],
    scheme: client?.scheme ?? 'http',
    authority: client?.authority ?? 'localhost',
    clock,
    timeoutMs: checkRange('timeoutMs', timeoutMs, 1, Number.POSITIVE_INFINITY),
    maxReceiveBytes: limits.maxReceiveMessageBytes,
    maxSendBytes: limits.maxSendMessageBytes,
    compression,
    encoding,
    compressMinBytes: checkInteger('compressMinBytes', compressMinBytes, 0, 0xffff_ffff),
    userAgent,
  }
}
