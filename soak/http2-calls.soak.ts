/**
 * Calls over one HTTP/2 connection, one in a hundred cancelled while its answer is awaited: nothing
 * may be left of either, in client, pool, sessions or server.
 */
import { httpClient } from '../src/clients/http/http-client.ts'
import { HttpResponse } from '../src/protocols/http/messages.ts'
import { httpServer } from '../src/servers/http/http-server.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import type { Soak } from './soak.ts'

export const soak: Soak = {
  about: 'calls over HTTP/2, one call in a hundred cancelled',
  // A byte a call: between the quarters that are compared lie half of the calls.
  maxWholeGrowthBytes: 500_000,
  cycles: 1_010_000,
  async run({ signal, progress }) {
    let waiting = 0
    const server = httpServer((request, context) => {
      if (request.path !== '/never') return HttpResponse.text('fine')
      waiting++
      return new Promise((_resolve, reject) =>
        context.onCancel((reason) => {
          waiting--
          reject(reason)
        }),
      )
    })
    const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
    const port = address.kind === 'ip' ? address.port : 0
    const client = httpClient(`http://127.0.0.1:${port}`, { version: '2', pool: { max: 1 } })
    const cancelled = async (): Promise<void> => {
      const controller = new AbortController()
      const call = client.get('/never', { signal: controller.signal })
      await client.get('/')
      controller.abort()
      await call.catch(() => {})
    }
    const loop = async (first: number): Promise<void> => {
      for (let number = first; !signal.aborted; number++) {
        if (number % 100 === 0) await cancelled()
        else await (await client.post('/', 'sixty-four bytes, or about that')).body.text()
        progress()
      }
    }
    await Promise.all([0, 13, 29, 51].map(loop))
    await client.get('/')
    const [stack] = client.core.endpoints.nodes
    const open = stack?.pool.inFlight.reduce((sum, count) => sum + count, 0)
    if (open !== 0 || waiting > 0) throw new Error(`${open} streams open, ${waiting} handlers wait`)
    await client.close()
    await server.close()
  },
}
