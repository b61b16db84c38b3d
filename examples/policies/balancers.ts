// Ways to choose one of several endpoints: in turn by weight, by chance, the least busy, and p2c.
import { type Endpoint, parseAddress } from 'heddle/core'
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { leastRequest, p2c, random, roundRobin, systemClock } from 'heddle/runtime'
import { memory } from 'heddle/transports/memory'

const transport = memory({ clock: systemClock })
const servers = []
const endpoints: Endpoint[] = []
for (const [name, weight, latencyMs] of [
  ['a', 2, 0],
  ['b', 1, 0],
  ['c', 1, 25],
] as const) {
  const server = httpServer(async () => {
    if (latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, latencyMs))
    return HttpResponse.text(name)
  })
  await server.listen(transport, `mem:${name}`)
  servers.push(server)
  endpoints.push({ address: parseAddress(`mem:${name}`), weight })
}

async function answers(balancer: ReturnType<typeof p2c>, calls: number): Promise<string> {
  await using client = httpClient('http://service', { transport, endpoints, balancer })
  let text = ''
  for (let call = 0; call < calls; call++) text += await (await client.get('/')).body.text()
  return text
}

console.log(await answers(roundRobin(), 8)) // abcaabca
// By chance: each of them within so many calls, almost surely.
const all = (text: string): string => [...new Set(text)].sort().join('')
console.log(all(await answers(random(), 60)), all(await answers(leastRequest(), 60))) // abc abc
const slow = (await answers(p2c(), 60)).split('c').length - 1
console.log('less than its quarter for the slow one:', slow < 15)
// less than its quarter for the slow one: true
for (const server of servers) await server.close()
