/** The client in HTTP/2 against node:http2, which shares nothing with it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as http2 from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { test } from 'node:test'
import type { HeddleError } from '../../core/errors.ts'
import type { Source } from '../../core/flow.ts'
import type { PoolStats } from '../../core/pool.ts'
import { iterableSource } from '../../links/web-stream/iterable-source.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { DevAuthority } from '../../security/dev-certificate.ts'
import { clientTunnel } from './client-tunnel.ts'
import { explainText } from './explain-client.ts'
import { type HttpAgentOptions, httpAgent } from './http-agent.ts'
import { type HttpClient, type HttpClientOptions, httpClient } from './http-client.ts'
import { heddleDispatcher } from './undici-dispatcher.ts'

type OnStream = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void

test('calls go to one connection, and everything of a message comes through', async () => {
  await using peer = await Peer.start((stream, headers) => {
    if (headers[':path'] === '/trailers') {
      stream.respond({ ':status': 200, 'x-method': headers[':method'] }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }))
      return void stream.end('with trailers')
    }
    stream.respond({ ':status': 201, 'x-authority': headers[':authority'] })
    stream.pipe(stream)
  })
  await using client = peer.client()
  const replies = await Promise.all(
    Array.from({ length: 64 }, (_, at) => client.post('/', `body ${at}`)),
  )
  for (const [at, response] of replies.entries()) {
    assert.equal(response.status, 201)
    assert.equal(response.version, '2')
    assert.equal(response.fields.get('x-authority'), `127.0.0.1:${peer.port}`)
    assert.equal(await response.body.text(), `body ${at}`)
  }
  assert.equal(peer.sessions.length, 1)
  assert.match(explainText(client), /inFlight 0/)
  const trailed = await client.get('/trailers')
  assert.equal(await trailed.body.text(), 'with trailers')
  assert.equal(trailed.body.trailers?.get('x-sum'), '42')
})

test('a megabyte each way, streamed under flow control, with trailers of the request', async () => {
  const { promise: heard, resolve } = Promise.withResolvers<http2.IncomingHttpHeaders>()
  await using peer = await Peer.start((stream) => {
    stream.on('trailers', resolve)
    stream.respond({ ':status': 200 })
    stream.pipe(stream)
  })
  await using client = peer.client()
  const chunk = new Uint8Array(10_000).map((_, at) => at & 0xff)
  const body = Object.assign(bodyOf(100, chunk), { trailers: new HttpFields({ 'x-end': 'yes' }) })
  const response = await client.post('/', body)
  const bytes = await response.body.bytes()
  assert.equal(bytes.length, 1_000_000)
  assert.deepEqual(bytes.subarray(990_000), chunk)
  assert.equal((await heard)['x-end'], 'yes')
})

test('more calls than the peer allows streams: another connection for each of its limits', async () => {
  const held: http2.ServerHttp2Stream[] = []
  let due = Promise.withResolvers<void>()
  await using peer = await Peer.start(
    (stream) => {
      held.push(stream)
      if (held.length === 30) due.resolve()
    },
    { settings: { maxConcurrentStreams: 10 } },
  )
  await using client = peer.client({ pool: { max: 4 } })
  const reply = await answered(client.get('/first'), held)
  assert.equal(reply.status, 200)
  const calls = Array.from({ length: 50 }, (_, at) => client.get(`/${at}`))
  held.length = 0
  due = Promise.withResolvers()
  const total = Promise.all(calls)
  const answering = setInterval(() => {
    for (const stream of held.splice(0)) answer(stream)
  }, 5)
  const responses = await total
  clearInterval(answering)
  assert.ok(responses.every((response) => response.status === 200))
  assert.ok(peer.sessions.length >= 2 && peer.sessions.length <= 4, `${peer.sessions.length}`)
})

test('GOAWAY: what is in flight is finished there, the next call goes to another connection', async () => {
  const held: http2.ServerHttp2Stream[] = []
  await using peer = await Peer.start((stream, headers) => {
    if (headers[':path'] === '/slow') held.push(stream)
    else answer(stream)
  })
  await using client = peer.client()
  const slow = client.get('/slow')
  await until(() => held.length === 1)
  peer.sessions[0]?.goaway(http2.constants.NGHTTP2_NO_ERROR)
  await until(() => poolOf(client).stats.draining === 1)
  assert.equal((await client.get('/next')).status, 200)
  assert.equal(peer.sessions.length, 2)
  answer(held[0] as http2.ServerHttp2Stream)
  assert.equal((await slow).status, 200)
})

test('calls above the last stream of a GOAWAY are made again elsewhere, POST included', async () => {
  const paths: string[] = []
  await using peer = await Peer.start((stream, headers) => {
    paths.push(String(headers[':path']))
    if (peer.sessions.length > 1) return answer(stream)
    // Nobody has looked at what came behind the first.
    if (paths.length === 1) answer(stream)
    if (paths.length === 3) stream.session?.goaway(http2.constants.NGHTTP2_NO_ERROR, 1)
  })
  await using client = peer.client({ retry: false })
  assert.equal((await client.post('/1', 'a')).status, 200)
  const again = await Promise.all([client.post('/2', 'b'), client.post('/3', 'c')])
  assert.deepEqual(
    again.map((response) => response.status),
    [200, 200],
  )
  assert.deepEqual(paths, ['/1', '/2', '/3', '/2', '/3'])
})

test('REFUSED_STREAM is as if it was never sent', async () => {
  let refused = 0
  await using peer = await Peer.start((stream) => {
    if (refused++ < 2) return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)
    answer(stream)
  })
  await using client = peer.client({ retry: false })
  assert.equal((await client.post('/', 'only once please')).status, 200)
  assert.equal(refused, 3)
  assert.equal(peer.sessions.length, 1)
})

test('a call that is cancelled resets its stream with CANCEL; others go on beside it', async () => {
  const reset = Promise.withResolvers<number | undefined>()
  const held = new Map<string | undefined, http2.ServerHttp2Stream>()
  await using peer = await Peer.start((stream, { ':path': path }) => {
    held.set(path, stream)
    stream.on('close', () => path === '/cancelled' && reset.resolve(stream.rstCode))
  })
  await using client = peer.client()
  const controller = new AbortController()
  const cancelled = client.get('/cancelled', { signal: controller.signal })
  const late = client.get('/late', { timeoutMs: 500 })
  const other = client.get('/other')
  await until(() => held.size === 3)
  const reason = new Error('enough')
  controller.abort(reason)
  await assert.rejects(cancelled, (error) => error === reason)
  assert.equal(await reset.promise, http2.constants.NGHTTP2_CANCEL)
  await assert.rejects(late, { code: 'ERR_DEADLINE' })
  answer(held.get('/other') as http2.ServerHttp2Stream)
  assert.equal((await other).status, 200)
  assert.equal(peer.sessions.length, 1)
})

test('both directions at once: the head comes before the request has ended', async () => {
  await using peer = await Peer.start((stream) => {
    stream.respond({ ':status': 200 })
    stream.write('hello')
    stream.on('data', (chunk: Buffer) => stream.write(`echo ${chunk}`))
    stream.on('end', () => stream.end('bye'))
  })
  await using client = peer.client()
  const asked = new Spoken()
  const response = await client.post('/', iterableSource(asked))
  const answers = response.body[Symbol.asyncIterator]()
  assert.equal(text(await answers.next()), 'hello')
  asked.say('one')
  assert.equal(text(await answers.next()), 'echo one')
  asked.say('two')
  assert.equal(text(await answers.next()), 'echo two')
  asked.say(undefined)
  assert.equal(text(await answers.next()), 'bye')
  assert.equal((await answers.next()).done, true)
})

test('an early response leaves the request on its way; RST_STREAM NO_ERROR ends it quietly', async () => {
  const ended = Promise.withResolvers<string>()
  await using peer = await Peer.start((stream, headers) => {
    stream.respond({ ':status': 403 })
    stream.end('no')
    let all = ''
    stream.on('data', (chunk: Buffer) => {
      all += chunk
    })
    if (headers[':path'] === '/on') stream.on('end', () => ended.resolve(all))
  })
  await using client = peer.client()
  const asked = new Spoken()
  const response = await client.post('/on', iterableSource(asked))
  assert.equal(response.status, 403)
  assert.equal(await response.body.text(), 'no')
  asked.say('all of it')
  asked.say(undefined)
  assert.equal(await ended.promise, 'all of it')
})

test('an early response and RST_STREAM NO_ERROR behind it end the request, with nothing lost', async () => {
  await using peer = await Peer.start((stream) => {
    stream.respond({ ':status': 200 })
    stream.end('enough')
    stream.on('finish', () => stream.close(http2.constants.NGHTTP2_NO_ERROR))
  })
  await using client = peer.client()
  const asked = new Spoken()
  const response = await client.post('/', iterableSource(asked))
  assert.equal(await response.body.text(), 'enough')
  await until(() => response.exchange?.over !== false)
  await until(() => poolOf(client).stats.idle === 1)
  asked.say(undefined)
  assert.equal(peer.sessions.length, 1)
})

test('over TLS the server chooses, or what was asked for counts', async () => {
  const authority = await DevAuthority.create(systemClock)
  const { certificate, key } = await authority.issue()
  const secure = { key, cert: certificate, allowHTTP1: true }
  await using peer = await Peer.start((stream) => answer(stream), secure)
  peer.server.on('request', (request, response) => {
    if (request.httpVersion === '1.1') response.end('old')
  })
  const origin = `https://localhost:${peer.port}`
  const tls = { ca: authority.ca }
  for (const [version, expected] of [
    ['auto', '2'],
    ['2', '2'],
    ['1.1', '1.1'],
  ] as const) {
    await using client = httpClient(origin, { tls, version })
    assert.equal((await client.get('/')).version, expected, version)
  }
  await using agent = httpAgent({ tls })
  const response = await agent.fetch(`${origin}/`)
  assert.equal(await response.text(), 'fine')
  const dispatcher = heddleDispatcher(agent)
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  dispatcher.dispatch(
    { origin, path: '/', method: 'GET', headers: { connection: 'keep-alive' } },
    {
      onRequestStart() {},
      onResponseStart: (_controller: unknown, status: number) => resolve(status),
      onResponseData() {},
      onResponseEnd() {},
      onResponseError: (_controller: unknown, error: Error) => reject(error),
    },
  )
  assert.equal(await promise, 200)
  assert.throws(() => httpClient(origin, { version: '3' as '2' }), { code: 'ERR_ARGUMENT' })
})

test('a server that agrees to HTTP/1.1 only is refused where HTTP/2 was asked for', async () => {
  const authority = await DevAuthority.create(systemClock)
  const { certificate, key } = await authority.issue()
  const server = createHttpsServer({ key, cert: certificate, ALPNProtocols: ['http/1.1'] })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await using client = httpClient(`https://localhost:${port}`, {
    tls: { ca: authority.ca },
    version: '2',
    retry: false,
  })
  await assert.rejects(client.get('/'), (error: HeddleError) => error.sent === 'nothing')
  server.close()
})

test('one connection serves the origins that its certificate covers, where that is asked for', async () => {
  const authority = await DevAuthority.create(systemClock)
  const { certificate, key } = await authority.issue()
  const hosts: string[] = []
  let wanted = true
  await using peer = await Peer.start(
    (stream, { ':authority': host = '' }) => {
      hosts.push(`${host.split(':')[0]} ${peer.sessions.indexOf(stream.session as never)}`)
      const isOwn = peer.sessions.indexOf(stream.session as never) > 0
      if (wanted || isOwn || host.startsWith('localhost')) return answer(stream)
      stream.respond({ ':status': 421 }, END)
    },
    { key, cert: certificate },
  )
  const tls = { ca: authority.ca }
  const origins = [`https://localhost:${peer.port}`, `https://127.0.0.1:${peer.port}`]
  const visit = async (options: HttpAgentOptions): Promise<string[]> => {
    hosts.length = 0
    peer.sessions.length = 0
    await using agent = httpAgent({ tls, ...options })
    for (const origin of [...origins, ...origins]) {
      const response = await agent.fetch(origin, { method: 'POST', body: 'once' })
      assert.equal(response.status, 200)
      await response.text()
    }
    return hosts
  }
  assert.deepEqual(await visit({ coalesce: true }), [
    'localhost 0',
    '127.0.0.1 0',
    'localhost 0',
    '127.0.0.1 0',
  ])
  wanted = false
  // 421: made again on a connection of its own, and not tried a second time.
  assert.deepEqual(await visit({ coalesce: true }), [
    'localhost 0',
    '127.0.0.1 0',
    '127.0.0.1 1',
    'localhost 0',
    '127.0.0.1 1',
  ])
  assert.equal((await visit({})).at(-1), '127.0.0.1 1')
})

test('clientTunnel: connections through a proxy are streams of one connection to it', async () => {
  await using behind = await Peer.start((stream) => answer(stream))
  const asked: string[] = []
  await using proxy = await Peer.start((stream, headers) => {
    asked.push(`${headers[':method']} ${headers[':authority']} ${headers['proxy-authorization']}`)
    if (headers[':authority'] !== `127.0.0.1:${behind.port}`) {
      return void stream.respond({ ':status': 502 }, END)
    }
    const socket = connect(behind.port, '127.0.0.1', () => stream.respond({ ':status': 200 }))
    socket.on('error', () => stream.close())
    stream.pipe(socket).pipe(stream)
  })
  await using toProxy = proxy.client()
  const transport = clientTunnel(toProxy, {
    fields: { 'proxy-authorization': 'Basic bWU6c2VjcmV0' },
  })
  await using first = behind.client({ transport })
  await using second = behind.client({ transport })
  const replies = await Promise.all([first.get('/'), second.post('/', 'x'.repeat(200_000))])
  for (const response of replies) assert.equal(await response.body.text(), 'fine')
  assert.equal(proxy.sessions.length, 1)
  assert.equal(behind.sessions.length, 2)
  assert.equal(asked[0], `CONNECT 127.0.0.1:${behind.port} Basic bWU6c2VjcmV0`)
  const nowhere = transport.connect({ kind: 'ip', host: 'nowhere.example', port: 1 })
  await assert.rejects(nowhere, { code: 'ERR_PROXY', status: 502, sent: 'nothing' })
})

test('an idle connection is asked before it is used again, and one that is silent is replaced', async () => {
  let pings = 0
  await using peer = await Peer.start((stream) => answer(stream))
  peer.server.on('session', (session) => session.on('ping', () => pings++))
  await using road = await Road.to(peer.port)
  await using client = httpClient(`http://127.0.0.1:${road.port}`, {
    version: '2',
    http2: { verifyAfterIdleMs: 0 },
    pool: { pingTimeoutMs: 400 },
  })
  assert.equal((await client.get('/')).status, 200)
  await passAMoment()
  assert.equal((await client.get('/')).status, 200)
  assert.equal(peer.sessions.length, 1)
  assert.ok(pings >= 1)
  road.block()
  await passAMoment()
  assert.equal((await client.get('/')).status, 200)
  assert.equal(peer.sessions.length, 2)
})

test('what the server pushes goes to who asked for it, and is refused otherwise', async () => {
  const refused = Promise.withResolvers<boolean>()
  await using peer = await Peer.start((stream) => {
    refused.resolve(!stream.pushAllowed)
    if (!stream.pushAllowed) return answer(stream)
    stream.pushStream({ ':path': '/style.css' }, (error, pushed) => {
      assert.equal(error, null)
      pushed.respond({ ':status': 200 })
      pushed.end('body {}')
      answer(stream)
    })
  })
  await using quiet = peer.client()
  await quiet.get('/')
  assert.equal(await refused.promise, true)
  const pushes: { request: HttpRequest; response: Promise<HttpResponse> }[] = []
  await using client = peer.client({
    http2: { onPush: (request, response) => void pushes.push({ request, response }) },
  })
  assert.equal((await client.get('/')).status, 200)
  const [push] = pushes
  assert.equal(push?.request.target, '/style.css')
  assert.equal(await (await push?.response)?.body.text(), 'body {}')
})

test('CONNECT and extended CONNECT are connections, and close without the one below', async () => {
  const closed = Promise.withResolvers<number | undefined>()
  await using peer = await Peer.start(
    (stream, headers) => {
      if (headers[':protocol'] === 'refused') return void stream.respond({ ':status': 501 }, END)
      stream.respond({ ':status': 200, 'x-protocol': String(headers[':protocol'] ?? '') })
      stream.pipe(stream)
      stream.on('close', () => headers[':protocol'] && closed.resolve(stream.rstCode))
    },
    { settings: { enableConnectProtocol: true } },
  )
  await using client = peer.client()
  await client.get('/') // its settings are known
  const plain = await client.request({ method: 'CONNECT', target: 'a.example:443' })
  assert.equal(await echo(plain, 'through'), 'through')
  plain.connection?.end()
  const extended = await client.request({ method: 'CONNECT', protocol: 'echo', target: '/chat' })
  assert.equal(extended.fields.get('x-protocol'), 'echo')
  assert.equal(await echo(extended, 'x'.repeat(300_000)), 'x'.repeat(300_000))
  extended.connection?.destroy()
  assert.equal(await closed.promise, http2.constants.NGHTTP2_CANCEL)
  const no = await client.request({ method: 'CONNECT', protocol: 'refused', target: '/' })
  assert.equal(no.status, 501)
  assert.equal(no.connection, undefined)
  assert.equal((await client.get('/')).status, 200)
  assert.equal(peer.sessions.length, 1)
})

test('495 streams that were cancelled leave nothing behind', async () => {
  await using peer = await Peer.start((stream, headers) => {
    if (headers[':path'] === '/') answer(stream)
  })
  await using client = peer.client()
  for (let round = 0; round < 5; round++) {
    const controller = new AbortController()
    const { signal } = controller
    const calls = Array.from({ length: 99 }, () => client.get('/never', { signal }))
    const outcomes = Promise.allSettled(calls)
    await client.get('/')
    controller.abort()
    assert.ok((await outcomes).every(({ status }) => status === 'rejected'))
  }
  await client.get('/')
  const pool = poolOf(client)
  assert.deepEqual([pool.stats.idle, pool.stats.leased], [1, 0])
  assert.equal(peer.sessions.length, 1)
})

const END = { endStream: true }

function answer(stream: http2.ServerHttp2Stream): void {
  stream.respond({ ':status': 200 })
  stream.end('fine')
}

async function answered(
  reply: Promise<HttpResponse>,
  held: http2.ServerHttp2Stream[],
): Promise<HttpResponse> {
  await until(() => held.length > 0)
  for (const stream of held.splice(0)) answer(stream)
  return reply
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await passAMoment()
}

const passAMoment = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2))

const text = (result: IteratorResult<Uint8Array>): string => Buffer.from(result.value).toString()

function poolOf(client: HttpClient): { readonly stats: PoolStats } {
  const [stack] = client.core.endpoints.nodes
  assert.ok(stack !== undefined)
  return stack.pool
}

function bodyOf(count: number, chunk: Uint8Array): Source<Uint8Array> {
  return iterableSource(
    (function* () {
      for (let at = 0; at < count; at++) yield chunk
    })(),
  )
}

/** A body that is said bit by bit. */
class Spoken {
  readonly #said: (string | undefined)[] = []
  #changed = Promise.withResolvers<void>()

