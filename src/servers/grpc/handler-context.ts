/**
 * What a handler of gRPC knows of its call: the context that travels with every call of heddle
 * (deadline, cancellation, trace, principal), and what gRPC adds: metadata both ways and the method.
 */
import type { DescMethod } from '@bufbuild/protobuf'
import { formatAddress } from '../../core/address.ts'
import type { CallContext } from '../../core/context.ts'
import { ContextView } from '../../core/context-view.ts'
import { UsageError } from '../../core/errors.ts'
import { GrpcMetadata } from '../../protocols/grpc/call-metadata.ts'
import type { HttpFields } from '../../protocols/http/fields.ts'

export class HandlerContext extends ContextView {
  readonly method: DescMethod
  /** What interceptors that pass another context on leave as it is. */
  readonly #origin: HandlerContext | undefined
  readonly #fields: HttpFields
  #requestMetadata: GrpcMetadata | undefined
  #responseHeaders: GrpcMetadata | undefined
  #responseTrailers: GrpcMetadata | undefined
  #sendHeaders: (() => void) | undefined
  #headersSent = false

  constructor(
    inner: CallContext,
    method: DescMethod,
    fields: HttpFields,
    origin?: HandlerContext | undefined,
  ) {
    super(inner)
    this.method = method
    this.#origin = origin
    this.#fields = fields
    this.#requestMetadata = undefined
    this.#responseHeaders = undefined
    this.#responseTrailers = undefined
    this.#sendHeaders = undefined
  }

  /** The same call, seen with a context that somebody made of this one. */
  over(context: CallContext): HandlerContext {
    if (context instanceof HandlerContext) return context
    return new HandlerContext(context, this.method, this.#fields, this.#origin ?? this)
  }

  /** What the client sent beside its messages. */
  get requestMetadata(): GrpcMetadata {
    if (this.#origin !== undefined) return this.#origin.requestMetadata
    this.#requestMetadata ??= GrpcMetadata.fromFields(this.#fields)
    return this.#requestMetadata
  }

  /**
   * Metadata in front of the response. Sent with the first message, or by `sendHeaders`.
   *
   * @throws UsageError ERR_STATE when they have left
   */
  get responseHeaders(): GrpcMetadata {
    if (this.#origin !== undefined) return this.#origin.responseHeaders
    if (this.#headersSent) throw new UsageError('ERR_STATE', 'the response headers have left')
    this.#responseHeaders ??= new GrpcMetadata()
    return this.#responseHeaders
  }

  /** Metadata behind the response, beside the status. */
  get responseTrailers(): GrpcMetadata {
    if (this.#origin !== undefined) return this.#origin.responseTrailers
    this.#responseTrailers ??= new GrpcMetadata()
    return this.#responseTrailers
  }

  /** Where the call came from: `tcp://127.0.0.1:50412`; undefined without a connection. */
  get peer(): string | undefined {
    const remote = this.connection?.facts.remote
    return remote === undefined ? undefined : formatAddress(remote)
  }

  /** Sends the response headers now, before there is a message. Only streams can. */
  sendHeaders(): void {
    if (this.#origin !== undefined) return this.#origin.sendHeaders()
    if (this.#headersSent) return
    if (this.#sendHeaders === undefined) {
      throw new UsageError('ERR_STATE', `${this.method.name} sends its headers with its answer`)
    }
    this.#sendHeaders()
  }

  /** @internal */
  get acceptedEncodings(): string | undefined {
    return this.#fields.get('grpc-accept-encoding')
  }

  /** @internal */
  get setHeaders(): GrpcMetadata | undefined {
    return this.#responseHeaders
  }

  /** @internal */
  get setTrailers(): GrpcMetadata | undefined {
    return this.#responseTrailers
  }

  /** @internal */
  onSendHeaders(send: () => void): void {
    this.#sendHeaders = send
  }

  /** @internal */
  markHeadersSent(): void {
    this.#headersSent = true
  }
}
