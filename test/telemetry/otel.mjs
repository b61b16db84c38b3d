/** What `heddle up --import` loads in a test: the real SDK, writing each span as a line. */
import { trace } from '@opentelemetry/api'
import { TracerProvider } from '@opentelemetry/sdk-trace'

const provider = new TracerProvider({
  spanProcessors: [
    {
      onStart() {},
      onEnd(span) {
        const { traceId, spanId } = span.spanContext()
        const parent = span.parentSpanContext?.spanId
        const { name, kind, attributes } = span
        process.stderr.write(
          `span ${JSON.stringify({ name, kind, traceId, spanId, parent, attributes })}\n`,
        )
      },
      forceFlush: async () => {},
      shutdown: async () => {},
    },
  ],
})
trace.setGlobalTracerProvider(provider)

export function shutdown() {
  process.stderr.write('sdk shut down\n')
}