  say(word: string | undefined): void {
    this.#said.push(word)
    this.#changed.resolve()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      while (this.#said.length === 0) await this.#changed.promise
      this.#changed = Promise.withResolvers()
      const word = this.#said.shift()
      if (word === undefined) return
      yield Buffer.from(word)
    }
  }
}

/** Sends what is said through a connection that echoes. */
function echo(response: HttpResponse, message: string): Promise<string> {
  const { connection } = response
  assert.ok(connection !== undefined, `${response.status}`)
  return new Promise((resolve, reject) => {
    let heard = ''
    connection.open({
      onData(chunk) {
        heard += Buffer.from(chunk).toString('latin1')
        if (heard.length >= message.length) resolve(heard)
      },
      onDrain() {},
      onEnd() {},
      onClose: (reason) => reject(reason ?? new Error('closed')),
    })
    connection.write(Buffer.from(message, 'latin1'))
  })
}

/** A server of node:http2 on a port of its own. */
class Peer implements AsyncDisposable {
  readonly server: http2.Http2Server | http2.Http2SecureServer
  readonly port: number
  readonly sessions: http2.ServerHttp2Session[] = []
  readonly sockets: Socket[] = []

  private constructor(server: http2.Http2Server | http2.Http2SecureServer, onStream: OnStream) {
    this.server = server
    this.port = (server.address() as AddressInfo).port
    server.on('session', (session) => {
      this.sessions.push(session)
      session.on('error', () => {})
    })
    server.on('connection', (socket: Socket) => this.sockets.push(socket))
    server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      stream.on('error', () => {})
      onStream(stream, headers)
    })
  }

  static async start(
    onStream: OnStream,
    options: http2.ServerOptions & Partial<http2.SecureServerOptions> = {},
  ): Promise<Peer> {
    const server =
      options.key === undefined
        ? http2.createServer(options)
        : http2.createSecureServer(options as http2.SecureServerOptions)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Peer(server, onStream)
  }

  client(options: HttpClientOptions = {}): HttpClient {
    return httpClient(`http://127.0.0.1:${this.port}`, { version: '2', ...options })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.sessions) session.destroy()
    for (const socket of this.sockets) socket.destroy()
    this.server.close()
    await once(this.server, 'close')
  }
}

/** Between client and server; what went over it may fall silent without being closed. */
class Road implements AsyncDisposable {
  readonly port: number
  readonly #server: Server
  readonly #sockets: Socket[] = []
  #used: Socket[] = []

  private constructor(server: Server, to: number) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (near: Socket) => {
      const far = connect(to, '127.0.0.1')
      for (const socket of [near, far]) {
        socket.on('error', () => {})
        this.#sockets.push(socket)
        this.#used.push(socket)
      }
      near.pipe(far).pipe(near)
    })
  }

  static async to(port: number): Promise<Road> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Road(server, port)
  }

  block(): void {
    for (const socket of this.#used) socket.unpipe().pause()
    this.#used = []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
