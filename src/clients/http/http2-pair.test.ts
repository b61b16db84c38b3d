/** Client and server of ours in HTTP/2, in memory and over TCP: what the two agree on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ip, memory as memoryAddress } from '../../core/address.ts'
import { Channel } from '../../core/channel.ts'
import type { Connection } from '../../core/connection.ts'
import { Call } from '../../core/context.ts'
import type { HeddleError } from '../../core/errors.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { type HttpServerOptions, httpServer } from '../../servers/http/http-server.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { type HttpClient, type HttpClientOptions, httpClient } from './http-client.ts'

test('a call in memory: body, trailers, version and authority of both sides', async () => {
  await using pair = await inMemory(async (request) => {
    assert.equal(request.version, '2')
    assert.equal(request.authority, 'a.example')
    const response = HttpResponse.text(`${await request.body.text()}!`)
    response.body.trailers = new HttpFields({ got: request.body.trailers?.get('sent') ?? 'none' })
    return response
  })
  const request = new HttpRequest({ method: 'POST', body: new Uint8Array([104, 105]) })
  request.body.trailers = new HttpFields({ sent: 'trailers' })
  const response = await pair.client.call(request, new Call())
  assert.equal(response.version, '2')
  assert.equal(await response.body.text(), 'hi!')
  assert.equal(response.body.trailers?.get('got'), 'trailers')
})

test('a client that asks to be upgraded goes on in HTTP/2 where the server does', async () => {
  for (const [upgradeBytes, expected] of [
    [0, '2'],
    [undefined, '1.1'],
  ] as const) {
    const versions: string[] = []
    const answer: HttpService = (request) => {
      versions.push(`${request.method} ${request.version}`)
      return HttpResponse.text('fine')
    }
    const options = upgradeBytes === undefined ? {} : { upgradeBytes }
    await using pair = await overTcp(answer, { version: 'upgrade' }, options)
    for (let round = 0; round < 2; round++) {
      const response = await pair.client.post('/', 'body')
      assert.equal(response.version, expected)
      assert.equal(await response.body.text(), 'fine')
    }
    assert.deepEqual(versions.slice(-2), [`POST ${expected}`, `POST ${expected}`])
  }
})

test('a push: as many as the client takes at a time, and nothing that cannot be one', async () => {
  const held = Promise.withResolvers<HttpResponse>()
  const said: unknown[] = []
  let late: (() => unknown) | undefined
  const service: HttpService = ({ path, push }) => {
    if (path === '/held') return held.promise
    if (push === undefined) return HttpResponse.text('none')
    for (const target of ['no path', '//\r\n']) {
      assert.throws(() => push({ target }), { code: 'ERR_ARGUMENT' })
    }
    const method = 'POST' as 'GET'
    assert.throws(() => push({ target: '/', method }), { code: 'ERR_ARGUMENT' })
    late = () => push({ target: '/late' })
    said.push(push({ target: '/held' }), push({ target: '/held' }))
    return HttpResponse.text('page')
  }
  const pushes: Promise<HttpResponse>[] = []
  await using pair = await inMemory(service, {
    http2: { maxPushedStreams: 1, onPush: (_request, response) => void pushes.push(response) },
  })
  const ask = async (): Promise<string> => (await pair.client.get('/')).body.text()
  assert.equal(await ask(), 'page')
  assert.deepEqual(said, [true, false])
  assert.equal(await ask(), 'none', 'the one place is taken')
  held.resolve(HttpResponse.text('held'))
  assert.equal(await (await pushes[0])?.body.text(), 'held')
  assert.equal(late?.(), false, 'the response has ended')
  assert.equal(await ask(), 'page', 'the place was given back')
  assert.deepEqual(said, [true, false, true, false])
})

test('a client that is told too_many_pings pings half as often on its next connection', async () => {
  const clock = new ManualClock()
  const transport = memory({ clock, network: new MemoryNetwork() })
  const connections: unknown[] = []
  const service: HttpService = ({ connection }) => {
    connections.push(connection)
    return HttpResponse.text('fine')
  }
  const http2 = { minPingIntervalMs: 10_000, permitPingsWithoutExchanges: true }
  const server = httpServer(service, { clock, http2 })
  await server.listen(transport, memoryAddress('server'))
  const client = httpClient('http://a.example', {
    version: '2',
    clock,
    transport,
    endpoints: [{ address: memoryAddress('server') }],
    http2: { keepAlivePingMs: 1_000, keepAliveWithoutExchanges: true },
  })
  // Each reply forgives. Then a free one, two strikes, and one too many: after four intervals.
  for (const pauseMs of [4_100, 7_900, 8_100, 0]) {
    const reply = client.get('/')
    await clock.advanceAsync(10)
    assert.equal((await reply).status, 200)
    await clock.advanceAsync(pauseMs)
  }
  assert.deepEqual(
    connections.map((one) => connections.indexOf(one)),
    [0, 1, 1, 3],
  )
  const closed = Promise.all([client.close(), server.close()])
  await clock.advanceAsync(1_000)
  await closed
})

test('a server that drains loses no call of a busy client', async () => {
  const service: HttpService = async (request) => {
    await new Promise((resolve) => setImmediate(resolve))
    return HttpResponse.text(request.path)
  }
  const network = new MemoryNetwork()
  const transport = memory({ clock: systemClock, network })
  let server = httpServer(service)
  await server.listen(transport, memoryAddress('server'))
  await using client = httpClient('http://a.example', {
    version: '2',
    transport,
    endpoints: [{ address: memoryAddress('server') }],
    retry: false,
  })
  for (let round = 0; round < 4; round++) {
    const calls = Array.from({ length: 50 }, (_, at) => client.post(`/${at}`, 'body'))
    await Promise.race(calls)
    const old = server
    const drained = old.close()
    server = httpServer(service)
    await drained.then(() => server.listen(transport, memoryAddress('server')))
    const texts = await Promise.all(calls.map(async (call) => (await call).body.text()))
    assert.equal(texts.length, 50)
  }
  await server.close()
})

test('maxConcurrentStreams of the server is what a connection takes, and one past waits', async () => {
  let active = 0
  let most = 0
  const opened: (() => void)[] = []
  const answer: HttpService = () => {
    most = Math.max(most, ++active)
    return new Promise((resolve) =>
      opened.push(() => {
        active--
        resolve(HttpResponse.text('fine'))
      }),
    )
  }
  await using pair = await inMemory(
    answer,
    { pool: { max: 1 } },
    { http2: { maxConcurrentStreams: 4 } },
  )
  const release = async (): Promise<void> => {
    for (const open of opened.splice(0)) open()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const first = pair.client.get('/')
  while (opened.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await release()
  await first
  const calls = Array.from({ length: 5 }, () => pair.client.get('/'))
  while (opened.length < 4) await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(opened.length, 4)
  const [stack] = pair.client.core.endpoints.nodes
  assert.deepEqual(stack?.pool.inFlight, [4])
  assert.equal(stack?.pool.stats.waiting, 1)
  while (active > 0 || opened.length > 0) await release()
  await Promise.all(calls)
  assert.equal(most, 4)
})

test('options that no connection could have are refused when the client is made', () => {
  for (const http2 of [
    { windowBytes: 0 },
    { maxFrameBytes: 1 },
    { verifyAfterIdleMs: -1 },
    { idleTimeoutMs: Number.NaN },
    { maxPushedStreams: -1 },
  ]) {
    assert.throws(() => httpClient('http://a.example', { http2 }), { code: 'ERR_OPTION_RANGE' })
  }
})

test('protocol is for CONNECT in HTTP/2 alone', async () => {
  await using pair = await inMemory(() => HttpResponse.text('fine'))
  const wrong = { method: 'GET', protocol: 'websocket', target: '/' }
  await assert.rejects(async () => pair.client.request(wrong), { code: 'ERR_ARGUMENT' })
  await using old = await inMemory(() => HttpResponse.text('fine'), { version: '1.1' })
  const extended = { method: 'CONNECT', protocol: 'websocket', target: '/' }
  await assert.rejects(async () => old.client.request(extended), {
    code: 'ERR_OPTION_UNSUPPORTED',
  })
})

test('a service that fails behind its head resets the stream; the client hears it in the body', async () => {
  await using pair = await inMemory(() => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(10)
      throw new Error('broken inside')
    }
    const iterator = broken()
    return new HttpResponse({
      body: {
        open(sink) {
          const pull = async (): Promise<void> => {
            const { value } = await iterator.next()
            if (value !== undefined && sink.write(value)) await pull()
          }
          return { resume: () => void pull().catch((error) => sink.fail(error)), cancel() {} }
        },
        [Symbol.asyncIterator]: () => iterator,
      },
    })
  })
  // The head may have come in the same batch as the reset.
  const read = async (): Promise<unknown> => (await pair.client.get('/')).body.bytes()
  await assert.rejects(read(), (error: HeddleError) => {
    assert.equal(error.code, 'ERR_REMOTE')
    assert.equal(error.status, 'INTERNAL_ERROR')
    return true
  })
  const [stack] = pair.client.core.endpoints.nodes
  assert.deepEqual(stack?.pool.inFlight, [0])
})

test('a server that answers early and wants no more of the request: its client has the response whole', async () => {
  const trailers = new HttpFields({ end: 'here' })
  await using pair = await inMemory(() => {
    const response = new HttpResponse({ status: 413, body: 'x'.repeat(100_000) })
    response.body.trailers = trailers
    return response // and never opens the body, so the stream is reset with NO_ERROR
  })
  let cancelled = 0
  const endless = new Channel<Uint8Array>(
    () => {
      while (endless.flowing) endless.write(new Uint8Array(10_000))
    },
    () => void cancelled++,
  )
  for (let round = 0; round < 2; round++) {
    const response = await pair.client.post('/', round === 0 ? endless : 'short')
    assert.equal(response.status, 413)
    assert.equal((await response.body.text()).length, 100_000)
    assert.equal(response.body.trailers?.get('end'), 'here')
    while (response.exchange?.over === false) await turn()
  }
  assert.equal(cancelled, 1)
  const [stack] = pair.client.core.endpoints.nodes
  assert.deepEqual(stack?.pool.inFlight, [0])
})

test('a request over what the server takes is refused before it is sent, and others go on', async () => {
  const http2 = { maxHeaderListBytes: 400 }
  let asked = 0
  const answer: HttpService = () => HttpResponse.text(`${++asked}`)
  await using pair = await inMemory(answer, {}, { http2 })
  assert.equal(await (await pair.client.get('/')).body.text(), '1')
  const fields = { x: 'y'.repeat(400) }
  await assert.rejects(pair.client.get('/', { fields }), {
    name: 'UsageError',
    code: 'ERR_FIELDS_TOO_LARGE',
    message: /over the 400 that the peer takes/,
  })
  assert.equal(await (await pair.client.get('/')).body.text(), '2')
})

test('a connection of a stream holds the peer back while nobody reads, both ways', async () => {
  const taken = Promise.withResolvers<Connection>()
  const fixed = { http2: { windowBytes: 262_144, maxWindowBytes: 262_144 } }
  await using pair = await inMemory(() => new HttpResponse({ upgrade: taken.resolve }), fixed)
  const { connection: near } = await pair.client.request({
    method: 'CONNECT',
    protocol: 'bytes',
    target: '/',
  })
  const far = await taken.promise
  assert.ok(near !== undefined)
  const SIZE = 2_000_000
  const received = [0, 0]
  const ended = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const pump = (connection: Connection, at: number): void => {
    let left = SIZE
    const chunk = new Uint8Array(50_000)
    const write = (): void => {
      while (left > 0) {
        left -= chunk.length
        if (!connection.write(chunk)) break
      }
      if (left === 0) connection.end()
    }
    connection.open({
      onData(data) {
        received[at] = (received[at] ?? 0) + data.length
      },
      onDrain: write,
      onEnd: () => ended[at]?.resolve(),
      onClose: (reason) => reason && ended[at]?.reject(reason),
    })
    if (at === 0) connection.pause()
    write()
  }
  pump(near, 0)
  pump(far, 1)
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(received[0], 0)
  assert.ok(far.writableLength > 0, 'the far side was told to stop')
  near.resume()
  await Promise.all(ended.map(({ promise }) => promise))
  assert.deepEqual(received, [SIZE, SIZE])
})

interface Pair extends AsyncDisposable {
  readonly client: HttpClient
}

async function inMemory(
  service: HttpService,
  options: HttpClientOptions = {},
  serverOptions: HttpServerOptions = {},
): Promise<Pair> {
  const transport = memory({ clock: systemClock, network: new MemoryNetwork(), strict: true })
  const server = httpServer(service, serverOptions)
  await server.listen(transport, memoryAddress('server'))
  const endpoints = [{ address: memoryAddress('server') }]
  const client = httpClient('http://a.example', { version: '2', transport, endpoints, ...options })
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close()
      await server.close()
    },
  }
}

async function overTcp(
  service: HttpService,
  options: HttpClientOptions,
  serverOptions: HttpServerOptions,
): Promise<Pair> {
  const server = httpServer(service, serverOptions)
  const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
  const port = address.kind === 'ip' ? address.port : 0
  const client = httpClient(`http://127.0.0.1:${port}`, options)
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close()
      await server.close()
    },
  }
}
