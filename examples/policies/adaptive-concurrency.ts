// A server that finds out how much it can do: what is more waits a moment, or is told to come again.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const work = async (): Promise<HttpResponse> => {
  await new Promise((resolve) => setTimeout(resolve, 20))
  return HttpResponse.text('done')
}
await using server = httpServer(work, {
  limiter: { adaptive: { algorithm: 'gradient', initial: 4, max: 8 }, maxQueued: 4 },
})
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')

await using client = httpClient(`http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`, {
  retry: false,
  breaker: false,
})
const statuses = await Promise.all(
  Array.from({ length: 20 }, async () => (await client.get('/')).status),
)
console.log(statuses.filter((status) => status === 503).length > 0) // true
console.log(statuses.filter((status) => status === 200).length >= 4) // true
