/** `heddle/grpc-js`: what users of `@grpc/grpc-js` import, over heddle. See docs/migrating-from-grpc-js.md. */

export {
  ClientDuplexStream,
  ClientReadableStream,
  ClientUnaryCall,
  ClientWritableStream,
  type RequestCallback as requestCallback,
} from '../clients/grpc-js/client-calls.ts'
export * from '../clients/grpc-js/credentials.ts'
export * from '../clients/grpc-js/grpc-js-client.ts'
export type { ServiceError, StatusObject } from '../clients/grpc-js/service-error.ts'
export type { MethodDefinition, ServiceDefinition } from '../protocols/grpc/grpc-js-definition.ts'
export {
  type JsMetadataOptions as MetadataOptions,
  type JsMetadataValue as MetadataValue,
  Metadata,
} from '../protocols/grpc/grpc-js-metadata.ts'
export { GrpcStatus as status } from '../protocols/grpc/status.ts'
export * from '../servers/grpc-js/grpc-js-server.ts'
export {
  type SendUnaryData as sendUnaryData,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
} from '../servers/grpc-js/server-calls.ts'
