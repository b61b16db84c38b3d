/** The real OpenTelemetry SDK, kept in memory, registered for one test. */
import type { TestContext } from 'node:test'
import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { MetricReader } from '@opentelemetry/sdk-metrics'
import {
  AlwaysOnSampler,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'

export interface Sdk {
  /** Finished spans, in the order of their ends. */
  readonly spans: ReadableSpan[]
  named(name: string): ReadableSpan[]
}

export function startSdk(
  t: TestContext,
  sampler: Sampler = new ParentBasedSampler({ root: new AlwaysOnSampler() }),
): Sdk {
  const spans: ReadableSpan[] = []
  const provider = new TracerProvider({
    sampler,
    spanProcessors: [
      {
        onStart() {},
        onEnd: (span) => void spans.push(span),
        forceFlush: async () => {},
        shutdown: async () => {},
      },
    ],
  })
  trace.setGlobalTracerProvider(provider)
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  t.after(() => {
    trace.disable()
    context.disable()
    propagation.disable()
  })
  return { spans, named: (name) => spans.filter((span) => span.name === name) }
}

export const idOf = (span: ReadableSpan | undefined): string | undefined =>
  span?.spanContext().spanId
export const parentOf = (span: ReadableSpan | undefined): string | undefined =>
  span?.parentSpanContext?.spanId

/** Reads metrics when asked. */
export class TestReader extends MetricReader {
  protected async onShutdown(): Promise<void> {}
  protected async onForceFlush(): Promise<void> {}

  /** Value, or count of a histogram, by name and attributes. */
  async values(): Promise<Map<string, number>> {
    const { resourceMetrics } = await this.collect()
    const values = new Map<string, number>()
    for (const { metrics } of resourceMetrics.scopeMetrics) {
      for (const { descriptor, dataPoints } of metrics) {
        for (const { attributes, value } of dataPoints) {
          const pairs = Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))
          const text = pairs.map(([key, one]) => `${key}=${one}`).join(' ')
          const count = typeof value === 'number' ? value : value.count
          values.set(`${descriptor.name} {${text}} ${descriptor.unit}`, count)
        }
      }
    }
    return values
  }
}
