// A span for a call, its attempts below it, and the server's below the attempt that reached it.
import { trace } from '@opentelemetry/api'
import { SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { openTelemetryTracer } from 'heddle/telemetry'
import { tcp } from 'heddle/transports/tcp'

// The SDK is yours; this one keeps spans in a list in place of an exporter.
const spans: { name: string; id: string; parent: string | undefined }[] = []
const exporter = {
  export(batch: readonly Finished[], done: (result: { code: number }) => void) {
    for (const span of batch) {
      const { spanId } = span.spanContext()
      spans.push({ name: span.name, id: spanId, parent: span.parentSpanContext?.spanId })
    }
    done({ code: 0 })
  },
  shutdown: async () => {},
}
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
trace.setGlobalTracerProvider(provider)

const tracer = openTelemetryTracer()
let requests = 0
await using server = httpServer(
  (request) => {
    request.route = '/orders/{id}'
    return HttpResponse.text('', { status: ++requests < 2 ? 503 : 200 })
  },
  { tracer },
)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0
await using client = httpClient(`http://127.0.0.1:${port}`, { tracer, retry: { baseMs: 1 } })
await client.get('/orders/7')
await provider.forceFlush()

const call = spans.find(({ parent }) => parent === undefined)
const attempts = spans.filter(({ parent }) => parent === call?.id)
const served = spans.filter(({ parent }) => attempts.some(({ id }) => id === parent))
console.log(call?.name, attempts.length) // GET 2
console.log(served.map(({ name }) => name).join(', ')) // GET /orders/{id}, GET /orders/{id}

interface Finished {
  readonly name: string
  readonly parentSpanContext?: { readonly spanId: string } | undefined
  spanContext(): { readonly spanId: string }
}
