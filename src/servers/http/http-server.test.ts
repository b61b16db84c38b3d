import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { ip } from '../../core/address.ts'
import type { ConnectionHandler } from '../../core/connection.ts'
import { AccessError, OverloadError } from '../../core/errors.ts'
import type { Middleware } from '../../core/service.ts'
import { Body } from '../../protocols/http/body.ts'
import { type HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { type HttpServer, httpServer } from './http-server.ts'
import type { HttpExchangeRecord } from './http-server-connection.ts'

/** A raw client, so that nothing of ours is on both sides. */
class RawClient {
  readonly socket: Socket
  #text = ''
  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('data', (chunk) => {
      this.#text += chunk.toString('latin1')
    })
    this.socket.on('error', () => {})
  }
  send(text: string): this {
    this.socket.write(text, 'latin1')
    return this
  }
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.#text)) {
      if (this.socket.closed) assert.fail(`closed before ${pattern}: ${this.#text}`)
      await Promise.race([once(this.socket, 'data'), once(this.socket, 'close')])
    }
    return this.#text
  }
  async closed(): Promise<string> {
    if (!this.socket.closed) await once(this.socket, 'close')
    return this.#text
  }
}

async function serve(server: HttpServer): Promise<RawClient & { port: number }> {
  const listener = await server.listen(tcp(), ip('127.0.0.1', 0))
  assert.equal(listener.address.kind, 'ip')
  const port = listener.address.kind === 'ip' ? listener.address.port : 0
  return Object.assign(new RawClient(port), { port })
}

test('HttpServer answers synchronously, keeps the connection and counts', async () => {
  const records: HttpExchangeRecord[] = []
  await using server = httpServer((request) => HttpResponse.text(`hello ${request.path}`), {
    observer: { onExchange: (record) => records.push(record) },
  })
  const client = await serve(server)
  client.send('GET /a?b HTTP/1.1\r\nHost: x\r\n\r\nGET /c HTTP/1.1\r\nHost: x\r\n\r\n')
  const text = await client.until(/hello \/c/)
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*content-length: 8\r\n\r\nhello \/a/i)
  assert.match(text, /\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n/i)
  assert.equal(records.length, 2)
  assert.deepEqual(
    records.map(({ status, responseBytes, error }) => ({ status, responseBytes, error })),
    [
      { status: 200, responseBytes: 8, error: undefined },
      { status: 200, responseBytes: 8, error: undefined },
    ],
  )
  client.socket.destroy()
})

test('HttpServer streams a request body back under demand, chunked', async () => {
  await using server = httpServer((request) => new HttpResponse({ body: request.body }))
  const client = await serve(server)
  client.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  client.send('5\r\nhello\r\n')
  await client.until(/hello/)
  client.send('6\r\n world\r\n0\r\n\r\n')
  assert.match(await client.until(/0\r\n\r\n$/), /transfer-encoding: chunked/i)
  client.socket.destroy()
})

test('HttpServer tells 100-continue only when the body is read', async () => {
  await using server = httpServer(async (request) =>
    request.path === '/read'
      ? HttpResponse.text(await request.body.text())
      : HttpResponse.text('no', { status: 403 }),
  )
  const reader = await serve(server)
  reader.send('POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n')
  await reader.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/)
  reader.send('ok')
  await reader.until(/\r\n\r\nok$/)
  reader.socket.destroy()
  const refused = new RawClient(reader.port)
  refused.send('POST /no HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n')
  assert.match(await refused.until(/\r\n\r\nno$/), /^HTTP\/1\.1 403 /)
  refused.socket.destroy()
})

test('HttpServer maps what the service throws, sync and async, and goes on', async () => {
  await using server = httpServer((request) => {
    if (request.path === '/sync') throw new Error('inside')
    return Promise.reject(new OverloadError('ERR_SHED', 'inside'))
  })
  const client = await serve(server)
  client.send('GET /sync HTTP/1.1\r\nHost: x\r\n\r\nGET /async HTTP/1.1\r\nHost: x\r\n\r\n')
  const text = await client.until(/503/)
  assert.match(text, /^HTTP\/1\.1 500 /)
  assert.doesNotMatch(text, /inside/)
  client.socket.destroy()
})

test('HttpServer cuts a response whose body fails', async () => {
  await using server = httpServer(
    () =>
      new HttpResponse({
        body: Body.from({
          open(sink) {
            return {
              resume() {
                sink.write(Buffer.from('half'))
                sink.fail(new Error('disk'))
              },
              cancel() {},
            }
          },
          async *[Symbol.asyncIterator]() {},
        }),
      }),
  )
  const client = await serve(server)
  client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.doesNotMatch(await client.closed(), /0\r\n\r\n$/)
})

test('HttpServer cancels the call when the client leaves', async () => {
  const cancelled = Promise.withResolvers<Error>()
  const started = Promise.withResolvers<void>()
  await using server = httpServer((_request, context) => {
    context.onCancel(cancelled.resolve)
    started.resolve()
    return new Promise<HttpResponse>(() => {})
  })
  const client = await serve(server)
  client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await started.promise
  client.socket.destroy()
  assert.ok((await cancelled.promise) instanceof Error)
})

