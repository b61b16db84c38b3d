/**
 * A span around a call, an attempt or a service. Without a tracer the layer does not exist; with one
 * that gives no span it is a call of one function.
 *
 *     call      GET            internal, as the caller sees it
 *     ├ attempt GET            client, its id goes to the peer: the server's span is its child
 *     └ attempt GET            client, http.request.resend_count 1
 */
import { Call, type CallContext } from '../../core/context.ts'
import type { Attributes } from '../../core/metrics.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import type {
  CallSemantics,
  ParentSource,
  Side,
  Span,
  SpanKind,
  SpanStart,
  Tracer,
} from '../../core/tracing.ts'
import { type Settlement, settle } from '../settle.ts'
import { errorType } from './metrics.ts'

export interface TracingOptions<Req, Res> {
  tracer: Tracer
  semantics: CallSemantics<Req, Res>
  side: Side
  /** On every span: `server.address`, `network.peer.address`, … */
  attributes?: Attributes
}

export function tracing<Req, Res>(options: TracingOptions<Req, Res>): Middleware<Req, Res> {
  const { tracer, side } = options
  return (next) => (request, context) => {
    const { trace: parent } = context
    if (!tracer.wants(parent)) return next(request, context)
    const parentSource = PARENTS[side]
    const baggage = parent === undefined ? context.metadata.get('baggage') : undefined
    const span = tracer.startSpan(
      tracer.describes === false
        ? { name: '', kind: KINDS[side], parent, parentSource, attributes: NOTHING, baggage }
        : described(options, request, context, baggage),
    )
    if (span === undefined) return next(request, context)
    const call = new TracedCall(context, span, request, options)
    // Only a service's code asks what is active; below a client everything is told.
    if (side !== 'server') return settle(next, request, call, call)
    return span.run(() => settle(next, request, call, call))
  }
}

function described<Req, Res>(
  { semantics, side, attributes }: TracingOptions<Req, Res>,
  request: Req,
  context: CallContext,
  baggage: string | undefined,
): SpanStart {
  const links = semantics.links?.(request)
  return {
    name: semantics.spanName(request, side),
    kind: semantics.kind?.(request, side) ?? KINDS[side],
    parent: context.trace,
    parentSource: PARENTS[side],
    attributes: { ...semantics.startAttributes(request, side, context), ...attributes },
    ...(links !== undefined && { links }),
    baggage,
  }
}

/** Records an error on the span of this very context, where it has one. */
export function recordError(context: CallContext, error: unknown): void {
  TracedCall.spanOf(context)?.recordError(error)
}

class TracedCall<Req, Res> extends Call implements Settlement<Res> {
  readonly #span: Span
  readonly #request: Req
  readonly #semantics: CallSemantics<Req, Res>
  readonly #side: Side

  constructor(parent: CallContext, span: Span, request: Req, options: TracingOptions<Req, Res>) {
    super({ trace: span.context }, parent)
    this.#span = span
    this.#request = request
    this.#semantics = options.semantics
    this.#side = options.side
  }

  static spanOf(context: CallContext): Span | undefined {
    return #span in context ? context.#span : undefined
  }

  onReply(reply: Res): MaybePromise<Res> {
    const span = this.#span
    if (span.recording) this.#describe(span, reply)
    span.end()
    this.finish()
    return reply
  }

  onError(error: unknown): MaybePromise<Res> {
    const span = this.#span
    if (span.recording) {
      span.setAttributes({
        'error.type': errorType(error),
        ...this.#semantics.errorAttributes?.(error, this.#side),
      })
      span.recordError(error)
      span.fail()
    }
    span.end()
    this.finish()
    throw error
  }

  #describe(span: Span, reply: Res): void {
    const request = this.#request
    const side = this.#side
    const semantics = this.#semantics
    const attributes = semantics.replyAttributes?.(reply, request, side)
    if (attributes !== undefined) span.setAttributes(attributes)
    const failure = semantics.replyErrorType?.(reply, request, side)
    if (failure !== undefined) {
      span.setAttributes({ 'error.type': failure })
      span.fail()
    }
    // A service may have found out more: its route.
    if (side === 'server') span.setName(semantics.spanName(request, side))
  }
}

const NOTHING: Attributes = Object.freeze({})
const KINDS: Readonly<Record<Side, SpanKind>> = Object.freeze({
  call: 'internal',
  attempt: 'client',
  server: 'server',
})
const PARENTS: Readonly<Record<Side, ParentSource>> = Object.freeze({
  call: 'caller',
  attempt: 'span',
  server: 'peer',
})
