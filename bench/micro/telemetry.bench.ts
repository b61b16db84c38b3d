/**
 * What telemetry costs a call of the client stack: nothing, our registry, OpenTelemetry's API alone,
 * and the SDK behind it. Spans of the SDK are made and dropped: exporting is not measured.
 *
 *     npm run bench -- micro telemetry
 *
 * The call is the one of client-stack.bench.ts, over three endpoints, 64 in flight. A call with a
 * tracer is two spans: its own and its attempt's.
 */
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import {
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { CHANNELS, publishCalls } from '../../src/telemetry/channels.ts'
import { openTelemetryMeter } from '../../src/telemetry/open-telemetry-meter.ts'
import { openTelemetryTracer } from '../../src/telemetry/open-telemetry-tracer.ts'
import { propagatingTracer } from '../../src/telemetry/propagating-tracer.ts'
import { Registry } from '../../src/telemetry/registry.ts'
import type { Benchmark } from '../benchmark.ts'
import { type Request, type Response, stacked } from './client-stack.bench.ts'

export const benchmark: Benchmark = {
  about: 'one call of the client stack, by what listens',
  variants: {
    'telemetry off': () => stacked({}),
    'channels, nobody listens': () =>
      stacked({ middleware: [publishCalls<Request, Response>(CHANNELS.clientCall, 'bench')] }),
    'metrics in our registry': () => stacked({ meter: new Registry() }),
    'metrics as of a gateway’s cluster': () =>
      stacked({ meter: new Registry(), metricScope: { calls: false, endpoints: false } }),
    'slow-call log': () => stacked({ slowCalls: { thresholdMs: 1_000, onSlow() {} } }),
    'ids without an SDK': () => stacked({ tracer: propagatingTracer({ random: Math.random }) }),
    'API without an SDK': () =>
      stacked({ tracer: openTelemetryTracer(), meter: openTelemetryMeter() }),
    'SDK, 1 % sampled': () => stacked({ tracer: sdkTracer(0.01) }),
    'SDK, 100 % sampled': () => stacked({ tracer: sdkTracer(1) }),
    'SDK metrics': () => stacked({ meter: sdkMeter() }),
  },
}

function sdkTracer(ratio: number) {
  const provider = new TracerProvider({
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [
      { onStart() {}, onEnd() {}, forceFlush: async () => {}, shutdown: async () => {} },
    ],
  })
  return openTelemetryTracer({ provider })
}

function sdkMeter() {
  class Reader extends MetricReader {
    protected async onShutdown(): Promise<void> {}
    protected async onForceFlush(): Promise<void> {}
  }
  return openTelemetryMeter({ provider: new MeterProvider({ readers: [new Reader()] }) })
}
