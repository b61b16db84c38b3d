/** `slow_log`: a line for each request that took too long to be answered, with where its time went. */
import type { Clock } from '../../core/clock.ts'
import type { Middleware } from '../../core/service.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { knownMethod } from '../../protocols/http/methods.ts'
import { type SlowCall, slowCalls } from '../../runtime/middleware/slow-calls.ts'
import type { Logger } from '../../telemetry/log.ts'
import { slowCallLog } from '../../telemetry/slow-call-log.ts'
import { durationMs } from '../config/quantity.ts'
import type { GatewayConfig } from '../config/schema/gateway.ts'
import { ProxiedRequest } from '../http/http-proxy.ts'

export function slowRequests(
  config: GatewayConfig['slow_log'],
  listener: string,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Middleware<HttpRequest, HttpResponse> | undefined {
  if (config === undefined) return undefined
  const { threshold, p99_factor: p99Factor, max_per_minute: maxPerMinute } = config
  const write = slowCallLog(log, listener, 'slow request')
  return slowCalls<HttpRequest, HttpResponse>({
    clock,
    maxPerMinute,
    ...(threshold !== undefined && { thresholdMs: durationMs(threshold) }),
    ...(p99Factor !== undefined && { p99Factor }),
    operation: ({ method }) => knownMethod(method),
    onSlow: (call) => write(call, fieldsOf(call)),
  })
}

function fieldsOf({ request, reply }: SlowCall<HttpRequest, HttpResponse>) {
  const note = request.note instanceof ProxiedRequest ? request.note : undefined
  return {
    path: request.path,
    status: reply?.status,
    route: note?.route?.name,
    cluster: note?.cluster,
    upstream: note?.upstreamAddress,
    correlation_id: note?.requestId,
  }
}
