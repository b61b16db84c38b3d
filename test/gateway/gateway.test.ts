/**
 * The gateway as a whole, over real sockets on loopback.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { Agent, get as httpGet, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ByteWriter } from '../../src/core/byte-writer.ts'
import { webSocket } from '../../src/links/websocket/websocket.ts'
import { webSocketUpgrade } from '../../src/links/websocket/websocket-upgrade.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { encodeTlsHello } from '../../src/protocols/tls-hello/tls-hello-encoder.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import { collect, HTTP, named, rawUpstream, start, upstream } from './running-gateway.ts'

test('Gateway routes to clusters and answers by itself', async (t) => {
  const one = await upstream(t, named('one'))
  const two = await upstream(t, named('two'))
  const { gateway, url } = await start(t, {
    listeners: [HTTP],
    routes: [
      { match: { prefix: '/one' }, cluster: 'one', rewrite: { prefix: '/' } },
      { match: { prefix: '/two', methods: ['POST'] }, cluster: 'two' },
      { match: { path: '/fixed' }, fixed_response: { body: 'fixed' } },
    ],
    clusters: [
      { name: 'one', endpoints: [one] },
      { name: 'two', endpoints: [two] },
    ],
  })
  const text = async (path: string, init?: RequestInit) => (await fetch(url(path), init)).text()
  assert.equal(await text('/one/a?b'), 'one GET /a?b')
  assert.equal(await text('/two', { method: 'POST', body: 'x' }), 'two POST /two')
  assert.equal(await text('/fixed'), 'fixed')
  assert.equal((await fetch(url('/two'))).status, 404)
  assert.equal(gateway.totals.requests, 4)
  assert.deepEqual(gateway.totals.statusClasses, [0, 0, 3, 0, 1, 0])
  const [status] = gateway.clusters()
  assert.equal(status?.endpoints[0]?.requests, 1)
  assert.equal(status?.endpoints[0]?.address, one)
})

test('Gateway retries a failing endpoint on another one, and a POST only when nothing was sent', async (t) => {
  const good = await upstream(t, async (request) => {
    return HttpResponse.text(`good ${await request.body.text()}`)
  })
  const failing = await upstream(t, () => new HttpResponse({ status: 503 }))
  const closed = await rawUpstream(t, (socket) => socket.destroy())
  const refusing = '127.0.0.1:1'
  const cluster = (name: string, bad: string) => ({
    name,
    endpoints: [bad, good],
    lb_policy: 'round_robin',
    retry_policy: { retry_budget: { min_retries_per_second: 1_000 } },
    circuit_breakers: { consecutive_failures: 1_000, failure_percent: 100, min_calls: 1_000_000 },
  })
  const { gateway, url } = await start(t, {
    listeners: [HTTP],
    routes: ['failing', 'closed', 'refusing'].map((name) => ({
      match: { prefix: `/${name}` },
      cluster: name,
    })),
    clusters: [
      cluster('failing', failing),
      cluster('closed', closed),
      cluster('refusing', refusing),
    ],
  })
  for (const name of ['failing', 'closed', 'refusing']) {
    for (let round = 0; round < 6; round++) {
      const response = await fetch(url(`/${name}`))
      assert.equal(response.status, 200, name)
      await response.text()
    }
  }
  const post = async (path: string): Promise<Set<number>> => {
    const statuses = new Set<number>()
    for (let round = 0; round < 6; round++) {
      const response = await fetch(url(path), { method: 'POST', body: 'content' })
      statuses.add(response.status)
      if (response.status === 200) assert.equal(await response.text(), 'good content')
      else await response.text()
    }
    return statuses
  }
  assert.deepEqual(await post('/refusing'), new Set([200]))
  assert.ok((await post('/failing')).has(503))
  assert.ok((await post('/closed')).has(502))
  assert.ok(gateway.totals.retries >= 9)
})

test('Gateway cancels the upstream call when the client goes away', async (t) => {
  const cancelled = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  const slow = await upstream(t, (_request, context) => {
    context.onCancel(() => cancelled.resolve())
    arrived.resolve()
    return new Promise(() => {})
  })
  const { url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'slow' }],
    clusters: [{ name: 'slow', endpoints: [slow] }],
  })
  const abort = new AbortController()
  const answer = fetch(url('/'), { signal: abort.signal })
  await arrived.promise
  abort.abort()
  await assert.rejects(answer)
  await cancelled.promise
})

test('Gateway hands a streamed answer through as it comes', async (t) => {
  let more: (() => void) | undefined
  const streaming = await rawUpstream(t, (socket) => {
    socket.on('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n')
      more = () => socket.write('6\r\nsecond\r\n0\r\n\r\n')
    })
  })
  const { url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'streaming' }],
    clusters: [{ name: 'streaming', endpoints: [streaming] }],
  })
  const response = await fetch(url('/'))
  const reader = response.body?.getReader()
  assert.ok(reader !== undefined)
  const first = await reader.read()
  assert.equal(Buffer.from(first.value ?? []).toString(), 'first')
  more?.()
  const second = await reader.read()
  assert.equal(Buffer.from(second.value ?? []).toString(), 'second')
  assert.equal((await reader.read()).done, true)
})

test('Gateway answers 504 after the route’s timeout and 502 for nonsense', async (t) => {
  const silent = await rawUpstream(t, () => {})
  const nonsense = await rawUpstream(t, (socket) => {
    socket.on('data', () => socket.end('this is not HTTP\r\n\r\n'))
  })
  const { gateway, url } = await start(t, {
    listeners: [HTTP],
    routes: [
      { name: 'silent', match: { path: '/silent' }, cluster: 'silent', timeout: '50ms' },
      { name: 'nonsense', match: { path: '/nonsense' }, cluster: 'nonsense' },
    ],
    clusters: [
      { name: 'silent', endpoints: [silent] },
      { name: 'nonsense', endpoints: [nonsense], retry_policy: { num_retries: 0 } },
    ],
  })
  const timedOut = await fetch(url('/silent'))
  assert.equal(timedOut.status, 504)
  assert.equal(timedOut.headers.get('x-heddle-error'), 'ERR_DEADLINE')
  const bad = await fetch(url('/nonsense'), { headers: { accept: 'application/json' } })
  assert.equal(bad.status, 502)
  const [error] = gateway.recentErrors()
  assert.equal(error?.where, 'cluster nonsense')
  assert.equal(error?.upstream, nonsense)
  assert.equal(error?.route, 'nonsense')
  assert.equal(error?.requestId, bad.headers.get('x-request-id'))
})

test('Gateway passes an upgrade through', async (t) => {
  const echo = await rawUpstream(t, (socket) => {
    let upgraded = false
    socket.on('data', (chunk) => {
      if (upgraded) socket.write(`echo ${chunk}`)
      else if (/^upgrade: chat\r$/im.test(String(chunk))) {
        upgraded = true
        // The first bytes of the new protocol come with the head.
        socket.write('HTTP/1.1 101 Up\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nhello ')
      }
    })
    socket.on('end', () => socket.end())
  })
  const { gateway, at } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'echo' }],
    clusters: [{ name: 'echo', endpoints: [echo] }],
  })
  const socket = connect(at())
  socket.write(
    'GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n',
  )
  let text = ''
  socket.on('data', (chunk) => {
    if (text === '') socket.write('ping')
    text += String(chunk)
    if (text.endsWith('echo ping')) socket.end()
  })
  await once(socket, 'close')
  assert.match(text, /^HTTP\/1\.1 101 /)
  assert.match(text, /hello echo ping$/)
  assert.equal(gateway.totals.requests, 1)
})

test('Gateway passes a WebSocket through, in both directions', async (t) => {
  const upgrade = webSocketUpgrade((connection) =>
    connection.open({
      onMessage: (message) => void connection.send(message.slice()),
      onText: (text) => void connection.sendText(text.toUpperCase()),
      onDrain() {},
      onEnd() {},
      onClose() {},
    }),
  )
  const upstream = httpServer(upgrade)
  const { address } = await upstream.listen(tcp(), 'tcp://127.0.0.1:0')
  t.after(() => upstream.close({ signal: AbortSignal.abort() }))
  assert.ok(address.kind === 'ip')
  const { url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'echo' }],
    clusters: [{ name: 'echo', endpoints: [`127.0.0.1:${address.port}`] }],
  })
  const at = url('/ws').replace('http', 'ws')
  const connection = await webSocket().connect({ kind: 'url', url: at })
  const heard: (string | number)[] = []
  const closed = Promise.withResolvers<Error | undefined>()
  connection.open({
    onText: (text) => void heard.push(text),
    onMessage(message) {
      heard.push(message.length)
      connection.end()
    },
    onDrain() {},
    onEnd() {},
    onClose: closed.resolve,
  })
  connection.sendText('through')
  connection.send(new Uint8Array(300_000))
  assert.equal(await closed.promise, undefined)
  assert.deepEqual(heard, ['THROUGH', 300_000])
})

test('Gateway counts upgraded connections, and cuts them when the drain’s time is over', async (t) => {
  const silent = await rawUpstream(t, (socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Up\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n')
    })
  })
  const { gateway, at } = await start(t, {
    drain: { timeout: '50ms' },
    listeners: [HTTP],
    routes: [{ cluster: 'silent' }],
    clusters: [{ name: 'silent', endpoints: [silent] }],
  })
  const upgrade = async () => {
    const socket = connect(at())
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n')
    await once(socket, 'data')
    return socket
  }
  const first = await upgrade()
  const second = await upgrade()
  assert.equal(gateway.totals.openConnections, 2)
  first.destroy()
  while (gateway.totals.openConnections > 1) await new Promise((resolve) => setImmediate(resolve))
  const closed = once(second, 'close')
  await gateway.drain()
  await closed
  assert.equal(gateway.totals.openConnections, 0)
})

test('Gateway believes a PROXY header and refuses connections without one', async (t) => {
  const show = await upstream(t, ({ fields }) =>
    HttpResponse.text(fields.get('x-forwarded-for') ?? ''),
  )
  const { at, gateway } = await start(t, {
    listeners: [{ ...HTTP, proxy_protocol: { mode: 'require', trusted: ['any'] } }],
    routes: [{ cluster: 'show' }],
    clusters: [{ name: 'show', endpoints: [show] }],
  })
  const ask = async (bytes: string): Promise<string> => {
    const socket = connect(at())
    socket.on('error', () => {})
    socket.write(`${bytes}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    return collect(socket).catch(() => '')
  }
  assert.match(await ask('PROXY TCP4 192.0.2.9 198.51.100.1 5000 80\r\n'), /192\.0\.2\.9$/)
  assert.match(await ask('PROXY UNKNOWN\r\n'), /127\.0\.0\.1$/)
  assert.equal(await ask(''), '')
  assert.equal(gateway.listeners()[0]?.errors, 1)
  assert.match(gateway.recentErrors()[0]?.message ?? '', /no PROXY header/)
})

test('Gateway sends a PROXY header upstream, one client a connection', async (t) => {
  const seen: Buffer[] = []
  const legacy = await rawUpstream(t, (socket) => {
    let text = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      text = Buffer.concat([text, Buffer.from(chunk)])
      if (!text.includes('\r\n\r\n', 16)) return
      seen.push(text)
      text = Buffer.alloc(0)
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
  })
  const { url } = await start(t, {
    listeners: [HTTP],
    routes: [
      { match: { path: '/v1' }, cluster: 'v1' },
      { match: { path: '/v2' }, cluster: 'v2' },
    ],
    clusters: [
      { name: 'v1', endpoints: [legacy], proxy_protocol: 'v1' },
      { name: 'v2', endpoints: [legacy], proxy_protocol: 'v2' },
    ],
  })
  for (const path of ['/v1', '/v1', '/v2'])
    assert.equal(await (await fetch(url(path))).text(), 'ok')
  assert.match(
    seen[0]?.toString() ?? '',
    /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nGET \/v1 /,
  )
  assert.match(seen[1]?.toString() ?? '', /^PROXY TCP4 /)
  assert.equal(seen[2]?.subarray(0, 12).toString('hex'), '0d0a0d0a000d0a515549540a')
  assert.equal(seen[2]?.subarray(28, 35).toString(), 'GET /v2')
})

test('Gateway tells protocols apart on one port', async (t) => {
  const web = await upstream(t, named('web'))
  const secure = await rawUpstream(t, (socket) => {
    socket.once('data', (chunk) => socket.end(`secure ${chunk.length}`))
  })
  const other = await rawUpstream(t, (socket) => {
    socket.once('data', (chunk) => socket.end(`other ${chunk}`))
  })
  const { at, gateway } = await start(t, {
    listeners: [
      {
        name: 'http',
        address: '127.0.0.1:0',
        protocol: 'detect',
        http_versions: ['1.1'],
        raw_routes: [
          { match: { sni: ['*.secure.example'] }, cluster: 'secure' },
          { cluster: 'other' },
        ],
      },
    ],
    routes: [{ cluster: 'web' }],
    clusters: [
      { name: 'web', endpoints: [web] },
      { name: 'secure', endpoints: [secure] },
      { name: 'other', endpoints: [other] },
    ],
  })
  const say = async (...parts: (string | Uint8Array)[]): Promise<string> => {
    const socket = connect({ ...at(), noDelay: true })
    for (const part of parts) {
      socket.write(part)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return collect(socket)
  }
  const hello = (serverName: string): Uint8Array => {
    const writer = new ByteWriter()
    encodeTlsHello({ serverName, alpn: [], version: 0x0304 }, writer)
    return writer.take()
  }
  assert.match(await say('GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /web GET \/x$/)
  assert.match(
    await say('G', 'ET /y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
    /web GET \/y$/,
  )
  const named1 = hello('a.secure.example')
  assert.equal(await say(named1.subarray(0, 30), named1.subarray(30)), `secure ${named1.length}`)
  const unnamed = hello('elsewhere.example')
  assert.match(await say(unnamed), /^other /)
  assert.equal(await say('\u0001\u0002binary'), 'other \u0001\u0002binary')
  assert.match(await say('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), /^other PRI/)
  assert.equal(gateway.totals.rawConnections, 4)
})

test('Gateway tells an HTTP/2 client to come back with HTTP/1.1', async (t) => {
  const { at } = await start(t, {
    listeners: [{ ...HTTP, protocol: 'detect', http_versions: ['1.1'] }],
    routes: [{ fixed_response: {} }],
  })
  const socket = connect(at())
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  const answer = await collect(socket)
  assert.match(answer, /HTTP\/2 is not spoken here: use HTTP\/1\.1$/)
  assert.equal(answer.charCodeAt(3), 4) // SETTINGS first, as a client expects
})

test('Gateway forwards bytes at layer 4, and tries another endpoint when one refuses', async (t) => {
  const echo = await rawUpstream(t, (socket) => socket.pipe(socket))
  const { at, gateway } = await start(t, {
    listeners: [
      { name: 'http', address: '127.0.0.1:0', protocol: 'raw', raw_routes: [{ cluster: 'echo' }] },
    ],
    clusters: [{ name: 'echo', endpoints: ['127.0.0.1:1', echo], lb_policy: 'round_robin' }],
  })
  for (let round = 0; round < 4; round++) {
    const socket = connect(at())
    const sent = Buffer.alloc(100_000, round)
    socket.end(sent)
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(Buffer.from(chunk))
    assert.ok(Buffer.concat(chunks).equals(sent))
  }
  assert.ok((gateway.clusters()[0]?.retries ?? 0) >= 1)
})

test('Gateway reloads without closing connections, and keeps the old configuration for a broken one', async (t) => {
  const one = await upstream(t, named('one'))
  const config = (cluster: string, extra: object = {}) => ({
    listeners: [HTTP],
    routes: [{ cluster }],
    clusters: [
      { name: 'one', endpoints: [one] },
      ...(cluster === 'two' ? [{ name: 'two', endpoints: [one] }] : []),
    ],
    ...extra,
  })
  const running = await start(t, config('one'))
  const { gateway, url } = running
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const ask = async (): Promise<{ status: number; port: number | undefined }> => {
    const [response] = (await once(httpGet(url('/'), { agent }), 'response')) as [IncomingMessage]
    const port = response.socket.localPort
    response.resume()
    await once(response, 'end')
    return { status: response.statusCode ?? 0, port }
  }
  const before = await ask()
  assert.equal((await gateway.reload()).status, 'unchanged')
  running.change(config('two'))
  const applied = await gateway.reload()
  assert.deepEqual(applied.status === 'applied' && applied.changes, [
    'cluster two added',
    'routes changed',
  ])
  assert.equal(gateway.config.version, 2)
  running.change(config('nowhere'))
  const rejected = await gateway.reload()
  assert.equal(rejected.status, 'rejected')
  assert.match(gateway.config.lastError ?? '', /no cluster is named 'nowhere'/)
  running.change({ ...config('two'), routes: [{ fixed_response: { status: 418 } }] })
  assert.equal((await gateway.reload()).status, 'applied')
  const after = await ask()
  assert.deepEqual([before.status, after.status], [200, 418])
  assert.equal(after.port, before.port) // the same connection
  assert.equal(gateway.config.lastError, undefined)
})

test('Gateway reload adds, moves and removes listeners, and gives up nothing when it fails', async (t) => {
  const taken = await rawUpstream(t, () => {})
  const config = (listeners: object[]) => ({
    listeners,
    routes: [{ fixed_response: { body: 'x' } }],
  })
  const running = await start(t, config([HTTP]))
  const { gateway, url } = running
  running.change(config([HTTP, { name: 'second', address: '127.0.0.1:0' }]))
  assert.equal((await gateway.reload()).status, 'applied')
  assert.equal(await (await fetch(url('/', 'second'))).text(), 'x')
  const port = running.at('second').port
  running.change(config([HTTP, { name: 'second', address: taken }]))
  const failed = await gateway.reload()
  assert.match(failed.status === 'rejected' ? failed.problems.join() : '', /in use/)
  assert.equal(running.at('second').port, port)
  assert.equal(await (await fetch(url('/', 'second'))).text(), 'x')
  running.change(config([HTTP]))
  assert.equal((await gateway.reload()).status, 'applied')
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`))
  assert.equal(gateway.listeners().length, 1)
})

test('Gateway reload moves admin and the access log, or leaves both where they are', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(folder, { recursive: true }))
  const taken = await rawUpstream(t, () => {})
  const config = (body: string, extra: object) => ({
    listeners: [HTTP],
    routes: [{ fixed_response: { body } }],
    admin: { address: '127.0.0.1:0' },
    ...extra,
  })
  const running = await start(t, config('one', {}))
  const { gateway, url } = running
  const ready = async () => (await fetch(`http://${gateway.adminAddress}/readyz`)).status
  assert.equal(await ready(), 200)
  const before = gateway.adminAddress
  for (const broken of [
    { admin: { address: taken } },
    { access_log: { path: join(folder, 'missing', 'log') } },
  ]) {
    running.change(config('two', broken))
    assert.equal((await gateway.reload()).status, 'rejected')
    assert.equal(await (await fetch(url('/'))).text(), 'one')
    assert.equal(gateway.adminAddress, before)
    assert.equal(await ready(), 200)
  }
  const log = join(folder, 'log')
  running.change(config('three', { access_log: { path: log }, admin: { enabled: false } }))
  assert.equal((await gateway.reload()).status, 'applied')
  assert.equal(gateway.adminAddress, undefined)
  assert.equal(await (await fetch(url('/'))).text(), 'three')
  running.change(config('three', {}))
  assert.equal((await gateway.reload()).status, 'applied')
  assert.equal(await ready(), 200)
  assert.match(await readFile(log, 'utf8'), /"status":200/)
})

test('Gateway drains: finishes what is in flight, refuses what is new', async (t) => {
  const release = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  const slow = await upstream(t, async () => {
    arrived.resolve()
    await release.promise
    return HttpResponse.text('finished')
  })
  const { gateway, url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'slow' }],
    clusters: [{ name: 'slow', endpoints: [slow] }],
  })
  const answer = fetch(url('/'))
  await arrived.promise
  const address = url('/')
  const drained = gateway.drain()
  assert.equal(gateway.phase, 'draining')
  await assert.rejects(fetch(address))
  release.resolve()
  assert.equal(await (await answer).text(), 'finished')
  await drained
  assert.equal(gateway.phase, 'stopped')
  await gateway.stopped
})

test('Gateway cuts what does not drain in time', async (t) => {
  const arrived = Promise.withResolvers<void>()
  const never = await upstream(t, () => {
    arrived.resolve()
    return new Promise(() => {})
  })
  const { gateway, url } = await start(t, {
    drain: { timeout: '50ms' },
    listeners: [HTTP],
    routes: [{ cluster: 'never' }],
    clusters: [{ name: 'never', endpoints: [never] }],
  })
  const answer = fetch(url('/'))
  answer.catch(() => {})
  await arrived.promise
  await gateway.drain()
  await assert.rejects(answer)
})

test('Gateway leaves out an endpoint whose health checks fail', async (t) => {
  const good = await upstream(t, named('good'))
  const ill = await upstream(t, ({ target }) =>
    target === '/health' ? new HttpResponse({ status: 500 }) : HttpResponse.text('ill'),
  )
  const { gateway, url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'checked' }],
    clusters: [
      {
        name: 'checked',
        endpoints: [good, ill],
        health_checks: [
          { path: '/health', interval: '20ms', timeout: '1s', unhealthy_threshold: 1 },
        ],
      },
    ],
  })
  const healthOf = (address: string) =>
    gateway.clusters()[0]?.endpoints.find((one) => one.address === address)?.health
  while (healthOf(ill) !== 'unhealthy' || healthOf(good) !== 'healthy') {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  for (let round = 0; round < 5; round++) {
    assert.match(await (await fetch(url('/'))).text(), /^good/)
  }
  const reason = gateway.clusters()[0]?.endpoints[1]?.healthReason
  assert.match(reason ?? '', /answered 500/)
})

test('Gateway writes the access log and opens it again after it was moved', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'access.log')
  const one = await upstream(t, named('one'))
  const { gateway, url } = await start(t, {
    access_log: { path, headers: ['x-plain', 'authorization'] },
    listeners: [HTTP],
    routes: [{ name: 'all', cluster: 'one' }],
    clusters: [{ name: 'one', endpoints: [one] }],
  })
  const headers = { 'x-plain': 'shown', authorization: 'Bearer hunter2' }
  const id = (await fetch(url('/a?secret=1'), { headers })).headers.get('x-request-id')
  await rename(path, `${path}.1`)
  await gateway.reopenLogs()
  await (await fetch(url('/b'))).text()
  await gateway.drain()
  const first = await readFile(`${path}.1`, 'utf8')
  assert.doesNotMatch(first, /secret|hunter2/)
  const line = JSON.parse(first) as Record<string, unknown>
  assert.equal(line['path'], '/a')
  assert.equal(line['status'], 200)
  assert.equal(line['route'], 'all')
  assert.equal(line['cluster'], 'one')
  assert.equal(line['upstream'], one)
  assert.equal(line['attempts'], 1)
  assert.equal(line['correlation_id'], id)
  assert.equal(line['peer'], '127.0.0.1')
  assert.equal(JSON.parse(await readFile(path, 'utf8')).path, '/b')
})

test('startGateway says which address is in use and leaves nothing open', async (t) => {
  const taken = await rawUpstream(t, () => {})
  await assert.rejects(
    start(t, {
      listeners: [HTTP, { name: 'b', address: taken }],
      routes: [{ fixed_response: {} }],
    }),
    { code: 'ERR_ADDRESS_IN_USE', message: new RegExp(taken) },
  )
})

test('startGateway says which file cannot be read', async (t) => {
  await assert.rejects(
    start(t, {
      listeners: [HTTP],
      routes: [{ fixed_response: { body_file: '/nowhere/body' } }],
    }),
    { code: 'ERR_CONFIG', message: '/nowhere/body cannot be read: there is no such file' },
  )
})
