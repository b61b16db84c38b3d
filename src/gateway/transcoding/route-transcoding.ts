/**
 * The transcoding of one route, made when the configuration is loaded: schema, annotations and
 * document are read and checked then, none of it per request.
 */
import { HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import type { Schema } from '../../protocols/protobuf/schema.ts'
import { type OpenApiDocument, openApi } from '../../protocols/transcoding/openapi.ts'
import { restUpstream } from '../../protocols/transcoding/rest-upstream.ts'
import { transcode } from '../../protocols/transcoding/transcode.ts'
import type { TranscodingOptions } from '../../protocols/transcoding/transcoding-options.ts'
import { schemaFromFiles } from '../../servers/transcoding/schema-files.ts'
import { sizeBytes } from '../config/quantity.ts'
import type { TranscodeConfig } from '../config/schema/transcode.ts'
import type { Upstream } from '../http/http-route.ts'

export interface RouteTranscoding {
  readonly schema: Schema
  /** Everything that was read, to find out whether it has changed. */
  readonly contents: ReadonlyMap<string, string>
  /** Puts it before a cluster. */
  wrap(upstream: Upstream): Upstream
}

/** @throws UsageError ERR_SCHEMA; whatever reading a file throws */
export async function routeTranscoding(config: TranscodeConfig): Promise<RouteTranscoding> {
  const contents = new Map<string, string>()
  const schema = await schemaFromFiles(config.schema, {
    importPaths: config.import_paths,
    services: config.services,
    onRead: (file, bytes) => void contents.set(file, Buffer.from(bytes).toString('base64')),
  })
  const service = serviceMaker(config, schema)
  // Annotations that do not fit are found now.
  service(NOBODY)
  return {
    schema,
    contents,
    wrap: ({ name, call }) => ({ name, call: service(call) }),
  }
}

function serviceMaker(config: TranscodeConfig, schema: Schema): (next: HttpService) => HttpService {
  const options = transcodingOptions(config)
  const document = documentOf(config, schema)
  return (next) => {
    const fallback = config.pass_unknown ? { fallback: next } : {}
    const service =
      config.direction === 'rest_to_grpc'
        ? transcode(schema, next, { ...options, ...fallback })
        : restUpstream(schema, next, { ...limitsOf(config), ...fallback })
    if (document === undefined) return service
    return (request, context) =>
      request.path === config.openapi && (request.method === 'GET' || request.method === 'HEAD')
        ? HttpResponse.json(document)
        : service(request, context)
  }
}

function documentOf(config: TranscodeConfig, schema: Schema): OpenApiDocument | undefined {
  if (config.openapi === undefined) return undefined
  const { unannotated, proto_names: protoNames } = config
  return openApi(schema, { unannotated, protoNames })
}

function transcodingOptions(config: TranscodeConfig): TranscodingOptions {
  const headers = config.forward_headers
  const forwarded = headers && new Set(headers.map((name) => name.toLowerCase()))
  return {
    unannotated: config.unannotated,
    unknownQuery: config.unknown_query,
    ignoreQuery: config.ignore_query,
    unknownFields: config.unknown_fields,
    emitDefaults: config.emit_defaults,
    protoNames: config.proto_names,
    stream: config.stream,
    wrapStream: config.wrap_stream,
    ...limitsOf(config),
    ...(forwarded !== undefined && { forwardField: (name: string) => forwarded.has(name) }),
  }
}

function limitsOf(config: TranscodeConfig) {
  return {
    maxRequestBytes: sizeBytes(config.max_request),
    maxReplyBytes: sizeBytes(config.max_reply),
    maxJsonDepth: config.max_json_depth,
    // The gateway words what its clusters fail with, and counts it.
    errors: 'throw',
  } as const
}

const NOBODY: HttpService = () => {
  throw new Error('nobody calls it')
}
