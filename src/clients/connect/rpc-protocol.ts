/**
 * The protocol that a client of a service speaks: gRPC, gRPC-Web or Connect. The last two need no
 * trailers, so they go over HTTP/1.1 and through whatever HTTP goes through.
 *
 *     grpcClient(Users, 'https://api.example', { protocol: 'connect' })
 *     grpcClient(Users, 'https://api.example', { protocol: connect({ codec: 'json', useGet: true }) })
 */
import type { DescMethod, DescService } from '@bufbuild/protobuf'
import type { CallContext } from '../../core/context.ts'
import type { Host } from '../../core/host.ts'
import type { MaybePromise } from '../../core/service.ts'
import {
  type GrpcOverConnectOptions,
  grpcOverConnect,
} from '../../protocols/connect/grpc-over-connect.ts'
import { type GrpcOverWebOptions, grpcOverWeb } from '../../protocols/connect/grpc-over-web.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'

/** A protocol by its name, with its defaults, or with options: {@link connect}, {@link grpcWeb}. */
export type RpcProtocolOption = 'grpc' | 'grpc-web' | 'connect' | RpcCarrier

/** Wraps what calls go to, for one service. */
export type RpcCarrier = (call: RpcTarget, context: RpcCarrierContext) => RpcTarget

export type RpcTarget = (request: HttpRequest, context: CallContext) => MaybePromise<HttpResponse>

export interface RpcCarrierContext {
  readonly service: DescService
  readonly maxMessageBytes: number
  readonly host: Pick<Host, 'compression'>
}

export function connect(
  options: Omit<GrpcOverConnectOptions, 'method' | 'host' | 'maxMessageBytes'> = {},
): RpcCarrier {
  return (call, { service, maxMessageBytes, host }) => {
    const methods = new Map<string, DescMethod>()
    for (const method of service.methods) {
      methods.set(`/${service.typeName}/${method.name}`, method)
    }
    const method = (path: string): DescMethod | undefined => methods.get(path)
    return grpcOverConnect(call, { ...options, method, maxMessageBytes, host })
  }
}

export function grpcWeb(options: Omit<GrpcOverWebOptions, 'maxMessageBytes'> = {}): RpcCarrier {
  return (call, { maxMessageBytes }) => grpcOverWeb(call, { ...options, maxMessageBytes })
}

/** What calls go to, in the protocol's words. */
export function carriedBy(
  protocol: RpcProtocolOption,
  call: RpcTarget,
  context: RpcCarrierContext,
): RpcTarget {
  if (typeof protocol === 'function') return protocol(call, context)
  if (protocol === 'connect') return connect()(call, context)
  return protocol === 'grpc-web' ? grpcWeb()(call, context) : call
}
