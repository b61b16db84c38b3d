// What happens inside, for tools that look on: nothing is made while nobody listens.
import { subscribe, tracingChannel } from 'node:diagnostics_channel'
import { HttpResponse, httpClient, httpServer } from 'heddle/http'
import type { BreakerMessage, CallMessage, ConnectionMessage } from 'heddle/telemetry'
import { tcp } from 'heddle/transports/tcp'

const seen: string[] = []
subscribe('heddle:breaker:state', (message) => {
  const { client, state } = message as BreakerMessage
  seen.push(`breaker of ${client} ${state}`)
})
subscribe('heddle:connection:state', (message) => {
  const { side, state } = message as ConnectionMessage
  if (side === 'client') seen.push(`connection ${state}`)
})
tracingChannel<object, object>('heddle:client:call').asyncEnd.subscribe((message) => {
  const { result } = message as CallMessage<unknown, HttpResponse>
  seen.push(`answered ${result?.status}`)
})

await using server = httpServer(() => HttpResponse.text('', { status: 503 }))
const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
const port = address.kind === 'ip' ? address.port : 0
await using client = httpClient(`http://127.0.0.1:${port}`, {
  name: 'orders',
  retry: false,
  breaker: { consecutiveFailures: 1 },
})
await client.get('/')
console.log(seen.join(', ')) // connection ready, breaker of orders open, answered 503
