// The own zone first; what it cannot carry goes to another zone, then to the next priority.
import { parseAddress } from 'heddle/core'
import { explainText, HttpResponse, httpClient, httpServer } from 'heddle/http'
import { roundRobin, systemClock } from 'heddle/runtime'
import { memory } from 'heddle/transports/memory'

const transport = memory({ clock: systemClock })
const down = new Set<string>()
const place = async (name: string, locality: string, priority = 0) => {
  const server = httpServer(() =>
    down.has(name) ? new HttpResponse({ status: 500 }) : HttpResponse.text(name),
  )
  await server.listen(transport, `mem:${name}`)
  return { server, address: parseAddress(`mem:${name}`), locality, priority }
}
const places = [
  await place('near-1', 'zone-a'),
  await place('near-2', 'zone-a'),
  await place('far', 'zone-b'),
  await place('spare', 'zone-c', 1),
]

const client = httpClient('http://service', {
  transport,
  endpoints: places,
  balancer: roundRobin(),
  balancing: {
    locality: { zone: 'zone-a' },
    outlierEjection: { consecutiveFailures: 1, maxEjectedShare: 1 },
    panicThreshold: 0.1,
  },
})
const answers = async (calls: number): Promise<string> => {
  const seen = new Set<string>()
  for (let call = 0; call < calls; call++) {
    const response = await client.get('/')
    seen.add(response.ok ? await response.body.text() : 'failed')
  }
  return [...seen].sort().join(' ')
}
console.log(await answers(10)) // near-1 near-2
down.add('near-1').add('near-2')
await answers(10)
console.log(await answers(40)) // far spare
console.log(/priority 0: .*/.exec(explainText(client))?.[0])
// priority 0: 47 % of the calls, 33 % healthy, 0 % in the own zone
await client.close()
for (const { server } of places) await server.close()
