/** @fastify/http-proxy on undici's pool with its documented settings, X-Forwarded-* added. */
import type { AddressInfo } from 'node:net'
import proxy from '@fastify/http-proxy'
import { fastify } from 'fastify'
import { peerSettings, ready } from '../harness/peer.ts'

const { upstreamPort } = peerSettings()
const app = fastify({ logger: false })
app.register(proxy, {
  upstream: `http://127.0.0.1:${upstreamPort}`,
  undici: { connections: 128, pipelining: 1 },
  replyOptions: {
    rewriteRequestHeaders: (request, headers) => ({
      ...headers,
      host: request.headers.host,
      'x-forwarded-for': request.socket.remoteAddress,
      'x-forwarded-host': request.headers.host,
      'x-forwarded-proto': 'http',
    }),
  },
})
await app.listen({ port: 0, host: '127.0.0.1' })
ready({ port: (app.server.address() as AddressInfo).port })
