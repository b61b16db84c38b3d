// A name with two addresses, one of which nobody listens on: the other one is tried at once.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

await using server = httpServer(() => HttpResponse.text('here'))
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0

const lookup = async () => [
  { address: '127.0.0.9', family: 4 as const }, // nobody
  { address: '127.0.0.1', family: 4 as const },
]
await using client = httpClient(`http://two.example:${port}`, {
  transport: tcp({ lookup, attemptDelayMs: 250 }),
})
console.log(await (await client.get('/')).body.text()) // here
