/**
 * Fastify as its documentation recommends for speed: no logger, a response schema, so that JSON is
 * written by a compiled serializer.
 */
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { type FastifyInstance, fastify } from 'fastify'
import { peerSettings, ready } from '../harness/peer.ts'
import { HELLO, LARGE, ORDER } from '../suites/payloads.ts'

const text = { type: 'string' } as const
const number = { type: 'number' } as const
const orderSchema = {
  type: 'object',
  properties: {
    id: text,
    status: text,
    customer: {
      type: 'object',
      properties: { id: number, name: text, email: text, premium: { type: 'boolean' } },
    },
    items: {
      type: 'array',
      items: {
        type: 'object',
        properties: { sku: text, title: text, quantity: number, price: number },
      },
    },
    total: number,
    currency: text,
    note: text,
  },
} as const

function addRoutes(app: Pick<FastifyInstance, 'addContentTypeParser' | 'get' | 'post'>): void {
  app.addContentTypeParser(
    'application/octet-stream',
    { parseAs: 'buffer' },
    (_request, body, done) => done(null, body),
  )
  app.get('/', (_request, reply) => {
    reply.type('text/plain; charset=utf-8').send(HELLO)
  })
  app.get('/json', { schema: { response: { 200: orderSchema } } }, (_request, reply) => {
    reply.send(ORDER)
  })
  app.get('/large', (_request, reply) => {
    reply.type('application/octet-stream').send(LARGE)
  })
  app.post('/echo', (request, reply) => {
    reply.type('application/octet-stream').send(request.body)
  })
}

const { certFile, keyFile } = peerSettings()
const options = { logger: false, keepAliveTimeout: 600_000 }
const app = fastify(options)
const https = { cert: readFileSync(certFile), key: readFileSync(keyFile) }
const tlsApp = fastify({ ...options, https })
addRoutes(app)
addRoutes(tlsApp as unknown as FastifyInstance)
await app.listen({ port: 0, host: '127.0.0.1' })
await tlsApp.listen({ port: 0, host: '127.0.0.1' })
ready({
  port: (app.server.address() as AddressInfo).port,
  tlsPort: (tlsApp.server.address() as AddressInfo).port,
})
