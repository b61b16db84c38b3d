/** One port for HTTP/1.1 and HTTP/2, asked by node:http2 and by bytes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { test } from 'node:test'
import tlsModule from 'node:tls'
import express from 'express'
import { Hono } from 'hono'
import { ip } from '../../core/address.ts'
import { Channel } from '../../core/channel.ts'
import { UsageError } from '../../core/errors.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { Body } from '../../protocols/http/body.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { HTTP2_PREFACE } from '../../protocols/http2/messages.ts'
import { DevAuthority } from '../../security/dev-certificate.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { tls } from '../../transports/tls/tls.ts'
import { fetchHandler } from './fetch-handler.ts'
import { type HttpServer, type HttpServerOptions, httpServer } from './http-server.ts'
import type { HttpExchangeRecord } from './http-server-connection.ts'
import { nodeHandler } from './node-handler.ts'

interface Answer {
  readonly status: number
  readonly headers: http2.IncomingHttpHeaders
  readonly trailers: http2.IncomingHttpHeaders | undefined
  readonly body: string
}

/** A server, and node:http2 as its client. */
class Pair implements AsyncDisposable {
  readonly server: HttpServer
  readonly port: number
  readonly session: http2.ClientHttp2Session

  private constructor(server: HttpServer, port: number, options: http2.ClientSessionOptions) {
    this.server = server
    this.port = port
    this.session = http2.connect(`http://127.0.0.1:${port}`, options)
    this.session.on('error', () => {})
  }

  static async open(
    service: HttpService,
    options: HttpServerOptions = {},
    client: http2.ClientSessionOptions = {},
  ): Promise<Pair> {
    const server = httpServer(service, options)
    const port = await listen(server)
    return new Pair(server, port, client)
  }

  request(headers: http2.OutgoingHttpHeaders = {}): http2.ClientHttp2Stream {
    return this.session.request({ ':path': '/', ...headers })
  }

  async ask(headers: http2.OutgoingHttpHeaders = {}, body?: string): Promise<Answer> {
    const stream = this.request({ ...(body !== undefined && { ':method': 'POST' }), ...headers })
    stream.end(body)
    return answerOf(stream)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.session.destroy()
    await this.server.close({ signal: AbortSignal.abort() })
  }
}

async function answerOf(stream: http2.ClientHttp2Stream): Promise<Answer> {
  let trailers: http2.IncomingHttpHeaders | undefined
  stream.on('trailers', (fields) => {
    trailers = fields
  })
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
  const chunks = await stream.toArray()
  const body = Buffer.concat(chunks).toString()
  return { status: Number(headers[':status']), headers, trailers, body }
}

async function listen(server: HttpServer, transport = tcp()): Promise<number> {
  const { address } = await server.listen(transport, ip('127.0.0.1', 0))
  return address.kind === 'ip' ? address.port : 0
}

const echo: HttpService = async (request) =>
  HttpResponse.text(
    `${request.method} ${request.target} ${request.version} ${await request.body.text()}`,
  )

test('HttpServer answers HTTP/1.1 and HTTP/2 on one port, by the first bytes', async () => {
  await using pair = await Pair.open(echo)
  const plain = await fetch(`http://127.0.0.1:${pair.port}/a`, { method: 'POST', body: 'x' })
  assert.equal(await plain.text(), 'POST /a 1.1 x')
  const answers = await Promise.all([pair.ask(), pair.ask({ ':path': '/b?c' }, 'hello')])
  assert.deepEqual(
    answers.map(({ status, body }) => [status, body]),
    [
      [200, 'GET / 2 '],
      [200, 'POST /b?c 2 hello'],
    ],
  )
  assert.match(answers[0].headers.date as string, /GMT$/)
})

