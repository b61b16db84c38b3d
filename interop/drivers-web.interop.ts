/**
 * undici and ws, unmodified, over our transports to a real nginx and a real `ws` server on TCP.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { Pool } from 'undici'
import { WebSocket, WebSocketServer } from 'ws'
import { requirePeer } from './peers.ts'
import { DRIVER_ROUTES, relay } from './support/driver-routes.ts'
import {
  freePort,
  type Running,
  start,
  temporaryFolder,
  untilListening,
} from './support/processes.ts'

const nginx = requirePeer('nginx')
let server: Running | undefined
let folder: Awaited<ReturnType<typeof temporaryFolder>> | undefined
let port = 0

before(async () => {
  if (nginx.skip) return
  folder = await temporaryFolder()
  port = await freePort()
  const path = folder.path
  writeFileSync(`${path}/large`, LARGE)
  writeFileSync(
    `${path}/nginx.conf`,
    `daemon off; pid ${path}/pid; error_log ${path}/error.log; worker_processes 1;
    events { worker_connections 256; }
    http {
      access_log off; client_body_temp_path ${path}/body; proxy_temp_path ${path}/proxy;
      fastcgi_temp_path ${path}/f; uwsgi_temp_path ${path}/u; scgi_temp_path ${path}/s;
      server {
        listen 127.0.0.1:${port};
        location /large { root ${path}; }
        location / { default_type text/plain; return 200 $request_uri; }
      }
    }`,
  )
  server = start(nginx.path, ['-c', `${path}/nginx.conf`])
  await untilListening(port, server)
})

after(async () => {
  await server?.stop()
  await folder?.[Symbol.asyncDispose]()
})

const LARGE = Buffer.from(
  Uint8Array.from({ length: 4 * 1024 * 1024 }, (_, index) => (index * 31) ^ (index >> 9)),
)

for (const route of DRIVER_ROUTES) {
  test(`undici works over ${route.name}`, { skip: nginx.skip || route.skip }, async () => {
    await using way = await relay(route, port)
    const pool = new Pool('http://localhost', {
      connections: 4,
      connect: (_options, done) => {
        const stream = way.stream()
        stream.once('error', (error) => done(error, null))
        stream.once('connect', () => done(null, stream as never))
      },
    })
    try {
      const paths = Array.from({ length: 200 }, (_, n) => `/path/${n}`)
      const texts = await Promise.all(
        paths.map(async (path) => {
          const { body } = await pool.request({ path, method: 'GET' })
          return await body.text()
        }),
      )
      assert.deepEqual(texts, paths)
      const { body } = await pool.request({ path: '/large', method: 'GET' })
      assert.ok(LARGE.equals(Buffer.from(await body.arrayBuffer())))
    } finally {
      await pool.close()
    }
  })

  test(`ws works over ${route.name}`, { skip: route.skip }, async () => {
    const echo = new WebSocketServer({ host: '127.0.0.1', port: 0 })
    echo.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    })
    await once(echo, 'listening')
    await using way = await relay(route, (echo.address() as AddressInfo).port)
    const client = new WebSocket('ws://localhost/', {
      createConnection: () => way.stream() as never,
    })
    try {
      await once(client, 'open')
      client.send('hello')
      assert.equal(String((await once(client, 'message'))[0]), 'hello')
      client.send(LARGE)
      assert.ok(LARGE.equals((await once(client, 'message'))[0] as Buffer))
      client.close(1000, 'done')
      assert.equal((await once(client, 'close'))[0], 1000)
    } finally {
      client.terminate()
      await new Promise((resolve) => echo.close(resolve))
    }
  })
}
