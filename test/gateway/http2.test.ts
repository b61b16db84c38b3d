/** HTTP/2 in front of the gateway and behind it, with our client and with node:http2. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { httpClient } from '../../src/clients/http/http-client.ts'
import { Channel } from '../../src/core/channel.ts'
import { webSocketUpgrade } from '../../src/links/websocket/websocket-upgrade.ts'
import { Body } from '../../src/protocols/http/body.ts'
import { HttpFields } from '../../src/protocols/http/fields.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../../src/protocols/http/messages.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import { collect, HTTP, rawUpstream, start, upstream } from './running-gateway.ts'
import { certificates } from './test-certificates.ts'

/** A gateway before `service`; node:http2 in front of it. */
async function behind(
  t: TestContext,
  service: HttpService | string,
  { cluster = {}, route = {}, listener = {}, lines = [] as string[] } = {},
) {
  const endpoint = typeof service === 'string' ? service : await upstream(t, service)
  const running = await start(
    t,
    {
      access_log: { path: 'stdout' },
      listeners: [{ ...HTTP, ...listener }],
      routes: [{ cluster: 'app', ...route }],
      clusters: [{ name: 'app', endpoints: [endpoint], ...cluster }],
    },
    undefined,
    undefined,
    { writeOut: (line) => void lines.push(line) },
  )
  return { ...running, session: connect(t, running.url('')) }
}

function connect(t: TestContext, url: string, options = {}): http2.ClientHttp2Session {
  const session = http2.connect(url, options)
  session.on('error', () => {})
  t.after(() => session.destroy())
  return session
}

async function ask(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders = {},
  body?: string,
) {
  const method = body === undefined ? {} : { ':method': 'POST' }
  const stream = session.request({ ':path': '/', ...method, ...headers })
  stream.end(body)
  return answerOf(stream)
}

async function answerOf(stream: http2.ClientHttp2Stream) {
  let trailers: http2.IncomingHttpHeaders = {}
  stream.on('trailers', (fields) => {
    trailers = fields
  })
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return {
    status: Number(headers[':status']),
    headers,
    trailers,
    body: String(Buffer.concat(chunks)),
  }
}

const tell: HttpService = async ({ version, method, target, authority, fields, body }) => {
  const text = `${version} ${method} ${target} ${authority} te=${fields.get('te')} ${await body.text()}`
  const response = HttpResponse.text(text)
  response.body.trailers = new HttpFields({ 'x-sum': body.trailers?.get('x-sum') ?? 'none' })
  return response
}

for (const http_version of ['1.1', '2']) {
  test(`Gateway carries HTTP/2 to HTTP/${http_version}, with trailers and te`, async (t) => {
    const lines: string[] = []
    const { session, url } = await behind(t, tell, { cluster: { http_version }, lines })
    const stream = session.request({ ':path': '/a?b', ':method': 'POST', te: 'trailers' }, {
      waitForTrailers: true,
    } as http2.ClientSessionRequestOptions)
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }))
    stream.end('body')
    const { body, trailers, headers } = await answerOf(stream)
    const authority = new URL(url('/')).host
    assert.equal(body, `${http_version} POST /a?b ${authority} te=trailers body`)
    assert.equal(trailers['x-sum'], '42')
    assert.equal(headers['transfer-encoding'], undefined)
    const plain = await fetch(url('/c'))
    assert.match(await plain.text(), new RegExp(`^${http_version} GET /c`))
    while (lines.length < 2) await turn()
    const protocols = lines.map((line) => (JSON.parse(line) as { protocol?: string }).protocol)
    assert.deepEqual(protocols.sort(), ['http/1.1', 'http/2'], lines.join('\n'))
  })

  test(`Gateway streams both ways at once, HTTP/2 before HTTP/${http_version}`, async (t) => {
    const echo: HttpService = ({ body }) => new HttpResponse({ body: Body.from(body) })
    const { session } = await behind(t, echo, { cluster: { http_version } })
    const stream = session.request({ ':path': '/', ':method': 'POST' })
    stream.write('one')
    await once(stream, 'response')
    const [first] = (await once(stream, 'data')) as [Buffer]
    assert.equal(String(first), 'one')
    stream.end('two')
    const rest: Buffer[] = []
    for await (const chunk of stream) rest.push(chunk)
    assert.equal(String(Buffer.concat(rest)), 'two')
  })

  test(`Gateway passes resets on, both ways, to HTTP/${http_version}`, async (t) => {
    let cut: () => void = () => {}
    const gone = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const { session } = await behind(
      t,
      (request, context) => {
        if (request.path === '/cut') {
          const channel = new Channel<Uint8Array>(
            () => {
              channel.write(Buffer.from('half'))
              cut = () => channel.fail(new Error('broken'))
            },
            () => {},
          )
          return new HttpResponse({ body: channel })
        }
        begun.resolve()
        return new Promise((_, reject) => {
          context.onCancel((reason) => {
            gone.resolve()
            reject(reason)
          })
        })
      },
      { cluster: { http_version } },
    )
    const half = session.request({ ':path': '/cut' })
    half.end()
    await once(half, 'data')
    cut()
    await assert.rejects(once(half, 'end'), /NGHTTP2_INTERNAL_ERROR/)
    const given = session.request({ ':path': '/slow' })
    given.on('error', () => {})
    given.end()
    await begun.promise
    given.close(http2.constants.NGHTTP2_CANCEL)
    await gone.promise
  })
}

