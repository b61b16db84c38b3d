// A client that never sends more than its peer allows: calls wait their turn, up to a limit.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

await using server = httpServer(() => HttpResponse.text('done'))
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')

await using client = httpClient(`http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`, {
  rateLimit: { limit: 2, windowMs: 1_000, burst: 1, maxWaitMs: 1_400 },
  retry: false,
})
const calls = Array.from({ length: 5 }, async () => (await client.get('/')).status)
const outcomes = (await Promise.allSettled(calls)).map((one) =>
  one.status === 'fulfilled' ? one.value : one.reason.code,
)
console.log(outcomes.join(' ')) // 200 200 200 ERR_RATE_LIMITED ERR_RATE_LIMITED
