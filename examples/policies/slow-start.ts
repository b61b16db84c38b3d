// An endpoint that comes to a running client gets a small share first.
import { parseAddress } from 'heddle/core'
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import { roundRobin, systemClock } from 'heddle/runtime'
import { memory } from 'heddle/transports/memory'

const transport = memory({ clock: systemClock })
const servers = []
for (const name of ['a', 'b', 'new']) {
  const server = httpServer(() => HttpResponse.text(name))
  await server.listen(transport, `mem:${name}`)
  servers.push(server)
}
const at = (...names: string[]) => names.map((name) => ({ address: parseAddress(`mem:${name}`) }))

let tell = (_names: string[]): void => {}
const client = httpClient('http://service', {
  transport,
  target: 'service',
  resolver: {
    watch(_target, listener) {
      tell = (names) => listener.onEndpoints(at(...names))
      tell(['a', 'b'])
      return { [Symbol.dispose]() {} }
    },
  },
  balancer: roundRobin(),
  balancing: { slowStart: { windowMs: 3_600_000, minShare: 0.1 } },
})
await client.get('/')
tell(['a', 'b', 'new'])
let calls = 0
for (let call = 0; call < 42; call++) {
  if ((await (await client.get('/')).body.text()) === 'new') calls++
}
console.log(calls, 'of 42 calls') // 2 of 42 calls
await client.close()
for (const server of servers) await server.close()
