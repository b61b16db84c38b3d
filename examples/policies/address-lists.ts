// Who may connect, by address, asked before a byte is read: 127.0.0.0/8, but not 127.0.0.1.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { addressList } from 'heddle/security'
import { tcp } from 'heddle/transports/tcp'

const admitAddress = addressList({ allow: ['127.0.0.0/8'], deny: ['127.0.0.1'] })
await using server = httpServer(() => HttpResponse.text('come in'), { admitAddress })
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0

await using client = httpClient(`http://127.0.0.1:${port}`, { retry: false })
const refused = await Promise.resolve(client.get('/')).then(
  () => false,
  () => true,
)
console.log(refused, server.stats.refused, server.stats.accepted) // true 1 0
