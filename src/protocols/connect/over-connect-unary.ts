/** Unary calls of gRPC through Connect: one frame, one message; errors in JSON, a status. */
import type { MaybePromise } from '../../core/service.ts'
import { Body } from '../http/body.ts'
import { HttpFields } from '../http/fields.ts'
import { type HttpRequest, HttpResponse } from '../http/messages.ts'
import { codeOfHttpStatus } from './codes.ts'
import { codingOf } from './connect-call.ts'
import { splitTrailerFields } from './connect-fields.ts'
import { onlyEnvelope } from './connect-unary.ts'
import { parseRpcContentType } from './content-type.ts'
import { COMPRESSED, type Envelope, envelopeBytes } from './envelope.ts'
import { parseConnectError } from './error-json.ts'
import { encodeConnectGet } from './get-query.ts'
import { rewrittenRequest, rewrittenResponse } from './grpc-web-bridge.ts'
import { binaryToJson, jsonToBinary } from './method-codec.ts'
import {
  connectRequestFields,
  grpcAnswerFields,
  grpcTrailers,
  type OverConnectCall,
} from './over-connect-call.ts'
import { bytesOf, isWhole, limitedBytes } from './rewritten-body.ts'

export function toConnectUnary(
  request: HttpRequest,
  call: OverConnectCall,
): MaybePromise<HttpRequest> {
  const { body } = request
  if (isWhole(body)) return withEnvelope(request, call, onlyEnvelope(bytesOf(body)))
  return body.bytes(0xffff_ffff).then((bytes) => withEnvelope(request, call, onlyEnvelope(bytes)))
}

function withEnvelope(
  request: HttpRequest,
  call: OverConnectCall,
  { flags, payload }: Envelope,
): MaybePromise<HttpRequest> {
  const compressed = (flags & COMPRESSED) !== 0
  const coding = codingOf(request.fields, 'grpc-encoding')
  if (call.codec === 'proto') return send(request, call, payload, compressed ? coding : undefined)
  const plain = compressed ? decompressed(call, coding, payload) : payload
  const { input } = call.method
  return plain instanceof Uint8Array
    ? send(request, call, binaryToJson(input, plain, call.json), undefined)
    : plain.then((bytes) => send(request, call, binaryToJson(input, bytes, call.json), undefined))
}

function send(
  request: HttpRequest,
  call: OverConnectCall,
  message: Uint8Array,
  compression: string | undefined,
): HttpRequest {
  const list = connectRequestFields(request, call, false, compression !== undefined)
  if (call.useGet && call.method.idempotency === NO_SIDE_EFFECTS) {
    const query = encodeConnectGet({ encoding: call.codec, message, compression })
    const target = request.path + query
    if (target.length <= call.maxGetBytes) {
      const fields = HttpFields.fromTrusted(list)
      // What describes a body that is not there; the version is in the query.
      for (const name of ['content-type', 'content-encoding', 'connect-protocol-version']) {
        fields.delete(name)
      }
      return rewrittenRequest(request, fields, Body.empty, { method: 'GET', target })
    }
  }
  return rewrittenRequest(request, HttpFields.fromTrusted(list), Body.from(message))
}

function decompressed(
  call: OverConnectCall,
  coding: string | undefined,
  message: Uint8Array,
): Uint8Array | Promise<Uint8Array> {
  const decompress = call.compression.decoder(coding)
  return decompress === undefined ? message : decompress(message, call.maxMessageBytes)
}

export function fromConnectUnary(
  response: HttpResponse,
  call: OverConnectCall,
): MaybePromise<HttpResponse> {
  const type = parseRpcContentType(response.fields.get('content-type'))
  if (type?.protocol !== 'connect' || type.stream) return notConnect(response)
  if (response.status === 200 && type.codec !== call.codec) return notConnect(response)
  const { body } = response
  const read = (bytes: Uint8Array): MaybePromise<HttpResponse> =>
    response.status === 200 ? answered(response, call, bytes) : failed(response, call, bytes)
  const bytes = limitedBytes(body, call.maxMessageBytes)
  return bytes instanceof Uint8Array ? read(bytes) : bytes.then(read)
}

/** Somebody else's answer: its status says what it means, and 200 nothing. */
function notConnect(response: HttpResponse): HttpResponse {
  if (response.status !== 200) return response
  response.body.discard()
  const type = JSON.stringify((response.fields.get('content-type') ?? '').slice(0, MAX_SHOWN))
  return endOnly({ code: UNKNOWN, message: `the answer is of type ${type}`, details: [] }, [], [])
}

function answered(
  response: HttpResponse,
  call: OverConnectCall,
  bytes: Uint8Array,
): MaybePromise<HttpResponse> {
  const coding = bytes.length === 0 ? undefined : codingOf(response.fields, 'content-encoding')
  const { headers, trailers } = splitTrailerFields(response.fields)
  const frame = (flags: number, payload: Uint8Array): HttpResponse => {
    const body: Body = Body.from(envelopeBytes(flags, payload))
    body.trailers = grpcTrailers(undefined, trailers)
    const list = grpcAnswerFields(headers, coding)
    const whole = rewrittenResponse(response, HttpFields.fromTrusted(list), body)
    whole.exchange = undefined
    return whole
  }
  if (call.codec === 'proto') return frame(coding === undefined ? 0 : COMPRESSED, bytes)
  const plain = decompressed(call, coding, bytes)
  const { output } = call.method
  return plain instanceof Uint8Array
    ? frame(0, jsonToBinary(output, plain, call.json))
    : plain.then((text) => frame(0, jsonToBinary(output, text, call.json)))
}

function failed(
  response: HttpResponse,
  call: OverConnectCall,
  bytes: Uint8Array,
): MaybePromise<HttpResponse> {
  const { fields, status } = response
  const { headers, trailers } = splitTrailerFields(fields)
  const read = (json: Uint8Array): HttpResponse => {
    const error = parseConnectError(json, codeOfHttpStatus(status))
    const message = `HTTP status ${status}`
    return endOnly(
      error ?? { code: codeOfHttpStatus(status), message, details: [] },
      grpcAnswerFields(headers, undefined),
      trailers,
    )
  }
  const plain = decompressed(call, codingOf(fields, 'content-encoding'), bytes)
  return plain instanceof Uint8Array ? read(plain) : plain.then(read)
}

/** A response that is nothing but its end. */
function endOnly(
  error: Parameters<typeof grpcTrailers>[0],
  head: string[],
  trailers: Iterable<readonly [string, string]>,
): HttpResponse {
  const list = head.length > 0 ? head : ['content-type', 'application/grpc+proto']
  list.push(...grpcTrailers(error, trailers).toFlat())
  return new HttpResponse({ status: 200, fields: HttpFields.fromTrusted(list) })
}

const UNKNOWN = 2
const MAX_SHOWN = 64
/** `idempotency_level = NO_SIDE_EFFECTS` of descriptor.proto. */
const NO_SIDE_EFFECTS = 1
