/**
 * heddle's HTTP server through its public interface. `fetch`: the same with a fetch-style handler
 * that makes a web `Response` for every request.
 */

import { readFileSync } from 'node:fs'
import type { Transport } from '../../src/core/transport.ts'
import { fetchHandler, HttpResponse, type HttpService, httpServer } from '../../src/doors/http.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import { tls } from '../../src/transports/tls/tls.ts'
import { peerSettings, ready } from '../harness/peer.ts'
import { HELLO, LARGE, ORDER } from '../suites/payloads.ts'

const binary = { 'content-type': 'application/octet-stream' }

const service: HttpService = (request) => {
  switch (request.target) {
    case '/':
      return HttpResponse.text(HELLO)
    case '/json':
      return HttpResponse.json(ORDER)
    case '/large':
      return new HttpResponse({ fields: binary, body: LARGE })
    case '/echo':
      return echo(request.body)
    default:
      return new HttpResponse({ status: 404 })
  }
}

async function echo(body: { bytes(): Promise<Uint8Array> }): Promise<HttpResponse> {
  return new HttpResponse({ fields: binary, body: await body.bytes() })
}

const fetchService = fetchHandler(async (request) => {
  switch (new URL(request.url).pathname) {
    case '/':
      return new Response(HELLO)
    case '/json':
      return Response.json(ORDER)
    case '/large':
      return new Response(LARGE as Uint8Array<ArrayBuffer>, { headers: binary })
    case '/echo':
      return new Response(await request.arrayBuffer(), { headers: binary })
    default:
      return new Response(null, { status: 404 })
  }
})

const settings = peerSettings()
const server = httpServer(settings.variant === 'fetch' ? fetchService : service, {
  // The idle connections of the memory suite must not time out while they are counted.
  keepAliveTimeoutMs: 600_000,
})
const credentials = {
  certificate: readFileSync(settings.certFile),
  key: readFileSync(settings.keyFile),
}
ready({
  port: await listen(tcp()),
  tlsPort: await listen(tls({ credentials, alpn: ['http/1.1'] })),
})

async function listen(transport: Transport): Promise<number> {
  const { address } = await server.listen(transport, 'tcp://127.0.0.1:0')
  return address.kind === 'ip' ? address.port : 0
}
