/**
 * Spans for OpenTelemetry: heddle's tracer over `@opentelemetry/api`. The SDK is the user's.
 *
 *     httpClient(origin, { tracer: openTelemetryTracer() })
 *     httpServer(service, { tracer: openTelemetryTracer() })
 *
 * Without a registered SDK no span is made, and calls carry on what they came with. What the SDK
 * does not sample has no span beyond the API's own empty one, whose ids and flags still travel.
 *
 * An exception is recorded by its type. Its message is written only where it is ours: messages of
 * heddle's errors hold no secrets, those of others may hold anything.
 */
import {
  type Context,
  context as contexts,
  createTraceState,
  isSpanContextValid,
  SpanKind as OtelKind,
  type Span as OtelSpan,
  type Tracer as OtelTracer,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  SpanStatusCode,
  type TracerProvider,
  trace as traces,
} from '@opentelemetry/api'
import { formatBaggage, parseBaggage } from '../core/baggage.ts'
import type { TraceContext } from '../core/context.ts'
import { HeddleError } from '../core/errors.ts'
import type { Attributes } from '../core/metrics.ts'
import { RANDOM_FLAG } from '../core/trace-context.ts'
import type { Span, SpanKind, SpanStart, Tracer } from '../core/tracing.ts'

export interface OpenTelemetryTracerOptions {
  /** @default the globally registered provider, whenever it is registered */
  provider?: TracerProvider
  /** Instrumentation scope. @default 'heddle' */
  name?: string
  version?: string
  /**
   * Whose exceptions are recorded with their message: ours, everybody's, nobody's.
   *
   * @default 'own': a foreign message may hold what should not leave the process
   */
  exceptionMessages?: 'own' | 'all' | 'none'
}

export function openTelemetryTracer(options: OpenTelemetryTracerOptions = {}): Tracer {
  const { name = 'heddle', version, provider, exceptionMessages = 'own' } = options
  const find = tracerFinder(provider, name, version)
  return {
    wants: () => find() !== undefined,
    startSpan(start: SpanStart): Span | undefined {
      const tracer = find()
      if (tracer === undefined) return undefined
      const parent = parentOf(start)
      const { attributes, links } = start
      const kind = KINDS[start.kind]
      const span = tracer.startSpan(
        start.name,
        links === undefined
          ? { kind, attributes }
          : {
              kind,
              attributes,
              links: links.map((one) => ({ context: toSpanContext(one, true) })),
            },
        parent,
      )
      const spanContext = span.spanContext()
      if (!isSpanContextValid(spanContext)) return undefined
      return new ApiSpan(span, new ActiveTrace(span, spanContext, parent, start), exceptionMessages)
    },
  }
}

/** The trace of a span of ours, which knows the API's own context as well. */
class ActiveTrace implements TraceContext {
  readonly traceId: string
  readonly spanId: string
  readonly flags: number
  readonly #span: OtelSpan
  readonly #parent: Context
  readonly #start: SpanStart
  #context: Context | undefined

  constructor(span: OtelSpan, spanContext: SpanContext, parent: Context, start: SpanStart) {
    const { traceId, spanId, traceFlags } = spanContext
    this.traceId = traceId
    this.spanId = spanId
    // Whether an id is random is known to whoever made it; SDKs do not all keep the flag.
    const inherited = start.parent?.traceId === traceId ? start.parent.flags & RANDOM_FLAG : 0
    this.flags = traceFlags | inherited
    this.#span = span
    this.#parent = parent
    this.#start = start
  }

  get state(): string | undefined {
    const state = this.#span.spanContext().traceState?.serialize()
    return state === undefined || state === '' ? undefined : state
  }

  get baggage(): string | undefined {
    const { parent, baggage = parent?.baggage } = this.#start
    return baggage ?? activeBaggage(this.#parent)
  }

  get context(): Context {
    this.#context ??= traces.setSpan(this.#parent, this.#span)
    return this.#context
  }

  static contextOf(trace: TraceContext): Context | undefined {
    return #span in trace ? trace.context : undefined
  }
}

class ApiSpan implements Span {
  readonly context: ActiveTrace
  readonly recording: boolean
  readonly #span: OtelSpan
  readonly #messages: 'own' | 'all' | 'none'

  constructor(span: OtelSpan, context: ActiveTrace, messages: 'own' | 'all' | 'none') {
    this.context = context
    this.recording = span.isRecording()
    this.#span = span
    this.#messages = messages
  }

