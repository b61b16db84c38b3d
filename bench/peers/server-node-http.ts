/**
 * `node:http` and `node:https` as their documentation shows them, with lengths given so that no
 * body is chunked.
 */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { peerSettings, ready } from '../harness/peer.ts'
import { HELLO, LARGE, ORDER } from '../suites/payloads.ts'

function answer(request: IncomingMessage, response: ServerResponse): void {
  switch (request.url) {
    case '/':
      return send(response, 'text/plain; charset=utf-8', HELLO)
    case '/json':
      return send(response, 'application/json', JSON.stringify(ORDER))
    case '/large':
      return send(response, 'application/octet-stream', LARGE)
    case '/echo':
      return echo(request, response)
    default:
      response.writeHead(404).end()
  }
}

function send(response: ServerResponse, type: string, body: string | Buffer): void {
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  response.writeHead(200, { 'Content-Type': type, 'Content-Length': length }).end(body)
}

function echo(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
    send(response, 'application/octet-stream', body)
  })
}

const { certFile, keyFile } = peerSettings()
// The idle connections of the memory suite must not time out while they are counted.
const options = { keepAliveTimeout: 600_000 }
const server = createServer(options, answer)
const credentials = { cert: readFileSync(certFile), key: readFileSync(keyFile) }
const tlsServer = createTlsServer({ ...options, ...credentials }, answer)
server.listen(0, '127.0.0.1', () => {
  tlsServer.listen(0, '127.0.0.1', () => {
    const port = (server.address() as AddressInfo).port
    ready({ port, tlsPort: (tlsServer.address() as AddressInfo).port })
  })
})
