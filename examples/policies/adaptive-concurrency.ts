// A server that finds out how much it can do: a few more wait, the others are told to come again.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const hold = Promise.withResolvers<void>()
const work = async (): Promise<HttpResponse> => {
  await hold.promise
  return HttpResponse.text('done')
}
await using server = httpServer(work, {
  limiter: {
    adaptive: { algorithm: 'gradient', initial: 4, max: 8 },
    maxQueued: 4,
    maxQueueMs: 10_000,
  },
})
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')

await using client = httpClient(`http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`, {
  retry: false,
  breaker: false,
})
let refused = 0
const statuses = await Promise.all(
  Array.from({ length: 20 }, async () => {
    const { status } = await client.get('/')
    // Four are under way and four wait: the work goes on once all others have been refused.
    if (status === 503 && ++refused === 12) hold.resolve()
    return status
  }),
)
console.log(refused, statuses.filter((status) => status === 200).length) // 12 8