  setName(name: string): void {
    this.#span.updateName(name)
  }

  setAttributes(attributes: Attributes): void {
    this.#span.setAttributes(attributes)
  }

  addEvent(name: string, attributes?: Attributes): void {
    this.#span.addEvent(name, attributes)
  }

  recordError(error: unknown): void {
    const own = error instanceof HeddleError
    const attributes: Record<string, string> = { 'exception.type': typeOf(error) }
    if (error instanceof Error && (this.#messages === 'all' || (own && this.#messages === 'own'))) {
      attributes['exception.message'] = error.message
    }
    this.#span.addEvent('exception', attributes)
  }

  fail(description?: string): void {
    const code = SpanStatusCode.ERROR
    this.#span.setStatus(description === undefined ? { code } : { code, message: description })
  }

  end(): void {
    this.#span.end()
  }

  run<Result>(work: () => Result): Result {
    return contexts.with(this.context.context, work)
  }
}

/**
 * The API's tracer, once there is one. The global provider is a proxy that says whether an SDK
 * stands behind it; asking costs a call, so a tracer that was found is kept.
 */
function tracerFinder(
  provider: TracerProvider | undefined,
  name: string,
  version: string | undefined,
): () => OtelTracer | undefined {
  let from: TracerProvider | undefined
  let found: OtelTracer | undefined
  return () => {
    const current = provider ?? traces.getTracerProvider()
    // The user may take an SDK away and register another, as tests do.
    if (found !== undefined && current === from) return found
    from = current
    const proxy = current as Partial<Delegating>
    found =
      proxy.getDelegateTracer === undefined
        ? current.getTracer(name, version)
        : proxy.getDelegateTracer(name, version)
    return found
  }
}

/** The part of the API's proxy that tells a registered SDK from none. */
interface Delegating {
  getDelegateTracer(name: string, version?: string): OtelTracer | undefined
}

function parentOf({ parent, parentSource, baggage }: SpanStart): Context {
  if (parentSource === 'peer') return fromPeer(parent, baggage)
  const active = contexts.active()
  if (parent === undefined) return active
  // In the caller's own code another span of the same trace may be open: that one is nearer.
  const isNearer =
    parentSource === 'caller' && traces.getSpanContext(active)?.traceId === parent.traceId
  if (isNearer) return active
  const known = ActiveTrace.contextOf(parent)
  return known ?? traces.setSpanContext(active, toSpanContext(parent, true))
}

/** Nothing that is active here has to do with what a peer sent. */
function fromPeer(parent: TraceContext | undefined, baggage: string | undefined): Context {
  let context = ROOT_CONTEXT
  if (parent !== undefined) context = traces.setSpanContext(context, toSpanContext(parent, true))
  const text = parent?.baggage ?? baggage
  return text === undefined ? context : propagation.setBaggage(context, toBaggage(text))
}

function toBaggage(text: string): ReturnType<typeof propagation.createBaggage> {
  const entries: Record<string, { value: string }> = {}
  for (const [key, { value }] of parseBaggage(text)) entries[key] = { value }
  return propagation.createBaggage(entries)
}

/** What the user's code put there; what cannot be sent is left out. */
function activeBaggage(context: Context): string | undefined {
  const baggage = propagation.getBaggage(context)
  if (baggage === undefined) return undefined
  const entries = new Map(baggage.getAllEntries().map(([key, { value }]) => [key, value]))
  if (entries.size === 0) return undefined
  try {
    return formatBaggage(entries)
  } catch {
    return undefined
  }
}

function toSpanContext(trace: TraceContext, isRemote: boolean): SpanContext {
  const { traceId, spanId, flags, state } = trace
  const context = { traceId, spanId, traceFlags: flags & 1, isRemote }
  return state === undefined ? context : { ...context, traceState: createTraceState(state) }
}

function typeOf(error: unknown): string {
  if (error instanceof HeddleError) return error.code
  return error instanceof Error ? error.name : typeof error
}

const KINDS: Readonly<Record<SpanKind, OtelKind>> = Object.freeze({
  internal: OtelKind.INTERNAL,
  client: OtelKind.CLIENT,
  server: OtelKind.SERVER,
  producer: OtelKind.PRODUCER,
  consumer: OtelKind.CONSUMER,
})
