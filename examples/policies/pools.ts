// A pool of one connection: the second call waits. The limit is raised while both run.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const arrived = Promise.withResolvers<void>()
let inFlight = 0
await using server = httpServer(async () => {
  if (++inFlight === 2) arrived.resolve() // only two connections can bring two calls at a time
  await arrived.promise
  return HttpResponse.text('done')
})
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0

await using client = httpClient(`http://127.0.0.1:${port}`, { pool: { max: 1, maxWaiting: 10 } })
const calls = [client.get('/1'), client.get('/2')]
client.reconfigure({ pool: { max: 2 } })
const texts = await Promise.all(calls.map(async (call) => (await call).body.text()))
console.log(texts.join(' ')) // done done
