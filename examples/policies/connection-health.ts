// A connection that was idle is asked whether it lives before a call gets it.
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const seen: string[] = []
await using server = httpServer(({ method, target }) => {
  seen.push(`${method} ${target}`)
  return HttpResponse.text('ok')
})
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0

await using client = httpClient(`http://127.0.0.1:${port}`, {
  pool: { pingAfterMs: 1, pingTimeoutMs: 500, clockJumpMs: 2_000 },
})
await (await client.get('/first')).body.text()
await new Promise((resolve) => setTimeout(resolve, 20))
await (await client.get('/second')).body.text()
console.log(seen.join(', ')) // GET /first, OPTIONS *, GET /second
