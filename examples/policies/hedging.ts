// The first request gets no answer for two seconds; its hedge answers at once.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

let requests = 0
await using server = httpServer(async (_request, context) => {
  if (++requests === 1) {
    // Slow, until the client takes the other answer and gives this one up.
    await new Promise((resolve) => {
      setTimeout(resolve, 2_000).unref()
      context.onCancel(resolve)
    })
  }
  return HttpResponse.text(`answer ${requests}`)
})
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0

await using client = httpClient(`http://127.0.0.1:${port}`, {
  hedge: { delayMs: 20 }, // without it: the 95th percentile of the last 30 seconds
})
const response = await client.get('/')
console.log(await response.body.text(), requests) // answer 2 2
