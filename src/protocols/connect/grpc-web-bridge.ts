/**
 * gRPC-Web in front of gRPC: a service that answers calls of gRPC answers those of browsers too.
 *
 *     application/grpc-web+proto ──▸ application/grpc+proto ──▸ next
 *     frames, trailers as a frame ◂── frames, trailers of HTTP ◂──
 *
 * Messages pass as they are, compressed ones too; with `-text` they are in base64 both ways. Calls of
 * gRPC itself, and whatever else is asked, go to `next` untouched. It holds nothing but what the taker
 * of a body has not taken.
 *
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
 */
import { Body } from '../http/body.ts'
import { HttpFields } from '../http/fields.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../http/messages.ts'
import { parseRpcContentType, type RpcContentType, rpcContentType } from './content-type.ts'
import { envelopeBytes, TRAILERS } from './envelope.ts'
import { Base64Rewriter, PassingRewriter } from './rewriters.ts'
import { rewriteBody } from './rewritten-body.ts'
import { encodeTrailerBlock } from './trailer-block.ts'

export function grpcWebBridge(next: HttpService): HttpService {
  return (request, context) => {
    const type = parseRpcContentType(request.fields.get('content-type'))
    if (type?.protocol !== 'grpc-web' || request.method !== 'POST') return next(request, context)
    const reply = next(toGrpcRequest(request, type), context)
    return reply instanceof HttpResponse
      ? toWebResponse(reply, type)
      : reply.then((response) => toWebResponse(response, type))
  }
}

function toGrpcRequest(request: HttpRequest, type: RpcContentType): HttpRequest {
  const { fields, body } = request
  const list = ['content-type', rpcContentType('grpc', type.codec, true), 'te', 'trailers']
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    if (!NOT_FORWARDED.has(lower)) list.push(lower, value)
  }
  const decoded = type.text ? rewriteBody(body, new Base64Rewriter()) : body
  return rewrittenRequest(request, HttpFields.fromTrusted(list), decoded)
}

/** The request with other fields and another body, and everything else that it has. */
export function rewrittenRequest(
  request: HttpRequest,
  fields: HttpFields,
  body: Body,
  line: { readonly method?: string; readonly target?: string } = {},
): HttpRequest {
  const { method, target, scheme, authority, version, route } = request
  const rewritten = new HttpRequest({
    method,
    target,
    scheme,
    authority,
    version,
    route,
    ...line,
    fields,
    body,
  })
  rewritten.trace = request.trace
  rewritten.connection = request.connection
  rewritten.note = request.note
  return rewritten
}

function toWebResponse(response: HttpResponse, type: RpcContentType): HttpResponse {
  const { fields, body, status } = response
  const answered = parseRpcContentType(fields.get('content-type'))
  // Not gRPC: an error of somebody on the way, whose HTTP status says what it means.
  if (status !== 200 || answered?.protocol !== 'grpc') return response
  const { codec } = answered
  const list = ['content-type', rpcContentType('grpc-web', codec, true, type.text)]
  if (fields.has('grpc-status')) {
    const trailers = addApart(fields, list)
    const tail = trailerFrame(trailers)
    body.discard()
    const whole = rewriteBody(Body.empty, new PassingRewriter(() => ({ tail }), type.text))
    return rewrittenResponse(response, HttpFields.fromTrusted(list), whole)
  }
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    if (!NOT_ANSWERED.has(lower)) list.push(lower, value)
  }
  const finish = (trailers: HttpFields | undefined): { tail: Uint8Array } => ({
    tail: trailerFrame(trailers ?? MISSING_TRAILERS),
  })
  const rewritten = rewriteBody(body, new PassingRewriter(finish, type.text))
  return rewrittenResponse(response, HttpFields.fromTrusted(list), rewritten)
}

/** The response with other fields and another body. */
export function rewrittenResponse(
  response: HttpResponse,
  fields: HttpFields,
  body: Body,
  status: number = response.status,
): HttpResponse {
  const rewritten = new HttpResponse({ status, fields, body, version: response.version })
  rewritten.exchange = response.exchange
  return rewritten
}

/**
 * A response that is nothing but its end: fields of HTTP stay fields, the status and the metadata
 * become trailers, so that a page reads every end at the same place.
 */
function addApart(fields: HttpFields, list: string[]): HttpFields {
  const trailers: string[] = []
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    if (NOT_ANSWERED.has(lower)) continue
    if (OF_HTTP.has(lower) || lower.startsWith('access-control-')) list.push(lower, value)
    else trailers.push(lower, value)
  }
  return HttpFields.fromTrusted(trailers)
}

function trailerFrame(trailers: HttpFields): Uint8Array {
  return envelopeBytes(TRAILERS, encodeTrailerBlock(trailers))
}

/** A stream whose server ended it without a word: UNKNOWN, as clients of gRPC take it. */
const MISSING_TRAILERS: HttpFields = /* @__PURE__ */ HttpFields.fromTrusted([
  'grpc-status',
  '2',
  'grpc-message',
  'the response ended without grpc-status',
])
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'transfer-encoding',
  'te',
  'x-grpc-web',
  'accept',
])
const NOT_ANSWERED: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'transfer-encoding',
  'trailer',
])
const OF_HTTP: ReadonlySet<string> = new Set(['date', 'server', 'vary', 'cache-control', 'alt-svc'])
