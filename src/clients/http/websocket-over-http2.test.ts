/** WebSockets as exchanges of an HTTP client (RFC 8441), in memory: `webSocket({ over: client })`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as memoryAddress } from '../../core/address.ts'
import type { HeddleError } from '../../core/errors.ts'
import { type WebSocketTransportOptions, webSocket } from '../../links/websocket/websocket.ts'
import type {
  WebSocketConnection,
  WebSocketHandler,
} from '../../links/websocket/websocket-connection.ts'
import {
  type WebSocketUpgradeOptions,
  webSocketUpgrade,
} from '../../links/websocket/websocket-upgrade.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { type HttpServerOptions, httpServer } from '../../servers/http/http-server.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { type HttpClient, type HttpClientOptions, httpClient } from './http-client.ts'

const CHAT = { kind: 'url', url: 'ws://a.example/chat?room=1' } as const

test('twenty WebSockets share a connection with each other and with calls', async () => {
  await using pair = await serve({ subprotocols: ['echo'], compression: true })
  const transport = pair.over({ subprotocols: ['other', 'echo'], compression: true })
  const dialled = await Promise.all(Array.from({ length: 20 }, () => transport.connect(CHAT)))
  const ends = dialled.map((connection, at) => {
    assert.deepEqual(
      [connection.subprotocol, connection.compressed, connection.target],
      ['echo', true, '/chat?room=1'],
    )
    return exchange(connection, `message ${at}`, 4_000 + at)
  })
  assert.equal(await (await pair.client.get('/')).body.text(), 'HTTP/2')
  assert.equal(inFlight(pair).length, 1)
  for (const [at, end] of (await Promise.all(ends)).entries()) {
    assert.deepEqual(end.texts, [`message ${at}`])
    assert.deepEqual(end.peerClose, { code: 4_000 + at, reason: '' })
    assert.equal(end.reason, undefined)
  }
  assert.deepEqual(pair.closed.map(codeOf).sort(), range(4_000, 20))
  while (inFlight(pair)[0] !== 0) await turn()
})

test('where the server takes four streams, ten WebSockets dialled at once go over more connections', async () => {
  await using pair = await serve({}, { http2: { maxConcurrentStreams: 4 } })
  const transport = pair.over()
  const dialled = await Promise.all(Array.from({ length: 10 }, () => transport.connect(CHAT)))
  const streams = inFlight(pair)
  assert.ok(streams.length >= 3 && Math.max(...streams) <= 4, `streams: ${streams.join(', ')}`)
  const ends = await Promise.all(dialled.map((each) => exchange(each, 'hello', 1_000)))
  assert.ok(ends.every(({ texts }) => texts[0] === 'hello'))
})

test('the close code of the server comes through, and a destroyed stream is told as cut', async () => {
  await using pair = await serve({}, {}, {}, (connection) => {
    connection.open(quiet)
    connection.close(1_012, 'restarting')
  })
  const first = await heard(await pair.over().connect(CHAT))
  assert.deepEqual([first.code, first.status], ['ERR_REMOTE', 1_012])
  await using other = await serve({}, {}, {}, (connection) => connection.destroy())
  const cut = await heard(await other.over().connect(CHAT))
  assert.deepEqual([cut.code, cut.status], ['ERR_ABORTED', 'CANCEL'])
  assert.equal(await (await other.client.get('/')).body.text(), 'HTTP/2')
})

test('a refused handshake says so: 403 for an origin, 404 for a path, 400 for subprotocols', async () => {
  await using pair = await serve({ subprotocols: ['echo'] })
  const refused = async (options: WebSocketTransportOptions, url: string, status: number) => {
    const dialling = pair.over(options).connect({ kind: 'url', url })
    await assert.rejects(dialling, (error: HeddleError) => {
      assert.deepEqual([error.code, error.status, error.sent], ['ERR_CONNECT', status, 'nothing'])
      assert.match(error.message, new RegExp(`answered the WebSocket handshake with ${status}`))
      return true
    })
  }
  await refused({ fields: { origin: 'https://evil.example' } }, CHAT.url, 403)
  await refused({}, 'ws://a.example/elsewhere', 404)
  await refused({ subprotocols: ['other'] }, CHAT.url, 400)
  // Nothing of them is left on the connection.
  while (inFlight(pair)[0] !== 0) await turn()
})

test('a server that agrees to nothing of what was offered is refused, and its stream reset', async () => {
  await using pair = await serve({})
  await assert.rejects(pair.over({ subprotocols: ['echo'] }).connect(CHAT), {
    code: 'ERR_CONNECT',
    message: /chose no subprotocol/,
  })
  while (inFlight(pair)[0] !== 0) await turn()
})

test('without extended CONNECT, as in HTTP/1.1: ERR_OPTION_UNSUPPORTED, cold and warm', async () => {
  await using closed = await serve({}, { http2: { extendedConnect: false } })
  await using old = await serve({}, {}, { version: '1.1' })
  for (const pair of [closed, closed, old]) {
    const dialling = pair.over().connect(CHAT)
    await assert.rejects(dialling, { code: 'ERR_OPTION_UNSUPPORTED', message: /CONNECT/ })
  }
  assert.equal(await (await closed.client.get('/')).body.text(), 'HTTP/2')
})

test('a server that does not answer: the time of the handshake, and the signal', async () => {
  await using pair = await serve({}, {}, {}, undefined, () => new Promise(() => {}))
  await assert.rejects(pair.over({ handshakeTimeoutMs: 20 }).connect(CHAT), {
    code: 'ERR_CONNECT_TIMEOUT',
  })
  const reason = new Error('changed my mind')
  const abort = new AbortController()
  const dialling = pair.over().connect(CHAT, { signal: abort.signal })
  await turn()
  abort.abort(reason)
  await assert.rejects(dialling, (error) => error === reason)
})

test('one that is paused holds its peer back, and no other', async () => {
  const windows = { http2: { windowBytes: 65_536, maxWindowBytes: 65_536 } }
  const message = new Uint8Array(10_000)
  const COUNT = 200
  let left = COUNT
  let mark = 0
  await using pair = await serve({}, {}, windows, (connection, path) => {
    if (path === '/echo') return echo(connection)
    const pump = (): void => {
      while (left > 0) {
        left--
        if (!connection.send(message)) break
      }
      mark = Math.max(mark, connection.writableLength)
      if (left === 0) connection.close()
    }
    connection.open({ ...quiet, onDrain: pump })
    pump()
  })
  const slow = await pair.over().connect(CHAT)
  let bytes = 0
  const closed = Promise.withResolvers<Error | undefined>()
  slow.open({
    ...quiet,
    onMessage: (part) => void (bytes += part.length),
    onClose: closed.resolve,
  })
  slow.pause()
  const other = await pair.over().connect({ kind: 'url', url: 'ws://a.example/echo' })
  assert.deepEqual((await exchange(other, 'past it', 1_000)).texts, ['past it'])
  assert.ok(bytes < 200_000 && left > COUNT / 2, `${bytes} bytes arrived, ${left} are left`)
  assert.ok(mark < 200_000, `${mark} bytes waited`)
  slow.resume()
  assert.equal(await closed.promise, undefined)
  assert.deepEqual([bytes, left], [COUNT * message.length, 0])
})

test('over: no listening, no carrier beside it, and the client says where without a URL', async () => {
  await using pair = await serve({})
  await assert.rejects(pair.over().listen(CHAT, { onConnection() {} }), {
    code: 'ERR_OPTION_UNSUPPORTED',
  })
  const carrier = memory({ clock: systemClock, network: new MemoryNetwork() })
  assert.throws(() => pair.over({ carrier }), { code: 'ERR_ARGUMENT' })
  const connection = await pair.over({ path: '/chat' }).connect(memoryAddress('anything'))
  assert.deepEqual((await exchange(connection, 'hello', 1_000)).texts, ['hello'])
})

interface Pair extends AsyncDisposable {
  readonly client: HttpClient
  /** How each connection of the server ended. */
  readonly closed: (Error | undefined)[]
  over(options?: WebSocketTransportOptions): ReturnType<typeof webSocket>
}

