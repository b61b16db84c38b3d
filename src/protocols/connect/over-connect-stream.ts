/** Streams of gRPC through Connect: frames and envelopes are the same bytes, ends are not. */
import { ProtocolError } from '../../core/errors.ts'
import { Body } from '../http/body.ts'
import { HttpFields } from '../http/fields.ts'
import { type HttpRequest, HttpResponse } from '../http/messages.ts'
import { codingOf } from './connect-call.ts'
import { parseRpcContentType } from './content-type.ts'
import { COMPRESSED, END_STREAM, type Envelope, envelopeBytes } from './envelope.ts'
import { parseEndOfStream } from './error-json.ts'
import { rewrittenRequest, rewrittenResponse } from './grpc-web-bridge.ts'
import { binaryToJson, jsonToBinary } from './method-codec.ts'
import {
  connectRequestFields,
  grpcAnswerFields,
  grpcTrailers,
  type OverConnectCall,
} from './over-connect-call.ts'
import { EnvelopeRewriter } from './rewriters.ts'
import { rewriteBody } from './rewritten-body.ts'

export function toConnectStream(request: HttpRequest, call: OverConnectCall): HttpRequest {
  const list = connectRequestFields(request, call, true, true)
  const fields = HttpFields.fromTrusted(list)
  if (call.codec === 'proto') return rewrittenRequest(request, fields, request.body)
  const { input } = call.method
  const recode = recoder(call, codingOf(request.fields, 'grpc-encoding'), (bytes) =>
    binaryToJson(input, bytes, call.json),
  )
  const rewriter = new EnvelopeRewriter({
    flags: COMPRESSED,
    maxMessageBytes: 0xffff_ffff, // our own messages: the sender has a limit of its own
    map: recode,
    finish: () => ({}),
  })
  return rewrittenRequest(request, fields, rewriteBody(request.body, rewriter))
}

export function fromConnectStream(response: HttpResponse, call: OverConnectCall): HttpResponse {
  const type = parseRpcContentType(response.fields.get('content-type'))
  if (response.status !== 200) return response
  if (type?.protocol !== 'connect' || !type.stream || type.codec !== call.codec) {
    response.body.discard()
    return wrongType(response)
  }
  const coding = codingOf(response.fields, STREAM_CODING)
  const { output } = call.method
  const asItIs = ({ flags, payload }: Envelope): Uint8Array => envelopeBytes(flags, payload)
  const recode =
    call.codec === 'proto'
      ? asItIs
      : recoder(call, coding, (text) => jsonToBinary(output, text, call.json))
  let trailers: HttpFields | undefined
  const takeEnd = (payload: Uint8Array): undefined => {
    const { error, metadata } = parseEndOfStream(payload)
    trailers = grpcTrailers(error, metadata)
  }
  const rewriter = new EnvelopeRewriter({
    flags: COMPRESSED | END_STREAM,
    maxMessageBytes: call.maxMessageBytes,
    map(envelope) {
      const { flags, payload } = envelope
      if ((flags & END_STREAM) === 0) return recode(envelope)
      if ((flags & COMPRESSED) === 0) return takeEnd(payload)
      return decompressed(call, coding, payload).then((plain) => {
        takeEnd(plain)
        return NOTHING
      })
    },
    finish() {
      if (trailers !== undefined) return { trailers }
      throw new ProtocolError('ERR_TRUNCATED', 'the stream ended without its last envelope')
    },
  })
  const list = grpcAnswerFields(response.fields, call.codec === 'proto' ? coding : undefined)
  const body = rewriteBody(response.body, rewriter)
  return rewrittenResponse(response, HttpFields.fromTrusted(list), body)
}

function wrongType(response: HttpResponse): HttpResponse {
  const shown = JSON.stringify((response.fields.get('content-type') ?? '').slice(0, MAX_SHOWN))
  const error = { code: UNKNOWN, message: `the answer is of type ${shown}`, details: [] }
  const list = ['content-type', 'application/grpc+proto', ...grpcTrailers(error, []).toFlat()]
  return new HttpResponse({ fields: HttpFields.fromTrusted(list), body: Body.empty })
}

function recoder(
  call: OverConnectCall,
  coding: string | undefined,
  recode: (message: Uint8Array) => Uint8Array,
): (envelope: Envelope) => Uint8Array | Promise<Uint8Array> {
  return ({ flags, payload }) => {
    if ((flags & COMPRESSED) === 0 || payload.length === 0) {
      return envelopeBytes(0, recode(payload))
    }
    return decompressed(call, coding, payload).then((plain) => envelopeBytes(0, recode(plain)))
  }
}

function decompressed(
  call: OverConnectCall,
  coding: string | undefined,
  payload: Uint8Array,
): Promise<Uint8Array> {
  const decompress = call.compression.decoder(coding)
  if (decompress !== undefined) return decompress(payload.slice(), call.maxMessageBytes)
  throw new ProtocolError('ERR_MALFORMED', 'an envelope is compressed, and no coding was named')
}

const NOTHING = new Uint8Array(0)
const STREAM_CODING = 'connect-content-encoding'
const UNKNOWN = 2
const MAX_SHOWN = 64