test('HttpServer finds a preface that comes byte by byte, and HTTP/1.1 that begins alike', async () => {
  await using server = httpServer(echo)
  const port = await listen(server)
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  for (const byte of HTTP2_PREFACE.slice(0, 16)) {
    socket.write(byte)
    await new Promise((resolve) => setImmediate(resolve))
  }
  socket.write(HTTP2_PREFACE.slice(16))
  const [first] = (await once(socket, 'data')) as [Buffer]
  assert.equal(first[3], 4, 'SETTINGS')
  socket.destroy()
  const post = net.connect({ port, host: '127.0.0.1' })
  post.write('P')
  await once(post, 'ready')
  post.write('RIVATE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  assert.match(Buffer.concat(await post.toArray()).toString(), /PRIVATE \/ 1\.1 $/)
})

test('HttpServer closes a connection that says nothing, and one that stops in the preface', async () => {
  await using server = httpServer(echo, { headTimeoutMs: 20 })
  const port = await listen(server)
  const silent = net.connect({ port, host: '127.0.0.1' })
  assert.equal(Buffer.concat(await silent.toArray()).toString(), '')
  // Time enough for these bytes to be read before it is over.
  await using patient = httpServer(echo, { headTimeoutMs: 500 })
  const half = net.connect({ port: await listen(patient), host: '127.0.0.1' })
  half.write('PRI * HT')
  assert.match(Buffer.concat(await half.toArray()).toString(), /^HTTP\/1\.1 408 /)
})

test('HttpServer offers both versions over TLS, the client chooses by ALPN', async () => {
  const authority = await DevAuthority.create(systemClock)
  const ca = authority.ca
  await using server = httpServer(echo)
  const port = await listen(server, tls({ credentials: await authority.issue() }))
  const url = `https://127.0.0.1:${port}`
  const session = http2.connect(url, { ca })
  const stream = session.request({ ':path': '/h2' })
  assert.equal((await answerOf(stream)).body, 'GET /h2 2 ')
  assert.equal(session.alpnProtocol, 'h2')
  session.destroy()
  const options = { ca, agent: false as const, ALPNProtocols: ['http/1.1'] }
  const request = https.get(`${url}/h1`, options)
  const [response] = (await once(request, 'response')) as [
    NodeJS.ReadableStream & AsyncIterable<Buffer>,
  ]
  let body = ''
  for await (const chunk of response) body += chunk
  assert.equal(body, 'GET /h1 1.1 ')
  const other = tlsModule.connect({ port, host: '127.0.0.1', ca, ALPNProtocols: ['spdy/3'] })
  const [error] = await once(other, 'error')
  assert.match(String(error), /alert|ALPN/i)
})

test('HttpServer speaks only the versions it was told', async () => {
  await using old = await Pair.open(echo, { versions: ['1.1'] })
  await assert.rejects(old.ask())
  await using modern = await Pair.open(echo, { versions: ['2'] })
  assert.equal((await modern.ask()).body, 'GET / 2 ')
  await assert.rejects(fetch(`http://127.0.0.1:${modern.port}/`))
  assert.throws(() => httpServer(echo, { versions: [] }), UsageError)
})

test('HttpServer streams bodies and trailers both ways at once', async () => {
  await using pair = await Pair.open((request) => {
    const { body } = request
    const response = new HttpResponse({ body: Body.from(body) })
    return response
  })
  const stream = pair.request({ ':method': 'POST' })
  const [headers] = (await Promise.all([
    once(stream, 'response'),
    new Promise((resolve) => stream.write('one', resolve)),
  ])) as unknown as [[http2.IncomingHttpHeaders]]
  assert.equal(headers[0][':status'], 200)
  const [first] = (await once(stream, 'data')) as [Buffer]
  assert.equal(first.toString(), 'one')
  stream.end('two')
  assert.equal(Buffer.concat(await stream.toArray()).toString(), 'two')
})

test('HttpServer gives whole bodies with trailers in one call and takes them', async () => {
  await using pair = await Pair.open(async (request) => {
    const text = await request.body.text()
    const response = HttpResponse.text(`${text} ${request.body.trailers?.get('x-sum')}`)
    response.body.trailers = new HttpFields({ 'x-status': '0' })
    return response
  })
  const stream = pair.session.request({ ':path': '/', ':method': 'POST' }, {
    waitForTrailers: true,
  } as http2.ClientSessionRequestOptions)
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }))
  stream.end('body')
  const { body, trailers } = await answerOf(stream)
  assert.equal(body, 'body 7')
  assert.equal(trailers?.['x-status'], '0')
})

