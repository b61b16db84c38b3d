// A PUT whose body is a stream: kept up to a bound, or made anew, it survives a retry.
import { Body, Call, HttpRequest, HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const bodies: string[] = []
await using server = httpServer(async (request) => {
  bodies.push(await request.body.text())
  return HttpResponse.text('', { status: bodies.length % 2 === 1 ? 503 : 200 })
})
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0

await using client = httpClient(`http://127.0.0.1:${port}`, { retry: { baseMs: 1 } })
const kept = Body.buffered(Body.from('kept'), 1_024)
const first = await client.request({ method: 'PUT', target: '/', body: kept })
console.log(first.status, bodies.join(' ')) // 200 kept kept

const madeAnew = new HttpRequest({ method: 'PUT', target: '/', body: () => 'anew' })
const second = await client.call(madeAnew, new Call())
console.log(second.status, bodies.join(' ')) // 200 kept kept anew anew
