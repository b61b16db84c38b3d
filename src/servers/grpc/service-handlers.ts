/**
 * The functions behind a service, typed by its descriptor (`protoc-gen-es`), one for each method:
 *
 * | kind             | handler |
 * |------------------|---------|
 * | unary            | `(request, context) => reply` |
 * | server streaming | `(request, context) => stream of replies` |
 * | client streaming | `(requests, context) => reply` |
 * | bidirectional    | `(requests, context) => stream of replies` |
 *
 * Replies are messages or plain objects that one can be made of, given at once or in a promise.
 * Streams of replies are generators, anything else that can be iterated, or a `Source`; streams of
 * requests are a `Source`, so `for await` reads them, with backpressure.
 */
import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf'
import type { Source } from '../../core/flow.ts'
import type { MaybePromise } from '../../core/service.ts'
import type { MessageStream } from '../../protocols/grpc/message-body.ts'
import type { HandlerContext } from './handler-context.ts'

export type ServiceHandlers<Desc extends DescService> = {
  readonly [Name in keyof Desc['method']]: MethodHandler<Desc['method'][Name]>
}

export type MethodHandler<Method extends Pick<DescMethod, 'input' | 'output' | 'methodKind'>> =
  Method['methodKind'] extends 'unary'
    ? UnaryHandler<Method['input'], Method['output']>
    : Method['methodKind'] extends 'server_streaming'
      ? ServerStreamingHandler<Method['input'], Method['output']>
      : Method['methodKind'] extends 'client_streaming'
        ? ClientStreamingHandler<Method['input'], Method['output']>
        : BidiStreamingHandler<Method['input'], Method['output']>

export type UnaryHandler<In extends DescMessage, Out extends DescMessage> = (
  request: MessageShape<In>,
  context: HandlerContext,
) => MaybePromise<MessageInitShape<Out>>

export type ServerStreamingHandler<In extends DescMessage, Out extends DescMessage> = (
  request: MessageShape<In>,
  context: HandlerContext,
) => MessageStream<MessageInitShape<Out>>

export type ClientStreamingHandler<In extends DescMessage, Out extends DescMessage> = (
  requests: Source<MessageShape<In>>,
  context: HandlerContext,
) => MaybePromise<MessageInitShape<Out>>

export type BidiStreamingHandler<In extends DescMessage, Out extends DescMessage> = (
  requests: Source<MessageShape<In>>,
  context: HandlerContext,
) => MessageStream<MessageInitShape<Out>>

/**
 * A method as whatever carries it (gRPC, gRPC-Web, Connect, transcoding) calls it: what goes in is a
 * message or a source of them, what comes out a message or a stream of them, as the kind says.
 */
export interface ServiceMethod {
  readonly desc: DescMethod
  /** Interceptors included. */
  readonly call: (input: unknown, context: HandlerContext) => MaybePromise<unknown>
}

/** A service with its methods, by their name on the wire. */
export interface ServiceImplementation {
  readonly desc: DescService
  readonly methods: ReadonlyMap<string, ServiceMethod>
}
