/**
 * An unmodified driver over another transport: undici speaks HTTP through a WebSocket, a relay
 * brings it to an ordinary server on TCP. pg, mysql2, ioredis and ws go the same way: docs/drivers.md.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { byteStream } from 'heddle/byte-stream'
import { ip } from 'heddle/core'
import { dialDuplex } from 'heddle/duplex'
import { splice } from 'heddle/runtime'
import { tcp } from 'heddle/transports/tcp'
import { webSocket } from 'heddle/websocket'
import { Pool } from 'undici'

// The real server, which knows nothing of this.
const server = createServer((request, response) => response.end(`hello from ${request.url}`))
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const { port } = server.address() as AddressInfo

// The relay beside it: what comes in by WebSocket goes on by TCP.
const transport = byteStream(webSocket())
const relay = await transport.listen(ip('127.0.0.1', 0), {
  async onConnection(near) {
    try {
      splice(near, await tcp().connect(ip('127.0.0.1', port)))
    } catch (error) {
      near.destroy(error as Error)
    }
  },
})

// The driver: all that changes is where its stream comes from.
const pool = new Pool('http://service.example', {
  connect(_options, done) {
    const stream = dialDuplex(transport, relay.address)
    stream.once('error', (error) => done(error, null))
    stream.once('connect', () => done(null, stream as never))
  },
})

const { statusCode, body } = await pool.request({ path: '/weft', method: 'GET' })
console.log(statusCode, await body.text()) // 200 hello from /weft

await pool.close()
await relay.close()
server.close()
