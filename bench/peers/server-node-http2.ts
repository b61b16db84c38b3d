/**
 * `node:http2` by prior knowledge. Without a variant its stream API, the faster of its two;
 * `compat`: the API that looks like `node:http`. The path `/wait` is never answered.
 */
import {
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { peerSettings, ready } from '../harness/peer.ts'
import { HELLO } from '../suites/payloads.ts'

const fields = {
  'content-type': 'text/plain; charset=utf-8',
  'content-length': Buffer.byteLength(HELLO),
}

function answerStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  if (headers[':path'] === '/wait') {
    stream.on('error', ignore)
    return
  }
  stream.respond({ ':status': 200, ...fields })
  stream.end(HELLO)
}

function answerRequest(request: Http2ServerRequest, response: Http2ServerResponse): void {
  if (request.url === '/wait') return
  response.writeHead(200, fields).end(HELLO)
}

/** The bench closes streams that wait. One function for all of them. */
function ignore(): void {}

// 10 MB by default, which the streams of the memory scenario would exceed.
const server = createServer({ maxSessionMemory: 1_000 })
if (peerSettings().variant === 'compat') server.on('request', answerRequest)
else server.on('stream', answerStream)
server.listen(0, '127.0.0.1', () => {
  ready({ port: (server.address() as AddressInfo).port })
})
