import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

// "Your server as a function": request in, response out; streams, upgrades and trailers included.
await using server = httpServer(async (request) => {
  if (request.method === 'GET') return HttpResponse.json({ hello: request.path })
  return HttpResponse.text(await request.body.text(), { status: 201 })
})
const listener = await server.listen(tcp(), 'tcp://127.0.0.1:0')
if (listener.address.kind !== 'ip') throw new Error('TCP listens on an IP address')

// Deadlines, retries on a budget, breakers and pools are there without asking.
await using client = httpClient(`http://127.0.0.1:${listener.address.port}`)
const hello = await client.get('/world', { timeoutMs: 1_000 })
console.log(hello.status, await hello.body.json()) // 200 { hello: '/world' }

const created = await client.post('/things', 'one thing')
console.log(created.status, await created.body.text()) // 201 one thing
