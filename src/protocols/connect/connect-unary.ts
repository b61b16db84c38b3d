/**
 * Unary calls of Connect through gRPC: one message each way, trailers among the headers, errors in
 * JSON under a status of HTTP.
 */
import type { MaybePromise } from '../../core/service.ts'
import { GrpcMetadata } from '../grpc/call-metadata.ts'
import { toGrpcError } from '../grpc/error-status.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import { readStatus } from '../grpc/trailers.ts'
import { Body } from '../http/body.ts'
import { HttpFields } from '../http/fields.ts'
import { type HttpRequest, HttpResponse } from '../http/messages.ts'
import { httpStatusOfCode } from './codes.ts'
import {
  answerFields,
  type ConnectCall,
  codingOf,
  endWithoutMessages,
  grpcRequestFields,
} from './connect-call.ts'
import { TRAILER_PREFIX } from './connect-fields.ts'
import { COMPRESSED, ENVELOPE_HEAD_BYTES, EnvelopeDecoder, envelopeBytes } from './envelope.ts'
import { encodeConnectError } from './error-json.ts'
import { rewrittenRequest, rewrittenResponse } from './grpc-web-bridge.ts'
import { binaryToJson, jsonToBinary } from './method-codec.ts'
import { bytesOf, isWhole, limitedBytes } from './rewritten-body.ts'

export function toUnaryRequest(request: HttpRequest, call: ConnectCall): MaybePromise<HttpRequest> {
  const { get, maxMessageBytes } = call
  const coding = get ? get.compression : codingOf(request.fields, 'content-encoding')
  if (get !== undefined) return withMessage(request, call, coding, get.message)
  const { body } = request
  if (isWhole(body)) return withMessage(request, call, coding, bytesOf(body))
  return body.bytes(maxMessageBytes).then((message) => withMessage(request, call, coding, message))
}

function withMessage(
  request: HttpRequest,
  call: ConnectCall,
  coding: string | undefined,
  message: Uint8Array,
): MaybePromise<HttpRequest> {
  if (message.length > call.maxMessageBytes) {
    const problem = `message of ${message.length} bytes is over the limit of ${call.maxMessageBytes}`
    throw new GrpcError('RESOURCE_EXHAUSTED', problem)
  }
  const fields = grpcRequestFields(request, call, false, coding)
  const send = (flags: number, payload: Uint8Array): HttpRequest =>
    rewrittenRequest(request, fields, Body.from(envelopeBytes(flags, payload)), {
      method: 'POST',
      target: request.path,
    })
  // An empty body is an empty message, whatever was to compress it.
  const compressed = coding !== undefined && message.length > 0
  const { method, json } = call
  if (call.codec === 'proto' || method === undefined)
    return send(compressed ? COMPRESSED : 0, message)
  const plain = compressed ? decompressed(call, coding, message, call.maxMessageBytes) : message
  return plain instanceof Uint8Array
    ? send(0, jsonToBinary(method.input, plain, json))
    : plain.then((text) => send(0, jsonToBinary(method.input, text, json)))
}

function decompressed(
  call: ConnectCall,
  coding: string,
  message: Uint8Array,
  maxBytes: number,
): Uint8Array | Promise<Uint8Array> {
  const decompress = call.compression.decoder(coding)
  return decompress === undefined ? message : decompress(message, maxBytes)
}

export function toUnaryResponse(
  response: HttpResponse,
  call: ConnectCall,
): MaybePromise<HttpResponse> {
  const end = endWithoutMessages(response)
  if (end !== undefined) {
    response.body.discard()
    return unaryError(end === 'ok' ? noMessage() : end)
  }
  const { body } = response
  try {
    const bytes = limitedBytes(body, call.maxReplyBytes + ENVELOPE_HEAD_BYTES)
    if (bytes instanceof Uint8Array) return withAnswer(response, call, bytes)
    return bytes.then(
      (all) => withAnswer(response, call, all),
      (error: unknown) => unaryError(toGrpcError(error)),
    )
  } catch (error) {
    return unaryError(toGrpcError(error))
  }
}

function withAnswer(
  response: HttpResponse,
  call: ConnectCall,
  bytes: Uint8Array,
): MaybePromise<HttpResponse> {
  const { body, fields, status } = response
  const list: string[] = []
  answerFields(fields, list)
  const error = readStatus(body.trailers, status)
  if (error !== undefined) return unaryError(error, list)
  try {
    const { flags, payload } = onlyEnvelope(bytes)
    if (body.trailers !== undefined) addTrailers(list, GrpcMetadata.fromFields(body.trailers))
    const coding = (flags & COMPRESSED) === 0 ? undefined : codingOf(fields, 'grpc-encoding')
    return answered(response, call, list, coding, payload)
  } catch (failure) {
    return unaryError(toGrpcError(failure), list)
  }
}

function answered(
  response: HttpResponse,
  call: ConnectCall,
  list: string[],
  coding: string | undefined,
  payload: Uint8Array,
): MaybePromise<HttpResponse> {
  const { codec, method, json } = call
  list.push('content-type', `application/${codec}`)
  // A cache keeps it for those who accept the same only.
  if (call.get !== undefined) list.push('vary', 'accept-encoding')
  const send = (bytes: Uint8Array): HttpResponse => {
    const whole = rewrittenResponse(response, HttpFields.fromTrusted(list), Body.from(bytes))
    whole.exchange = undefined
    return whole
  }
  if (codec === 'proto' || method === undefined) {
    if (coding !== undefined) list.push('content-encoding', coding)
    return send(payload)
  }
  const plain =
    coding === undefined ? payload : decompressed(call, coding, payload, call.maxReplyBytes)
  return plain instanceof Uint8Array
    ? send(binaryToJson(method.output, plain, json))
    : plain.then((binary) => send(binaryToJson(method.output, binary, json)))
}

/** @throws GrpcError unless it is exactly one message */
export function onlyEnvelope(bytes: Uint8Array): { flags: number; payload: Uint8Array } {
  const decoder = new EnvelopeDecoder({ maxMessageBytes: 0xffff_ffff, flags: COMPRESSED })
  decoder.push(bytes)
  const envelope = decoder.next()
  if (envelope === undefined) throw noMessage()
  if (decoder.buffered > 0) throw new GrpcError('UNIMPLEMENTED', 'more than one message came')
  return envelope
}

function noMessage(): GrpcError {
  return new GrpcError('UNIMPLEMENTED', 'the answer has no message')
}

/** @param list fields that it has besides: name, value, name, value … */
export function unaryError(error: GrpcError, list: string[] = []): HttpResponse {
  const { grpcCode: code, grpcMessage: message, details } = error
  addTrailers(list, error.metadata)
  list.push('content-type', 'application/json')
  return new HttpResponse({
    status: httpStatusOfCode(code),
    fields: HttpFields.fromTrusted(list),
    body: encodeConnectError({ code, message, details }),
  })
}

function addTrailers(list: string[], metadata: GrpcMetadata): void {
  const trailers: string[] = []
  metadata.writeTo(trailers)
  for (let at = 0; at < trailers.length; at += 2) {
    list.push(TRAILER_PREFIX + trailers[at], trailers[at + 1] as string)
  }
}
