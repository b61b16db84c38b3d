/**
 * A client of a service, typed by its descriptor (`protoc-gen-es`): one function for each method.
 *
 * | kind             | call |
 * |------------------|------|
 * | unary            | `await client.say({ text })` |
 * | server streaming | `for await (const reply of client.list({ … }))` |
 * | client streaming | `await client.upload(requests)` |
 * | bidirectional    | `for await (const reply of client.chat(requests))` |
 */
import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf'
import type { CallContext, CallInit } from '../../core/context.ts'
import type { Source } from '../../core/flow.ts'
import type { GrpcMetadata, GrpcMetadataInit } from '../../protocols/grpc/call-metadata.ts'
import type { MessageStream } from '../../protocols/grpc/message-body.ts'

export type GrpcClient<Desc extends DescService> = {
  readonly [Name in keyof Desc['method']]: GrpcCall<Desc['method'][Name]>
} & AsyncDisposable

export type GrpcCall<Method extends Pick<DescMethod, 'input' | 'output' | 'methodKind'>> =
  Method['methodKind'] extends 'unary'
    ? UnaryCall<Method['input'], Method['output']>
    : Method['methodKind'] extends 'server_streaming'
      ? ServerStreamingCall<Method['input'], Method['output']>
      : Method['methodKind'] extends 'client_streaming'
        ? ClientStreamingCall<Method['input'], Method['output']>
        : BidiStreamingCall<Method['input'], Method['output']>

export type UnaryCall<In extends DescMessage, Out extends DescMessage> = (
  request: MessageInitShape<In>,
  options?: GrpcCallOptions,
) => Promise<MessageShape<Out>>

export type ServerStreamingCall<In extends DescMessage, Out extends DescMessage> = (
  request: MessageInitShape<In>,
  options?: GrpcCallOptions,
) => Source<MessageShape<Out>>

export type ClientStreamingCall<In extends DescMessage, Out extends DescMessage> = (
  requests: MessageStream<MessageInitShape<In>>,
  options?: GrpcCallOptions,
) => Promise<MessageShape<Out>>

export type BidiStreamingCall<In extends DescMessage, Out extends DescMessage> = (
  requests: MessageStream<MessageInitShape<In>>,
  options?: GrpcCallOptions,
) => Source<MessageShape<Out>>

export interface GrpcCallOptions extends Pick<CallInit, 'signal' | 'idempotent' | 'priority'> {
  /**
   * Of the whole call, streams included, from now, in milliseconds. It travels as `grpc-timeout`.
   *
   * @default that of the service config, else the client's
   */
  timeoutMs?: number
  /** The call that this one is a part of: cancelled with it, within its deadline, in its trace. */
  context?: CallContext
  metadata?: GrpcMetadataInit
  /** The response headers are there. Not called for a call that failed without any. */
  onHeader?(headers: GrpcMetadata): void
  /** The call ended with an answer of the server, well or not. */
  onTrailer?(trailers: GrpcMetadata): void
  /**
   * Waits for an endpoint that can be reached instead of failing, until the deadline.
   *
   * @default that of the service config, else false
   */
  waitForReady?: boolean
}
