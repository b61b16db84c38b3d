/**
 * A small HTTP/1.1 client and server on bare sockets, so that neither side of a test is ours nor
 * forgives what it should not.
 */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

export function ask(
  agent: http.Agent,
  address: string,
  options: http.RequestOptions,
  body?: string | Buffer,
): Promise<Answer> {
  const [host, port] = address.split(':')
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, agent, ...options }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** A node:http server on a free port, or on the given one. */
export async function serve(
  listener: http.RequestListener,
  port = 0,
): Promise<{ port: number; server: http.Server } & AsyncDisposable> {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, listener)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    server,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
