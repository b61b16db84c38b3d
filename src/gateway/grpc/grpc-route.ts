/**
 * What of a route is about gRPC: the path that a method has, and the bridge for browsers.
 */
import { grpcWebBridge } from '../../protocols/connect/grpc-web-bridge.ts'
import type { HttpService } from '../../protocols/http/messages.ts'
import { cors } from '../../servers/connect/cors.ts'
import { durationMs } from '../config/quantity.ts'
import type { RouteConfig, RouteMatchConfig } from '../config/schema/route.ts'
import { actOn } from '../http/route-policies.ts'

/** A method is a path, a service what is below one. */
export function withGrpcPath({ grpc, ...match }: RouteMatchConfig): RouteMatchConfig {
  if (grpc === undefined) return match
  const { service, method } = grpc
  const path = `/${service}/`
  return method === undefined ? { ...match, prefix: path } : { ...match, path: path + method }
}

/**
 * The route's action with the bridge for gRPC-Web around it, and around all the answers to pages of
 * other origins, refusals of policies too.
 *
 * @param guarded the action with its policies; undefined: it has none
 */
export function withGrpcWeb(
  { grpc_web, grpc_web_cors: crossOrigin }: RouteConfig,
  guarded: HttpService | undefined,
): HttpService | undefined {
  if (!grpc_web) return guarded
  const bridged = grpcWebBridge(guarded ?? actOn)
  if (crossOrigin === undefined) return bridged
  const { origins, credentials } = crossOrigin
  return cors({
    origins: origins.includes('*') ? '*' : origins,
    credentials,
    allowFields: crossOrigin.allow_headers,
    exposeFields: crossOrigin.expose_headers,
    maxAgeSeconds: Math.min(86_400, Math.floor(durationMs(crossOrigin.max_age) / 1_000)),
  })(bridged)
}