test('HttpServer resets only the stream whose response fails, with INTERNAL_ERROR', async () => {
  let fail: (reason: Error) => void = () => {}
  const records: HttpExchangeRecord[] = []
  await using pair = await Pair.open(
    (request) => {
      if (request.path !== '/broken') return HttpResponse.text('fine')
      const channel = new Channel<Uint8Array>(
        () => {},
        () => {},
      )
      fail = (reason) => channel.fail(reason)
      return new HttpResponse({ body: channel })
    },
    { observer: { onExchange: (record) => records.push(record) } },
  )
  const broken = pair.request({ ':path': '/broken' })
  broken.end()
  await once(broken, 'response')
  fail(new Error('disk'))
  await assert.rejects(once(broken, 'end'), /INTERNAL_ERROR/)
  assert.equal((await pair.ask()).body, 'fine')
  const [record] = records.filter(({ request }) => request.path === '/broken')
  assert.match(record?.error?.message ?? '', /disk/)
})

test('HttpServer tells a service that its client reset the stream, and others go on', async () => {
  const gone = Promise.withResolvers<unknown>()
  await using pair = await Pair.open((request, context) => {
    if (request.path === '/fine') return HttpResponse.text('fine')
    return new Promise((_, reject) => {
      context.onCancel((reason) => {
        gone.resolve(reason)
        reject(reason)
      })
    })
  })
  const given = pair.request({ ':path': '/slow' })
  given.end()
  given.on('error', () => {})
  assert.equal((await pair.ask({ ':path': '/fine' })).body, 'fine')
  given.close(http2.constants.NGHTTP2_CANCEL)
  assert.match(String(await gone.promise), /CANCEL/)
  assert.equal((await pair.ask({ ':path': '/fine' })).body, 'fine')
})

test('HttpServer says GOAWAY when it closes and finishes what is in flight', async () => {
  const answer = Promise.withResolvers<HttpResponse>()
  const asked = Promise.withResolvers<void>()
  await using pair = await Pair.open(() => {
    asked.resolve()
    return answer.promise
  })
  const reply = pair.ask()
  await asked.promise
  const goaway = once(pair.session, 'goaway')
  const closed = pair.server.close()
  const [code] = await goaway
  assert.equal(code, http2.constants.NGHTTP2_NO_ERROR)
  answer.resolve(HttpResponse.text('late'))
  assert.equal((await reply).body, 'late')
  await closed
})

test('HttpServer ends connections at their maximum age', async () => {
  await using pair = await Pair.open(echo, { maxConnectionAgeMs: 20 })
  const [code] = await once(pair.session, 'goaway')
  assert.equal(code, http2.constants.NGHTTP2_NO_ERROR)
  await using stuck = await Pair.open(() => new Promise<never>(() => {}), {
    maxConnectionAgeMs: 20,
    maxConnectionAgeGraceMs: 20,
  })
  const given = stuck.request()
  given.end()
  await once(given, 'close')
  assert.equal(stuck.session.destroyed || stuck.session.closed, true)
  const socket = net.connect({ port: pair.port, host: '127.0.0.1' })
  assert.equal((await socket.toArray()).length, 0, 'an idle HTTP/1.1 connection is closed')
})

test('HttpServer sends early hints, and 100 once the body is wanted', async () => {
  await using pair = await Pair.open(async (request) => {
    request.inform?.(103, { link: '</style.css>; rel=preload' })
    return HttpResponse.text(await request.body.text())
  })
  const stream = pair.request({ ':method': 'POST', expect: '100-continue' })
  const hints: http2.IncomingHttpHeaders[] = []
  stream.on('headers', (fields) => hints.push(fields))
  await once(stream, 'continue')
  stream.end('now')
  assert.equal((await answerOf(stream)).body, 'now')
  const early = hints.find((fields) => Number(fields[':status']) === 103)
  assert.equal(early?.link, '</style.css>; rel=preload')
})

test('HttpServer makes a connection of an extended CONNECT', async () => {
  await using pair = await Pair.open((request) => {
    assert.deepEqual([request.method, request.protocol, request.path], ['CONNECT', 'echo', '/x'])
    return new HttpResponse({
      upgrade(connection) {
        connection.open({
          onData: (chunk) => void connection.write(chunk.slice()),
          onDrain() {},
          onEnd: () => connection.end(),
          onClose() {},
        })
      },
    })
  })
  await once(pair.session, 'remoteSettings')
  const tunnel = pair.request({ ':method': 'CONNECT', ':protocol': 'echo', ':path': '/x' })
  const [headers] = (await once(tunnel, 'response')) as [http2.IncomingHttpHeaders]
  assert.equal(headers[':status'], 200)
  tunnel.write('ping')
  const [echoed] = (await once(tunnel, 'data')) as [Buffer]
  assert.equal(echoed.toString(), 'ping')
  tunnel.end('last')
  assert.equal(Buffer.concat(await tunnel.toArray()).toString(), 'last')
})

