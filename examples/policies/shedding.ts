// A server that is full: who matters most is served first, who matters least is refused first.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const busy = Promise.withResolvers<HttpResponse>()
const begun = Promise.withResolvers<void>()
const served: string[] = []
await using server = httpServer(
  ({ path }) => {
    served.push(path)
    begun.resolve()
    return served.length === 1 ? busy.promise : HttpResponse.text('done')
  },
  {
    limiter: { maxConcurrent: 1, maxQueued: 1, maxQueueMs: 5_000 },
    propagation: { priority: 'trust' }, // Behind a gateway: clients elsewhere can only lower theirs.
  },
)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
await using client = httpClient(`http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`, {
  retry: false,
})
const first = client.get('/first')
await begun.promise
const report = client.get('/report', { priority: 7 })
const checkout = client.get('/checkout', { priority: 0 })
console.log((await report).status) // 503
busy.resolve(HttpResponse.text('done'))
console.log((await first).status, (await checkout).status) // 200 200
console.log(served.join(' ')) // /first /checkout
