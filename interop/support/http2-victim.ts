/**
 * A server under attack, in a process of its own, so that its CPU and its heap are its own. Over IPC
 * it says its port first, then a report whenever it is asked for one.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ip } from '../../src/core/address.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'

export interface VictimReport {
  /** Before the collection of this report. */
  readonly cpuMs: number
  /** Behind it: what comes next begins here. */
  readonly collectedCpuMs: number
  /** After the collection. */
  readonly heapBytes: number
  readonly connections: number
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const server = httpServer(async (request) => {
  if (request.path === '/large') return HttpResponse.text('x'.repeat(1_000_000))
  return HttpResponse.text('well')
})
const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
process.on('message', () => {
  const cpuMs = spentMs()
  collect()
  process.send?.({
    cpuMs,
    collectedCpuMs: spentMs(),
    heapBytes: process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers,
    connections: server.stats.connections,
  })
})
process.on('disconnect', () => process.exit())
process.send?.(address.kind === 'ip' ? address.port : 0)

function spentMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
