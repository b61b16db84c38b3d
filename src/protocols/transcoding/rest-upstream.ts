/**
 * gRPC in front of REST: calls become requests of HTTP as the schema's annotations say, the reverse of
 * `transcode`. For clients that speak gRPC to a service that never will.
 *
 *     const books = restUpstream(schema, (request, context) => client.call(request, context))
 *
 *     Books.Get {name: "shelves/1/books/2"}  ──▸ GET /v1/shelves/1/books/2
 *     Book                                  ◂── {"name":"shelves/1/books/2","title":…}
 *
 * A stream of replies is NDJSON, events or an array, whichever the service answers; a stream of
 * requests is sent as NDJSON.
 */
import { fromBinary, type Message, toJsonString } from '@bufbuild/protobuf'
import type { CallContext } from '../../core/context.ts'
import { HeddleError, ProtocolError, toError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/service.ts'
import { rewrittenRequest } from '../connect/grpc-web-bridge.ts'
import { EnvelopeRewriter } from '../connect/rewriters.ts'
import { bytesOf, isWhole, rewriteBody } from '../connect/rewritten-body.ts'
import { grpcFormat } from '../grpc/content-type.ts'
import { onlyMessage } from '../grpc/decoder.ts'
import { toGrpcError } from '../grpc/error-status.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import { Body } from '../http/body.ts'
import { HttpFields } from '../http/fields.ts'
import { type HttpRequest, HttpResponse, type HttpService } from '../http/messages.ts'
import { type HttpBinding, httpBindings } from './http-binding.ts'
import { grpcFailure, toGrpcResponse } from './rest-reply.ts'
import { restRequest } from './rest-request.ts'
import {
  type RestUpstreamOptions,
  type RestUpstreamSettings,
  restUpstreamSettings,
} from './rest-upstream-options.ts'
import type { TranscodingSchema } from './transcode.ts'

/**
 * @param next answers REST
 * @throws UsageError ERR_SCHEMA for annotations that do not fit their methods
 */
export function restUpstream(
  schema: TranscodingSchema,
  next: HttpService,
  options: RestUpstreamOptions = {},
): HttpService {
  const settings = restUpstreamSettings(schema.registry, options)
  const methods = new Map<string, HttpBinding[]>()
  for (const binding of httpBindings(schema.services)) {
    const known = methods.get(binding.grpcPath)
    if (known === undefined) methods.set(binding.grpcPath, [binding])
    else known.push(binding)
  }
  const { fallback } = options
  return (request, context) => {
    if (grpcFormat(request.fields.get('content-type')) !== 'proto' || request.method !== 'POST') {
      if (fallback !== undefined) return fallback(request, context)
      request.body.discard()
      return new HttpResponse({ status: 415, fields: { 'accept-post': 'application/grpc' } })
    }
    const bindings = methods.get(request.path)
    request.route = request.path
    try {
      if (bindings === undefined) throw unknownMethod(request.path)
      return call(request, bindings, next, context, settings)
    } catch (error) {
      request.body.discard()
      return failed(error, settings)
    }
  }
}

function call(
  request: HttpRequest,
  bindings: readonly HttpBinding[],
  next: HttpService,
  context: CallContext,
  settings: RestUpstreamSettings,
): MaybePromise<HttpResponse> {
  const encoding = request.fields.get('grpc-encoding')
  if (encoding !== undefined && encoding !== 'identity') {
    throw new GrpcError('UNIMPLEMENTED', 'compressed messages are not supported')
  }
  const [first] = bindings as readonly [HttpBinding]
  if (first.clientStreams) return streamCall(request, bindings, next, context, settings)
  const { body } = request
  const send = (bytes: Uint8Array): MaybePromise<HttpResponse> => {
    const payload = onlyMessage(bytes)
    if (payload === undefined) throw new GrpcError('INTERNAL', 'the call has not one message')
    const message = decode(first, payload)
    const rest = restRequest(bindings, message, settings.registry)
    const content = rest.body === undefined ? Body.empty : Body.from(rest.body)
    const fields = restFields(
      request,
      rest.binding,
      rest.body === undefined ? undefined : rest.contentType,
    )
    return ask(request, rest.binding, fields, content, rest.target, next, context, settings)
  }
  const max = settings.maxRequestBytes + FRAME_PREFIX
  if (isWhole(body)) {
    const bytes = bytesOf(body)
    if (bytes.length > max) throw tooLong(settings)
    return send(bytes)
  }
  return body
    .bytes(max)
    .then(send)
    .catch((error: unknown) => {
      const isLimit = error instanceof ProtocolError && error.code === 'ERR_LIMIT'
      return failed(isLimit ? tooLong(settings) : error, settings)
    })
}

/** Messages become lines. The path must be known before the first of them. */
function streamCall(
  request: HttpRequest,
  bindings: readonly HttpBinding[],
  next: HttpService,
  context: CallContext,
  settings: RestUpstreamSettings,
): MaybePromise<HttpResponse> {
  const binding = bindings.find(({ body, pathFields }) => body === '*' && pathFields.length === 0)
  const target = binding && plainTarget(binding)
  if (binding === undefined || target === undefined) {
    const message = 'a stream of requests needs an annotation with body "*" and no variables'
    throw new GrpcError('UNIMPLEMENTED', message)
  }
  const { input } = binding.method
  const rewriter = new EnvelopeRewriter({
    maxMessageBytes: settings.maxRequestBytes,
    flags: 0,
    map: ({ payload }) => {
      const message = decode(binding, payload.slice())
      const { registry } = settings
      return ENCODER.encode(`${toJsonString(input, message, { registry })}\n`)
    },
    finish: () => ({}),
  })
  const fields = restFields(request, binding, 'application/x-ndjson')
  const body = rewriteBody(request.body, rewriter)
  return ask(request, binding, fields, body, target, next, context, settings)
}

function ask(
  request: HttpRequest,
  binding: HttpBinding,
  fields: HttpFields,
  body: Body,
  target: string,
  next: HttpService,
  context: CallContext,
  settings: RestUpstreamSettings,
): MaybePromise<HttpResponse> {
  const method = binding.verb === '*' ? 'POST' : binding.verb
  const asked = rewrittenRequest(request, fields, body, { method, target })
  const refuse = (error: unknown): HttpResponse => failed(error, settings)
  const answer = (response: HttpResponse): MaybePromise<HttpResponse> =>
    toGrpcResponse(response, binding, settings)
  try {
    const reply = next(asked, context)
    const answered = reply instanceof HttpResponse ? answer(reply) : reply.then(answer)
    return answered instanceof HttpResponse ? answered : answered.catch(refuse)
  } catch (error) {
    return refuse(error)
  }
}

function restFields(
  { fields }: HttpRequest,
  { serverStreams }: HttpBinding,
  contentType: string | undefined,
): HttpFields {
  const list = ['accept', serverStreams ? STREAM_TYPES : 'application/json']
  if (contentType !== undefined) list.push('content-type', contentType)
  fields.forEach((name, value) => {
    const lower = name.toLowerCase()
    if (lower === 'grpc-timeout' || !(lower.startsWith('grpc-') || OF_GRPC.has(lower))) {
      list.push(lower, value)
    }
  })
  return HttpFields.fromTrusted(list)
}

function plainTarget({ template }: HttpBinding): string | undefined {
  const parts: string[] = []
  for (const segment of template.segments) {
    if (segment.kind === 'one') return undefined
    if (segment.kind === 'literal') parts.push(encodeURIComponent(segment.text))
  }
  return `/${parts.join('/')}${template.verb === undefined ? '' : `:${template.verb}`}`
}

function decode({ method }: HttpBinding, payload: Uint8Array): Message {
  try {
    return fromBinary(method.input, payload)
  } catch (cause) {
    const problem = `the request cannot be decoded: ${toError(cause).message}`
    throw new GrpcError('INTERNAL', problem, { cause })
  }
}

function failed(error: unknown, { throwErrors }: RestUpstreamSettings): HttpResponse {
  if (!(error instanceof HeddleError) || (throwErrors && !(error instanceof GrpcError))) throw error
  return grpcFailure(toGrpcError(error))
}

function unknownMethod(path: string): GrpcError {
  const shown = JSON.stringify(path.slice(0, 128))
  return new GrpcError('UNIMPLEMENTED', `no annotation is for ${shown}`)
}

function tooLong({ maxRequestBytes }: RestUpstreamSettings): GrpcError {
  return new GrpcError('RESOURCE_EXHAUSTED', `the message has over ${maxRequestBytes} bytes`)
}

const FRAME_PREFIX = 5
const STREAM_TYPES = 'application/x-ndjson, text/event-stream;q=0.9, application/json;q=0.5'
const OF_GRPC: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'content-length',
  'content-type',
  'te',
  'transfer-encoding',
])
const ENCODER = new TextEncoder()
