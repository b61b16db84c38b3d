/** The real OpenTelemetry SDK, kept in memory, registered for one test. */
import type { TestContext } from 'node:test'
import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
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
