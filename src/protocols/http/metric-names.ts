/**
 * What a client's HTTP requests are counted under, by OpenTelemetry's conventions
 * (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#http-client).
 */
import type { MetricNames } from '../../core/metric-names.ts'
import type { HttpRequest, HttpResponse } from './messages.ts'

export const HTTP_METRIC_NAMES: MetricNames<HttpRequest, HttpResponse> = Object.freeze({
  attemptDuration: 'http.client.request.duration',
  callsActive: 'http.client.active_requests',
  operationAttribute: 'http.request.method',
  outcomeAttribute: 'http.response.status_code',
  outcome: (response: HttpResponse) => response.status,
  failure: (response: HttpResponse) =>
    response.status >= 400 ? String(response.status) : undefined,
})
