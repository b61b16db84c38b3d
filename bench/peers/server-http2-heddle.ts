/**
 * heddle's HTTP server by prior knowledge of HTTP/2. `streams`: with room for the open streams of
 * the memory scenario. The path `/wait` is never answered.
 */
import { HttpResponse, httpServer } from '../../src/doors/http.ts'
import { tcp } from '../../src/doors/transports/tcp.ts'
import { peerSettings, ready } from '../harness/peer.ts'
import { HELLO } from '../suites/payloads.ts'

const options =
  peerSettings().variant === 'streams' ? { http2: { maxConcurrentStreams: 1_000_000 } } : {}
const server = httpServer(({ target }) => {
  if (target === '/wait') return new Promise<HttpResponse>(() => {})
  return HttpResponse.text(HELLO)
}, options)
const { address } = await server.listen(tcp(), { kind: 'ip', host: '127.0.0.1', port: 0 })
ready({ port: address.kind === 'ip' ? address.port : 0 })
