/** `heddle chaos` in this process, over loopback, driven by its control API. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { parseToxic } from './chaos.ts'
import { ExitCode } from './exit-code.ts'
import { run } from './run.ts'

class FakeProcess extends EventEmitter {
  readonly pid = 42
  readonly env = {}
  text = ''
  readonly stdout = { write: (text: string) => void this.#said(text) }
  readonly stderr = { write: (text: string) => void this.#said(text) }
  #said(text: string): void {
    this.text += text
    this.emit('said')
  }
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.text)
      if (found !== null) return found
      await once(this, 'said')
    }
  }
}

async function echoServer(t: TestContext): Promise<string> {
  const server = createServer((socket) => void socket.on('error', () => {}).pipe(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function start(t: TestContext, ...args: string[]) {
  const host = new FakeProcess()
  const ended = run(['chaos', '--api', '127.0.0.1:0', ...args], host)
  const [, api = ''] = await host.until(/api (\S+)/)
  t.after(async () => {
    host.emit('SIGTERM')
    assert.equal(await ended, ExitCode.OK)
    assert.equal(host.listenerCount('SIGTERM') + host.listenerCount('SIGINT'), 0)
  })
  const call = async (method: string, path: string, body?: unknown, headers = {}) => {
    const response = await fetch(`http://${api.replace(/^tcp:\/\//, '')}${path}`, {
      method,
      headers,
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }
  return { host, call }
}

/** What comes back for `text`, until it is all there or the connection is over. */
async function ask(listen: string, text: string): Promise<string> {
  const [host, port] = listen.split(':')
  const socket = connect(Number(port), host)
  let heard = ''
  socket.setEncoding('utf8')
  socket.on('data', (part: string) => {
    heard += part
    if (heard.length >= text.length) socket.end()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    heard += `<${error.code}>`
  })
  socket.write(text)
  await new Promise((resolve) => socket.on('close', resolve)) // `once` would reject at the error
  return heard
}

test('heddle chaos: a proxy and its toxics, made, changed and removed as toxiproxy’s clients do', async (t) => {
  const upstream = await echoServer(t)
  const { call } = await start(t)
  const made = await call('POST', '/proxies', { name: 'echo', listen: '127.0.0.1:0', upstream })
  assert.equal(made.status, 201)
  const { listen } = made.body
  assert.match(listen, /^127\.0\.0\.1:[1-9]\d*$/)
  assert.equal(made.body.enabled, true)
  assert.equal(await ask(listen, 'hello'), 'hello')

  const limit = { type: 'limit_data', attributes: { bytes: 3 } }
  const toxic = { name: 'limit_data_downstream', stream: 'downstream', toxicity: 1, ...limit }
  assert.deepEqual(await call('POST', '/proxies/echo/toxics', limit), { status: 200, body: toxic })
  assert.equal(await ask(listen, 'hello'), 'hel')
  const four = { attributes: { bytes: 4 } }
  const changed = await call('POST', '/proxies/echo/toxics/limit_data_downstream', four)
  assert.equal(changed.body.attributes.bytes, 4)
  assert.equal(await ask(listen, 'hello'), 'hell')
  assert.equal((await call('DELETE', '/proxies/echo/toxics/limit_data_downstream')).status, 204)

  await call('POST', '/proxies/echo/toxics', { type: 'reset_peer', stream: 'upstream' })
  assert.equal(await ask(listen, 'hello'), '<ECONNRESET>')
  assert.equal((await call('POST', '/reset')).status, 204)
  assert.deepEqual((await call('GET', '/proxies/echo/toxics')).body, [])

  assert.equal((await call('POST', '/proxies/echo', { enabled: false })).body.enabled, false)
  assert.equal(await ask(listen, 'hello'), '<ECONNREFUSED>')
  await call('PATCH', '/proxies/echo', { enabled: true })
  assert.equal(await ask(listen, 'hello'), 'hello')

  assert.deepEqual(Object.keys((await call('GET', '/proxies')).body), ['echo'])
  assert.match((await call('GET', '/version')).body.version, /^2\./)
  assert.equal((await call('DELETE', '/proxies/echo')).status, 204)
  const populated = await call('POST', '/populate', [
    { name: 'a', upstream },
    { name: 'b', upstream },
  ])
  assert.equal(populated.status, 201)
  assert.equal(populated.body.proxies.length, 2)
})

