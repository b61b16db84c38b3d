/**
 * Connect in front of gRPC: a service that answers calls of gRPC answers those of Connect too.
 *
 *     POST application/proto, application/json     one message      ──▸ one frame     ──▸ next
 *     GET  ?message=…                              the same, of methods without side effects
 *     POST application/connect+proto, +json        envelopes        ──▸ frames        ──▸ next
 *
 * An envelope of Connect and a frame of gRPC are the same bytes, so binary streams pass as they are,
 * and binary messages get or lose five bytes. JSON needs to know the method, to be rewritten.
 * Whatever is no call of Connect goes to `next` untouched.
 *
 * https://connectrpc.com/docs/protocol
 */
import type { DescMethod } from '@bufbuild/protobuf'
import { checkInteger, checkRange, ProtocolError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { MaybePromise } from '../../core/service.ts'
import { GrpcCompression } from '../grpc/compression.ts'
import { grpcStatusOf } from '../grpc/error-status.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../http/messages.ts'
import type { ConnectCall } from './connect-call.ts'
import { CONNECT_VERSION_FIELD, checkConnectVersion } from './connect-fields.ts'
import { streamError, toStreamRequest, toStreamResponse } from './connect-stream.ts'
import { toUnaryRequest, toUnaryResponse, unaryError } from './connect-unary.ts'
import { parseRpcContentType, type RpcContentType, rpcContentTypes } from './content-type.ts'
import { type ConnectGet, parseConnectGet } from './get-query.ts'
import type { JsonOptions, MethodLookup } from './method-codec.ts'

export interface ConnectBridgeOptions {
  /**
   * Which methods there are. With it JSON is understood, methods without side effects can be asked
   * for with GET, and a path that is none of them is not taken for a call.
   *
   * @default none: binary messages only, every path
   */
  method?: MethodLookup
  /**
   * Longest message, in bytes, once decompressed. Over it the call ends with RESOURCE_EXHAUSTED.
   *
   * @default 4_194_304, as gRPC has it
   */
  maxMessageBytes?: number
  /**
   * Longest reply that is held as a whole, in bytes: a unary one, and a message that becomes JSON.
   *
   * @default Infinity: replies are one's own. In front of other people's servers it wants a limit
   */
  maxReplyBytes?: number
  /**
   * Refuses a call that does not say `Connect-Protocol-Version: 1`, which tells calls from other
   * requests in JSON: a form of another site cannot send that field.
   *
   * @default false, as curl does not send it
   */
  requireVersion?: boolean
  /** How JSON is read and written. */
  json?: JsonOptions
  /** Decompresses JSON. @default nothing can be decompressed */
  host?: Pick<Host, 'compression'>
}

export const connectBridgeDefaults: Readonly<{
  maxMessageBytes: number
  maxReplyBytes: number
  requireVersion: boolean
}> = Object.freeze({
  maxMessageBytes: 4 * 1024 * 1024,
  maxReplyBytes: Number.POSITIVE_INFINITY,
  requireVersion: false,
})

export function connectBridge(next: HttpService, options: ConnectBridgeOptions = {}): HttpService {
  const {
    method: lookup,
    maxMessageBytes = connectBridgeDefaults.maxMessageBytes,
    maxReplyBytes = connectBridgeDefaults.maxReplyBytes,
    requireVersion = connectBridgeDefaults.requireVersion,
    json = {},
    host = NO_CODECS,
  } = options
  const compression = new GrpcCompression(host)
  const shared = {
    maxMessageBytes: checkInteger('maxMessageBytes', maxMessageBytes, 0, UINT32_MAX),
    maxReplyBytes: Math.min(
      UINT32_MAX,
      checkRange('maxReplyBytes', maxReplyBytes, 0, Number.POSITIVE_INFINITY),
    ),
    json,
    compression,
  }
  return (request, context) => {
    const found = recognise(request, lookup)
    if (found === undefined) return next(request, context)
    if (found instanceof HttpResponse) {
      request.body.discard()
      return found
    }
    const call: ConnectCall = {
      ...shared,
      codec: found.type.codec,
      method: found.method,
      get: found.get,
    }
    const protocol = found.type.stream ? STREAM : UNARY
    const refuse = (error: unknown): HttpResponse => {
      const refused = refusal(error)
      request.body.discard()
      return protocol.toError(refused, call)
    }
    try {
      checkConnectVersion(versionOf(request, found.get), requireVersion)
      const asked = protocol.toRequest(request, call)
      return asked instanceof HttpRequest
        ? answer(next(asked, context), call, request, protocol)
        : asked.then(
            (rewritten) => answer(next(rewritten, context), call, request, protocol),
            refuse,
          )
    } catch (error) {
      return refuse(error)
    }
  }
}

interface Protocol {
  toRequest(request: HttpRequest, call: ConnectCall): MaybePromise<HttpRequest>
  toResponse(
    response: HttpResponse,
    call: ConnectCall,
    request: HttpRequest,
  ): MaybePromise<HttpResponse>
  toError(error: GrpcError, call: ConnectCall): HttpResponse
}

function answer(
  reply: MaybePromise<HttpResponse>,
  call: ConnectCall,
  request: HttpRequest,
  protocol: Protocol,
): MaybePromise<HttpResponse> {
  return reply instanceof HttpResponse
    ? protocol.toResponse(reply, call, request)
    : reply.then((response) => protocol.toResponse(response, call, request))
}

interface Recognised {
  readonly type: RpcContentType
  readonly method: DescMethod | undefined
  readonly get: ConnectGet | undefined
}

/** Undefined: no call of Connect. A response: one, and it cannot be what it says. */
function recognise(
  request: HttpRequest,
  lookup: MethodLookup | undefined,
): Recognised | HttpResponse | undefined {
  if (request.method === 'GET') return recogniseGet(request, lookup)
  if (request.method !== 'POST') return undefined
  const type = parseRpcContentType(request.fields.get('content-type'))
  if (type?.protocol !== 'connect') return undefined
  const method = lookup?.(request.path)
  if (lookup !== undefined && method === undefined) return undefined
  if (method === undefined && type.codec === 'json') return wrongType()
  if (method !== undefined && type.stream === (method.methodKind === 'unary')) return wrongType()
  return { type, method, get: undefined }
}

function recogniseGet(
  request: HttpRequest,
  lookup: MethodLookup | undefined,
): Recognised | HttpResponse | undefined {
  const method = lookup?.(request.path)
  if (method === undefined) return undefined
  if (method.methodKind !== 'unary' || method.idempotency !== NO_SIDE_EFFECTS) {
    return new HttpResponse({ status: 405, fields: { allow: 'POST' } })
  }
  let get: ConnectGet
  try {
    get = parseConnectGet(request.target)
  } catch (error) {
    return unaryError(refusal(error))
  }
  const { encoding } = get
  if (encoding !== 'proto' && encoding !== 'json') return wrongType()
  const type = { protocol: 'connect', codec: encoding, stream: false, text: false } as const
  return { type, method, get }
}

function versionOf(request: HttpRequest, get: ConnectGet | undefined): string | undefined {
  if (get === undefined) return request.fields.get(CONNECT_VERSION_FIELD)
  return get.versioned ? '1' : undefined
}

function wrongType(): HttpResponse {
  return new HttpResponse({ status: 415, fields: { 'accept-post': rpcContentTypes() } })
}

/** What the caller did wrong, in its protocol's words. */
function refusal(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error
  if (!(error instanceof ProtocolError)) throw error
  const invalid = error.code === 'ERR_MALFORMED' || error.code === 'ERR_VERSION'
  const status = invalid || error.code === 'ERR_ENCODING' ? 'INVALID_ARGUMENT' : grpcStatusOf(error)
  return new GrpcError(status as 'INVALID_ARGUMENT', error.message, { cause: error })
}

const UNARY: Protocol = {
  toRequest: toUnaryRequest,
  toResponse: toUnaryResponse,
  toError: (error) => unaryError(error),
}
const STREAM: Protocol = {
  toRequest: toStreamRequest,
  toResponse: toStreamResponse,
  toError: streamError,
}
const NO_CODECS: Pick<Host, 'compression'> = Object.freeze({ compression: Object.freeze({}) })
/** The length of a message has 32 bits. */
const UINT32_MAX = 0xffff_ffff
/** `idempotency_level = NO_SIDE_EFFECTS` of descriptor.proto. */
const NO_SIDE_EFFECTS = 1
