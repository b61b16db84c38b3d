/** The server behind HTTP/2 clients: 1 KB that is there, by prior knowledge. The same for all. */
import { HttpResponse, httpServer } from '../../src/doors/http.ts'
import { tcp } from '../../src/doors/transports/tcp.ts'
import { ready } from '../harness/peer.ts'
import { UPSTREAM_BODY } from '../suites/payloads.ts'

const body = Buffer.from(UPSTREAM_BODY)
const server = httpServer(() => new HttpResponse({ body: body.slice() }))
const { address } = await server.listen(tcp(), { kind: 'ip', host: '127.0.0.1', port: 0 })
ready({ port: address.kind === 'ip' ? address.port : 0 })
