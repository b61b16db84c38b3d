// Trace, baggage and request id travel from service to service, with the context of the call.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

await using stock = httpServer((_request, { trace, correlationId }) =>
  HttpResponse.text(`${correlationId} ${trace?.traceId.slice(0, 4)} ${trace?.baggage}`),
)
await using orders = httpServer((_request, context) => toStock.get('/', { context }))
const at = async (server: typeof stock) => {
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  return `http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`
}
await using toStock = httpClient(await at(stock))
await using client = httpClient(await at(orders))

const fields = {
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  baggage: 'tenant=7',
  'x-request-id': 'req-1',
}
const response = await client.get('/', { fields })
console.log(await response.body.text()) // req-1 0af7 tenant=7
