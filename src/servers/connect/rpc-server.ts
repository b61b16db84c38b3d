/**
 * One implementation of a service, three protocols on one port: gRPC, gRPC-Web and Connect, over any
 * version of HTTP.
 *
 *     const users = grpcService(Users, { get: ({ id }) => ({ name: names.get(id) }) })
 *     await using server = httpServer(rpcServer([users], { cors: { origins: ['https://app.example'] } }))
 *
 * The protocols are bridges in front of the gRPC service (protocols/connect): deadlines, interceptors,
 * limits and metadata are the same for all, because it is the same call.
 */
import type { DescMethod } from '@bufbuild/protobuf'
import type { Host } from '../../core/host.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { type ConnectBridgeOptions, connectBridge } from '../../protocols/connect/connect-bridge.ts'
import { grpcJsonBridge } from '../../protocols/connect/grpc-json-bridge.ts'
import { grpcWebBridge } from '../../protocols/connect/grpc-web-bridge.ts'
import type { HttpService } from '../../protocols/http/messages.ts'
import { type GrpcServerOptions, type GrpcService, grpcServer } from '../grpc/grpc-service.ts'
import { type CorsOptions, cors } from './cors.ts'

export interface RpcServerOptions extends GrpcServerOptions {
  /** Pages of other origins that may call. @default none */
  cors?: CorsOptions
  /** Answers Connect. @default true */
  connect?: boolean | Omit<ConnectBridgeOptions, 'method' | 'host'>
  /** Answers gRPC-Web. @default true */
  grpcWeb?: boolean
  /** @default Node's */
  host?: Pick<Host, 'compression'>
}

export function rpcServer(
  services: readonly GrpcService[],
  options: RpcServerOptions = {},
): HttpService {
  const { cors: crossOrigin, connect = true, grpcWeb = true, host = nodeHost, ...rest } = options
  const methods = methodsOf(services)
  const method = (path: string): DescMethod | undefined => methods.get(path)
  const { json, maxMessageBytes, ...rules } = connect === true || connect === false ? {} : connect
  const messages = {
    ...(json && { json }),
    ...(maxMessageBytes !== undefined && { maxMessageBytes }),
  }
  let service = grpcJsonBridge(grpcServer(services, rest), { ...messages, method, host })
  if (grpcWeb) service = grpcWebBridge(service)
  if (connect !== false) {
    service = connectBridge(service, { ...rules, ...messages, method, host })
  }
  return crossOrigin === undefined ? service : cors(crossOrigin)(service)
}

function methodsOf(services: readonly GrpcService[]): Map<string, DescMethod> {
  const methods = new Map<string, DescMethod>()
  for (const { implementation } of services) {
    for (const [name, { desc }] of implementation.methods) {
      methods.set(`/${implementation.desc.typeName}/${name}`, desc)
    }
  }
  return methods
}