/** What comes back to an HTTP/1.1 request that asks for HTTP/2. */
async function upgrade(port: number, body: string): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1' })
  socket.write(
    'POST /up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n' +
      `HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  socket.write(HTTP2_PREFACE)
  socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]))
  let text = ''
  for await (const chunk of socket) {
    text += chunk.toString('latin1')
    if (text.includes('POST /up')) break
  }
  return text
}

test('HttpServer upgrades from HTTP/1.1 where it was told to, up to a length of body', async () => {
  await using server = httpServer(echo, { upgradeBytes: 4 })
  const port = await listen(server)
  const upgraded = await upgrade(port, 'four')
  assert.match(upgraded, /^HTTP\/1\.1 101 [\s\S]*upgrade: h2c\r\n[\s\S]*POST \/up 2 four/i)
  assert.match(await upgrade(port, 'fiver'), /^HTTP\/1\.1 200 [\s\S]*POST \/up 1\.1 fiver/)
  await using plain = httpServer(echo)
  const other = await listen(plain)
  assert.match(await upgrade(other, 'four'), /^HTTP\/1\.1 200 [\s\S]*POST \/up 1\.1 four/)
})

/** A page that pushes its style; what each push returned is in `x-pushed`. */
const pushing: HttpService = (request) => {
  if (request.path === '/style') {
    const text = `${request.method} ${request.authority} ${request.fields.get('accept')}`
    return HttpResponse.text(`${text} ${request.push === undefined}`)
  }
  const fields = { accept: 'text/css' }
  const pushed = ['/style?1', '/style?2'].map((target) => request.push?.({ target, fields }))
  return HttpResponse.text('page', { fields: { 'x-pushed': pushed.join() } })
}

test('request.push answers what was not asked yet, as many as the client takes at a time', async () => {
  const records: HttpExchangeRecord[] = []
  const observer = { onExchange: (record: HttpExchangeRecord) => void records.push(record) }
  await using pair = await Pair.open(pushing, { observer })
  const pushes: Promise<string>[] = []
  const read = async (stream: http2.ClientHttp2Stream, path: unknown): Promise<string> =>
    `${path} ${Buffer.concat(await stream.toArray())}`
  pair.session.on('stream', (stream, headers) => void pushes.push(read(stream, headers[':path'])))
  const page = await pair.ask()
  assert.deepEqual([page.body, page.headers['x-pushed']], ['page', 'true,true'])
  const said = `GET 127.0.0.1:${pair.port} text/css true`
  assert.deepEqual(await Promise.all(pushes), [`/style?1 ${said}`, `/style?2 ${said}`])
  assert.deepEqual(records.map(({ request, status }) => [request.target, status]).sort(), [
    ['/', 200],
    ['/style?1', 200],
    ['/style?2', 200],
  ])

  await using quiet = await Pair.open(pushing, {}, { settings: { enablePush: false } })
  assert.equal((await quiet.ask()).headers['x-pushed'], ',')
  const plain = await fetch(`http://127.0.0.1:${pair.port}/`)
  assert.equal(plain.headers.get('x-pushed'), ',')
})

test('nodeHandler and fetchHandler run applications over HTTP/2 unchanged', async () => {
  const app = express()
  app.get('/hello/:name', (request, response) => {
    response.set('connection', 'keep-alive').send(`${request.params.name}@${request.hostname}`)
  })
  app.post('/echo', express.json(), (request, response) => void response.json(request.body))
  await using node = await Pair.open(nodeHandler(app))
  assert.equal((await node.ask({ ':path': '/hello/you' })).body, 'you@127.0.0.1')
  const json = { ':path': '/echo', 'content-type': 'application/json' }
  assert.equal((await node.ask(json, '{"a":1}')).body, '{"a":1}')
  const hono = new Hono()
  hono.post('/echo', async (c) => c.json(await c.req.json()))
  hono.get('/stream', (c) => c.body(new Blob(['one,', 'two']).stream()))
  await using web = await Pair.open(fetchHandler((request) => hono.fetch(request)))
  assert.equal((await web.ask(json, '{"b":2}')).body, '{"b":2}')
  assert.equal((await web.ask({ ':path': '/stream' })).body, 'one,two')
})
