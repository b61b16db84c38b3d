/**
 * Spans of the requests of one listener. An SDK that the process has registered makes them; without
 * one a listener whose configuration has `tracing` gives ids, so that upstreams see a parent, and
 * decides what is sampled. Otherwise requests pass as they came.
 *
 *     client's span ─▸ the gateway's (server) ─▸ an attempt's (client) ─▸ the upstream's
 */
import type { Random } from '../../core/clock.ts'
import type { CallContext, TraceContext } from '../../core/context.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { isFromPeer } from '../../core/trace-context.ts'
import type { CallSemantics, Side, Tracer } from '../../core/tracing.ts'
import type { DeadlineHeader } from '../../protocols/http/deadline-header.ts'
import type { HttpFields } from '../../protocols/http/fields.ts'
import type { HttpRequest, HttpResponse, HttpService } from '../../protocols/http/messages.ts'
import { ContextReader, ContextWriter } from '../../protocols/http/propagation.ts'
import { httpSemantics } from '../../protocols/http/semantics.ts'
import { serverTracing } from '../../servers/http/server-telemetry.ts'
import { propagatingTracer } from '../../telemetry/propagating-tracer.ts'
import type { ListenerConfig } from '../config/schema/listener.ts'

export interface RequestTracingOptions {
  /** Of the listener; undefined: only what an SDK asks for. */
  readonly config: ListenerConfig['tracing']
  readonly listener: string
  /** Gives no spans while no SDK is registered. */
  readonly sdk: Tracer
  readonly random: Random
  /** Within the span: reports what took too long. */
  readonly slow?: Middleware<HttpRequest, HttpResponse> | undefined
  /** Whether a client's deadline shortens its request. */
  readonly trustDeadline: boolean
}

/** What the span of a request says beside HTTP's attributes; its note knows. */
export interface TracedRoute {
  readonly route: { readonly name: string } | undefined
  readonly cluster: string | undefined
}

export class RequestTracing {
  readonly #reader: ContextReader
  readonly #trusts: boolean
  readonly #traced: (next: HttpService) => HttpService
  readonly #services = new WeakMap<HttpService, HttpService>()

  constructor(options: RequestTracingOptions) {
    const { config, listener, sdk, random, slow, trustDeadline } = options
    this.#trusts = config?.trust_incoming ?? true
    this.#reader = new ContextReader({
      trustTrace: this.#trusts,
      trustDeadline,
      requestIdHeader: false,
    })
    const tracer = config === undefined ? sdk : withIds(sdk, random, config.sampling / 100)
    const traced = serverTracing(tracer, gatewaySemantics(listener))
    this.#traced = slow === undefined ? traced : (next) => traced(slow(next))
  }

  /** Reads what the client says about its trace; requests of a connection share the reader. */
  get reader(): ContextReader {
    return this.#reader
  }

  serve(
    service: HttpService,
    request: HttpRequest,
    context: CallContext,
  ): MaybePromise<HttpResponse> {
    let traced = this.#services.get(service)
    if (traced === undefined) this.#services.set(service, (traced = this.#traced(service)))
    return traced(request, context)
  }

  /** What a client says is not passed on where it is not believed. */
  cleanse(fields: HttpFields): void {
    if (this.#trusts) return
    for (const name of UNTRUSTED) fields.delete(name)
  }
}

/** Ids where the SDK gives no span. */
function withIds(sdk: Tracer, random: Random, sampling: number): Tracer {
  const ids = propagatingTracer({ random, sampling })
  return {
    wants: () => true,
    startSpan: (start) => sdk.startSpan(start) ?? ids.startSpan(start),
  }
}

/** Attempts get ids of their own where their request's span is one of ours. */
export function attemptTracer(sdk: Tracer, random: Random): Tracer {
  const ids = propagatingTracer({ random })
  const isOurs = (parent: TraceContext | undefined): boolean =>
    parent !== undefined && !isFromPeer(parent)
  return {
    wants: (parent) => isOurs(parent) || sdk.wants(parent),
    startSpan: (start) =>
      sdk.startSpan(start) ?? (isOurs(start.parent) ? ids.startSpan(start) : undefined),
  }
}

/**
 * Writes the attempt's span, and what remains of its time in the field `deadline` and in a
 * `grpc-timeout` that came; what else a client sent is passed on as it came.
 */
export function attemptContextWriter(
  deadline: DeadlineHeader | 'none',
): Pick<ContextWriter, 'write'> {
  // The request id is among the fields already, under the name that the listener has for it.
  const sent = deadline === 'none' ? false : deadline
  const shortenGrpcTimeout = true
  const own = new ContextWriter({ requestIdHeader: false, deadline: sent, shortenGrpcTimeout })
  const passed = new ContextWriter({
    trace: false,
    baggage: false,
    priority: false,
    requestIdHeader: false,
    deadline: sent,
    shortenGrpcTimeout,
  })
  return {
    write(fields, context, clock) {
      const isPeers = context.trace === undefined || isFromPeer(context.trace)
      return (isPeers ? passed : own).write(fields, context, clock)
    },
  }
}

function gatewaySemantics(listener: string): CallSemantics<HttpRequest, HttpResponse> {
  return {
    ...httpSemantics,
    startAttributes: (request, side, context) => ({
      ...httpSemantics.startAttributes(request, side, context),
      'heddle.listener': listener,
    }),
    replyAttributes(response: HttpResponse, request: HttpRequest, side: Side) {
      const { route, cluster } = (request.note ?? NOTHING) as Partial<TracedRoute>
      return {
        ...httpSemantics.replyAttributes?.(response, request, side),
        ...(route !== undefined && { 'heddle.route': route.name }),
        ...(cluster !== undefined && { 'heddle.cluster': cluster }),
      }
    },
  }
}

const NOTHING: Partial<TracedRoute> = Object.freeze({})
const UNTRUSTED = ['traceparent', 'tracestate', 'baggage']
