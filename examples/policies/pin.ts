// A connection of one's own: what belongs together goes over it, and nobody else's call does.
import { Call } from 'heddle/core'
import { HttpRequest, HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const connections = new Map<unknown, string[]>()
await using server = httpServer(({ target }, { connection }) => {
  const targets = connections.get(connection) ?? []
  connections.set(connection, [...targets, target])
  return HttpResponse.text('ok')
})
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0

await using client = httpClient(`http://127.0.0.1:${port}`)
const lease = await client.pin()
for (const target of ['/begin', '/change', '/commit']) {
  const response = await lease.resource(new HttpRequest({ method: 'POST', target }), new Call())
  await response.body.text()
  await (await client.get('/other')).body.text()
}
lease.release()
const [pinned = [], others = []] = connections.values()
console.log(pinned.join(' '), others.length) // /begin /change /commit 3
