/**
 * gRPC through Connect, the client's side: what speaks gRPC to an `HttpService` speaks Connect to
 * whatever is behind this, over any version of HTTP.
 *
 *     unary      one frame ──▸ one message, or a GET ──▸ next ──▸ one message or an error ──▸ frame, trailers
 *     streams    frames ──▸ envelopes ──▸ next ──▸ envelopes, the last one the end ──▸ frames, trailers
 */
import type { DescMethod } from '@bufbuild/protobuf'
import { UsageError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { MaybePromise } from '../../core/service.ts'
import { GrpcCompression } from '../grpc/compression.ts'
import { type HttpRequest, HttpResponse, type HttpService } from '../http/messages.ts'
import { parseRpcContentType } from './content-type.ts'
import type { JsonOptions, MethodLookup } from './method-codec.ts'
import type { OverConnectCall } from './over-connect-call.ts'
import { fromConnectStream, toConnectStream } from './over-connect-stream.ts'
import { fromConnectUnary, toConnectUnary } from './over-connect-unary.ts'

export interface GrpcOverConnectOptions {
  /** Which methods there are: what is unary is sent as one message. */
  method: MethodLookup
  /** How messages are written. @default 'proto' */
  codec?: 'proto' | 'json'
  /**
   * Sends calls of methods without side effects as GET, which caches understand.
   *
   * @default false, as not every server takes it
   */
  useGet?: boolean
  /**
   * Longest target of a GET, in bytes; what is longer is sent as POST.
   *
   * @default 4_096: half of what servers usually take for the line and all fields
   */
  maxGetBytes?: number
  /**
   * Longest message that is taken from the server, in bytes.
   *
   * @default 4_194_304, as gRPC has it
   */
  maxMessageBytes?: number
  json?: JsonOptions
  /** Decompresses what the server compressed. @default nothing can be decompressed */
  host?: Pick<Host, 'compression'>
}

export const grpcOverConnectDefaults: Readonly<{
  codec: 'proto' | 'json'
  useGet: boolean
  maxGetBytes: number
  maxMessageBytes: number
}> = Object.freeze({
  codec: 'proto',
  useGet: false,
  maxGetBytes: 4_096,
  maxMessageBytes: 4 * 1024 * 1024,
})

/** @param next what carries the calls: a client of HTTP */
export function grpcOverConnect(next: HttpService, options: GrpcOverConnectOptions): HttpService {
  const {
    method: lookup,
    codec = grpcOverConnectDefaults.codec,
    useGet = grpcOverConnectDefaults.useGet,
    maxGetBytes = grpcOverConnectDefaults.maxGetBytes,
    maxMessageBytes = grpcOverConnectDefaults.maxMessageBytes,
    json = {},
    host = NO_CODECS,
  } = options
  const compression = new GrpcCompression(host)
  const shared = { codec, useGet, maxGetBytes, maxMessageBytes, json, compression }
  return (request, context) => {
    const type = parseRpcContentType(request.fields.get('content-type'))
    if (type?.protocol !== 'grpc') return next(request, context)
    const call: OverConnectCall = { ...shared, method: methodOf(lookup, request) }
    const unary = call.method.methodKind === 'unary'
    const asked = unary ? toConnectUnary(request, call) : toConnectStream(request, call)
    const read = (response: HttpResponse): MaybePromise<HttpResponse> =>
      unary ? fromConnectUnary(response, call) : fromConnectStream(response, call)
    const send = (rewritten: HttpRequest): MaybePromise<HttpResponse> => {
      const reply = next(rewritten, context)
      return reply instanceof HttpResponse ? read(reply) : reply.then(read)
    }
    return asked instanceof Promise ? asked.then(send) : send(asked)
  }
}

function methodOf(lookup: MethodLookup, request: HttpRequest): DescMethod {
  const method = lookup(request.path)
  if (method !== undefined) return method
  throw new UsageError('ERR_ARGUMENT', `the schema of ${request.path} is not known here`)
}

const NO_CODECS: Pick<Host, 'compression'> = Object.freeze({ compression: Object.freeze({}) })
