// A deadline over two services: the second is told what remains when it is asked, not what was set.
import { type CallContext, HttpResponse, httpClient, httpServer } from 'heddle/http'
import { systemClock } from 'heddle/runtime'
import { tcp } from 'heddle/transports/tcp'

const propagation = { deadline: true, trustDeadline: true }
const remaining: number[] = []
function note({ deadline }: CallContext): void {
  remaining.push((deadline ?? 0) - systemClock.now())
}

await using inner = httpServer(
  (_request, context) => {
    note(context)
    return HttpResponse.text('done')
  },
  { propagation },
)
const innerAt = await inner.listen(tcp(), 'tcp://127.0.0.1:0')
await using toInner = httpClient(`http://127.0.0.1:${portOf(innerAt)}`, { propagation })

await using outer = httpServer(
  async (_request, context) => {
    note(context)
    await new Promise((resolve) => setTimeout(resolve, 30))
    return toInner.get('/', { context })
  },
  { propagation },
)
const outerAt = await outer.listen(tcp(), 'tcp://127.0.0.1:0')
await using client = httpClient(`http://127.0.0.1:${portOf(outerAt)}`, { propagation })

const response = await client.get('/', { timeoutMs: 60_000 })
const [first = 0, second = 0] = remaining
console.log(response.status, first <= 60_000, first - second >= 25) // 200 true true

function portOf({ address }: { address: typeof outerAt.address }): number {
  return address.kind === 'ip' ? address.port : 0
}
