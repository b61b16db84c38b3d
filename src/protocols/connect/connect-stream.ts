/**
 * Streams of Connect through gRPC: envelopes pass, the end of a stream is an envelope of its own, and
 * the status of HTTP is always 200.
 */
import { GrpcMetadata } from '../grpc/call-metadata.ts'
import type { GrpcError } from '../grpc/grpc-error.ts'
import { readStatus } from '../grpc/trailers.ts'
import type { Body } from '../http/body.ts'
import { HttpFields } from '../http/fields.ts'
import { type HttpRequest, HttpResponse } from '../http/messages.ts'
import {
  answerFields,
  type ConnectCall,
  codingOf,
  endWithoutMessages,
  grpcRequestFields,
} from './connect-call.ts'
import { rpcContentType } from './content-type.ts'
import { END_STREAM, envelopeBytes } from './envelope.ts'
import { encodeEndOfStream } from './error-json.ts'
import { rewrittenRequest, rewrittenResponse } from './grpc-web-bridge.ts'
import { binaryToJson } from './method-codec.ts'
import { recodedBody, requestRecoder } from './recoded-body.ts'
import { PassingRewriter } from './rewriters.ts'
import { rewriteBody } from './rewritten-body.ts'

export function toStreamRequest(request: HttpRequest, call: ConnectCall): HttpRequest {
  const coding = codingOf(request.fields, STREAM_CODING)
  const fields = grpcRequestFields(request, call, true, coding)
  return rewrittenRequest(request, fields, requestBody(request, call, coding))
}

function requestBody(request: HttpRequest, call: ConnectCall, coding: string | undefined): Body {
  const { method, codec, json } = call
  if (codec === 'proto' || method === undefined) return request.body
  const recode = requestRecoder(method, json)
  return recodedBody(request.body, { ...call, coding, recode, finish: () => ({}) })
}

export function toStreamResponse(response: HttpResponse, call: ConnectCall): HttpResponse {
  const end = endWithoutMessages(response)
  if (end !== undefined) {
    response.body.discard()
    return streamError(end === 'ok' ? undefined : end, call)
  }
  const { codec, method, json } = call
  const coding = codingOf(response.fields, 'grpc-encoding')
  const list = ['content-type', rpcContentType('connect', codec, true)]
  if (coding !== undefined && codec === 'proto') list.push(STREAM_CODING, coding)
  answerFields(response.fields, list)
  const finish = (trailers: HttpFields | undefined): { tail: Uint8Array } => ({
    tail: endEnvelope(readStatus(trailers, 200), GrpcMetadata.fromFields(trailers)),
  })
  const body =
    codec === 'proto' || method === undefined
      ? rewriteBody(response.body, new PassingRewriter(finish))
      : recodedBody(response.body, {
          maxMessageBytes: call.maxReplyBytes,
          compression: call.compression,
          coding,
          recode: (bytes) => binaryToJson(method.output, bytes, json),
          finish,
        })
  return rewrittenResponse(response, HttpFields.fromTrusted(list), body)
}

/** The whole answer to a call that has no messages; `error` undefined: it ended well. */
export function streamError(error: GrpcError | undefined, call: ConnectCall): HttpResponse {
  const fields = HttpFields.fromTrusted([
    'content-type',
    rpcContentType('connect', call.codec, true),
  ])
  return new HttpResponse({ fields, body: endEnvelope(error, error?.metadata) })
}

function endEnvelope(error: GrpcError | undefined, trailers: GrpcMetadata | undefined): Uint8Array {
  const list: string[] = []
  trailers?.writeTo(list)
  const metadata: [string, string][] = []
  for (let at = 0; at < list.length; at += 2) {
    metadata.push([list[at] as string, list[at + 1] as string])
  }
  const fields =
    error === undefined
      ? undefined
      : { code: error.grpcCode, message: error.grpcMessage, details: error.details }
  return envelopeBytes(END_STREAM, encodeEndOfStream({ error: fields, metadata }))
}

const STREAM_CODING = 'connect-content-encoding'
