/**
 * What an HTTP server tells about itself: spans, metrics, diagnostics channels. Each is there only
 * when it was asked for; channels cost a property read while nobody listens.
 */
import { formatAddress } from '../../core/address.ts'
import type { Attributes, Meter } from '../../core/metrics.ts'
import { noopMeter } from '../../core/metrics.ts'
import type { Middleware } from '../../core/service.ts'
import type { CallSemantics, Tracer } from '../../core/tracing.ts'
import type { HttpRequest, HttpResponse, HttpService } from '../../protocols/http/messages.ts'
import { httpSemantics } from '../../protocols/http/semantics.ts'
import { tracing } from '../../runtime/middleware/tracing.ts'
import type { ServerObserver } from '../../runtime/server.ts'
import { HttpServerMetrics } from '../../telemetry/call-metrics.ts'
import { CHANNELS, type ConnectionMessage, publishCalls } from '../../telemetry/channels.ts'
import type { HttpServerObserver } from './http-server-connection.ts'

/** A span around the service. Its ids are with the request too: observers find them there. */
export function serverTracing(
  tracer: Tracer,
  semantics: CallSemantics<HttpRequest, HttpResponse> = httpSemantics,
): Middleware<HttpRequest, HttpResponse> {
  const inSpan = tracing<HttpRequest, HttpResponse>({ tracer, semantics, side: 'server' })
  return (next) =>
    inSpan((request, context) => {
      request.trace = context.trace
      return next(request, context)
    })
}

/** `heddle:server:call` around everything. */
export function publishedService(service: HttpService, name: string): HttpService {
  return publishCalls<HttpRequest, HttpResponse>(CHANNELS.serverCall, name)(service)
}

/** The user's observer, and metrics where somebody counts. */
export function observerOf(
  own: HttpServerObserver | undefined,
  meter: Meter | undefined,
  attributes?: Attributes,
): HttpServerObserver | undefined {
  if (meter === undefined || meter === noopMeter) return own
  const metrics = new HttpServerMetrics(meter, attributes)
  if (own === undefined) return metrics
  return {
    onRequest(request) {
      metrics.onRequest()
      own.onRequest?.(request)
    },
    onExchange(record) {
      metrics.onExchange(record)
      own.onExchange(record)
    },
    onError: (error, request) => own.onError?.(error, request),
    onRefused: (refusal) => own.onRefused?.(refusal),
    onOverload: (change) => own.onOverload?.(change),
  }
}

/** The user's observer, and `heddle:connection:state`. */
export function stateObserver(own: ServerObserver | undefined, name: string): ServerObserver {
  return (control, state, previous, reason) => {
    own?.(control, state, previous, reason)
    if (!CHANNELS.connectionState.hasSubscribers) return
    const peer = formatAddress(control.connection.facts.remote)
    const message: ConnectionMessage = { side: 'server', name, state, peer, reason }
    CHANNELS.connectionState.publish(message)
  }
}

/** `heddle:limit:refused`, for what a server refused. */
export function publishRefused(name: string, limit: string, retryAfterMs: number): void {
  if (!CHANNELS.limitRefused.hasSubscribers) return
  CHANNELS.limitRefused.publish({ name, limit, retryAfterMs })
}
