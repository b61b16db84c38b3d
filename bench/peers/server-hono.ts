/**
 * Hono on its Node adapter, which answers text and JSON without making a web `Response`.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { peerSettings, ready } from '../harness/peer.ts'
import { HELLO, LARGE, ORDER } from '../suites/payloads.ts'

const binary = { 'Content-Type': 'application/octet-stream' }
const large = new Uint8Array(LARGE)

const app = new Hono()
app.get('/', (context) => context.text(HELLO))
app.get('/json', (context) => context.json(ORDER))
app.get('/large', (context) => context.body(large, 200, binary))
app.post('/echo', async (context) => context.body(await context.req.arrayBuffer(), 200, binary))

const { certFile, keyFile } = peerSettings()
const serverOptions = { keepAliveTimeout: 600_000 }
const common = { fetch: app.fetch, port: 0, hostname: '127.0.0.1' }
serve({ ...common, serverOptions }, ({ port }) => {
  const tlsOptions = {
    ...serverOptions,
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
  }
  serve({ ...common, createServer, serverOptions: tlsOptions }, (address: AddressInfo) =>
    ready({ port, tlsPort: address.port }),
  )
})
