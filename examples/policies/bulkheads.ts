// A report that hangs fills its own compartment; the rest of the server never notices.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const hang = Promise.withResolvers<HttpResponse>()
const begun = Promise.withResolvers<void>()
await using server = httpServer(
  ({ path }) => {
    if (path !== '/report') return HttpResponse.text('done')
    begun.resolve()
    return hang.promise
  },
  { bulkhead: { key: ({ path }) => path, maxConcurrent: 1 } },
)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
await using client = httpClient(`http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`, {
  retry: false,
})
const report = client.get('/report')
await begun.promise
console.log((await client.get('/report')).status) // 503
console.log((await client.get('/order')).status) // 200
hang.resolve(HttpResponse.text('done'))
console.log((await report).status) // 200
