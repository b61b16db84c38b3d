/**
 * gRPC calls over one connection, one in a hundred a stream that is cancelled in its middle: nothing
 * may be left of either.
 */
import { grpcClient } from '../src/clients/grpc/grpc-client.ts'
import { httpServer } from '../src/servers/http/http-server.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import { Echo } from '../test/fixtures/echo/echo_pb.ts'
import { echoService } from '../test/support/echo-service.ts'
import type { Soak } from './soak.ts'

export const soak: Soak = {
  about: 'calls a gRPC service, one call in a hundred a stream that is cancelled',
  // A byte a call: between the quarters that are compared lie half of the calls.
  maxWholeGrowthBytes: 500_000,
  cycles: 1_010_000,
  async run({ signal, progress }) {
    const counts = { active: 0, aborted: 0 }
    const server = httpServer(echoService({}, counts))
    const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
    const port = address.kind === 'ip' ? address.port : 0
    const client = grpcClient(Echo, `http://127.0.0.1:${port}`)
    const payload = new Uint8Array(64)
    const loop = async (first: number): Promise<void> => {
      for (let number = first; !signal.aborted; number++) {
        if (number % 100 === 0) await cancelled()
        else await client.say({ text: 'soak', payload, number })
        progress()
      }
    }
    const cancelled = async (): Promise<void> => {
      for await (const _ of client.expand({ count: 1_000, payloadBytes: 1_000 })) break
    }
    await Promise.all([0, 13, 29, 51].map(loop))
    if (counts.active > 0) throw new Error(`${counts.active} handlers are still at work`)
    await client[Symbol.asyncDispose]()
    await server.close()
  },
}
