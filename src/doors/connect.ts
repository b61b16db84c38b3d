/** `heddle/connect`: gRPC-Web and Connect, beside gRPC, on the same servers and clients. */

export * from '../clients/connect/rpc-protocol.ts'
export {
  type ConnectBridgeOptions,
  connectBridge,
  connectBridgeDefaults,
} from '../protocols/connect/connect-bridge.ts'
export * from '../protocols/connect/grpc-json-bridge.ts'
export {
  type GrpcOverConnectOptions,
  grpcOverConnect,
  grpcOverConnectDefaults,
} from '../protocols/connect/grpc-over-connect.ts'
export * from '../protocols/connect/grpc-over-web.ts'
export { grpcWebBridge } from '../protocols/connect/grpc-web-bridge.ts'
export type { JsonOptions, MethodLookup } from '../protocols/connect/method-codec.ts'
export * from '../servers/connect/cors.ts'
export * from '../servers/connect/rpc-server.ts'