type Serve = (connection: WebSocketConnection, path: string) => void

async function serve(
  upgradeOptions: WebSocketUpgradeOptions = {},
  serverOptions: HttpServerOptions = {},
  clientOptions: HttpClientOptions = {},
  onConnection?: Serve,
  service?: HttpService,
): Promise<Pair> {
  const closed: (Error | undefined)[] = []
  const each: Serve = onConnection ?? ((connection) => echo(connection, closed))
  const upgrade = webSocketUpgrade((connection, { path }) => each(connection, path), upgradeOptions)
  const transport = memory({ clock: systemClock, network: new MemoryNetwork() })
  const site: HttpService = (request) => {
    if (request.path === '/chat' || request.path === '/echo') return upgrade(request)
    const status = request.path === '/' ? 200 : 404
    return HttpResponse.text(`HTTP/${request.version}`, { status })
  }
  const server = httpServer(service ?? site, serverOptions)
  await server.listen(transport, memoryAddress('server'))
  const client = httpClient('http://a.example', {
    version: '2',
    transport,
    endpoints: [{ address: memoryAddress('server') }],
    retry: false,
    ...clientOptions,
  })
  return {
    client,
    closed,
    over: (options) => webSocket({ ...options, over: client }),
    async [Symbol.asyncDispose]() {
      const signal = AbortSignal.abort(new Error('over'))
      await client.close({ signal })
      await server.close({ signal })
    },
  }
}

function echo(connection: WebSocketConnection, closed: (Error | undefined)[] = []): void {
  connection.open({
    ...quiet,
    onMessage: (bytes) => void connection.send(bytes.slice()),
    onText: (text) => void connection.sendText(text),
    onClose: (reason) => void closed.push(reason),
  })
}

/** Sends a text, closes once it is back, and says what it heard. */
function exchange(connection: WebSocketConnection, text: string, code: number) {
  const texts: string[] = []
  return new Promise<{
    texts: string[]
    reason: Error | undefined
    peerClose: WebSocketConnection['peerClose']
  }>((resolve) => {
    connection.open({
      ...quiet,
      onText(back) {
        texts.push(back)
        connection.close(code, 'enough')
      },
      onClose: (reason) => resolve({ texts, reason, peerClose: connection.peerClose }),
    })
    connection.sendText(text)
  })
}

function heard(connection: WebSocketConnection): Promise<HeddleError> {
  return new Promise((resolve) => {
    connection.open({ ...quiet, onClose: (reason) => resolve(reason as HeddleError) })
  })
}

/** Streams of each connection. */
function inFlight(pair: Pair): readonly number[] {
  const [stack] = pair.client.core.endpoints.nodes
  return stack?.pool.inFlight ?? []
}

const codeOf = (error: Error | undefined): unknown => (error as HeddleError | undefined)?.status
const range = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => from + at)
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const quiet: WebSocketHandler = { onMessage() {}, onDrain() {}, onEnd() {}, onClose() {} }
