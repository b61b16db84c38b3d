/** `heddle/grpc`: gRPC services and clients over any version of HTTP and any transport. */

export {
  type GrpcClientOptions,
  type GrpcTarget,
  type GrpcTargetCall,
  type GrpcTargetClient,
  grpcClientDefaults,
} from '../clients/grpc/client-settings.ts'
export type * from '../clients/grpc/client-types.ts'
export * from '../clients/grpc/grpc-channel.ts'
export * from '../clients/grpc/grpc-client.ts'
export * from '../clients/grpc/grpc-health-probe.ts'
export * from '../clients/grpc/reflection-client.ts'
export * from '../protocols/grpc/call-metadata.ts'
export type { GrpcEncoding } from '../protocols/grpc/compression.ts'
export * from '../protocols/grpc/error-status.ts'
export * from '../protocols/grpc/grpc-error.ts'
export type { MessageStream } from '../protocols/grpc/message-body.ts'
export * from '../protocols/grpc/options.ts'
export * from '../protocols/grpc/status.ts'
export type { AnyDetail } from '../protocols/grpc/status-details.ts'
export * from '../protocols/protobuf/proto/google/rpc/error_details_pb.ts'
export * from '../servers/grpc/channelz/grpc-channelz.ts'
export {
  type GrpcInterceptor,
  type GrpcServerCall,
  type GrpcServiceOptions,
  grpcServiceDefaults,
} from '../servers/grpc/grpc-options.ts'
export * from '../servers/grpc/grpc-service.ts'
export type { HandlerContext } from '../servers/grpc/handler-context.ts'
export * from '../servers/grpc/health/grpc-health.ts'
export * from '../servers/grpc/reflection/grpc-reflection.ts'
export type * from '../servers/grpc/service-handlers.ts'
