/**
 * An HTTP client and an HTTP server over a bad network: every answer belongs to its request, every
 * call settles once, and after the close nothing is left.
 */
import { type HttpClient, httpClient } from '../../src/clients/http/http-client.ts'
import { memory as address } from '../../src/core/address.ts'
import type { Sink } from '../../src/core/flow.ts'
import { nodeHost } from '../../src/platform/node-host.ts'
import { type HttpRequest, HttpResponse } from '../../src/protocols/http/messages.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import type { Simulation } from '../../src/testing/simulation.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'

export async function simulate(simulation: Simulation): Promise<void> {
  const { clock, random } = simulation
  const network = new MemoryNetwork()
  const inner = memory({
    clock,
    network,
    strict: true,
    random: random.fork().next,
    maxChunkBytes: random.pick([7, 1_000, 65_536]),
    bufferBytes: random.pick([200, 65_536]),
    maxDelayMs: random.pick([0, 3, 40]),
  })
  const transport = simulation.transport(inner)
  const host = { ...nodeHost, random: random.fork().next }
  const wrong: string[] = []
  const server = httpServer((request) => answer(simulation, request, wrong), { clock, host })
  await simulation.until(() => true, 0)
  const listening = server.listen(transport, address('server'))
  await clock.settle()
  await listening
  // A link of 200 bytes at a time is slow; without faults nothing but a fault may end a call.
  const faultless = Object.keys(simulation.faults).length === 0
  const timeoutMs = faultless ? 3_600_000 : 20_000
  const client = httpClient('http://simulated', {
    transport,
    endpoints: [{ address: address('server') }],
    clock,
    host,
    timeoutMs,
    pool: { max: random.integer(1, 6), maxWaitMs: timeoutMs },
  })

  const calls = random.integer(1, 40)
  const settled = new Array<number>(calls).fill(0)
  const outcomes = { answered: 0, failed: 0 }
  for (let id = 0; id < calls; id++) {
    const finish = (outcome: 'answered' | 'failed', detail: string): void => {
      settled[id]! += 1
      outcomes[outcome] += 1
      simulation.note(`call ${id} ${outcome}: ${detail}`)
    }
    simulation.later(random.pick([10, 3_000]), () => {
      call(simulation, client, id, timeoutMs).then(
        (detail) => finish('answered', detail),
        (error: unknown) => {
          if (error instanceof Wrong) wrong.push(error.message)
          finish('failed', (error as { code?: string }).code ?? String(error))
        },
      )
    })
  }
  await simulation.until(
    () => settled.every((count) => count > 0),
    timeoutMs * 2,
    'all calls settled',
  )
  simulation.check(
    settled.every((count) => count === 1),
    'a call settled twice',
  )
  simulation.check(wrong.length === 0, wrong.join('; '))
  if (faultless) {
    simulation.check(outcomes.failed === 0, `${outcomes.failed} calls failed without a fault`)
  }

  let closed = 0
  const signal = AbortSignal.abort()
  void client.close({ signal }).then(() => closed++)
  void server.close({ signal }).then(() => closed++)
  await simulation.until(() => closed === 2, 60_000, 'client and server are closed')
  // Peers that linger, and the clock's own last timers.
  await clock.advanceAsync(60_000)
  simulation.check(clock.pendingTimers === 0, `${clock.pendingTimers} timers left`)
  simulation.check(network.leaseCount === 0, `${network.leaseCount} leases left`)
  simulation.check(network.listenerCount === 0, `${network.listenerCount} listeners left`)
}

/** An answer that belongs to another request: never acceptable, whatever the network does. */
class Wrong extends Error {}

async function call(
  simulation: Simulation,
  client: HttpClient,
  id: number,
  timeoutMs: number,
): Promise<string> {
  const { random } = simulation
  const size = random.pick([0, 10, 3_000, 60_000])
  const method = size === 0 ? random.pick(['GET', 'HEAD', 'DELETE']) : random.pick(['PUT', 'POST'])
  const body = size === 0 ? undefined : fill(id, size)
  const fields = { 'x-id': String(id), 'x-size': String(size) }
  const request = { method, target: `/${id}`, fields, body, timeoutMs }
  const response = await client.request(request)
  const got = await response.body.bytes()
  const { status } = response
  if (response.fields.get('x-id') !== String(id)) {
    if (status >= 400) return `${status} before the service`
    throw new Wrong(`call ${id} got the answer of ${response.fields.get('x-id')}`)
  }
  const expected = method === 'HEAD' ? 0 : Number(response.fields.get('x-size'))
  if (got.length !== expected) throw new Wrong(`call ${id}: ${got.length} bytes of ${expected}`)
  if (got.some((byte) => byte !== (id & 0xff))) throw new Wrong(`call ${id}: wrong bytes`)
  return `${status} with ${got.length} bytes`
}

async function answer(
  simulation: Simulation,
  request: HttpRequest,
  wrong: string[],
): Promise<HttpResponse> {
  const { random } = simulation
  const id = Number(request.fields.get('x-id'))
  const received = await request.body.bytes()
  const sent = Number(request.fields.get('x-size'))
  if (received.length !== sent) wrong.push(`request ${id}: ${received.length} bytes of ${sent}`)
  if (received.some((byte) => byte !== (id & 0xff))) wrong.push(`request ${id}: wrong bytes`)
  if (random.chance(0.7)) await simulation.wait(random.pick([5, 200]))
  const size = random.pick([0, 5, 2_000, 50_000])
  const fields = { 'x-id': String(id), 'x-size': String(size) }
  const body = fill(id, size)
  if (random.chance(0.5)) return new HttpResponse({ fields, body })
  return new HttpResponse({ fields, body: stream(simulation, body) })
}

/** The same bytes as a stream of unknown length, a piece now and then. */
function stream(simulation: Simulation, bytes: Uint8Array) {
  return {
    open(sink: Sink<Uint8Array>) {
      let at = 0
      let stopped = false
      let scheduled = false
      const next = (): void => {
        scheduled = false
        if (stopped) return
        if (at >= bytes.length) {
          stopped = true
          return sink.end()
        }
        const chunk = bytes.subarray(at, at + simulation.random.integer(1, 9_000))
        at += chunk.length
        if (sink.write(chunk)) schedule()
      }
      const schedule = (): void => {
        if (scheduled) return
        scheduled = true
        simulation.later(20, next)
      }
      return {
        resume: schedule,
        cancel() {
          stopped = true
        },
      }
    },
    [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
      throw new Error('not iterated here')
    },
  }
}

function fill(id: number, size: number): Uint8Array {
  return new Uint8Array(size).fill(id & 0xff)
}
