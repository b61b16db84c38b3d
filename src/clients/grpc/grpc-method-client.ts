/**
 * Calls of one method: everything that is the same for each is prepared once. A unary call is one
 * request with its whole content and one response with content and trailers: no stream is made.
 */
import type { DescMethod } from '@bufbuild/protobuf'
import { Call } from '../../core/context.ts'
import { toError } from '../../core/errors.ts'
import type { Source } from '../../core/flow.ts'
import type { MaybePromise, Service } from '../../core/service.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { GrpcMetadata } from '../../protocols/grpc/call-metadata.ts'
import { grpcFormat } from '../../protocols/grpc/content-type.ts'
import { GRPC_PREFIX_BYTES, onlyMessage } from '../../protocols/grpc/decoder.ts'
import { grpcFrame, setGrpcPrefix } from '../../protocols/grpc/encoder.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { feedOf, MessageBody, type MessageStream } from '../../protocols/grpc/message-body.ts'
import { MessageSource } from '../../protocols/grpc/message-source.ts'
import { onlyOne } from '../../protocols/grpc/only-one.ts'
import { methodConfigOf } from '../../protocols/grpc/service-config.ts'
import { formatGrpcTimeout } from '../../protocols/grpc/timeout.ts'
import { readStatus } from '../../protocols/grpc/trailers.ts'
import { Body } from '../../protocols/http/body.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, type HttpResponse } from '../../protocols/http/messages.ts'
import { type MessageCodec, messageCodec } from '../../protocols/protobuf/codec.ts'
import { isPromise } from '../../runtime/settle.ts'
import type { GrpcClientCall, GrpcClientSettings, GrpcTargetCall } from './client-settings.ts'
import type { GrpcCallOptions } from './client-types.ts'
import { GrpcCallStream } from './grpc-call-stream.ts'
import { waitingForReady, withRetries } from './method-policies.ts'

export class GrpcMethodClient {
  readonly #method: DescMethod
  readonly #settings: GrpcClientSettings
  readonly #path: string
  readonly #input: MessageCodec
  readonly #output: MessageCodec
  /** The fields of every request, and with the default timeout; lists that are copied, not changed. */
  readonly #list: readonly string[]
  readonly #plain: HttpFields
  readonly #idempotent: boolean | undefined
  readonly #timeoutMs: number
  readonly #timeoutText: string
  readonly #maxTimeoutMs: number
  readonly #maxReceiveBytes: number
  readonly #maxSendBytes: number
  /** The target's call, with what the service config wants around it. */
  readonly #call: GrpcTargetCall
  readonly #readyCall: GrpcTargetCall
  readonly #waitForReady: boolean
  readonly #buffersStreams: boolean
  readonly #streamsOut: boolean

