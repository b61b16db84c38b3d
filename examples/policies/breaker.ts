// A server that fails, and a breaker that stops asking it: five calls, two requests.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

let requests = 0
await using server = httpServer(() => {
  requests++
  return HttpResponse.text('broken', { status: 503 })
})
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0

await using client = httpClient(`http://127.0.0.1:${port}`, {
  retry: false,
  breaker: { consecutiveFailures: 2, slowCallMs: 500, openMs: 60_000, maxOpenMs: 60_000 },
  observer: {
    onBreaker: (_endpoint, next, previous) => {
      console.log(previous, '→', next) // closed → open
    },
  },
})
const codes: unknown[] = []
for (let call = 0; call < 5; call++) {
  try {
    codes.push((await client.get('/')).status)
  } catch (error) {
    codes.push((error as { code: string }).code)
  }
}
console.log(codes.slice(0, 3).join(' '), requests) // 503 503 ERR_NO_ENDPOINT 2