test('heddle chaos refuses what is wrong, as toxiproxy does', async (t) => {
  const { call } = await start(t, '--upstream', '127.0.0.1:1')
  const status = async (...args: Parameters<typeof call>) => {
    const { status, body } = await call(...args)
    assert.equal(body.status, status)
    assert.equal(typeof body.error, 'string')
    return status
  }
  const toxics = '/proxies/default/toxics'
  assert.equal(await status('POST', '/proxies', '{'), 400)
  assert.equal(await status('POST', '/proxies', '[]'), 400)
  assert.equal(await status('POST', '/proxies', { name: 'x' }), 400)
  assert.equal(await status('POST', '/proxies', { name: 'x', upstream: 'no port' }), 400)
  assert.equal(await status('POST', '/proxies', { name: 'default', upstream: 'a:1' }), 409)
  assert.equal(await status('POST', '/populate', {}), 400)
  assert.equal(await status('GET', '/proxies/nobody'), 404)
  assert.equal(await status('GET', '/proxies/%ff'), 404)
  assert.equal(await status('GET', '/elsewhere'), 404)
  assert.equal(await status('DELETE', toxics), 405)
  assert.equal(await status('POST', toxics, { type: 'lag' }), 400)
  assert.equal(await status('POST', toxics, { type: 'latency', stream: 'sideways' }), 400)
  assert.equal(await status('POST', toxics, { type: 'latency', toxicity: 'much' }), 400)
  assert.equal(await status('POST', toxics, { type: 'latency', attributes: { latency: -1 } }), 400)
  assert.equal(await status('POST', toxics, { type: 'duplication' }), 400)
  await call('POST', toxics, { type: 'latency' })
  assert.equal(await status('POST', toxics, { type: 'latency' }), 409)
  assert.equal(await status('GET', `${toxics}/nobody`), 404)
  assert.equal(await status('GET', '/proxies', undefined, { 'user-agent': 'Mozilla/5.0' }), 403)
  assert.ok((await call('POST', '/proxies', 'x'.repeat(1_048_577))).status >= 400)
})

test('heddle chaos reads a file, and proxies UDP', async (t) => {
  const server = createSocket('udp4')
  server.on('message', (message, { port, address }) => server.send(message, port, address))
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const folder = await mkdtemp(join(tmpdir(), 'heddle-chaos-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'proxies.yaml')
  const upstream = `127.0.0.1:${server.address().port}`
  await writeFile(
    file,
    `seed: 7\nproxies:\n  - name: dns\n    listen: udp://127.0.0.1:0\n    upstream: ${upstream}\n    toxics:\n      - { type: duplication, attributes: { probability: 1 } }\n`,
  )
  const { host, call } = await start(t, file)
  assert.match(host.text, /seed 7/)
  const { listen } = (await call('GET', '/proxies/dns')).body
  const client = createSocket('udp4')
  t.after(() => client.close())
  const heard: string[] = []
  const two = new Promise<void>((resolve) => {
    client.on('message', (message) => void (heard.push(String(message)) === 2 && resolve()))
  })
  client.send('hi', Number(listen.split(':').at(-1)), '127.0.0.1')
  await two
  assert.deepEqual(heard, ['hi', 'hi'])
})

test('heddle chaos proxies the messages of WebSockets, and what their handshakes say', async (t) => {
  const seen: string[] = []
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'b' })
  t.after(() => server.close())
  server.on('connection', (socket, { url, headers }) => {
    seen.push(`${url} ${headers.cookie} ${headers['sec-websocket-protocol']}`)
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    socket.on('close', (code, reason) => server.emit('gone', `${code} ${reason}`))
  })
  await once(server, 'listening')
  const upstream = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { call } = await start(t, '--upstream', upstream, '--listen', 'ws://127.0.0.1:0')
  const { listen } = (await call('GET', '/proxies/default')).body
  assert.match(listen, /^ws:\/\/127\.0\.0\.1:[1-9]\d*$/)
  const connect = async (): Promise<WebSocket> => {
    const socket = new WebSocket(`${listen}/feed?a=1`, ['a', 'b'], { headers: { cookie: 'x=1' } })
    socket.on('error', () => {})
    await once(socket, 'open')
    return socket
  }
  const echoed = async (socket: WebSocket, data: string | Buffer): Promise<string> => {
    socket.send(data)
    const [message, isBinary] = await once(socket, 'message')
    return `${isBinary ? 'binary' : 'text'} ${message}`
  }
  const client = await connect()
  assert.equal(client.protocol, 'b')
  assert.equal(seen.shift(), '/feed?a=1 x=1 a, b')
  assert.equal(await echoed(client, 'words'), 'text words')
  assert.equal(await echoed(client, Buffer.from('bytes')), 'binary bytes')
  assert.equal((await echoed(client, 'x'.repeat(200_000))).length, 200_005)

  const toxics = '/proxies/default/toxics'
  const slicer = { type: 'slicer', attributes: { average_size: 10 } }
  assert.equal((await call('POST', toxics, slicer)).status, 400)
  await call('POST', toxics, { type: 'latency', attributes: { latency: 300 } })
  const before = performance.now()
  assert.equal(await echoed(client, 'late'), 'text late')
  assert.ok(performance.now() - before >= 295)
  await call('DELETE', `${toxics}/latency_downstream`)
  const gone = once(server, 'gone')
  client.close(4_001, 'done')
  assert.equal((await once(client, 'close'))[0], 4_001)
  assert.deepEqual(await gone, ['4001 done'])

  // A message is not cut: the one that does not fit closes.
  await call('POST', toxics, { type: 'limit_data', attributes: { bytes: 5 } })
  const limited = await connect()
  assert.equal(await echoed(limited, 'abc'), 'text abc')
  limited.send('defg')
  assert.equal((await once(limited, 'close'))[0], 1_000)
  await call('POST', '/reset')

  const open = await connect()
  await call('POST', '/proxies/default', { enabled: false })
  assert.equal((await once(open, 'close'))[0], 1_006)
  await assert.rejects(once(new WebSocket(listen), 'open'), { code: 'ECONNREFUSED' })
  await call('POST', '/proxies/default', { enabled: true })
  const again = await connect()
  assert.equal(await echoed(again, 'back'), 'text back')
  const proxy = (await call('GET', '/proxies/default')).body
  assert.equal(proxy.listen, listen, 'the port is kept')
  again.terminate()
})

