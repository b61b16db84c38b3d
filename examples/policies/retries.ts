// A server that fails twice: the third attempt answers, and the caller sees one answer.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

let requests = 0
await using server = httpServer(() =>
  ++requests < 3 ? HttpResponse.text('busy', { status: 503 }) : HttpResponse.text('done'),
)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0

await using client = httpClient(`http://127.0.0.1:${port}`, {
  retry: { maxAttempts: 3, baseMs: 1, budget: { ratio: 0.2, minPerSecond: 10 } },
})
const response = await client.get('/')
console.log(response.status, await response.body.text(), requests) // 200 done 3
