/**
 * `transcode` of a route: REST in front of a gRPC cluster, or gRPC in front of a REST one
 * (docs/transcoding.md).
 */
import { z } from 'zod'
import { count, fileName, headerName, size, urlPath } from './primitives.ts'

export const transcode = z
  .strictObject({
    schema: z
      .array(fileName())
      .min(1)
      .max(64)
      .describe('.proto files, or sets of descriptors (buf build -o schema.binpb)'),
    import_paths: z
      .array(fileName())
      .max(64)
      .default([])
      .describe('Directories where imports are looked for; default those of the .proto files'),
    services: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe('Fully qualified names; default all of the schema'),
    direction: z
      .enum(['rest_to_grpc', 'grpc_to_rest'])
      .default('rest_to_grpc')
      .describe('What clients speak, and what the cluster speaks'),
    openapi: urlPath().optional().describe('Where an OpenAPI 3.1 document of it is served'),
    unannotated: z
      .boolean()
      .default(false)
      .describe('Methods without annotation too, at POST /package.Service/Method'),
    pass_unknown: z
      .boolean()
      .default(false)
      .describe('What no annotation is for goes to the cluster as it is; default 404'),
    unknown_query: z
      .enum(['refuse', 'ignore'])
      .default('refuse')
      .describe('Query parameters that are no field'),
    ignore_query: z
      .array(z.string().min(1))
      .max(64)
      .default([])
      .describe('Query parameters that are for somebody else, such as an API key'),
    unknown_fields: z
      .enum(['refuse', 'ignore'])
      .default('refuse')
      .describe('Members of a JSON body that are no field'),
    emit_defaults: z.boolean().default(false).describe('Answer fields with default values too'),
    proto_names: z
      .boolean()
      .default(false)
      .describe('Answer names as in the .proto file; default lowerCamelCase'),
    stream: z
      .enum(['ndjson', 'sse', 'array'])
      .default('ndjson')
      .describe('Streams of replies, where Accept names no form'),
    wrap_stream: z.boolean().default(false).describe('{"result": …} around replies of a stream'),
    max_request: size(1).default('4MiB').describe('Body, or line of one that is a stream'),
    max_reply: size(1).default('4MiB').describe('A message of an answer'),
    max_json_depth: count(1, 1_000).default(100),
    forward_headers: z
      .array(headerName())
      .max(256)
      .optional()
      .describe('Fields that become metadata; default all but those of HTTP and gRPC'),
  })
  .describe('Turn REST into gRPC, or back, by the google.api.http annotations of a schema')

export type TranscodeConfig = z.output<typeof transcode>
