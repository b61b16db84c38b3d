/**
 * gRPC through gRPC-Web, the client's side: what speaks gRPC to an `HttpService` speaks gRPC-Web to
 * whatever is behind this, over any version of HTTP, without trailers.
 *
 *     application/grpc+proto ──▸ application/grpc-web+proto ──▸ next
 *     frames, trailers ◂── frames, the last one trailers ◂──
 */
import { ProtocolError } from '../../core/errors.ts'
import { HttpFields } from '../http/fields.ts'
import { type HttpRequest, HttpResponse, type HttpService } from '../http/messages.ts'
import { parseRpcContentType, type RpcContentType, rpcContentType } from './content-type.ts'
import { COMPRESSED, envelopeBytes, TRAILERS } from './envelope.ts'
import { rewrittenRequest, rewrittenResponse } from './grpc-web-bridge.ts'
import { EnvelopeRewriter, PassingRewriter } from './rewriters.ts'
import { rewriteBody } from './rewritten-body.ts'
import { parseTrailerBlock } from './trailer-block.ts'

export interface GrpcOverWebOptions {
  /** In base64, for what lets no bytes pass. @default false */
  text?: boolean
  /**
   * Longest message that is taken from the server, in bytes.
   *
   * @default 4_194_304, as gRPC has it
   */
  maxMessageBytes?: number
}

export const grpcOverWebDefaults: Readonly<{ text: boolean; maxMessageBytes: number }> =
  Object.freeze({ text: false, maxMessageBytes: 4 * 1024 * 1024 })

/** @param next what carries the calls: a client of HTTP */
export function grpcOverWeb(next: HttpService, options: GrpcOverWebOptions = {}): HttpService {
  const { text = grpcOverWebDefaults.text, maxMessageBytes = grpcOverWebDefaults.maxMessageBytes } =
    options
  return (request, context) => {
    const type = parseRpcContentType(request.fields.get('content-type'))
    if (type?.protocol !== 'grpc') return next(request, context)
    const reply = next(toWebRequest(request, type, text), context)
    return reply instanceof HttpResponse
      ? toGrpcResponse(reply, maxMessageBytes)
      : reply.then((response) => toGrpcResponse(response, maxMessageBytes))
  }
}

function toWebRequest(request: HttpRequest, type: RpcContentType, text: boolean): HttpRequest {
  const contentType = rpcContentType('grpc-web', type.codec, true, text)
  const list = ['content-type', contentType, 'accept', contentType, 'x-grpc-web', '1']
  for (const [name, value] of request.fields) {
    const lower = name.toLowerCase()
    if (!NOT_FORWARDED.has(lower)) list.push(lower, value)
  }
  const { body } = request
  const sent = text ? rewriteBody(body, new PassingRewriter(() => ({}), true)) : body
  return rewrittenRequest(request, HttpFields.fromTrusted(list), sent)
}

function toGrpcResponse(response: HttpResponse, maxMessageBytes: number): HttpResponse {
  const { fields, body } = response
  const type = parseRpcContentType(fields.get('content-type'))
  // Not gRPC-Web: its HTTP status says what it means.
  if (type?.protocol !== 'grpc-web') return response
  const list = ['content-type', rpcContentType('grpc', type.codec, true)]
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    if (!NOT_ANSWERED.has(lower)) list.push(lower, value)
  }
  let trailers: HttpFields | undefined
  const rewriter = new EnvelopeRewriter({
    text: type.text,
    maxMessageBytes,
    flags: COMPRESSED | TRAILERS,
    map({ flags, payload }) {
      if ((flags & TRAILERS) === 0) return envelopeBytes(flags, payload)
      if (flags !== TRAILERS) throw new ProtocolError('ERR_MALFORMED', 'compressed trailers')
      trailers = parseTrailerBlock(payload)
      return undefined
    },
    // A response that is nothing but its head has its status there.
    finish: () => ({ trailers }),
  })
  return rewrittenResponse(response, HttpFields.fromTrusted(list), rewriteBody(body, rewriter))
}

const NOT_FORWARDED: ReadonlySet<string> = new Set(['content-type', 'content-length', 'te'])
const NOT_ANSWERED: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'transfer-encoding',
])
