// A client that halves what it asks for at a time while its server says that it is full.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { explain } from 'heddle/runtime'
import { tcp } from 'heddle/transports/tcp'

await using server = httpServer(() => new HttpResponse({ status: 503 }))
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')

await using client = httpClient(`http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`, {
  endpointLimiter: { adaptive: { algorithm: 'aimd', initial: 16, backoff: 0.5 } },
  retry: false,
  breaker: false,
})
for (let call = 0; call < 3; call++) await client.get('/')
const limiter = explain(client.core).endpoints[0]?.layers.find((one) => one.name.startsWith('end'))
console.log(limiter?.state['limit']) // 2