test('Gateway speaks HTTP/2 by ALPN on both sides, and many calls share a connection', async (t) => {
  const { issue, ca, caFile } = await certificates(t)
  const { cert_file, key_file } = await issue('localhost')
  const tls = { certificates: [{ cert_file, key_file }] }
  const lines: string[] = []
  const app = await behind(t, tell, { listener: { tls }, lines })
  const back = await start(t, {
    listeners: [{ ...HTTP, tls }],
    routes: [{ cluster: 'app' }],
    clusters: [
      {
        name: 'app',
        endpoints: [`localhost:${app.at().port}`],
        tls: { ca_file: await caFile() },
      },
    ],
  })
  const authority = `localhost:${back.at().port}`
  const session = connect(t, `https://${authority}`, { ca: ca() })
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(session)))
  for (const { body } of answers) assert.match(body, /^1\.1 GET \/ localhost/)
  assert.equal(session.alpnProtocol, 'h2')
  while (lines.length < 20) await turn()
  const logged = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.ok(logged.every(({ protocol }) => protocol === 'http/2'))
  assert.ok(new Set(logged.map((line) => line['connection_id'])).size < 3)
})

test('Gateway listener that speaks one version only says so', async (t) => {
  const old = await behind(t, tell, { listener: { http_versions: ['1.1'] } })
  await assert.rejects(ask(old.session))
  const modern = await behind(t, tell, { listener: { http_versions: ['2'] } })
  assert.equal((await ask(modern.session)).status, 200)
  await assert.rejects(fetch(modern.url('/')))
})

test('Gateway detects HTTP/2 on a port that speaks anything', async (t) => {
  const { session, url } = await behind(t, tell, { listener: { protocol: 'detect' } })
  assert.match((await ask(session)).body, /^1\.1 GET/)
  assert.match(await (await fetch(url('/'))).text(), /^1\.1 GET/)
})

test('Gateway upstream that does not speak HTTP/2 is answered for with 502', async (t) => {
  const { session } = await behind(
    t,
    await rawUpstream(t, (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    { cluster: { http_version: '2' } },
  )
  const { status } = await ask(session)
  assert.ok(status === 502 || status === 503, String(status))
})

test('Gateway answers 431 for a request that is over what its upstream takes, and others go on', async (t) => {
  const paths: string[] = []
  const server = httpServer(
    ({ path }) => {
      paths.push(path)
      return HttpResponse.text('fine')
    },
    { http2: { maxHeaderListBytes: 1_000 } },
  )
  t.after(() => server.close({ signal: AbortSignal.abort(new Error('test over')) }))
  const { address } = await server.listen(tcp(), '127.0.0.1:0')
  const port = address.kind === 'ip' ? address.port : 0
  const { session } = await behind(t, `127.0.0.1:${port}`, { cluster: { http_version: '2' } })
  // Behind the first answer the limit is known.
  assert.equal((await ask(session)).body, 'fine')
  const long = await ask(session, { ':path': '/long', x: 'y'.repeat(1_000) })
  assert.deepEqual([long.status, long.headers['x-heddle-error']], [431, 'ERR_FIELDS_TOO_LARGE'])
  const type = { 'content-type': 'application/grpc', te: 'trailers' }
  const call = await ask(session, { ':path': '/long', ...type, x: 'y'.repeat(1_000) }, 'call')
  assert.deepEqual([call.status, call.headers['grpc-status']], [200, '8'])
  assert.equal((await ask(session)).body, 'fine')
  assert.deepEqual(paths, ['/', '/'])
})

// --- smuggling: what HTTP/2 can say and HTTP/1.1 must not be made to say

const SMUGGLED: readonly (readonly [string, http2.OutgoingHttpHeaders, string?])[] = [
  ['Host that contradicts :authority', { host: 'other.example' }],
  ['transfer-encoding', { 'transfer-encoding': 'chunked' }, '0\r\n\r\nGET /b HTTP/1.1\r\n\r\n'],
  ['a content-length that is too short', { 'content-length': 3 }, 'GET /b HTTP/1.1'],
  ['a content-length that is too long', { 'content-length': 300 }, 'short'],
]

for (const [what, headers, body] of SMUGGLED) {
  test(`Gateway refuses ${what} of HTTP/2, and no byte goes upstream`, async (t) => {
    let reached = ''
    const address = await rawUpstream(t, (socket) => {
      socket.on('data', (chunk) => {
        reached += String(chunk)
        if (reached.includes('POST / HTTP/1.1') && reached.includes('300')) return
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      })
    })
    const { session } = await behind(t, address)
    await once(session, 'connect')
    const outcome = await rawAsk(session, headers, body)
    // RFC 9113 8.1.1: malformed, so the stream is reset, and others go on.
    assert.equal(outcome, 'reset')
    assert.doesNotMatch(reached, /\/b HTTP/)
    assert.doesNotMatch(reached, /other\.example/)
  })
}

/** node:http2 itself refuses to send what is wrong: frames are written by hand. */
async function rawAsk(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string,
): Promise<number | 'reset' | 'another end'> {
  const { remotePort } = session.socket as net.Socket
  const socket = net.connect(remotePort as number, '127.0.0.1')
  const fields: [string, string][] = [
    [':method', body === undefined ? 'GET' : 'POST'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'a.example'],
    ...Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]),
  ]
  const block = Buffer.concat(fields.map(([name, value]) => literal(name, value)))
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  socket.write(frame(4, 0, 0, Buffer.alloc(0)))
  socket.write(frame(1, body === undefined ? 5 : 4, 1, block))
  if (body !== undefined) socket.write(frame(0, 1, 1, Buffer.from(body)))
  try {
    let input = Buffer.alloc(0)
    for await (const chunk of socket) {
      input = Buffer.concat([input, chunk])
      while (input.length >= 9) {
        const length = input.readUIntBE(0, 3)
        if (input.length < 9 + length) break
        const type = input[3]
        // RST_STREAM with PROTOCOL_ERROR.
        if (type === 3) return input.readUInt32BE(9) === 1 ? 'reset' : 'another end'
        if (type === 7) return 'another end'
        // :status 400 is index 12 of the static table.
        if (type === 1) return input[9] === 0x8c ? 400 : (input[9] ?? 0)
        input = input.subarray(9 + length)
      }
    }
    return 'another end'
  } finally {
    socket.destroy()
  }
}

