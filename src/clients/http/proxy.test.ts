import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request as forward, type Server } from 'node:http'
import {
  type AddressInfo,
  connect,
  createServer as createNetServer,
  type Server as NetServer,
  type Socket,
} from 'node:net'
import { test } from 'node:test'
import { ip } from '../../core/address.ts'
import type { HeddleError } from '../../core/errors.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { HttpResponse } from '../../protocols/http/messages.ts'
import { DevAuthority } from '../../security/dev-certificate.ts'
import { httpServer } from '../../servers/http/http-server.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { tls } from '../../transports/tls/tls.ts'
import { httpClient } from './http-client.ts'

const authority = await DevAuthority.create(systemClock)
const { ca } = authority
const credentials = await authority.issue()

/** A forward proxy on `node:http`, so that nothing of ours is on both sides. */
async function startProxy(): Promise<Server & { url: string; seen: string[] }> {
  const seen: string[] = []
  const server = createServer((incoming, outgoing) => {
    seen.push(`${incoming.method} ${incoming.url}`)
    if (incoming.headers['proxy-authorization'] !== WANTED) {
      return void outgoing.writeHead(407, { 'content-length': 0 }).end()
    }
    const { 'proxy-authorization': _, ...headers } = incoming.headers
    const onward = forward(incoming.url as string, { method: incoming.method ?? 'GET', headers })
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode as number, answer.headers)
      answer.pipe(outgoing)
    })
    incoming.pipe(onward)
  })
  server.on('connect', (incoming, socket: Socket, head: Buffer) => {
    seen.push(`${incoming.method} ${incoming.url}`)
    if (incoming.headers['proxy-authorization'] !== WANTED) {
      return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    }
    const [, port] = (incoming.url as string).split(':')
    const target = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      target.write(head)
      socket.pipe(target)
      target.pipe(socket)
    })
    for (const one of [socket, target]) one.on('error', () => {})
    socket.on('close', () => target.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return Object.assign(server, { url: `http://me:s%40crt@127.0.0.1:${port}`, seen })
}
const WANTED = `Basic ${Buffer.from('me:s@crt').toString('base64')}`

test('HttpClient asks an HTTP proxy in absolute form, over one connection', async () => {
  const server = httpServer(async (request) =>
    HttpResponse.text(
      `${request.authority} ${request.fields.has('proxy-authorization')} ${await request.body.text()}`,
    ),
  )
  const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
  const port = address.kind === 'ip' ? address.port : 0
  const proxy = await startProxy()
  let connections = 0
  proxy.on('connection', () => connections++)
  const client = httpClient(`http://127.0.0.1:${port}`, { proxy: proxy.url })
  for (let call = 0; call < 2; call++) {
    const response = await client.post(`/a?b=${call}`, 'body')
    assert.equal(await response.body.text(), `127.0.0.1:${port} false body`)
  }
  assert.deepEqual(proxy.seen, [
    `POST http://127.0.0.1:${port}/a?b=0`,
    `POST http://127.0.0.1:${port}/a?b=1`,
  ])
  assert.equal(connections, 1)
  await client.close()
  await server.close()
  proxy.close()
})

test('HttpClient tunnels https through an HTTP proxy and checks the origin’s certificate', async () => {
  const server = httpServer((request) =>
    HttpResponse.text(`${request.scheme} ${request.authority}`),
  )
  const { address } = await server.listen(tls({ credentials }), ip('127.0.0.1', 0))
  const port = address.kind === 'ip' ? address.port : 0
  const proxy = await startProxy()
  const origin = `https://localhost:${port}`
  const client = httpClient(origin, { proxy: proxy.url, tls: { ca } })
  for (let call = 0; call < 2; call++) {
    assert.equal(await (await client.get('/')).body.text(), `https localhost:${port}`)
  }
  assert.deepEqual(proxy.seen, [`CONNECT localhost:${port}`])
  await client.close()
  const stranger = httpClient(origin, { proxy: proxy.url, retry: false })
  await assert.rejects(stranger.get('/'), (error: HeddleError) => {
    return (error.cause as HeddleError).code === 'ERR_TLS'
  })
  await stranger.close()
  await server.close()
  proxy.close()
})

/** SOCKS 5 without authentication, for names; each message comes in one piece on loopback. */
async function startSocks(): Promise<NetServer & { url: string; seen: string[] }> {
  const seen: string[] = []
  const server = createNetServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(Buffer.from([5, 0]))
      socket.once('data', (asked: Buffer) => {
        const length = asked[4] as number
        seen.push(asked.subarray(5, 5 + length).toString())
        const target = connect(asked.readUInt16BE(5 + length), '127.0.0.1', () => {
          socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
          socket.pipe(target).pipe(socket)
        })
        target.on('error', () => socket.destroy())
        socket.on('close', () => target.destroy())
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return Object.assign(server, { url: `socks5h://127.0.0.1:${port}`, seen })
}

test('HttpClient goes through SOCKS for http and https, and leaves names to it', async () => {
  const service = (): HttpResponse => HttpResponse.text('here')
  const server = httpServer(service)
  const plain = await server.listen(tcp(), ip('127.0.0.1', 0))
  const secure = await server.listen(tls({ credentials }), ip('127.0.0.1', 0))
  const proxy = await startSocks()
  for (const [scheme, { address }] of [
    ['http', plain],
    ['https', secure],
  ] as const) {
    const port = address.kind === 'ip' ? address.port : 0
    await using client = httpClient(`${scheme}://localhost:${port}`, {
      proxy: proxy.url,
      tls: { ca },
    })
    assert.equal(await (await client.get('/')).body.text(), 'here')
  }
  assert.deepEqual(proxy.seen, ['localhost', 'localhost'])
  await server.close()
  proxy.close()
})

test('HttpClient tells of a refusal of the proxy without the credentials', async () => {
  const proxy = await startProxy()
  const url = new URL(proxy.url)
  url.password = 'w%40rong'
  const client = httpClient('https://localhost:1', { proxy: url, retry: false })
  await assert.rejects(client.get('/'), (error: HeddleError) => {
    const cause = error.cause as HeddleError
    assert.equal(cause.code, 'ERR_PROXY')
    assert.equal(cause.status, 407)
    assert.doesNotMatch(`${error.stack}${cause.stack}`, /rong/)
    return error.sent === 'nothing'
  })
  await client.close()
  proxy.close()
})

test('HttpClient follows the environment only when told to', async () => {
  const server = httpServer(() => HttpResponse.text('direct'))
  const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
  const origin = `http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`
  const proxy = await startProxy()
  const before = { ...process.env }
  try {
    process.env.http_proxy = proxy.url
    delete process.env.no_proxy
    delete process.env.NO_PROXY
    for (const options of [{}, { proxy: 'environment' }] as const) {
      await using client = httpClient(origin, options)
      assert.equal(await (await client.get('/')).body.text(), 'direct')
    }
    assert.equal(proxy.seen.length, 1)
    process.env.no_proxy = '127.0.0.0/8'
    await using excluded = httpClient(origin, { proxy: 'environment' })
    await (await excluded.get('/')).body.text()
    assert.equal(proxy.seen.length, 1)
  } finally {
    process.env = before
    await server.close()
    proxy.close()
  }
})
