// One kind of call that hangs uses up its own places in this process, and no other's.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const hang = Promise.withResolvers<HttpResponse>()
await using server = httpServer(({ path }) =>
  path === '/slow' ? hang.promise : HttpResponse.text('done'),
)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
await using client = httpClient(`http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`, {
  bulkhead: { key: ({ path }) => path, maxConcurrent: 2, maxQueued: 0 },
})
const slow = [client.get('/slow'), client.get('/slow')]
const third = await Promise.allSettled([(async () => client.get('/slow'))()])
console.log(third[0]?.status === 'rejected' && third[0].reason.code) // ERR_LIMITED
console.log((await client.get('/fast')).status) // 200
hang.resolve(HttpResponse.text('done'))
console.log((await Promise.all(slow)).length) // 2
