import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Address, ip, memory, unix as unixAddress } from '../../core/address.ts'
import type { HeddleError } from '../../core/errors.ts'
import type { Sink, Source } from '../../core/flow.ts'
import type { Resolver } from '../../core/policy.ts'
import type { Transport } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { roundRobin } from '../../runtime/balancer/round-robin.ts'
import { DevAuthority } from '../../security/dev-certificate.ts'
import { httpServer } from '../../servers/http/http-server.ts'
import { memory as memoryTransport } from '../../transports/memory/memory-transport.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { tls } from '../../transports/tls/tls.ts'
import { unix } from '../../transports/unix/unix.ts'
import { explain, explainText } from './explain-client.ts'
import { type HttpClient, type HttpClientOptions, httpClient } from './http-client.ts'

interface Way {
  readonly transport: Transport
  readonly address: Address
  origin(address: Address): string
}

const directory = await mkdtemp(join(tmpdir(), 'heddle-client-'))
test.after(() => rm(directory, { recursive: true }))
let sockets = 0

const authority = await DevAuthority.create(systemClock)
const ca = authority.ca
const credentials = await authority.issue()

const WAYS: Readonly<Record<string, () => Way>> = {
  tcp: () => ({
    transport: tcp(),
    address: ip('127.0.0.1', 0),
    origin: (address) => `http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`,
  }),
  tls: () => ({
    transport: tls({ credentials, ca, alpn: ['http/1.1'] }),
    address: ip('127.0.0.1', 0),
    origin: (address) => `https://localhost:${address.kind === 'ip' ? address.port : 0}`,
  }),
  unix: () => ({
    transport: unix(),
    address: unixAddress(join(directory, `${++sockets}.sock`)),
    origin: (address) => `http+unix:${address.kind === 'unix' ? address.path : ''}`,
  }),
  memory: () => ({
    transport: memoryTransport({ clock: systemClock }),
    address: memory('server'),
    origin: () => 'http://memory.test',
  }),
}

async function pair(
  way: Way,
  service: HttpService,
  options: HttpClientOptions = {},
): Promise<AsyncDisposable & { client: HttpClient }> {
  const server = httpServer(service)
  const { address } = await server.listen(way.transport, way.address)
  const client = httpClient(way.origin(address), {
    transport: way.transport,
    endpoints: [{ address }],
    ...options,
  })
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close()
      await server.close()
    },
  }
}

/** Gives `count` chunks of `size` bytes, as the sink takes them, and says how many. */
function chunks(count: number, size: number, given: { count: number }): Source<Uint8Array> {
  return {
    open(sink: Sink<Uint8Array>) {
      let flowing = false
      let ended = false
      return {
        resume() {
          if (flowing || ended) return
          flowing = true
          while (given.count < count) {
            const more = sink.write(new Uint8Array(size).fill(given.count++ % 251))
            if (!more) {
              flowing = false
              return
            }
          }
          ended = true
          sink.end()
        },
        cancel() {
          ended = true
        },
      }
    },
    async *[Symbol.asyncIterator]() {},
  }
}

