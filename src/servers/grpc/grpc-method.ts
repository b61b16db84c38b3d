/**
 * One method of a service: a request of HTTP becomes a call of its handler, what that gives becomes a
 * response. Everything that is the same for each call is looked up once.
 *
 * A unary call whose request came whole, as nearly all do, and whose handler answers at once has no
 * stream and no promise anywhere on its way.
 */

import type { CallContext } from '../../core/context.ts'
import { TimeoutError, toError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/service.ts'
import { nodeHost } from '../../platform/node-host.ts'
import type { Decompress, GrpcEncoding } from '../../protocols/grpc/compression.ts'
import { GRPC_PREFIX_BYTES, onlyMessage } from '../../protocols/grpc/decoder.ts'
import { grpcFrame, setGrpcPrefix } from '../../protocols/grpc/encoder.ts'
import { toGrpcError } from '../../protocols/grpc/error-status.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { feedOf, MessageBody, type MessageStream } from '../../protocols/grpc/message-body.ts'
import { MessageSource } from '../../protocols/grpc/message-source.ts'
import { onlyOne } from '../../protocols/grpc/only-one.ts'
import { readGrpcTimeout } from '../../protocols/grpc/timeout.ts'
import { Body } from '../../protocols/http/body.ts'
import type { HttpFields } from '../../protocols/http/fields.ts'
import { type HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { type MessageCodec, messageCodec } from '../../protocols/protobuf/codec.ts'
import { isPromise } from '../../runtime/settle.ts'
import type { GrpcSettings } from './grpc-options.ts'
import { errorReply, replyFields, replyTrailers } from './grpc-replies.ts'
import { HandlerContext } from './handler-context.ts'
import type { ServiceMethod } from './service-handlers.ts'
import { TimedServerCall } from './timed-server-call.ts'

export class GrpcMethod {
  readonly path: string
  readonly #method: ServiceMethod
  readonly #settings: GrpcSettings
  readonly #input: MessageCodec
  readonly #output: MessageCodec
  readonly #streamsIn: boolean
  readonly #streamsOut: boolean

  constructor(path: string, method: ServiceMethod, settings: GrpcSettings) {
    const { methodKind, input, output } = method.desc
    this.path = path
    this.#method = method
    this.#settings = settings
    this.#input = messageCodec(input, nodeHost.text)
    this.#output = messageCodec(output, nodeHost.text)
    this.#streamsIn = methodKind === 'client_streaming' || methodKind === 'bidi_streaming'
    this.#streamsOut = methodKind === 'server_streaming' || methodKind === 'bidi_streaming'
  }

  handle(request: HttpRequest, context: CallContext): MaybePromise<HttpResponse> {
    const { fields } = request
    request.route = this.path
    let decompress: Decompress | undefined
    let call: CallContext
    try {
      call = this.#timed(fields, context)
      decompress = this.#settings.compression.decoder(fields.get('grpc-encoding'))
    } catch (error) {
      request.body.discard()
      return this.#refusal(error)
    }
    const handler = new HandlerContext(call, this.#method.desc, fields)
    const reply = this.#streamsIn
      ? this.#withInput(this.#messages(request, decompress), handler)
      : this.#withMessage(request, decompress, handler)
    if (!(call instanceof TimedServerCall)) return reply
    return this.#raced(reply, call, handler)
  }

  /** The one message of the request, then the handler. */
  #withMessage(
    request: HttpRequest,
    decompress: Decompress | undefined,
    context: HandlerContext,
  ): MaybePromise<HttpResponse> {
    const { content } = request.body
    const payload = content instanceof Uint8Array ? onlyMessage(content) : undefined
    if (payload !== undefined && payload.length <= this.#settings.maxReceiveBytes) {
      let message: unknown
      try {
        message = this.#input.decode(payload)
      } catch (error) {
        const problem = `the request cannot be decoded: ${toError(error).message}`
        return errorReply(new GrpcError('INTERNAL', problem, { cause: error }))
      }
      return this.#withInput(message, context)
    }
    return onlyOne(this.#messages(request, decompress), 'request').then(
      (message) => this.#withInput(message, context),
      (error: unknown) => {
        request.body.discard()
        return this.#failed(error, context)
      },
    )
  }

  #withInput(input: unknown, context: HandlerContext): MaybePromise<HttpResponse> {
    let reply: MaybePromise<unknown>
    try {
      reply = this.#method.call(input, context)
    } catch (error) {
      return this.#failed(error, context)
    }
    if (!isPromise(reply)) return this.#reply(reply, context)
    return reply.then(
      (given) => this.#reply(given, context),
      (error: unknown) => this.#failed(error, context),
    )
  }

  #reply(reply: unknown, context: HandlerContext): MaybePromise<HttpResponse> {
    try {
      if (this.#streamsOut) return this.#stream(reply as MessageStream<never>, context)
      return this.#answer(reply, context)
    } catch (error) {
      return this.#failed(error, context)
    }
  }

  /** One message, its trailers behind it: one write. */
  #answer(reply: unknown, context: HandlerContext): MaybePromise<HttpResponse> {
    const encoding = this.#encoding(context)
    const frame = this.#encode(reply, encoding)
    if (frame instanceof Uint8Array) return this.#whole(frame, encoding, context)
    return frame.then(
      (compressed) => this.#whole(compressed, encoding, context),
      (error: unknown) => this.#failed(error, context),
    )
  }

  #whole(
    frame: Uint8Array,
    encoding: GrpcEncoding | undefined,
    context: HandlerContext,
  ): HttpResponse {
    const body = Body.from(frame)
    body.trailers = replyTrailers(undefined, context.setTrailers)
    context.markHeadersSent()
    return new HttpResponse({ fields: replyFields(context.setHeaders, encoding), body })
  }

  /** The head leaves with the first message, so that what fails before is an answer by itself. */
  #stream(replies: MessageStream<never>, context: HandlerContext): MaybePromise<HttpResponse> {
    const encoding = this.#encoding(context)
    let remove: (() => void) | undefined
    const body = new MessageBody<unknown>(feedOf(replies), {
      encode: (message) => this.#encode(message, encoding),
      release: (frame) => this.#output.release?.(frame),
      onEnd: (error) => {
        remove?.()
        return replyTrailers(this.#toStatus(error, context), context.setTrailers)
      },
    })
    const respond = (): HttpResponse => {
      context.markHeadersSent()
      const { endedEmpty } = body
      if (endedEmpty === undefined) {
        return new HttpResponse({ fields: replyFields(context.setHeaders, encoding), body })
      }
      remove?.()
      const error = endedEmpty === true ? undefined : this.#toStatus(endedEmpty, context)
      return errorReply(error, context.setHeaders, context.setTrailers)
    }
    let response: HttpResponse | undefined
    let resolve: ((response: HttpResponse) => void) | undefined
    const answer = (): void => {
      if (response !== undefined) return
      response = respond()
      resolve?.(response)
    }
    context.onSendHeaders(answer)
    remove = context.onCancel((reason) => body.abort(reason))
    body.start(answer)
    if (response !== undefined) return response
    return new Promise((given) => {
      resolve = given
    })
  }

  #messages(request: HttpRequest, decompress: Decompress | undefined): MessageSource<unknown> {
    return new MessageSource(request.body, {
      decode: (payload, borrowed) => this.#input.decode(payload, borrowed),
      decompress,
      maxMessageBytes: this.#settings.maxReceiveBytes,
      readAheadBytes: this.#settings.readAheadBytes,
    })
  }

  #encoding(context: HandlerContext): GrpcEncoding | undefined {
    const { encodings, compression } = this.#settings
    if (encodings.length === 0) return undefined
    return compression.choose(encodings, context.acceptedEncodings)
  }

  /** @throws GrpcError RESOURCE_EXHAUSTED */
  #encode(message: unknown, encoding: GrpcEncoding | undefined): Uint8Array | Promise<Uint8Array> {
    const frame = this.#output.encode(message as never, GRPC_PREFIX_BYTES)
    const length = frame.length - GRPC_PREFIX_BYTES
    const { maxSendBytes, compressMinBytes, compression } = this.#settings
    if (length > maxSendBytes) {
      const problem = `a reply of ${length} bytes is over maxSendMessageBytes ${maxSendBytes}`
      throw new GrpcError('RESOURCE_EXHAUSTED', problem)
    }
    if (encoding === undefined || length < compressMinBytes) {
      setGrpcPrefix(frame, length, false)
      return frame
    }
    return compression
      .compress(encoding, frame.subarray(GRPC_PREFIX_BYTES))
      .then((compressed) => grpcFrame(compressed, true))
  }

  /** @throws GrpcError INTERNAL for a bad grpc-timeout; TimeoutError ERR_DEADLINE: over already */
  #timed(fields: HttpFields, context: CallContext): CallContext {
    const timeoutMs = readGrpcTimeout(fields.get('grpc-timeout'))
    if (timeoutMs === undefined && context.deadline === undefined) return context
    const { wheel } = this.#settings
    const now = wheel.clock.now()
    const own = timeoutMs === undefined ? Number.POSITIVE_INFINITY : now + timeoutMs
    const deadline = Math.min(own, context.deadline ?? Number.POSITIVE_INFINITY)
    if (deadline <= now) {
      throw new TimeoutError('ERR_DEADLINE', 'the deadline of the client had passed already')
    }
    return new TimedServerCall(context, deadline, wheel)
  }

  /** Answers at the deadline, whatever the handler does. */
  #raced(
    reply: MaybePromise<HttpResponse>,
    call: TimedServerCall,
    context: HandlerContext,
  ): MaybePromise<HttpResponse> {
    if (!isPromise(reply)) {
      if (isStreamed(reply)) call.start()
      this.#followed(reply, call)
      return reply
    }
    call.start()
    return new Promise((resolve, reject) => {
      let answered = false
      const remove = call.onCancel((reason) => {
        answered = true
        resolve(this.#failed(reason, context))
      })
      reply.then((response) => {
        remove()
        if (answered) return response.body.discard()
        this.#followed(response, call)
        resolve(response)
      }, reject)
    })
  }

  /** A stream is under the deadline to its end, which the body itself hears of. */
  #followed(response: HttpResponse, call: TimedServerCall): void {
    if (isStreamed(response)) call.finish()
    else call.over()
  }

  #failed(error: unknown, context: HandlerContext): HttpResponse {
    context.markHeadersSent()
    return errorReply(this.#toStatus(error, context), context.setHeaders, context.setTrailers)
  }

  #toStatus(error: unknown, context: HandlerContext): GrpcError | undefined {
    if (error === undefined) return undefined
    if (error instanceof GrpcError) return error
    // That a deadline passed or a client left is no mistake of the handler's.
    if (error !== context.cancelReason) this.#settings.onError?.(error, this.#method.desc)
    return toGrpcError(error)
  }

  /** What is wrong with the request itself; the client is told what it could send instead. */
  #refusal(error: unknown): HttpResponse {
    const status = toGrpcError(error)
    const response = errorReply(status)
    if (status.grpcCode === UNIMPLEMENTED) {
      response.fields.set('grpc-accept-encoding', this.#settings.compression.accepted)
    }
    return response
  }
}

function isStreamed({ body }: HttpResponse): boolean {
  return !body.isEmpty && body.content === undefined
}

const UNIMPLEMENTED = 12
