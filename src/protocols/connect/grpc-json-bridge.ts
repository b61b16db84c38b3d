/**
 * gRPC with messages in JSON, `application/grpc+json`, in front of gRPC with binary ones: some clients
 * offer it for debugging, in gRPC and gRPC-Web.
 */
import type { Host } from '../../core/host.ts'
import { GrpcCompression } from '../grpc/compression.ts'
import { toGrpcError } from '../grpc/error-status.ts'
import { writeStatus } from '../grpc/trailers.ts'
import { HttpFields } from '../http/fields.ts'
import { type HttpRequest, HttpResponse, type HttpService } from '../http/messages.ts'
import { codingOf } from './connect-call.ts'
import { parseRpcContentType } from './content-type.ts'
import { rewrittenRequest, rewrittenResponse } from './grpc-web-bridge.ts'
import { binaryToJson, type JsonOptions, type MethodLookup } from './method-codec.ts'
import { recodedBody, requestRecoder } from './recoded-body.ts'

export interface GrpcJsonBridgeOptions {
  /** Which methods there are; calls of others go to `next` as they are. */
  method: MethodLookup
  /**
   * Longest message, in bytes, once decompressed.
   *
   * @default 4_194_304, as gRPC has it
   */
  maxMessageBytes?: number
  /** How JSON is read and written. */
  json?: JsonOptions
  /** Decompresses JSON. @default nothing can be decompressed */
  host?: Pick<Host, 'compression'>
}

export const grpcJsonBridgeDefaults: Readonly<{ maxMessageBytes: number }> = Object.freeze({
  maxMessageBytes: 4 * 1024 * 1024,
})

export function grpcJsonBridge(next: HttpService, options: GrpcJsonBridgeOptions): HttpService {
  const { method: lookup, json = {}, host = { compression: {} } } = options
  const { maxMessageBytes = grpcJsonBridgeDefaults.maxMessageBytes } = options
  const compression = new GrpcCompression(host)
  return (request, context) => {
    const type = parseRpcContentType(request.fields.get('content-type'))
    const isJson = type?.protocol === 'grpc' && type.codec === 'json' && request.method === 'POST'
    const method = isJson ? lookup(request.path) : undefined
    if (method === undefined) return next(request, context)
    let asked: HttpRequest
    try {
      const recode = requestRecoder(method, json)
      const coding = codingOf(request.fields, 'grpc-encoding')
      const recoding = { maxMessageBytes, compression, coding, recode }
      asked = rewrittenRequest(
        request,
        withType(request.fields, BINARY),
        recodedBody(request.body, recoding),
      )
    } catch (error) {
      request.body.discard()
      const list = ['content-type', JSON_TYPE]
      writeStatus(list, toGrpcError(error))
      return new HttpResponse({ fields: HttpFields.fromTrusted(list) })
    }
    const answer = (response: HttpResponse): HttpResponse => {
      if (parseRpcContentType(response.fields.get('content-type'))?.protocol !== 'grpc')
        return response
      const coding = codingOf(response.fields, 'grpc-encoding')
      const recode = (bytes: Uint8Array): Uint8Array => binaryToJson(method.output, bytes, json)
      const { body } = response
      const recoded = body.isEmpty
        ? body
        : // Replies are one's own.
          recodedBody(body, { maxMessageBytes: UINT32_MAX, compression, coding, recode })
      return rewrittenResponse(response, withType(response.fields, JSON_TYPE), recoded)
    }
    const reply = next(asked, context)
    return reply instanceof HttpResponse ? answer(reply) : reply.then(answer)
  }
}

/** Messages pass through plain: what would compress them is not asked for. */
function withType(fields: HttpFields, type: string): HttpFields {
  const list = ['content-type', type]
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    if (!OF_MESSAGES.has(lower)) list.push(lower, value)
  }
  return HttpFields.fromTrusted(list)
}

const UINT32_MAX = 0xffff_ffff
const BINARY = 'application/grpc+proto'
const JSON_TYPE = 'application/grpc+json'
const OF_MESSAGES: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'grpc-encoding',
  'grpc-accept-encoding',
])
