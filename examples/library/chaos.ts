/**
 * A client that tries again, over a network that resets a fifth of its connections.
 *
 * Run it: node examples/library/chaos.ts
 */
import { chaos } from 'heddle/chaos'
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

// One request per connection, so that each meets the network anew.
await using server = httpServer(() =>
  HttpResponse.text('hello', { fields: { connection: 'close' } }),
)
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')

const network = chaos(tcp(), {
  seed: 7, // the same faults each time
  toxics: [{ type: 'reset_peer', stream: 'upstream', toxicity: 0.2 }],
})
await using client = httpClient(`http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`, {
  transport: network,
})
let answered = 0
for (let calls = 0; calls < 10; calls++) {
  const response = await client.get('/')
  await response.body.text()
  if (response.status === 200) answered++
}
console.log(answered) // 10
