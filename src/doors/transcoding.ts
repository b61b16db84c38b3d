/** `heddle/transcoding`: REST in front of gRPC and behind it, schemas at run time, OpenAPI. */

export * from '../platform/proto-directories.ts'
export * from '../protocols/protobuf/load-schema.ts'
export type { ReadProto } from '../protocols/protobuf/proto-files.ts'
export * from '../protocols/protobuf/schema.ts'
export { type SchemaLimits, schemaDefaults } from '../protocols/protobuf/schema-limits.ts'
export {
  type BindingOptions,
  type HttpBinding,
  httpBindings,
} from '../protocols/transcoding/http-binding.ts'
export * from '../protocols/transcoding/openapi.ts'
export * from '../protocols/transcoding/rest-upstream.ts'
export {
  type RestUpstreamOptions,
  restUpstreamDefaults,
} from '../protocols/transcoding/rest-upstream-options.ts'
export * from '../protocols/transcoding/transcode.ts'
export {
  type StreamForm,
  type TranscodingOptions,
  transcodingDefaults,
} from '../protocols/transcoding/transcoding-options.ts'
export * from '../servers/transcoding/rest-server.ts'
export * from '../servers/transcoding/schema-files.ts'
