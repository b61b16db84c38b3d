/**
 * What of a cluster is traced and counted. Requests are the listener's to trace and to count, and what
 * limits refuse is read from the status, so neither is told twice. Endpoints come and go by the
 * hundred: their own figures are read from the status as well, and series here are the cluster's.
 */
import type { Meter } from '../../core/metrics.ts'
import type { Tracer } from '../../core/tracing.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { HTTP_METRIC_NAMES } from '../../protocols/http/metric-names.ts'
import { httpSemantics } from '../../protocols/http/semantics.ts'
import type { ClientOptions } from '../../runtime/client-options.ts'
import { HTTP_DURATION_BUCKETS } from '../../telemetry/call-metrics.ts'
import type { ClusterConfig } from '../config/schema/cluster.ts'

type Telemetry = Required<
  Pick<
    ClientOptions<HttpRequest, HttpResponse>,
    'tracer' | 'callSpans' | 'semantics' | 'meter' | 'metricNames' | 'metricScope'
  >
>

export function telemetryOf(options: {
  readonly config: ClusterConfig
  readonly tracer: Tracer
  readonly meter: Meter
}): Telemetry {
  const { config, tracer, meter } = options
  const attributes = { 'heddle.cluster': config.name }
  return {
    tracer,
    callSpans: false,
    semantics: httpSemantics,
    meter,
    metricNames: { ...HTTP_METRIC_NAMES, attributes, buckets: HTTP_DURATION_BUCKETS },
    metricScope: { calls: false, refusals: false, endpoints: false, attributes },
  }
}
