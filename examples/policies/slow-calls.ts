// A call that took too long is a line of the log that says where its time went.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { jsonLogger, slowCallLog } from 'heddle/telemetry'
import { tcp } from 'heddle/transports/tcp'

const lines: string[] = []
const logger = jsonLogger((line) => void lines.push(line), { wallNow: () => 0 })
const slow = () => new Promise((resolve) => setTimeout(resolve, 50))
await using server = httpServer(
  async ({ path }) => {
    if (path === '/slow') await slow()
    return HttpResponse.text('ok')
  },
  { slowCalls: { thresholdMs: 20, onSlow: slowCallLog(logger, 'server') } },
)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0
await using client = httpClient(`http://127.0.0.1:${port}`, {
  slowCalls: { thresholdMs: 20, onSlow: slowCallLog(logger, 'client') },
})
await client.get('/slow')

const [served, called] = lines.map((line) => JSON.parse(line))
console.log(served.msg, served.name, called.name, called.operation) // slow call server client GET
const [attempt] = called.attempts
console.log(called.duration_ms >= 40, called.backoff_ms, attempt.ms >= 40) // true 0 true
