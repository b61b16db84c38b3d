// An endpoint that fails is taken out for a while, and starts slowly when it returns.
import { parseAddress } from 'heddle/core'
import { explain, HttpResponse, httpClient, httpServer } from 'heddle/http'
import { roundRobin, systemClock } from 'heddle/runtime'
import { memory } from 'heddle/transports/memory'

const transport = memory({ clock: systemClock })
const bad = httpServer(() => new HttpResponse({ status: 500 }))
const good = httpServer(() => HttpResponse.text('well'))
await bad.listen(transport, 'mem:bad')
await good.listen(transport, 'mem:good')

const client = httpClient('http://service', {
  transport,
  endpoints: ['bad', 'good'].map((name) => ({ address: parseAddress(`mem:${name}`) })),
  balancer: roundRobin(),
  balancing: { outlierEjection: { consecutiveFailures: 3 }, slowStart: { windowMs: 30_000 } },
  breaker: false,
  observer: {
    onEjected(_endpoint, reason, forMs) {
      console.log(reason, Math.round(forMs)) // 3 failures in a row 30000
    },
  },
})
let failures = 0
for (let call = 0; call < 20; call++) if ((await client.get('/')).status === 500) failures++
console.log(failures, 'of 20 calls failed') // 3 of 20 calls failed
const [first] = explain(client).endpoints
console.log(first?.address, (first?.ejectedForMs ?? 0) > 0) // mem:bad true
await client.close()
await Promise.all([bad.close(), good.close()])