for (const [name, makeWay] of Object.entries(WAYS)) {
  test(`HttpClient over ${name} reuses one connection for calls in a row`, async () => {
    const connections = new Set<number>()
    await using sides = await pair(makeWay(), (request) => {
      connections.add(request.connection?.id ?? 0)
      return HttpResponse.text(`${request.method} ${request.target}`)
    })
    for (let call = 0; call < 5; call++) {
      const response = await sides.client.get(`/${call}?q`)
      assert.equal(response.status, 200)
      assert.equal(await response.body.text(), `GET /${call}?q`)
    }
    assert.equal(connections.size, 1)
  })

  test(`HttpClient over ${name} streams both ways under backpressure`, async () => {
    const size = 64 * 1024
    const count = 512 // 32 MiB: more than the kernel's buffers of two connections
    const given = { count: 0 }
    await using sides = await pair(makeWay(), (request) => new HttpResponse({ body: request.body }))
    const response = await sides.client.request({
      method: 'POST',
      target: '/echo',
      body: chunks(count, size, given),
    })
    // The echo's reader has not begun: the sockets fill, and then nothing more is taken.
    let before = -1
    while (before !== given.count) {
      before = given.count
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.ok(given.count < count, `all ${count} chunks were taken though nobody reads`)
    let length = 0
    for await (const chunk of response.body) {
      assert.equal(chunk[0], Math.floor(length / size) % 251)
      length += chunk.length
      assert.equal(chunk.at(-1), Math.floor((length - 1) / size) % 251)
    }
    assert.equal(length, size * count)
    assert.equal(given.count, count)
  })

  test(`HttpClient over ${name} sends a known length and text, and reads no body of HEAD`, async () => {
    await using sides = await pair(makeWay(), async (request) => {
      const length = request.fields.get('content-length') ?? 'none'
      const text = await request.body.text()
      return HttpResponse.text(`${length} ${text}`)
    })
    const posted = await sides.client.post('/', 'grüße')
    assert.equal(await posted.body.text(), '7 grüße')
    const head = await sides.client.request({ method: 'HEAD', target: '/' })
    assert.equal(head.fields.get('content-length'), '5')
    assert.ok(head.body.isEmpty)
    const again = await sides.client.get('/')
    assert.equal(await again.body.text(), 'none ')
  })

  test(`HttpClient over ${name} passes trailers of both bodies`, async () => {
    await using sides = await pair(makeWay(), async (request) => {
      await request.body.bytes()
      const response = new HttpResponse({ body: chunks(3, 10, { count: 0 }) })
      response.body.trailers = request.body.trailers
      return response
    })
    const body = chunks(2, 5, { count: 0 })
    const request = new HttpRequest({ method: 'POST', body })
    request.body.trailers = new HttpFields({ 'x-check': 'sum' })
    const response = await sides.client.call(request)
    assert.equal((await response.body.bytes()).length, 30)
    assert.equal(response.body.trailers?.get('x-check'), 'sum')
  })

  test(`HttpClient over ${name} opens no more than pool.max connections`, async () => {
    const connections = new Set<number>()
    const allBusy = Promise.withResolvers<void>()
    let active = 0
    let most = 0
    await using sides = await pair(
      makeWay(),
      async (request) => {
        connections.add(request.connection?.id ?? 0)
        most = Math.max(most, ++active)
        if (active === 3) allBusy.resolve()
        await allBusy.promise
        active--
        return HttpResponse.text('x'.repeat(10))
      },
      { pool: { max: 3 } },
    )
    const calls = Array.from({ length: 30 }, async () => {
      const response = await sides.client.get('/')
      return response.body.text()
    })
    for (const text of await Promise.all(calls)) assert.equal(text, 'xxxxxxxxxx')
    assert.equal(connections.size, 3)
    assert.equal(most, 3)
  })

  test(`HttpClient over ${name} cancels on the wire`, async () => {
    const left = Promise.withResolvers<Error>()
    const started = Promise.withResolvers<void>()
    await using sides = await pair(makeWay(), (_request, context) => {
      context.onCancel(left.resolve)
      started.resolve()
      return new Promise<HttpResponse>(() => {})
    })
    const controller = new AbortController()
    const call = sides.client.get('/', { signal: controller.signal })
    await started.promise
    const reason = new Error('changed my mind')
    controller.abort(reason)
    await assert.rejects(call, (error) => error === reason)
    assert.ok((await left.promise) instanceof Error)
  })

  test(`HttpClient over ${name} upgrades to a connection of bytes`, async () => {
    await using sides = await pair(
      makeWay(),
      () =>
        new HttpResponse({
          status: 101,
          fields: { upgrade: 'shout', connection: 'upgrade' },
          upgrade(connection) {
            connection.open({
              onData: (chunk) => {
                connection.write(Buffer.from(Buffer.from(chunk).toString().toUpperCase()))
              },
              onDrain() {},
              onEnd: () => connection.end(),
              onClose() {},
            })
          },
        }),
    )
    const response = await sides.client.get('/', {
      fields: { upgrade: 'shout', connection: 'upgrade' },
    })
    assert.equal(response.status, 101)
    const { connection } = response
    assert.ok(connection !== undefined)
    const answered = Promise.withResolvers<string>()
    const closed = Promise.withResolvers<void>()
    connection.open({
      onData: (chunk) => answered.resolve(Buffer.from(chunk).toString()),
      onDrain() {},
      onEnd() {},
      onClose: () => closed.resolve(),
    })
    connection.write(Buffer.from('quiet'))
    assert.equal(await answered.promise, 'QUIET')
    connection.end()
    await closed.promise
  })
}

test('explain shows an HTTP client as it is', async () => {
  await using sides = await pair((WAYS.memory as () => Way)(), () => HttpResponse.text('x'), {
    pool: { max: 7 },
  })
  await (await sides.client.get('/')).body.text()
  assert.equal(explain(sides.client).calls.succeeded, 1)
  const text = explainText(sides.client)
  assert.match(text, /client http:\/\/memory\.test/)
  assert.match(text, /pool: state ready, idle 1,[^|]*max 7,/)
})

test('httpClient refuses an origin that is none', () => {
  for (const origin of [
    'ftp://a.example',
    'nonsense',
    'http+unix:',
    'http://a.example/path',
    'http://a.example/?query',
    'http://me:secret@a.example',
  ]) {
    assert.throws(() => httpClient(origin), { code: 'ERR_ADDRESS_INVALID' })
  }
})

test('httpClient reaches https with its own TLS, and refuses a stranger', async () => {
  const server = httpServer((request) =>
    HttpResponse.text(`${request.scheme} ${request.authority}`),
  )
  const { address } = await server.listen(tls({ credentials }), ip('127.0.0.1', 0))
  const port = address.kind === 'ip' ? address.port : 0
  for (const host of ['localhost', '127.0.0.1']) {
    await using client = httpClient(`https://${host}:${port}`, { tls: { ca } })
    const response = await client.get('/')
    assert.equal(await response.body.text(), `https ${host}:${port}`)
  }
  await using stranger = httpClient(`https://localhost:${port}`, { retry: false })
  await assert.rejects(stranger.get('/'), (error: HeddleError) => {
    assert.equal((error.cause as HeddleError).code, 'ERR_TLS')
    return error.sent === 'nothing'
  })
  await server.close()
})

test('httpClient takes a transport or its parts, not both', () => {
  for (const options of [
    { transport: tcp(), proxy: 'http://127.0.0.1:1' },
    { transport: tcp(), tls: {} },
    { endpoints: [{ address: ip('127.0.0.1', 1) }], proxy: 'http://127.0.0.1:1' },
  ]) {
    assert.throws(() => httpClient('http://a.example', options), { code: 'ERR_ARGUMENT' })
  }
})

test('httpClient asks its resolver for the origin, and spreads calls over what it finds', async () => {
  const transport = memoryTransport({ clock: systemClock })
  const servers = ['a', 'b'].map((name) => ({
    name,
    server: httpServer(() => HttpResponse.text(name)),
  }))
  for (const { name, server } of servers) await server.listen(transport, memory(name))
  const targets: string[] = []
  const resolver: Resolver = {
    watch(target, listener) {
      targets.push(target)
      listener.onEndpoints(servers.map(({ name }) => ({ address: memory(name) })))
      return { [Symbol.dispose]() {} }
    },
  }
  const client = httpClient('http://service.example', {
    transport,
    resolver,
    balancer: roundRobin(),
  })
  const texts: string[] = []
  for (let call = 0; call < 4; call++) texts.push(await (await client.get('/')).body.text())
  assert.deepEqual(targets, ['service.example:80'])
  assert.deepEqual(texts.toSorted(), ['a', 'a', 'b', 'b'])
  await client.close()
  for (const { server } of servers) await server.close()
})