test('heddle chaos answers 502 where the WebSocket upstream is not there, 426 to what is none', async (t) => {
  const { call, host } = await start(t, '--upstream', 'ws://127.0.0.1:1/fixed')
  const { listen } = (await call('GET', '/proxies/default')).body
  const refused = new WebSocket(listen)
  refused.on('error', () => {})
  const [, response] = await once(refused, 'unexpected-response')
  assert.equal(response.statusCode, 502)
  response.destroy()
  assert.match(host.text, /default: .*127\.0\.0\.1:1/)
  const plain = await fetch(listen.replace('ws:', 'http:'))
  assert.equal(plain.status, 426)
  await plain.text()
  const mixed = { name: 'mixed', listen: '127.0.0.1:0', upstream: 'ws://127.0.0.1:1' }
  assert.equal((await call('POST', '/proxies', mixed)).status, 400)
  const other = { name: 'other', listen: 'ws://127.0.0.1:0', upstream: '127.0.0.1:1' }
  assert.equal((await call('POST', '/proxies', other)).status, 400)
  const secure = { name: 'tls', listen: 'wss://127.0.0.1:0', upstream: 'wss://127.0.0.1:1' }
  const { status, body } = await call('POST', '/proxies', secure)
  assert.equal(status, 400)
  assert.match(JSON.stringify(body), /listen is 'wss:.*must be ws:/)
})

test('heddle chaos says what is wrong with its words', async () => {
  const ends = async (...args: string[]): Promise<readonly [ExitCode, string]> => {
    const host = new FakeProcess()
    return [await run(['chaos', ...args], host), host.text]
  }
  assert.match((await ends('--help'))[1], /--toxic <toxic>/)
  assert.equal((await ends('--toxic', 'latency=1'))[0], ExitCode.USAGE)
  assert.equal((await ends('--upstream', 'a:1', '--toxic', 'lag=1'))[0], ExitCode.USAGE)
  assert.equal((await ends('--upstream', 'a:1', '--seed', 'x'))[0], ExitCode.USAGE)
  assert.equal((await ends('--nothing'))[0], ExitCode.USAGE)
  assert.equal((await ends('/nowhere/at/all.yaml'))[0], ExitCode.NO_INPUT)
  assert.equal((await ends('--upstream', 'a:1', '--toxic', 'latency=-1'))[0], ExitCode.CONFIG)
  assert.deepEqual(parseToxic('upstream:latency=100,jitter=20,toxicity=0.5'), {
    type: 'latency',
    stream: 'upstream',
    toxicity: 0.5,
    attributes: { latency: 100, jitter: 20 },
  })
})