  constructor(method: DescMethod, settings: GrpcClientSettings) {
    const { methodKind, parent, name, input, output, idempotency } = method
    this.#method = method
    this.#settings = settings
    this.#path = `/${parent.typeName}/${name}`
    this.#input = messageCodec(input, nodeHost.text)
    this.#output = messageCodec(output, nodeHost.text)
    this.#idempotent = idempotency === IDEMPOTENCY_UNKNOWN ? undefined : true
    const repliesOnce = methodKind === 'unary' || methodKind === 'client_streaming'
    const config = methodConfigOf(settings.config, parent.typeName, name)
    this.#maxTimeoutMs = config?.timeoutMs ?? Number.POSITIVE_INFINITY
    const ownTimeoutMs = repliesOnce ? settings.timeoutMs : Number.POSITIVE_INFINITY
    this.#timeoutMs = config?.timeoutMs ?? ownTimeoutMs
    this.#maxReceiveBytes = Math.min(
      settings.maxReceiveBytes,
      config?.maxResponseBytes ?? settings.maxReceiveBytes,
    )
    this.#maxSendBytes = Math.min(
      settings.maxSendBytes,
      config?.maxRequestBytes ?? settings.maxSendBytes,
    )
    const { throttle, wheel, random } = settings
    const policies = { config, throttle, wheel, random }
    this.#call = withRetries(settings.call, policies)
    this.#readyCall = waitingForReady(this.#call, policies)
    this.#waitForReady = config?.waitForReady ?? false
    this.#streamsOut = !repliesOnce
    this.#buffersStreams = config?.retry !== undefined
    const list = ['te', 'trailers', 'content-type', 'application/grpc']
    list.push('user-agent', settings.userAgent)
    list.push('grpc-accept-encoding', settings.compression.accepted)
    if (settings.encoding !== undefined) list.push('grpc-encoding', settings.encoding)
    this.#list = list
    const plain = list.slice()
    this.#timeoutText = formatGrpcTimeout(this.#timeoutMs)
    if (this.#timeoutMs !== Number.POSITIVE_INFINITY) {
      plain.push('grpc-timeout', this.#timeoutText)
    }
    this.#plain = HttpFields.fromTrusted(plain)
  }

  toFunction(): (input: never, options?: GrpcCallOptions) => unknown {
    const call = this.#kindOfCall()
    const { interceptors } = this.#settings
    if (interceptors.length === 0) return call
    const method = this.#method
    const inner: Service<GrpcClientCall, unknown> = ({ input, options }, context) =>
      call(input as never, { ...options, context })
    const outer = interceptors.reduceRight((next, interceptor) => interceptor(next), inner)
    return (input, options = {}) => {
      try {
        return outer({ method, input, options }, options.context ?? new Call())
      } catch (error) {
        // Streams tell of it where they are read, promises where they are awaited.
        return this.#failed(error)
      }
    }
  }

  #failed(error: unknown): unknown {
    const reject = (): Promise<never> => Promise.reject(error)
    return this.#streamsOut ? new GrpcCallStream<unknown>(new Call(), 0, reject) : reject()
  }

  #kindOfCall(): (input: never, options?: GrpcCallOptions) => unknown {
    switch (this.#method.methodKind) {
      case 'unary':
        return (input, options) => this.#unary(input, options)
      case 'server_streaming':
        return (input, options) => this.#replies(options, () => this.#single(input))
      case 'client_streaming':
        return (inputs, options) => this.#streamed(inputs, options)
      default:
        return (inputs, options) => this.#replies(options, () => this.#stream(inputs))
    }
  }

  #unary(input: unknown, options: GrpcCallOptions | undefined): Promise<unknown> {
    try {
      const frame = this.#encode(input)
      if (!(frame instanceof Uint8Array)) {
        return frame.then((whole) => this.#send(Body.from(whole), options))
      }
      return this.#send(Body.from(frame), options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #streamed(inputs: MessageStream<never>, options: GrpcCallOptions | undefined): Promise<unknown> {
    try {
      return this.#send(this.#stream(inputs), options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** One reply. */
  #send(body: Body, options: GrpcCallOptions | undefined): Promise<unknown> {
    const context = this.#context(options)
    const reply = this.#target(options)(this.#request(body, options, context), context)
    if (!isPromise(reply)) {
      const one = this.#onlyReply(reply, options)
      const promise = isPromise(one) ? one : Promise.resolve(one)
      return promise.finally(() => context.finish())
    }
    return reply.then(
      (response) => {
        const one = this.#onlyReply(response, options)
        if (!isPromise(one)) {
          context.finish()
          return one
        }
        return one.finally(() => context.finish())
      },
      (error: unknown) => {
        context.finish()
        throw error
      },
    )
  }

  /** Many replies. */
  #replies(
    options: GrpcCallOptions | undefined,
    makeBody: () => MaybePromise<Body>,
  ): Source<unknown> {
    const context = this.#context(options)
    const begin = async (): Promise<MessageSource<unknown>> => {
      try {
        const body = await makeBody()
        const request = this.#request(body, options, context)
        const response = await this.#target(options)(request, context)
        return this.#source(response, options, context)
      } catch (error) {
        context.finish()
        throw error
      }
    }
    return new GrpcCallStream(context, this.#settings.readAheadBytes, begin)
  }

  #onlyReply(response: HttpResponse, options: GrpcCallOptions | undefined): MaybePromise<unknown> {
    const { content, trailers } = response.body
    if (content instanceof Uint8Array && trailers !== undefined) {
      const payload = onlyMessage(content)
      if (payload !== undefined && payload.length <= this.#maxReceiveBytes) {
        this.#checkHead(response)
        options?.onHeader?.(GrpcMetadata.fromFields(response.fields))
        options?.onTrailer?.(GrpcMetadata.fromFields(trailers))
        const error = readStatus(trailers, response.status)
        if (error !== undefined) throw error
        return this.#decode(payload)
      }
    }
    return onlyOne(this.#source(response, options, undefined), 'reply')
  }

  /** @throws GrpcError for a response that is no gRPC, or one that has only a status */
  #source(
    response: HttpResponse,
    options: GrpcCallOptions | undefined,
    context: Call | undefined,
  ): MessageSource<unknown> {
    this.#checkHead(response)
    const { body, fields } = response
    const { compression } = this.#settings
    if (body.isEmpty || (body.length === 0 && fields.has('grpc-status'))) {
      options?.onTrailer?.(GrpcMetadata.fromFields(fields))
      const error = readStatus(fields, response.status)
      if (error !== undefined) throw error
    } else options?.onHeader?.(GrpcMetadata.fromFields(fields))
    return new MessageSource(body, {
      decode: (payload, borrowed) => this.#output.decode(payload, borrowed),
      decompress: decompressor(compression, fields),
      maxMessageBytes: this.#maxReceiveBytes,
      onEnd: () => {
        if (body.isEmpty) return undefined
        const { trailers } = body
        if (trailers !== undefined) options?.onTrailer?.(GrpcMetadata.fromFields(trailers))
        return readStatus(trailers ?? fields, response.status)
      },
      onOver: () => context?.finish(),
    })
  }

  #checkHead(response: HttpResponse): void {
    const { status, fields, body } = response
    const type = fields.get('content-type')
    if (status === 200 && (type === 'application/grpc' || grpcFormat(type) !== undefined)) return
    body.discard()
    if (fields.has('grpc-status')) {
      const error = readStatus(fields, status)
      if (error !== undefined) throw error
    }
    if (status !== 200) throw readStatus(undefined, status) as GrpcError
    const shown = JSON.stringify(type?.slice(0, 64) ?? '')
    throw new GrpcError('UNKNOWN', `the response has content-type ${shown}, which is no gRPC`)
  }

  #decode(payload: Uint8Array): unknown {
    try {
      return this.#output.decode(payload)
    } catch (error) {
      const problem = `the reply cannot be decoded: ${toError(error).message}`
      throw new GrpcError('INTERNAL', problem, { cause: error })
    }
  }

  #target(options: GrpcCallOptions | undefined): GrpcTargetCall {
    return (options?.waitForReady ?? this.#waitForReady) ? this.#readyCall : this.#call
  }

  #context(options: GrpcCallOptions | undefined): Call {
    const { clock } = this.#settings
    const timeoutMs = Math.min(options?.timeoutMs ?? this.#timeoutMs, this.#maxTimeoutMs)
    const deadline = timeoutMs === Number.POSITIVE_INFINITY ? undefined : clock.now() + timeoutMs
    const idempotent = options?.idempotent ?? this.#idempotent
    if (options === undefined) return new Call({ deadline, idempotent })
    const { signal, priority, context } = options
    return new Call({ deadline, signal, idempotent, priority, attempt: 1 }, context)
  }

  #request(body: Body, options: GrpcCallOptions | undefined, context: Call): HttpRequest {
    const { scheme, authority } = this.#settings
    const fields = options === undefined ? this.#plain : this.#fields(options, context)
    const route = this.#path
    return new HttpRequest({
      method: 'POST',
      target: route,
      scheme,
      authority,
      fields,
      body,
      route,
    })
  }

  #fields(options: GrpcCallOptions, { deadline }: Call): HttpFields {
    const list = this.#list.slice()
    if (deadline !== undefined) {
      // The same text for every call is a byte on the wire, once HPACK knows it.
      const isDefault = options.timeoutMs === undefined && options.context === undefined
      const remainingMs = isDefault ? 0 : deadline - this.#settings.clock.now()
      list.push('grpc-timeout', isDefault ? this.#timeoutText : formatGrpcTimeout(remainingMs))
    }
    const { metadata } = options
    if (metadata !== undefined) {
      const given = metadata instanceof GrpcMetadata ? metadata : new GrpcMetadata(metadata)
      given.writeTo(list)
    }
    return HttpFields.fromTrusted(list)
  }

  #single(input: unknown): MaybePromise<Body> {
    const frame = this.#encode(input)
    return frame instanceof Uint8Array ? Body.from(frame) : frame.then((whole) => Body.from(whole))
  }

  #stream(inputs: MessageStream<unknown>): Body {
    const body = new MessageBody<unknown>(feedOf(inputs), {
      encode: (message) => this.#encode(message),
      release: (frame) => this.#input.release?.(frame),
      onEnd: (error) => error,
    })
    // What another attempt may need is kept, as far as A6's limit on a call goes.
    return this.#buffersStreams ? Body.buffered(body, RETRY_BUFFER_BYTES) : Body.from(body)
  }

  /** @throws GrpcError RESOURCE_EXHAUSTED, nothing was sent */
  #encode(message: unknown): Uint8Array | Promise<Uint8Array> {
    const frame = this.#input.encode(message as never, GRPC_PREFIX_BYTES)
    const length = frame.length - GRPC_PREFIX_BYTES
    const { encoding, compressMinBytes, compression } = this.#settings
    const maxSendBytes = this.#maxSendBytes
    if (length > maxSendBytes) {
      const problem = `a message of ${length} bytes is over maxSendMessageBytes ${maxSendBytes}`
      throw new GrpcError('RESOURCE_EXHAUSTED', problem, { sent: 'nothing' })
    }
    if (encoding === undefined || length < compressMinBytes) {
      setGrpcPrefix(frame, length, false)
      return frame
    }
    return compression
      .compress(encoding, frame.subarray(GRPC_PREFIX_BYTES))
      .then((compressed) => grpcFrame(compressed, true))
  }
}

/** An answer in an encoding that was not offered is the server's mistake (compression.md). */
function decompressor(
  compression: GrpcClientSettings['compression'],
  fields: HttpFields,
): ReturnType<GrpcClientSettings['compression']['decoder']> {
  try {
    return compression.decoder(fields.get('grpc-encoding'))
  } catch (error) {
    throw new GrpcError('INTERNAL', (error as GrpcError).grpcMessage, { cause: error })
  }
}

const IDEMPOTENCY_UNKNOWN = 0
/** A6: what one call may keep for its retries. */
const RETRY_BUFFER_BYTES = 256 * 1024