/** A literal field without indexing and without Huffman coding (RFC 7541 6.2.2). */
function literal(name: string, value: string): Buffer {
  const [key, text] = [Buffer.from(name), Buffer.from(value)]
  return Buffer.concat([Buffer.of(0, key.length), key, Buffer.of(text.length), text])
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

for (const [what, name, value] of [
  ['a line feed in a value', 'x-a', 'b\r\nGET /b HTTP/1.1'],
  ['a NUL in a value', 'x-a', 'b\0c'],
  ['a capital in a name', 'X-A', 'b'],
  ['a space in a name', 'x a', 'b'],
  ['Connection', 'connection', 'close'],
] as const) {
  test(`Gateway refuses ${what} of HTTP/2`, async (t) => {
    let reached = ''
    const address = await rawUpstream(t, (socket) => {
      socket.on('data', (chunk) => {
        reached += String(chunk)
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      })
    })
    const { session } = await behind(t, address)
    await once(session, 'connect')
    assert.equal(await rawAsk(session, { [name]: value }), 'reset')
    assert.equal(reached, '')
  })
}

// --- WebSockets

const chat = webSocketUpgrade((connection) =>
  connection.open({
    onMessage: (message) => void connection.send(message.slice()),
    onText: (text) => void connection.sendText(`<${text}>`),
    onDrain() {},
    onEnd() {},
    onClose() {},
  }),
)

for (const http_version of ['1.1', '2']) {
  test(`Gateway bridges WebSockets: HTTP/2 in front, HTTP/${http_version} behind`, async (t) => {
    const options = { cluster: { http_version }, route: { upgrades: true } }
    const { session } = await behind(t, chat, options)
    await once(session, 'remoteSettings')
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/chat',
      'sec-websocket-version': '13',
    })
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
    assert.equal(headers[':status'], 200)
    // A text message 'hi', masked with zeros.
    stream.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]))
    const [answer] = (await once(stream, 'data')) as [Buffer]
    assert.equal(String(answer.subarray(2)), '<hi>')
    stream.close()
  })

  test(`Gateway bridges WebSockets: HTTP/1.1 in front, HTTP/${http_version} behind`, async (t) => {
    const options = { cluster: { http_version }, route: { upgrades: true } }
    const { at } = await behind(t, chat, options)
    const socket = net.connect(at().port, '127.0.0.1')
    socket.write(
      'GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    const head = await collect(socket, '\r\n\r\n')
    assert.match(head, /^HTTP\/1\.1 101 /)
    assert.match(head, /sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i)
    socket.destroy()
  })
}

test('httpClient reaches a gateway over HTTP/2 by prior knowledge', async (t) => {
  const { url } = await behind(t, tell)
  const client = httpClient(url(''), { version: '2' })
  t.after(() => client.close({ signal: AbortSignal.abort(new Error('test over')) }))
  const response = await client.call(new HttpRequest({ target: '/x' }))
  assert.equal(response.version, '2')
  assert.match(await response.body.text(), /^1\.1 GET \/x/)
})