test('HttpServer hands an upgraded connection over with its unread bytes', async () => {
  await using server = httpServer(
    () =>
      new HttpResponse({
        status: 101,
        fields: { upgrade: 'shout', connection: 'upgrade' },
        upgrade(connection) {
          const handler: ConnectionHandler = {
            onData: (chunk) => {
              connection.write(Buffer.from(Buffer.from(chunk).toString().toUpperCase()))
            },
            onDrain() {},
            onEnd: () => connection.end(),
            onClose() {},
          }
          connection.open(handler)
        },
      }),
  )
  const client = await serve(server)
  client.send('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: shout\r\nConnection: upgrade\r\n\r\nearly ')
  await client.until(/\r\n\r\nEARLY $/)
  client.send('late')
  await client.until(/EARLY LATE$/)
  client.socket.end()
  await client.closed()
})

test('HttpServer close waits for the answer in flight and tells the client', async () => {
  const gate = Promise.withResolvers<HttpResponse>()
  const started = Promise.withResolvers<void>()
  const server = httpServer(() => {
    started.resolve()
    return gate.promise
  })
  const client = await serve(server)
  client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await started.promise
  const closing = server.close()
  gate.resolve(HttpResponse.text('last'))
  const text = await client.closed()
  assert.match(text, /connection: close/i)
  assert.match(text, /last$/)
  await closing
})

test('HttpServer refuses garbage with 400 and others go on', async () => {
  await using server = httpServer(() => HttpResponse.text('ok'))
  const garbage = await serve(server)
  const good = new RawClient(garbage.port)
  garbage.send('\0\0\0\0\r\n\r\n')
  assert.match(await garbage.closed(), /^HTTP\/1\.1 400 /)
  good.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await good.until(/ok$/)
  good.socket.destroy()
})

for (const [name, connection] of [
  ['keeps the connection', 'keep-alive'],
  ['closes', 'close'],
] as const) {
  test(`HttpServer drops a client that never reads when the answer ${name}`, async () => {
    const failed = Promise.withResolvers<Error>()
    const big = new Uint8Array(8 * 1024 * 1024)
    await using server = httpServer(() => new HttpResponse({ status: 200, body: big }), {
      writeTimeoutMs: 300,
      keepAliveTimeoutMs: 100,
      observer: { onExchange: () => {}, onError: (error) => failed.resolve(error) },
    })
    const client = await serve(server)
    client.socket.pause()
    client.send(`GET / HTTP/1.1\r\nHost: x\r\nConnection: ${connection}\r\n\r\n`)
    assert.match((await failed.promise).message, /took nothing of what was sent for 300 ms/)
    assert.equal(server.stats.connections, 0)
    client.socket.destroy()
  })
}

test('HttpServer notices a reset inside a body that it has begun to answer', async () => {
  await using server = httpServer(async (request) => HttpResponse.text(await request.body.text()))
  const { port, socket } = await serve(server)
  socket.destroy()
  const head = 'POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n'
  for (let round = 0; round < 5; round++) {
    const client = connect(port, '127.0.0.1')
    await once(client, 'connect')
    client.write(`${head}part`, () => client.resetAndDestroy())
    await once(client, 'close')
  }
  for (let wait = 0; server.stats.connections > 0 && wait < 100; wait++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.equal(server.stats.connections, 0)
})

test('HttpServer cancels the call before its body fails, so that nobody else is blamed', async () => {
  const seen = Promise.withResolvers<boolean>()
  const started = Promise.withResolvers<void>()
  await using server = httpServer((request, context) => {
    const flow = request.body.open({
      write: () => true,
      end() {},
      fail: () => seen.resolve(context.cancelled),
    })
    flow.resume()
    started.resolve()
    return new Promise<HttpResponse>(() => {})
  })
  const client = await serve(server)
  client.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab')
  await started.promise
  client.send('cde\r\nzz\r\n')
  assert.equal(await seen.promise, true)
  client.socket.destroy()
})

test('HttpServer puts policies around the service in the order of the stack', async () => {
  const seen: string[] = []
  const mark =
    (name: string): Middleware<HttpRequest, HttpResponse> =>
    (next) =>
    (request, context) => {
      seen.push(`${name} ${context.connection === request.connection}`)
      return next(request, context)
    }
  const server = httpServer(() => HttpResponse.text('ok'), {
    middleware: [mark('own')],
    authorization: mark('authorization'),
    authentication: mark('authentication'),
  })
  const client = await serve(server)
  await client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n').until(/ok$/)
  assert.deepEqual(seen, ['authentication true', 'authorization true', 'own true'])
  client.socket.destroy()
  await server.close()
})

test('HttpServer answers the refusal of a policy, and tells its observer', async () => {
  const told: Error[] = []
  const server = httpServer(() => HttpResponse.text('secret'), {
    authorization: () => () => {
      throw new AccessError('ERR_FORBIDDEN', 'no')
    },
    observer: { onExchange: () => {}, onError: (error) => void told.push(error) },
  })
  const client = await serve(server)
  const text = await client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n').until(/ERR_/)
  assert.match(text, /^HTTP\/1\.1 403 [\s\S]*403 Forbidden \(ERR_FORBIDDEN\)/)
  assert.deepEqual(
    told.map(({ message }) => message),
    ['no'],
  )
  client.socket.destroy()
  await server.close()
})
