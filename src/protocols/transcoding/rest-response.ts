/** The answer of a call as one of REST. */
import type { Message } from '@bufbuild/protobuf'
import { iterate } from '../../core/channel.ts'
import { ProtocolError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/service.ts'
import { answerFields, endWithoutMessages } from '../connect/connect-call.ts'
import { rewrittenResponse } from '../connect/grpc-web-bridge.ts'
import { EnvelopeRewriter } from '../connect/rewriters.ts'
import { bytesOf, isWhole, rewriteBody } from '../connect/rewritten-body.ts'
import { GrpcMetadata } from '../grpc/call-metadata.ts'
import { onlyMessage } from '../grpc/decoder.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import { feedOf, MessageBody } from '../grpc/message-body.ts'
import { MessageSource } from '../grpc/message-source.ts'
import { readStatus } from '../grpc/trailers.ts'
import { Body } from '../http/body.ts'
import { HttpFields } from '../http/fields.ts'
import { HttpResponse } from '../http/messages.ts'
import type { HttpBinding } from './http-binding.ts'
import { isHttpBody, readHttpBody } from './http-body-message.ts'
import { decodeReply, replyJson, statusJson, statusResponse } from './reply-json.ts'
import { acceptedForm, streamWriter } from './stream-forms.ts'
import type { TranscodingSettings } from './transcoding-options.ts'

/** @param accept of the request */
export function toRestResponse(
  response: HttpResponse,
  binding: HttpBinding,
  accept: string | undefined,
  settings: TranscodingSettings,
): MaybePromise<HttpResponse> {
  const end = endWithoutMessages(response)
  if (end !== undefined && end !== 'ok') return failedResponse(response, end, settings)
  if (binding.serverStreams) {
    if (isHttpBody(binding.method.output)) return httpBodies(response, binding, settings)
    return streamResponse(response, binding, accept, settings)
  }
  const { body } = response
  if (end === 'ok') return statusResponse(noReply(), settings.registry)
  if (isWhole(body)) return unaryResponse(response, binding, settings, bytesOf(body))
  return body.bytes(settings.maxReplyBytes + PREFIX).then(
    (bytes) => unaryResponse(response, binding, settings, bytes),
    (error: unknown) => {
      if (!(error instanceof ProtocolError && error.code === 'ERR_LIMIT')) throw error
      return statusResponse(tooLong(settings), settings.registry)
    },
  )
}

function failedResponse(
  response: HttpResponse,
  error: GrpcError,
  { registry }: TranscodingSettings,
): HttpResponse {
  response.body.discard()
  // Somebody on the way answered in the words of HTTP already.
  const failed = response.fields.has('grpc-status')
    ? statusResponse(error, registry)
    : statusResponse(error, registry, response.status === 200 ? 502 : response.status)
  addMetadata(failed.fields, error.metadata, TRAILER_PREFIX)
  const retry = response.fields.get('retry-after')
  if (retry !== undefined) failed.fields.set('retry-after', retry)
  return failed
}

function unaryResponse(
  response: HttpResponse,
  binding: HttpBinding,
  settings: TranscodingSettings,
  bytes: Uint8Array,
): HttpResponse {
  const { trailers } = response.body
  const error = readStatus(trailers, response.status)
  if (error !== undefined) {
    const failed = statusResponse(error, settings.registry)
    addMetadata(failed.fields, error.metadata, TRAILER_PREFIX)
    return failed
  }
  const payload = onlyMessage(bytes)
  if (payload === undefined) return statusResponse(noReply(), settings.registry)
  if (payload.length > settings.maxReplyBytes) {
    return statusResponse(tooLong(settings), settings.registry)
  }
  const list: string[] = []
  answerFields(response.fields, list)
  const message = decodeReply(binding, payload)
  const given = bodyOf(binding, message, settings)
  const fields = HttpFields.fromTrusted(['content-type', given.contentType, ...list])
  addMetadata(fields, GrpcMetadata.fromFields(trailers), TRAILER_PREFIX)
  return new HttpResponse({ fields, body: given.body })
}

function bodyOf(
  binding: HttpBinding,
  message: Message,
  settings: TranscodingSettings,
): { contentType: string; body: string | Uint8Array } {
  const { responseBody, method } = binding
  if (isHttpBody(responseBody?.message ?? method.output)) {
    const held =
      responseBody === undefined
        ? message
        : (message as unknown as Record<string, unknown>)[responseBody.localName]
    const { contentType, data } = held === undefined ? NO_BODY : readHttpBody(held)
    return { contentType: safeType(contentType), body: data }
  }
  return { contentType: 'application/json', body: replyJson(binding, message, settings) }
}

function streamResponse(
  response: HttpResponse,
  binding: HttpBinding,
  accept: string | undefined,
  settings: TranscodingSettings,
): HttpResponse {
  const writer = streamWriter(acceptedForm(accept, settings.stream), settings.wrapStream)
  const ending = (error: GrpcError | undefined): Uint8Array =>
    ENCODER.encode(writer.end(error && JSON.stringify(statusJson(error, settings.registry))))
  const list = ['content-type', writer.contentType, 'cache-control', 'no-cache']
  answerFields(response.fields, list)
  const fields = HttpFields.fromTrusted(list)
  if (response.fields.has('grpc-status')) {
    response.body.discard()
    return new HttpResponse({ fields, body: ending(undefined) })
  }
  const rewriter = new EnvelopeRewriter({
    maxMessageBytes: settings.maxReplyBytes,
    flags: 0,
    map: ({ payload }) => {
      const message = decodeReply(binding, payload.slice())
      return ENCODER.encode(writer.message(replyJson(binding, message, settings)))
    },
    finish: (trailers) => ({ tail: ending(readStatus(trailers, 200)) }),
  })
  return rewrittenResponse(response, fields, rewriteBody(response.body, rewriter), 200)
}

/** Pieces of one body. Its type is that of the first, so the head waits for it. */
async function httpBodies(
  response: HttpResponse,
  binding: HttpBinding,
  settings: TranscodingSettings,
): Promise<HttpResponse> {
  const { body } = response
  const messages = new MessageSource(body, {
    decode: (payload) => readHttpBody(decodeReply(binding, payload)),
    decompress: undefined,
    maxMessageBytes: settings.maxReplyBytes,
    onEnd: () => readStatus(body.trailers ?? response.fields, response.status),
  })
  const pieces = iterate(messages, (piece) => piece)
  let first: IteratorResult<{ contentType: string; data: Uint8Array }>
  try {
    first = await pieces.next()
  } catch (error) {
    if (error instanceof GrpcError) return statusResponse(error, settings.registry)
    throw error
  }
  const list = ['content-type', safeType(first.done === true ? '' : first.value.contentType)]
  answerFields(response.fields, list)
  const fields = HttpFields.fromTrusted(list)
  if (first.done === true) return new HttpResponse({ fields })
  const { data } = first.value
  const rest = async function* (): AsyncGenerator<Uint8Array> {
    yield data
    for await (const piece of pieces) yield piece.data
  }
  const joined = new MessageBody(feedOf(rest()), {
    encode: (piece) => piece,
    onEnd: (error) => error,
  })
  return rewrittenResponse(response, fields, Body.from(joined), 200)
}

function addMetadata(fields: HttpFields, metadata: GrpcMetadata, prefix: string): void {
  const list: string[] = []
  metadata.writeTo(list)
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] as string
    if (!HEAD_FIELDS.has(name)) fields.append(prefix + name, list[at + 1] as string)
  }
}

/** A type that the service made up must not end the head. */
function safeType(type: string): string {
  return /^[\x20-\x7e]{1,256}$/.test(type) ? type : 'application/octet-stream'
}

function noReply(): GrpcError {
  return new GrpcError('INTERNAL', 'the answer has not exactly one message')
}

function tooLong({ maxReplyBytes }: TranscodingSettings): GrpcError {
  return new GrpcError('RESOURCE_EXHAUSTED', `the answer has over ${maxReplyBytes} bytes`)
}

const PREFIX = 5
const TRAILER_PREFIX = 'grpc-trailer-'
/** Of a response that has only a head, and would be taken for metadata of its end. */
const HEAD_FIELDS: ReadonlySet<string> = new Set([
  'date',
  'server',
  'cache-control',
  'vary',
  'alt-svc',
  'via',
])
const NO_BODY = Object.freeze({ contentType: '', data: new Uint8Array(0) })
const ENCODER = new TextEncoder()
