/**
 * A response of REST as the end of a call: JSON becomes a message, lines, events or an array become a
 * stream of them, and a status of HTTP one of gRPC.
 */
import { fromJson, type JsonValue, type Message, toBinary } from '@bufbuild/protobuf'
import { ProtocolError, toError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/service.ts'
import { bytesOf, isWhole, joinPieces, rewriteBody } from '../connect/rewritten-body.ts'
import { grpcFrame } from '../grpc/encoder.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import type { GrpcStatusName } from '../grpc/status.ts'
import { grpcStatusName } from '../grpc/status.ts'
import { writeStatus } from '../grpc/trailers.ts'
import { Body } from '../http/body.ts'
import { HttpFields } from '../http/fields.ts'
import { HttpResponse } from '../http/messages.ts'
import { StatusSchema } from '../protobuf/proto/google/rpc/status_pb.ts'
import type { HttpBinding } from './http-binding.ts'
import { isHttpBody, toHttpBody } from './http-body-message.ts'
import { parseJson } from './json-text.ts'
import { LineRewriter } from './line-rewriter.ts'
import type { RestUpstreamSettings } from './rest-upstream-options.ts'

export function toGrpcResponse(
  response: HttpResponse,
  binding: HttpBinding,
  settings: RestUpstreamSettings,
): MaybePromise<HttpResponse> {
  const { status, body } = response
  const type = plainType(response.fields.get('content-type'))
  if (status >= 200 && status < 300 && binding.serverStreams && LINES.has(type)) {
    return streamed(response, binding, settings, LINES.get(type) as 'lines' | 'events')
  }
  const read = (bytes: Uint8Array): HttpResponse => {
    if (bytes.length > settings.maxReplyBytes) return grpcFailure(tooLong(settings))
    try {
      if (status < 200 || status >= 300) return grpcFailure(errorOf(status, bytes, settings))
      return whole(response, binding, settings, bytes, type)
    } catch (error) {
      if (error instanceof GrpcError) return grpcFailure(error)
      throw error
    }
  }
  if (isWhole(body)) return read(bytesOf(body))
  return body.bytes(settings.maxReplyBytes).then(read, (error: unknown) => {
    if (error instanceof ProtocolError && error.code === 'ERR_LIMIT') {
      return grpcFailure(tooLong(settings))
    }
    throw error
  })
}

/** A response that is nothing but its status. */
export function grpcFailure(error: GrpcError): HttpResponse {
  const list = ['content-type', GRPC]
  writeStatus(list, error)
  return new HttpResponse({ status: 200, fields: HttpFields.fromTrusted(list) })
}

function whole(
  response: HttpResponse,
  binding: HttpBinding,
  settings: RestUpstreamSettings,
  bytes: Uint8Array,
  type: string,
): HttpResponse {
  const { method, serverStreams } = binding
  const frames: Uint8Array[] = []
  if (isHttpBody(method.output)) {
    const given = response.fields.get('content-type') ?? ''
    frames.push(grpcFrame(toBinary(method.output, toHttpBody(method.output, given, bytes))))
  } else {
    const json = bytes.length === 0 ? {} : jsonOf(bytes, type, settings)
    const messages = serverStreams && Array.isArray(json) ? json : [json]
    for (const one of messages) frames.push(frameOf(one, binding, settings))
  }
  const body = Body.from(joinPieces(frames)) as Body
  body.trailers = HttpFields.fromTrusted(['grpc-status', '0'])
  return new HttpResponse({ fields: headOf(response), body })
}

function streamed(
  response: HttpResponse,
  binding: HttpBinding,
  settings: RestUpstreamSettings,
  form: 'lines' | 'events',
): HttpResponse {
  let failure: GrpcError | undefined
  const message = (bytes: Uint8Array): Uint8Array | undefined => {
    if (failure !== undefined) return undefined
    try {
      const json = parseJson(bytes, settings.maxJsonDepth)
      failure = failureOf(json, binding, settings)
      return failure === undefined
        ? frameOf(unwrapped(json, binding), binding, settings)
        : undefined
    } catch (error) {
      failure = wrongReply(error)
      return undefined
    }
  }
  const events = new EventLines(message, (bytes) => {
    failure ??= errorOf(500, bytes, settings)
  })
  const rewriter = new LineRewriter({
    maxLineBytes: settings.maxReplyBytes,
    emptyLines: form === 'events',
    map: form === 'lines' ? message : (line) => events.line(line),
    finish: () => {
      const list: string[] = []
      writeStatus(list, failure)
      return { trailers: HttpFields.fromTrusted(list) }
    },
  })
  const body = rewriteBody(response.body, rewriter)
  const answer = new HttpResponse({ fields: headOf(response), body })
  answer.exchange = response.exchange
  return answer
}

/** Events of `text/event-stream`: what their data say, joined by newlines. */
class EventLines {
  readonly #message: (bytes: Uint8Array) => Uint8Array | undefined
  readonly #onError: (bytes: Uint8Array) => void
  #data: string[] = []
  #type = ''

  constructor(
    message: (bytes: Uint8Array) => Uint8Array | undefined,
    onError: (bytes: Uint8Array) => void,
  ) {
    this.#message = message
    this.#onError = onError
  }

  line(bytes: Uint8Array): Uint8Array | undefined {
    const text = DECODER.decode(bytes)
    if (text !== '') {
      const colon = text.indexOf(':')
      const name = colon < 0 ? text : text.slice(0, colon)
      const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '')
      if (name === 'data') this.#data.push(value)
      else if (name === 'event') this.#type = value
      return undefined
    }
    const data = ENCODER.encode(this.#data.join('\n'))
    const isError = this.#type === 'error'
    this.#data = []
    this.#type = ''
    if (data.length === 0) return undefined
    if (!isError) return this.#message(data)
    this.#onError(data)
    return undefined
  }
}

function frameOf(
  json: JsonValue,
  { method, responseBody }: HttpBinding,
  { registry }: RestUpstreamSettings,
): Uint8Array {
  const held: JsonValue = responseBody === undefined ? json : { [responseBody.jsonName]: json }
  let message: Message
  try {
    message = fromJson(method.output, held, { registry, ignoreUnknownFields: true })
  } catch (error) {
    throw wrongReply(error)
  }
  return grpcFrame(toBinary(method.output, message))
}

/** `{"result": …}`, as grpc-gateway writes it, where the message has no such field. */
function unwrapped(json: JsonValue, binding: HttpBinding): JsonValue {
  return only(json, 'result', binding) ?? json
}

/** `{"error": {"code": …}}`, where the message has no such field. */
function failureOf(
  json: JsonValue,
  binding: HttpBinding,
  settings: RestUpstreamSettings,
): GrpcError | undefined {
  const error = only(json, 'error', binding)
  return error === undefined ? undefined : statusOf(error, settings)
}

function only(json: JsonValue, name: string, { method }: HttpBinding): JsonValue | undefined {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined
  if (Object.keys(json).length !== 1 || !Object.hasOwn(json, name)) return undefined
  const own = method.output.fields.some((field) => field.jsonName === name || field.name === name)
  return own ? undefined : json[name]
}

/** What a status other than 2xx means: what its body says, or what HTTP says. */
function errorOf(status: number, bytes: Uint8Array, settings: RestUpstreamSettings): GrpcError {
  try {
    const json = parseJson(bytes, settings.maxJsonDepth)
    // Google's own APIs wrap it: {"error": {"code": 404, "status": "NOT_FOUND", …}}
    const inner = isObject(json) && isObject(json['error']) ? json['error'] : json
    const found = statusOf(inner, settings)
    if (found !== undefined) return found
  } catch {
    // It is no JSON: HTTP alone has to say it.
  }
  return new GrpcError(statusOfHttp(status), `HTTP status ${status}`)
}

function statusOf(
  json: JsonValue | undefined,
  { registry }: RestUpstreamSettings,
): GrpcError | undefined {
  if (!isObject(json)) return undefined
  const { code } = json
  if (typeof code !== 'number' || !Number.isInteger(code) || code < 1 || code > 16) return undefined
  const message = typeof json['message'] === 'string' ? json['message'] : ''
  const details = Array.isArray(json['details']) ? json['details'] : []
  const known = details.flatMap((detail) => {
    try {
      const status = fromJson(StatusSchema, { details: [detail] }, { registry })
      return status.details.map(({ typeUrl, value }) => ({
        type: typeUrl.slice(typeUrl.lastIndexOf('/') + 1),
        value,
      }))
    } catch {
      return [] // of a type that is not known here: the status itself is
    }
  })
  return new GrpcError(grpcStatusName(code) as 'UNKNOWN', message, { details: known })
}

function statusOfHttp(status: number): Exclude<GrpcStatusName, 'OK'> {
  const known = OF_HTTP[status]
  if (known !== undefined) return known
  return status >= 400 && status < 500 ? 'INVALID_ARGUMENT' : 'UNKNOWN'
}

function jsonOf(bytes: Uint8Array, type: string, settings: RestUpstreamSettings): JsonValue {
  if (type !== '' && type !== 'application/json' && !type.endsWith('+json')) {
    throw new GrpcError('UNKNOWN', `the answer is of type ${JSON.stringify(type.slice(0, 64))}`)
  }
  try {
    return parseJson(bytes, settings.maxJsonDepth)
  } catch (error) {
    throw wrongReply(error)
  }
}

/** Whatever is wrong with an answer is not the fault of who called. */
function wrongReply(cause: unknown): GrpcError {
  if (cause instanceof GrpcError && cause.status === 'INTERNAL') return cause
  const why = cause instanceof GrpcError ? cause.grpcMessage : toError(cause).message
  return new GrpcError('INTERNAL', `the answer cannot be read: ${why.slice(0, 256)}`, { cause })
}

function headOf({ fields }: HttpResponse): HttpFields {
  const list = ['content-type', GRPC]
  fields.forEach((name, value) => {
    const lower = name.toLowerCase()
    if (!lower.startsWith('grpc-') && !OF_HTTP_FIELDS.has(lower)) list.push(lower, value)
  })
  return HttpFields.fromTrusted(list)
}

function plainType(type: string | undefined): string {
  return ((type ?? '').split(';', 1)[0] as string).trim().toLowerCase()
}

function isObject(json: JsonValue | undefined): json is { [name: string]: JsonValue } {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

function tooLong({ maxReplyBytes }: RestUpstreamSettings): GrpcError {
  return new GrpcError('RESOURCE_EXHAUSTED', `the answer has over ${maxReplyBytes} bytes`)
}

const GRPC = 'application/grpc+proto'
const LINES: ReadonlyMap<string, 'lines' | 'events'> = new Map([
  ['application/x-ndjson', 'lines'],
  ['application/ndjson', 'lines'],
  ['application/jsonl', 'lines'],
  ['text/event-stream', 'events'],
])
const OF_HTTP_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'keep-alive',
  'trailer',
  'transfer-encoding',
])
/** The reverse of google.rpc.Code's table, as far as it has one. */
const OF_HTTP: Readonly<Record<number, Exclude<GrpcStatusName, 'OK'>>> = Object.freeze({
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  405: 'UNIMPLEMENTED',
  408: 'DEADLINE_EXCEEDED',
  409: 'ABORTED',
  410: 'NOT_FOUND',
  412: 'FAILED_PRECONDITION',
  413: 'RESOURCE_EXHAUSTED',
  416: 'OUT_OF_RANGE',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
})
const ENCODER = new TextEncoder()
const DECODER = new TextDecoder()
