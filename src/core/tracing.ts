/**
 * Spans as an interface: the telemetry layer implements it over OpenTelemetry's API, the gateway
 * with ids alone, tests by hand. And what a protocol says about its calls in spans, which stands
 * beside its classifier.
 *
 * A tracer that wants no span gives none, and the call goes on as it came. A span that is not
 * recorded still has a context of its own: it is what the next service gets as its parent.
 */
import type { CallContext, TraceContext } from './context.ts'
import type { Attributes } from './metrics.ts'

export interface Tracer {
  /** Whether a child of `parent` would be a span at all: asked before anything is described. */
  wants(parent: TraceContext | undefined): boolean
  /** False: its spans are ids, so names and attributes need not be made for it. @default true */
  readonly describes?: boolean
  /** Undefined: nobody listens. */
  startSpan(start: SpanStart): Span | undefined
}

/**
 * `internal`: a call of a client, as its caller sees it. `client`: one attempt of it, a request on
 * the wire. `server`: the same request at the other end.
 */
export type SpanKind = 'internal' | 'client' | 'server' | 'producer' | 'consumer'

/**
 * Where a span's parent comes from. `peer`: it was read from a message. `caller`: of the context of
 * a call; what is active in the caller's own code may be nearer. `span`: exactly this one.
 */
export type ParentSource = 'peer' | 'caller' | 'span'

export interface SpanStart {
  readonly name: string
  readonly kind: SpanKind
  readonly parent: TraceContext | undefined
  readonly parentSource: ParentSource
  /** What sampling may depend on. */
  readonly attributes: Attributes
  /** Other traces that it belongs to, as the messages of a batch do. */
  readonly links?: readonly TraceContext[]
  /** Baggage that came without a trace. */
  readonly baggage?: string | undefined
}

export interface Span {
  /** What goes to the peer, and is the parent of spans below. */
  readonly context: TraceContext
  /** False: nothing that is told to it is kept. */
  readonly recording: boolean
  setName(name: string): void
  setAttributes(attributes: Attributes): void
  addEvent(name: string, attributes?: Attributes): void
  /** What was thrown, as far as it may be shown. Says nothing about the span's own outcome. */
  recordError(error: unknown): void
  /** The span's work failed. */
  fail(description?: string): void
  end(): void
  /** Calls with the span as the active one, where the runtime knows such a thing. */
  run<Result>(work: () => Result): Result
}

/** Which end of a call a span is about. */
export type Side = 'call' | 'attempt' | 'server'

/**
 * How a protocol's calls look in spans, by OpenTelemetry's semantic conventions. Attributes are low
 * in cardinality where the conventions say so, and never hold a secret.
 */
export interface CallSemantics<Req, Res> {
  /** `{method} {route}`, `{rpc.method}`, `{db.operation.name} {db.collection.name}`. */
  spanName(request: Req, side: Side): string
  startAttributes(request: Req, side: Side, context: CallContext): Attributes
  /** Of a reply; undefined: none. */
  replyAttributes?(reply: Res, request: Req, side: Side): Attributes | undefined
  /**
   * `error.type` of a reply that counts as an error at that side: a 404 is one for the client, not
   * for the server. Undefined: no error.
   */
  replyErrorType?(reply: Res, request: Req, side: Side): string | undefined
  /** Of an error, beside `error.type`. */
  errorAttributes?(error: unknown, side: Side): Attributes | undefined
  /** @default internal for a call, client for an attempt, server for a server */
  kind?(request: Req, side: Side): SpanKind
  /** Traces of the messages in a batch. */
  links?(request: Req): readonly TraceContext[] | undefined
}
