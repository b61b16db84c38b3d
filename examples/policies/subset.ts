// Six clients, twelve servers, each client uses four: every server has two clients.
import { type Endpoint, parseAddress } from 'heddle/core'
import { explain, HttpResponse, httpClient, httpServer } from 'heddle/http'
import { systemClock } from 'heddle/runtime'
import { memory } from 'heddle/transports/memory'

const transport = memory({ clock: systemClock })
const servers = []
const endpoints: Endpoint[] = []
for (let index = 1; index <= 12; index++) {
  const server = httpServer(() => HttpResponse.text('here'))
  const name = `server-${index}`
  await server.listen(transport, `mem:${name}`)
  servers.push(server)
  endpoints.push({ address: parseAddress(`mem:${name}`) })
}

const users = new Map<string, number>()
for (let index = 0; index < 6; index++) {
  await using client = httpClient('http://service', {
    transport,
    endpoints,
    balancing: { subset: { client: index, clients: 6, size: 4 } },
  })
  await client.get('/')
  for (const { address } of explain(client).endpoints)
    users.set(address, (users.get(address) ?? 0) + 1)
}
console.log([...users.values()].join(' ')) // 2 2 2 2 2 2 2 2 2 2 2 2
for (const server of servers) await server.close()
