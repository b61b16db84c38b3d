/**
 * REST in front of gRPC: requests of HTTP become calls as the schema's `google.api.http` annotations
 * say, answers become JSON.
 *
 *     const api = transcode(schema, grpcServer([books]))
 *
 *     GET  /v1/shelves/1/books/2?view=FULL   ──▸ Books.Get {name: "shelves/1/books/2", view: FULL}
 *     {"name":"shelves/1/books/2","title":…} ◂── Book
 *
 * | call          | request | answer |
 * |---------------|---------|--------|
 * | unary         | JSON    | JSON |
 * | server stream | JSON    | NDJSON, events (SSE) or an array, as `Accept` says |
 * | client stream | NDJSON  | JSON |
 * | both          | NDJSON  | as a server stream |
 *
 * The service behind is anything that answers gRPC: in this process, or a client of another. Errors
 * are `google.rpc.Status` in JSON, with the HTTP status that their code stands for.
 */
import type { DescMethod } from '@bufbuild/protobuf'
import type { CallContext } from '../../core/context.ts'
import { ContextView } from '../../core/context-view.ts'
import { HeddleError, ProtocolError, UsageError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/service.ts'
import { rewrittenRequest } from '../connect/grpc-web-bridge.ts'
import { bytesOf, isWhole, rewriteBody } from '../connect/rewritten-body.ts'
import { grpcFrame } from '../grpc/encoder.ts'
import { toGrpcError } from '../grpc/error-status.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import { Body } from '../http/body.ts'
import type { HttpFields } from '../http/fields.ts'
import { type HttpRequest, HttpResponse, type HttpService } from '../http/messages.ts'
import type { Schema } from '../protobuf/schema.ts'
import { callFields } from './call-fields.ts'
import { type HttpBinding, httpBindings } from './http-binding.ts'
import { LineRewriter } from './line-rewriter.ts'
import { type PathMatch, PathMatcher } from './path-matcher.ts'
import type { JsonFields } from './query-fields.ts'
import { statusResponse } from './reply-json.ts'
import { RequestMapping } from './request-message.ts'
import { toRestResponse } from './rest-response.ts'
import {
  type TranscodingOptions,
  type TranscodingSettings,
  transcodingSettings,
} from './transcoding-options.ts'

/** The schema's services: what `loadSchema` gives, or anything that has as much. */
export type TranscodingSchema = Pick<Schema, 'services' | 'registry'>

/**
 * @param next answers gRPC
 * @throws UsageError ERR_SCHEMA for annotations that do not fit, or two that are for the same requests
 */
export function transcode(
  schema: TranscodingSchema,
  next: HttpService,
  options: TranscodingOptions = {},
): HttpService {
  const settings = transcodingSettings(schema.registry, options)
  const matcher = matcherOf(httpBindings(schema.services, options), settings)
  const { fallback } = options
  return (request, context) => {
    const { path } = request
    try {
      const found = findTarget(matcher, request.method, path)
      if (found === undefined || 'allowed' in found) {
        if (fallback !== undefined) return fallback(request, context)
        request.body.discard()
        return noSuch(request, found, settings)
      }
      return new RestCall(request, found, settings).run(next, context)
    } catch (error) {
      request.body.discard()
      return failed(error, settings)
    }
  }
}

/** Tells whether a request is for one of the annotations, for who routes by it. */
export function transcodes(
  schema: TranscodingSchema,
  options: TranscodingOptions = {},
): (method: string, path: string) => DescMethod | undefined {
  const settings = transcodingSettings(schema.registry, options)
  const matcher = matcherOf(httpBindings(schema.services, options), settings)
  return (method, path) => {
    const found = matcher.match(method, path)
    return found === undefined || 'allowed' in found ? undefined : found.target.binding.method
  }
}

interface Target {
  readonly binding: HttpBinding
  readonly mapping: RequestMapping
}

function matcherOf(
  bindings: readonly HttpBinding[],
  settings: TranscodingSettings,
): PathMatcher<Target> {
  const matcher = new PathMatcher<Target>()
  for (const binding of bindings) {
    const { verb, template, method } = binding
    const target = { binding, mapping: new RequestMapping(binding, settings) }
    if (matcher.add(verb, template, target)) continue
    const where = `${method.parent.typeName}.${method.name}`
    throw new UsageError('ERR_SCHEMA', `${where}: ${verb} ${template.text} is there already`)
  }
  return matcher
}

/** HEAD is what GET would answer, without the body, which its server leaves out (RFC 9110 9.3.2). */
function findTarget(
  matcher: PathMatcher<Target>,
  method: string,
  path: string,
): ReturnType<PathMatcher<Target>['match']> {
  const found = matcher.match(method, path)
  if (method !== 'HEAD' || (found !== undefined && !('allowed' in found))) return found
  const got = matcher.match('GET', path)
  // A stream would be read to its end for nothing.
  return got === undefined || 'allowed' in got || got.target.binding.serverStreams ? found : got
}

class RestCall {
  readonly #request: HttpRequest
  readonly #match: PathMatch<Target>
  readonly #settings: TranscodingSettings
  /** What broke the body on its way: whatever comes of it, that was the cause. */
  #broken: GrpcError | undefined

  constructor(request: HttpRequest, match: PathMatch<Target>, settings: TranscodingSettings) {
    this.#request = request
    this.#match = match
    this.#settings = settings
    this.#broken = undefined
    request.route = match.target.binding.template.text
  }

  /** @throws GrpcError for what is wrong with the request */
  run(next: HttpService, context: CallContext): MaybePromise<HttpResponse> {
    const { values, target } = this.#match
    const request = this.#request
    const at = request.target.indexOf('?')
    const query = at < 0 ? '' : request.target.slice(at + 1)
    const fields = target.mapping.fields(values, query)
    const type = this.#contentType()
    const head = callFields(request, this.#settings)
    if (target.binding.clientStreams) {
      return this.#call(next, context, head, this.#lines(fields, type))
    }
    const { body } = request
    if (target.binding.body === undefined) {
      if (!body.isEmpty && body.length !== 0) throw noBody(target.binding)
      return this.#call(next, context, head, this.#frame(fields, EMPTY, type))
    }
    const { maxRequestBytes } = this.#settings
    if ((body.length ?? 0) > maxRequestBytes) throw tooLong(maxRequestBytes)
    if (isWhole(body)) {
      const bytes = bytesOf(body)
      if (bytes.length > maxRequestBytes) throw tooLong(maxRequestBytes)
      return this.#call(next, context, head, this.#frame(fields, bytes, type))
    }
    return body
      .bytes(maxRequestBytes)
      .then((bytes) => this.#call(next, context, head, this.#frame(fields, bytes, type)))
      .catch((error: unknown) => {
        const isLimit = error instanceof ProtocolError && error.code === 'ERR_LIMIT'
        return failed(isLimit ? tooLong(maxRequestBytes) : error, this.#settings)
      })
  }

  #call(
    next: HttpService,
    context: CallContext,
    fields: HttpFields,
    body: Body,
  ): MaybePromise<HttpResponse> {
    const { binding } = this.#match.target
    const line = { method: 'POST', target: binding.grpcPath }
    const call = rewrittenRequest(this.#request, fields, body, line)
    const idempotent = isIdempotent(this.#request.method, binding.method)
    const told = idempotent ? new IdempotentContext(context) : context
    const accept = this.#request.fields.get('accept')
    const answer = (response: HttpResponse): MaybePromise<HttpResponse> => {
      if (this.#broken !== undefined) {
        response.body.discard()
        throw this.#broken
      }
      return toRestResponse(response, binding, accept, this.#settings)
    }
    const refuse = (error: unknown): HttpResponse => failed(this.#broken ?? error, this.#settings)
    try {
      const reply = next(call, told)
      const answered = reply instanceof HttpResponse ? answer(reply) : reply.then(answer)
      return answered instanceof HttpResponse ? answered : answered.catch(refuse)
    } catch (error) {
      return refuse(error)
    }
  }

  #frame(fields: JsonFields, bytes: Uint8Array, type: string): Body {
    return Body.from(grpcFrame(this.#match.target.mapping.encode(fields, bytes, type)))
  }

  /** Each line a message. */
  #lines(fields: JsonFields, type: string): Body {
    const { mapping } = this.#match.target
    const rewriter = new LineRewriter({
      maxLineBytes: this.#settings.maxRequestBytes,
      map: (line) => {
        try {
          return grpcFrame(mapping.encode(fields, line, type))
        } catch (error) {
          this.#broken = toGrpcError(error)
          throw error
        }
      },
    })
    return rewriteBody(this.#request.body, rewriter)
  }

  /** @throws GrpcError INVALID_ARGUMENT with status 415 for a body that says it is something else */
  #contentType(): string {
    const { body, fields } = this.#request
    const type = fields.get('content-type') ?? ''
    const { binding, mapping } = this.#match.target
    if (binding.body === undefined || mapping.takesAnyBody || type === '' || body.isEmpty)
      return type
    const plain = (type.split(';', 1)[0] as string).trim().toLowerCase()
    if (plain === 'application/json' || /^application\/[\w.-]+\+json$/.test(plain)) return type
    if (binding.clientStreams && NDJSON.has(plain)) return type
    const wanted = binding.clientStreams ? 'application/x-ndjson' : 'application/json'
    throw new WrongType(wanted)
  }
}

/** Behind it every call is a POST: that it may be made twice is known here. */
class IdempotentContext extends ContextView {
  override get idempotent(): boolean {
    return true
  }
}

function isIdempotent(verb: string, { idempotency }: DescMethod): boolean {
  return IDEMPOTENT.has(verb) || idempotency !== IDEMPOTENCY_UNKNOWN
}

class WrongType extends Error {
  readonly wanted: string

  constructor(wanted: string) {
    super(`the body must be ${wanted}`)
    this.wanted = wanted
  }
}

/** Whatever went wrong on our side of the call. */
function failed(error: unknown, { registry, throwErrors }: TranscodingSettings): HttpResponse {
  if (error instanceof WrongType) {
    const status = new GrpcError('INVALID_ARGUMENT', error.message)
    const response = statusResponse(status, registry, 415)
    response.fields.set('accept-post', error.wanted)
    return response
  }
  if (error instanceof TooLong) return statusResponse(error.status, registry, 413)
  // What is no error of ours is a mistake of the program: its server reports it.
  if (!(error instanceof HeddleError) || (throwErrors && !(error instanceof GrpcError))) throw error
  return statusResponse(toGrpcError(error), registry)
}

class TooLong extends Error {
  readonly status: GrpcError

  constructor(max: number) {
    super('too long')
    this.status = new GrpcError('RESOURCE_EXHAUSTED', `the body has over ${max} bytes`)
  }
}

function tooLong(max: number): TooLong {
  return new TooLong(max)
}

function noBody({ verb, template }: HttpBinding): GrpcError {
  return new GrpcError('INVALID_ARGUMENT', `${verb} ${template.text} takes no body`)
}

function noSuch(
  request: HttpRequest,
  found: { readonly allowed: readonly string[] } | undefined,
  { registry }: TranscodingSettings,
): HttpResponse {
  const path = JSON.stringify(request.path.slice(0, MAX_SHOWN))
  if (found === undefined) {
    return statusResponse(new GrpcError('NOT_FOUND', `nothing is at ${path}`), registry)
  }
  const error = new GrpcError('UNIMPLEMENTED', `${path} has no ${request.method}`)
  const response = statusResponse(error, registry, 405)
  response.fields.set('allow', [...found.allowed].sort().join(', '))
  return response
}

const EMPTY = new Uint8Array(0)
/** RFC 9110, section 9.2.2. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE'])
/** `idempotency_level` of descriptor.proto. */
const IDEMPOTENCY_UNKNOWN = 0
const MAX_SHOWN = 128
const NDJSON: ReadonlySet<string> = new Set([
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
])
