/** heddle's gRPC, both roles: a server without a variant, with one a client. */

import { grpcClient, grpcService } from '../../src/doors/grpc.ts'
import { httpServer } from '../../src/doors/http.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import { Echo } from '../../test/fixtures/echo/echo_pb.ts'
import { callInLoops, type PeerRun, peerSettings, type RunResult, ready } from '../harness/peer.ts'
import { METADATA, parseWork, requestOf, STREAM_MESSAGES } from '../suites/grpc-work.ts'

const { variant, upstreamPort } = peerSettings()
if (variant === undefined) await serve()
else ready({}, run)

async function serve(): Promise<void> {
  const refused = (): never => {
    throw new Error('not measured')
  }
  const service = grpcService(Echo, {
    say: ({ text, payload, number }) => ({ text, payload, number }),
    look: refused,
    *expand({ count, payloadBytes }) {
      const payload = new Uint8Array(payloadBytes)
      for (let number = 0; number < count; number++) yield { payload, number }
    },
    collect: refused,
    chat: refused,
    fail: refused,
  })
  const { address } = await httpServer(service).listen(tcp(), 'tcp://127.0.0.1:0')
  ready({ port: address.kind === 'ip' ? address.port : 0 })
}

async function run({ milliseconds }: PeerRun): Promise<RunResult> {
  const { kind, bytes, depth } = parseWork(variant)
  await using client = grpcClient(Echo, `http://127.0.0.1:${upstreamPort}`)
  if (kind === 'unary') {
    const request = requestOf(bytes)
    const options = { metadata: METADATA }
    return await callInLoops(milliseconds, depth, bytes, async () => {
      const { payload } = await client.say(request, options)
      return payload.length
    })
  }
  const result = await callInLoops(milliseconds, depth, STREAM_MESSAGES, async () => {
    let count = 0
    const request = { count: STREAM_MESSAGES, payloadBytes: bytes }
    for await (const { payload } of client.expand(request)) if (payload.length === bytes) count++
    return count
  })
  return { ...result, operations: result.operations * STREAM_MESSAGES }
}
