/**
 * What a client of a service is told, checked once and shared by its methods.
 */
import type { DescMethod, DescService } from '@bufbuild/protobuf'
import type { Clock, Random } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import { checkInteger, checkRange, UsageError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { GrpcCompression, type GrpcEncoding } from '../../protocols/grpc/compression.ts'
import { type GrpcMessageLimits, messageLimits } from '../../protocols/grpc/options.ts'
import { parseServiceConfig, type ServiceConfig } from '../../protocols/grpc/service-config.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { isPromise } from '../../runtime/settle.ts'
import { TimerWheel } from '../../runtime/timer-wheel.ts'
import { carriedBy, type RpcProtocolOption } from '../connect/rpc-protocol.ts'
import type { GrpcCallOptions } from './client-types.ts'
import type { GrpcChannelOptions } from './grpc-channel.ts'
import { RetryThrottle } from './method-policies.ts'

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

/** One call as interceptors see it. */
export interface GrpcClientCall {
  readonly method: DescMethod
  /** The request message, or a stream of them, as the method's kind says. */
  readonly input: unknown
  /** The caller's; an interceptor passes others on for metadata of its own. */
  readonly options: GrpcCallOptions
}

/**
 * Around the calls of a service, typed by the call. The reply: a message, or a `Source` of them. The
 * context that goes in is the caller's, or an empty one; the one that is passed on is the call's.
 */
export type GrpcClientInterceptor = Middleware<GrpcClientCall, unknown>

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
  /**
   * How its owner wants the service to be called, as JSON text or as an object: timeouts, retries,
   * hedging, limits and waiting for each method, and how to balance where the client is made of an
   * address. It is refused where what it says is wrong.
   *
   * @default none
   */
  serviceConfig?: unknown
  /** Around every call, outermost first. @default none */
  interceptors?: readonly GrpcClientInterceptor[]
  /** Of the channel that a client made of an address owns. */
  channel?: GrpcChannelOptions
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
  readonly call: GrpcTargetCall
  readonly scheme: 'http' | 'https'
  readonly authority: string
  readonly clock: Clock
  readonly timeoutMs: number
  readonly maxReceiveBytes: number
  readonly maxSendBytes: number
  readonly readAheadBytes: number
  readonly compression: GrpcCompression
  readonly encoding: GrpcEncoding | undefined
  readonly compressMinBytes: number
  readonly userAgent: string
  readonly config: ServiceConfig | undefined
  readonly throttle: RetryThrottle
  readonly wheel: TimerWheel
  readonly random: Random
  readonly interceptors: readonly GrpcClientInterceptor[]
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
  const { serviceConfig } = options
  const config = serviceConfig === undefined ? undefined : parseServiceConfig(serviceConfig)
  const client = typeof target === 'function' ? undefined : target
  const call =
    client === undefined ? inProcess(target as GrpcTargetCall) : (client.call as GrpcTargetCall)
  const maxMessageBytes = limits.maxReceiveMessageBytes
  return {
    call: carriedBy(protocol, call, { service, maxMessageBytes, host }) as GrpcTargetCall,
    scheme: client?.scheme ?? 'http',
    authority: client?.authority ?? 'localhost',
    clock,
    timeoutMs: checkRange('timeoutMs', timeoutMs, 1, Number.POSITIVE_INFINITY),
    maxReceiveBytes: limits.maxReceiveMessageBytes,
    maxSendBytes: limits.maxSendMessageBytes,
    readAheadBytes: limits.readAheadBytes,
    compression,
    encoding,
    compressMinBytes: checkInteger('compressMinBytes', compressMinBytes, 0, 0xffff_ffff),
    userAgent,
    config,
    throttle: new RetryThrottle(config?.retryThrottling),
    wheel: new TimerWheel({ clock }),
    random: host.random,
    interceptors: options.interceptors ?? [],
  }
}

/** A service need not listen to who gives up; a connection between the two would see to it. */
function inProcess(service: GrpcTargetCall): GrpcTargetCall {
  return (request, context) => {
    if (context.cancelled) throw context.cancelReason
    const reply = service(request, context)
    if (!isPromise(reply)) return reply
    return new Promise((resolve, reject) => {
      const remove = context.onCancel(reject)
      reply.then(
        (response) => {
          remove()
          resolve(response)
        },
        (error: unknown) => {
          remove()
          reject(error)
        },
      )
    })
  }
}
