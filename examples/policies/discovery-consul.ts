// Endpoints from Consul: a query that blocks until something changes, so that calls follow at once.
import { consul } from 'heddle/discovery'
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { tcp } from 'heddle/transports/tcp'

const listen = async (server: ReturnType<typeof httpServer>) => {
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  return address.kind === 'ip' ? address.port : 0
}
await using blue = httpServer(() => HttpResponse.text('blue'))
await using green = httpServer(() => HttpResponse.text('green'))
const ports = { blue: await listen(blue), green: await listen(green) }

// Where a Consul agent would be: its health endpoint, with one instance and an index.
let live = ports.blue
let index = 1
let changed = Promise.withResolvers<void>()
await using agent = httpServer(async ({ target }, { signal }) => {
  const asked = new URL(target, 'http://agent').searchParams
  const gone = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  if (asked.get('index') === String(index)) await Promise.race([changed.promise, gone])
  const Service = { ID: 'one', Service: 'users', Address: '127.0.0.1', Port: live, Tags: [] }
  const entry = { Node: { Address: '127.0.0.1' }, Service, Checks: [{ Status: 'passing' }] }
  return HttpResponse.json([entry], { fields: { 'x-consul-index': String(index) } })
})

{
  await using client = httpClient('http://users', {
    resolver: consul({ url: `http://127.0.0.1:${await listen(agent)}` }),
  })
  const ask = async () => (await client.get('/')).body.text()
  console.log(await ask()) // blue

  live = ports.green
  index++
  changed.resolve()
  changed = Promise.withResolvers()
  while ((await ask()) !== 'green') await new Promise((resolve) => setTimeout(resolve, 5))
  console.log('the new endpoint') // the new endpoint
}
