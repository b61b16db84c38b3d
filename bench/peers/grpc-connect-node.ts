/** `@connectrpc/connect-node` over HTTP/2, both roles: a server without a variant, else a client. */
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { createClient } from '@connectrpc/connect'
import {
  connectNodeAdapter,
  createGrpcTransport,
  Http2SessionManager,
} from '@connectrpc/connect-node'
import { Echo } from '../../test/fixtures/echo/echo_pb.ts'
import { callInLoops, type PeerRun, peerSettings, type RunResult, ready } from '../harness/peer.ts'
import { METADATA, parseWork, requestOf, STREAM_MESSAGES } from '../suites/grpc-work.ts'

const { variant, upstreamPort } = peerSettings()
if (variant === undefined) serve()
else ready({}, run)

function serve(): void {
  const adapter = connectNodeAdapter({
    routes(router) {
      router.service(Echo, {
        say: ({ text, payload, number }) => ({ text, payload, number }),
        async *expand({ count, payloadBytes }) {
          const payload = new Uint8Array(payloadBytes)
          for (let number = 0; number < count; number++) yield { payload, number }
        },
      })
    },
  })
  const server = createServer(adapter)
  server.listen(0, '127.0.0.1', () => ready({ port: (server.address() as AddressInfo).port }))
}

async function run({ milliseconds }: PeerRun): Promise<RunResult> {
  const { kind, bytes, depth } = parseWork(variant)
  const baseUrl = `http://127.0.0.1:${upstreamPort}`
  const sessionManager = new Http2SessionManager(baseUrl)
  const client = createClient(Echo, createGrpcTransport({ baseUrl, sessionManager }))
  try {
    if (kind === 'unary') {
      const request = requestOf(bytes)
      return await callInLoops(milliseconds, depth, bytes, async () => {
        const { payload } = await client.say(request, { headers: METADATA })
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
  } finally {
    sessionManager.abort()
  }
}
