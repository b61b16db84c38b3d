// The same user goes to the same endpoint: on a ring, and by maglev's table.
import { type Endpoint, parseAddress } from 'heddle/core'
import { HttpResponse, hashByHeader, httpClient, httpServer } from 'heddle/http'
import { maglev, ringHash, systemClock } from 'heddle/runtime'
import { memory } from 'heddle/transports/memory'

const transport = memory({ clock: systemClock })
const servers = []
const endpoints: Endpoint[] = []
for (const name of ['a', 'b', 'c', 'd']) {
  const server = httpServer(() => HttpResponse.text(name))
  await server.listen(transport, `mem:${name}`)
  servers.push(server)
  endpoints.push({ address: parseAddress(`mem:${name}`) })
}
const users = ['ada', 'bob', 'cyd', 'dan', 'eve', 'fay', 'gus', 'hal']

async function homes(balancer: ReturnType<typeof ringHash>): Promise<string> {
  await using client = httpClient('http://service', { transport, endpoints, balancer })
  let text = ''
  for (const user of users) {
    text += await (await client.get('/', { fields: { 'x-user': user } })).body.text()
  }
  return text
}

const key = hashByHeader('x-user')
console.log(await homes(ringHash({ key }))) // dbddcdda
console.log(await homes(ringHash({ key, boundedLoad: 1.25 }))) // dbddcdda
console.log(await homes(maglev({ key }))) // dbcdaadc
for (const server of servers) await server.close()
